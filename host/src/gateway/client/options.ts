/** Settings that contradict each other are found before anything is opened; light enough for any command to load. */
import { EdgePlugError } from "../../errors.js";
import type { LoginOptions } from "./login.js";
import type { TrustOptions } from "./trust.js";

export interface GatewayOptions extends TrustOptions, LoginOptions {}

/** Throws USAGE. */
export function checkGatewayOptions({ ca, trust, clientCert, clientKey }: GatewayOptions): void {
  if (ca !== undefined && trust !== undefined) {
    throw new EdgePlugError("USAGE", "--ca and --trust exclude each other.");
  }
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw new EdgePlugError("USAGE", "--client-cert and --client-key belong together.");
  }
}
