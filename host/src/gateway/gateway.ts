/** A running gateway: boards, deployments and the service before them, put together and taken apart in the right order. */
import { setMaxListeners } from "node:events";

import type { ServerCredentials } from "@grpc/grpc-js";

import { EdgePlugError } from "../errors.js";
import type { DeviceSession } from "../session/session.js";
import type { AuditInput } from "./audit.js";
import { BoardsStore, isInMemory } from "./boards-store.js";
import type { Caller, RoleName } from "./calls.js";
import type { GatewayConfig } from "./config.js";
import { DeploymentsStore } from "./deployments-store.js";
import { Deployments } from "./deployments.js";
import { Devices, type DeviceReport } from "./devices.js";
import { GrpcServer, type FrontCheck } from "./grpc-server.js";
import type { Metrics } from "./metrics.js";
import { gatewayHandlers, type AnyCall } from "./service.js";
import type { GatewayState } from "./state.js";

export interface GatewayParts {
  config: GatewayConfig;
  version: string;
  state: GatewayState;
  credentials: ServerCredentials;
  /** Throws GATEWAY_LOGIN or GATEWAY_LIMIT. */
  identify: (call: AnyCall) => Caller;
  /** What speaks against a caller whom identify() would not let in, at less cost. */
  refuse: FrontCheck;
  /** Throws GATEWAY_ROLE. */
  requireRole: (caller: Caller, role: RoleName) => void;
  /** On disk when it returns. Throws GATEWAY_STATE. */
  audit: (entry: AuditInput) => void;
  /** Finds ports that come and go; only asked with `auto`. */
  findPorts: () => Promise<readonly string[]>;
  /** Opens a port and finds the board there. */
  open: (port: string, signal: AbortSignal) => Promise<DeviceSession>;
  report?: ((event: GatewayReport) => void) | undefined;
  meter?: GatewayMeter | undefined;
  /** For tests: how long an operator may take to sign, and between two looks at a silent board, milliseconds. */
  signaturePatienceMs?: number | undefined;
  heartbeatMs?: number | undefined;
}

/** What is counted. */
export type GatewayMeter = Pick<Metrics, "call" | "deployment" | "sent" | "stateError">;

export type GatewayReport =
  | DeviceReport
  | {
      event: "deployment";
      deployment: string;
      device: string;
      title: string;
      error: EdgePlugError | undefined;
    }
  | { event: "state"; error: EdgePlugError };

export class Gateway {
  private readonly stopping = new AbortController();
  private readonly ending = new AbortController();

  private constructor(
    readonly devices: Devices,
    readonly deployments: Deployments,
  ) {
    // One listener a call: many are no leak.
    setMaxListeners(0, this.stopping.signal, this.ending.signal);
  }

  private server!: GrpcServer;

  /** Throws GATEWAY_STATE or GATEWAY_CONFIG; nothing is left running then. */
  static async start(parts: GatewayParts): Promise<Gateway> {
    const { config } = parts;
    const boards = new BoardsStore(parts.state);
    const deployments = makeDeployments(parts);
    const devices = makeDevices(parts, boards, deployments);
    const gateway = new Gateway(devices, deployments);
    try {
      gateway.server = await GrpcServer.listen({
        listen: config.listen,
        credentials: parts.credentials,
        handlers: gateway.handlers(parts),
        connections: config.connections,
        admit: (call) => gateway.admit(parts, call),
        refuse: parts.refuse,
      });
      deployments.start(devices);
    } catch (error) {
      await gateway.server?.stop();
      await devices.stop();
      throw error;
    }
    return gateway;
  }

  get port(): number {
    return this.server.port;
  }

  /**
   * Refuses new calls, gives running deployments so long, leaves the rest as the board can resume it, and closes all
   * ports.
   */
  async stop(graceMs: number): Promise<void> {
    this.stopping.abort();
    this.server.notServing();
    await this.deployments.stop(graceMs);
    this.ending.abort();
    await this.server.stop();
    await this.devices.stop();
  }

  private handlers(parts: GatewayParts): ReturnType<typeof gatewayHandlers> {
    return gatewayHandlers({
      devices: this.devices,
      deployments: this.deployments,
      version: parts.version,
      identify: parts.identify,
      requireRole: parts.requireRole,
      audit: parts.audit,
      onStateError: stateErrorOf(parts),
      onCall: (method, code, milliseconds) => parts.meter?.call(method, code, milliseconds),
      stopping: this.stopping.signal,
      ending: this.ending.signal,
    });
  }

  private admit(parts: GatewayParts, call: AnyCall): void {
    if (this.stopping.signal.aborted) throw new EdgePlugError("GATEWAY_STOPPING");
    parts.identify(call);
  }
}

function stateErrorOf({ meter, report }: GatewayParts): (error: EdgePlugError) => void {
  return (error) => {
    meter?.stateError();
    report?.({ event: "state", error });
  };
}

function makeDeployments(parts: GatewayParts): Deployments {
  const { config, state, audit, report, meter, signaturePatienceMs } = parts;
  const stateError = stateErrorOf(parts);
  return new Deployments({
    store: new DeploymentsStore(state),
    queueLimit: config.queue,
    absenceMs: config.absenceMs,
    signaturePatienceMs,
    onEnded: (deployment, { error }) => {
      const { id, device, login } = deployment.record.order;
      const { title } = deployment;
      const outcome = error === undefined ? "ok" : error.code;
      report?.({ event: "deployment", deployment: id, device, title, error });
      meter?.deployment(outcome, deployment.elapsedMs);
      meter?.sent(deployment.bytesSent);
      try {
        audit({ who: login, what: "deployment", device, detail: `${id}: ${title}`, outcome });
      } catch (failure) {
        stateError(EdgePlugError.from(failure));
      }
    },
    onStateError: stateError,
  });
}

function makeDevices(parts: GatewayParts, boards: BoardsStore, deployments: Deployments): Devices {
  const { config, report } = parts;
  const stateError = stateErrorOf(parts);
  return new Devices({
    ports: distinct(config.devices),
    findPorts: config.auto ? parts.findPorts : undefined,
    open: (port, signal) => parts.open(isInMemory(port) ? "sim:" : port, signal),
    remembered: boards.all(),
    remember: (board) => {
      try {
        boards.save(board);
      } catch (error) {
        stateError(EdgePlugError.from(error));
      }
    },
    load: (id) => deployments.load(id),
    report,
    heartbeatMs: parts.heartbeatMs,
  });
}

/** Each `sim:` is a board of its own; of any other port, a second mention is the same port. */
function distinct(ports: readonly string[]): string[] {
  let simulated = 0;
  const named = ports.map((port) => {
    if (port !== "sim:") return port;
    simulated++;
    return simulated === 1 ? port : `sim:#${simulated}`;
  });
  return [...new Set(named)];
}
