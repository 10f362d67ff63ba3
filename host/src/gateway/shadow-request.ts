/** The shadow run that a deployment asks for: judged before anything is done, and in words for the audit log. */
import type { edgeplug } from "../generated/messages.js";
import type { AgentManifest } from "../manifest.js";
import { count, floatText, plural } from "../numbers.js";
import type { ShadowOptions } from "../session/push-steps.js";
import { MOST_TOLERANCES } from "../session/shadow-limits.js";
import { invalid } from "./validate.js";
import type { Received } from "./wire.js";

/** Undefined: none was asked for. Throws GATEWAY_REQUEST. */
export function readShadow(shadow: Received<edgeplug.Shadow.$Properties> | null): ShadowOptions | undefined {
  if (!shadow) return undefined;
  const { scans, tolerance, allowed } = shadow;
  if (scans === 0) throw invalid("shadow.scans", "is 0; at least 1 is compared");
  if (tolerance.length > MOST_TOLERANCES)
    throw invalid("shadow.tolerance", `has ${tolerance.length} values, not up to ${MOST_TOLERANCES}`);
  const bad = tolerance.find((value) => !(value >= 0));
  if (bad !== undefined) throw invalid("shadow.tolerance", `has ${bad}, not 0 or more`);
  return { scans, tolerance, allowed };
}

/** `shadow run of 5,000 scans, tolerance 0.01, 3 may differ` */
export function shadowText(shadow: ShadowOptions, kind: AgentManifest["kind"]): string {
  const { scans, tolerance = [], allowed = 0 } = shadow;
  const what = plural(scans, kind === "request" ? "request" : "scan");
  const within = tolerance.length === 0 ? "" : `, tolerance ${tolerance.map(floatText).join(" ")}`;
  return `shadow run of ${what}${within}${allowed === 0 ? "" : `, ${count(allowed)} may differ`}`;
}
