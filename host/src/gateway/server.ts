/** Starts a gateway from its configuration: the state folder, certificates, logins and the audit log around it. */
import { createRequire } from "node:module";

import { EdgePlugError } from "../errors.js";
import { openPort } from "../open-device.js";
import { Administration } from "./administration.js";
import { AuditLog } from "./audit.js";
import type { Caller } from "./calls.js";
import type { GatewayConfig } from "./config.js";
import { ControlServer } from "./control.js";
import { bearerOf } from "./front-gate.js";
import { Gateway, type GatewayParts, type GatewayReport } from "./gateway.js";
import { Logins, requireRole } from "./logins.js";
import { Metrics } from "./metrics.js";
import { addressOf, type AnyCall } from "./service.js";
import { GatewayState } from "./state.js";
import { openTls } from "./tls.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

export interface StartOptions extends Partial<
  Pick<GatewayParts, "open" | "findPorts" | "signaturePatienceMs" | "heartbeatMs">
> {
  /** What happens, for the log. */
  report?: ((event: GatewayReport | CertificateReport) => void) | undefined;
}

export type CertificateReport =
  { event: "certificate"; until: Date } | { event: "certificate-problem"; error: EdgePlugError };

export interface RunningGateway {
  /** Host and port that are served. */
  readonly address: string;
  readonly port: number;
  /** Of the authority's certificate; clients compare it. */
  readonly fingerprint: string;
  /** What clients verify the gateway's certificate by. */
  readonly caPem: string;
  /** At the very first start: an admin's, which is nowhere else. */
  readonly firstToken: string | undefined;
  readonly version: string;
  /** Where metrics are served; 0: nowhere. */
  readonly metricsPort: number;
  readonly gateway: Gateway;
  readonly logins: Logins;
  /** Gives running deployments so long, then leaves everything as the next start finds it best. */
  stop(graceMs?: number): Promise<void>;
}

/**
 * Throws GATEWAY_STATE (another gateway has the folder, the database or disk fails), AUDIT_BROKEN, GATEWAY_CONFIG (address,
 * certificate files), FILE_NOT_FOUND or FILE_UNREADABLE; nothing is left running then.
 */
export async function startGateway(
  config: GatewayConfig,
  options: StartOptions = {},
): Promise<RunningGateway> {
  const closing: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    let failure: unknown;
    for (const act of closing.splice(0).reverse()) {
      try {
        await act();
      } catch (error) {
        failure ??= error; // a full disk must not keep ports and locks from being given back
      }
    }
    if (failure !== undefined) throw failure;
  };
  try {
    const state = GatewayState.open(config.state);
    closing.push(() => state.close());
    const metrics = new Metrics(version);
    const audit = AuditLog.openIn(state, { onEntry: () => metrics.audited() });
    closing.push(() => audit.close());
    closing.push(() => metrics.close());
    const logins = new Logins(state, audit, { onLogin: (outcome) => metrics.login(outcome) });
    closing.push(() => logins.close());
    const tls = await openTls(config.state, {
      cert: config.tlsCert,
      key: config.tlsKey,
      clientCa: config.clientCa,
      names: config.names,
      report: (event) => options.report?.(certificateReport(event)),
    });
    closing.push(() => tls.close());
    const administration = new Administration({ state, store: logins.store, audit });
    const control = await ControlServer.start(config.state, administration);
    closing.push(() => control.close());
    audit.append({ who: "gateway", what: "start", detail: `version ${version}`, outcome: "ok" });
    closing.push(() => audit.append({ who: "gateway", what: "stop", outcome: "ok" }));
    const gateway = await Gateway.start({
      ...defaults(config),
      ...options,
      config,
      version,
      state,
      credentials: tls.serverCredentials(),
      identify: (call) => identify(logins, call),
      refuse: (peer) => logins.refuse(peer),
      requireRole,
      audit: (entry) => audit.append(entry),
      meter: metrics,
    });
    let graceMs = 0;
    closing.push(() => gateway.stop(graceMs));
    const { devices, deployments } = gateway;
    metrics.connect({ boards: () => devices.counts(), queued: () => deployments.waiting });
    const metricsPort = await serveMetrics(metrics, config.metrics);
    return {
      address: `${config.listen.host}:${gateway.port}`,
      port: gateway.port,
      fingerprint: tls.fingerprint,
      caPem: tls.caPem,
      firstToken: logins.firstAdmin(),
      version,
      metricsPort,
      gateway,
      logins,
      stop: (patienceMs = config.graceMs) => {
        graceMs = patienceMs;
        return close();
      },
    };
  } catch (error) {
    await close().catch(() => undefined); // why it didn't start says more
    throw error;
  }
}

async function serveMetrics(metrics: Metrics, address: GatewayConfig["metrics"]): Promise<number> {
  return address === undefined ? 0 : metrics.listen(address.host, address.port);
}

function defaults({ baud }: GatewayConfig): Pick<GatewayParts, "open" | "findPorts"> {
  return {
    open: (port, signal) => openPort(port, { baud, signal }),
    findPorts: async () => {
      const { findCandidates } = await import("../discovery/candidates.js");
      return (await findCandidates()).map((candidate) => candidate.port);
    },
  };
}

/** A token in the metadata, a client certificate that TLS verified, or both. */
function identify(logins: Logins, call: AnyCall): Caller {
  const [authorization] = call.metadata.get("authorization");
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return logins.identify({
    address: addressOf(call.getPeer()),
    bearer: bearerOf(authorization),
    certificate,
  });
}

function certificateReport(event: { until: Date } | { error: EdgePlugError }): CertificateReport {
  return "until" in event
    ? { event: "certificate", until: event.until }
    : { event: "certificate-problem", error: event.error };
}
