/** What each call does, once it is known who calls and that they may. */
import { EdgePlugError } from "../errors.js";
import { MAX_IO_BUFFER } from "../generated/limits.js";
import { edgeplug } from "../generated/messages.js";
import { PACKAGE_MAX } from "../package.js";
import { commandText } from "../session/commands.js";
import type { RequestOptions } from "../session/connection.js";
import type { Status } from "../session/messages.js";
import { KEY_ID_SIZE, sha512, SIGNATURE_SIZE } from "../signing.js";
import { readShadow, shadowText } from "./shadow-request.js";
import { readCommand, type CommandKind, type CommandRequest } from "./command-request.js";
import type { Deployments } from "./deployments.js";
import type { Devices } from "./devices.js";
import type { GatewayBoard } from "./gateway-board.js";
import type { Login, Role } from "./logins.js";
import { atMost, bytesField, limitField, nameField, optionalName } from "./validate.js";
import type { Received, ReplyOf, RequestOf, StreamName, UnaryName } from "./wire.js";

export type RoleName = Role;
/** Who calls. */
export type Caller = Pick<Login, "name" | "role">;

/** One state-changing call, for the audit log. */
export interface Deed {
  /** Board id. */
  device?: string;
  detail?: string;
}

export interface CallContext {
  caller: Caller;
  /** Aborted when the caller has gone, the deadline has passed or the gateway stops. */
  signal: AbortSignal;
  /** Until the caller's deadline, milliseconds; Infinity without one. */
  timeLeft(): number;
  /** On record before it is done. Throws GATEWAY_STATE. */
  begin(deed: Deed): void;
  /** What came of it, where that is known before the call is over. */
  settle(outcome: string): void;
}

type UnaryCall<M extends UnaryName> = (
  request: Received<RequestOf<M>>,
  context: CallContext,
) => Promise<ReplyOf<M>>;
type StreamCall<M extends StreamName> = (
  request: Received<RequestOf<M>>,
  context: CallContext,
) => AsyncIterable<ReplyOf<M>>;

export type UnaryCalls = { [M in UnaryName]: UnaryCall<M> };
export type StreamCalls = { [M in StreamName]: StreamCall<M> };

export interface CallsOptions {
  devices: Devices;
  deployments: Deployments;
  version: string;
}

const BOARD_PATIENCE_MS = 20_000;
const DIGEST_SIZE = 16;
const MOST_HISTORY = 10_000;
const MOST_DEPLOYMENTS = 1_000;
const DEPLOYMENTS_BY_DEFAULT = 100;
const BOARD_ID = /^[0-9a-f]{24}$/i;
const { ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN } = edgeplug.gateway.v1.Role;
const ROLE_NUMBERS = { viewer: ROLE_VIEWER, operator: ROLE_OPERATOR, admin: ROLE_ADMIN };

export function unaryCalls(options: CallsOptions): UnaryCalls {
  const { devices, deployments, version } = options;
  const find = (request: { device: string }): GatewayBoard =>
    devices.find(nameField(request.device, "device"));
  const command = (kind: CommandKind) => (request: CommandRequest, context: CallContext) =>
    carryOut(options, find(request), readCommand(request, kind), context);
  return {
    getGateway: async (_request, { caller }) => ({
      version,
      login: caller.name,
      role: ROLE_NUMBERS[caller.role],
      devices: devices.present,
      shadowRuns: true,
    }),
    listDevices: async ({ includeAbsent }) => ({ devices: devices.list(includeAbsent) }),
    getInfo: async (request, context) => {
      const board = find(request);
      const { session } = board;
      const asked = reading(context);
      const hello = await session.refresh(asked);
      const status = await session.status(asked);
      board.saw(status);
      return { hello, status, slots: await session.slots(asked), port: board.port };
    },
    getStatus: async (request, context) => {
      const board = find(request);
      const status = await board.session.status(reading(context));
      board.saw(status);
      return status;
    },
    getHistory: async (request, context) => {
      const limit = limitField(request.limit, "limit", Infinity, MOST_HISTORY);
      return { entries: await find(request).session.history({ ...reading(context), limit }) };
    },
    listSpent: async (request, context) => ({
      digests: await find(request).session.spent(reading(context)),
    }),
    listKeys: async (request, context) => ({ keys: await find(request).session.listKeys(reading(context)) }),
    listDeployments: async (request) => {
      const limit = limitField(request.limit, "limit", DEPLOYMENTS_BY_DEFAULT, MOST_DEPLOYMENTS);
      const device = optionalName(request.device, "device");
      const id = device === "" || BOARD_ID.test(device) ? device.toLowerCase() : devices.find(device).id;
      return { deployments: deployments.list(id, limit) };
    },
    cancelDeployment: async (request, { caller, begin }) => {
      const id = nameField(request.deployment, "deployment");
      const { device, name, version: release } = deployments.find(id);
      begin({ device: device ?? "", detail: `${id}: ${name ?? ""} ${release ?? ""}` });
      return { deployment: await deployments.cancel(id, caller.name) };
    },
    provideSignature: async (request, { begin }) => {
      const id = nameField(request.deployment, "deployment");
      const keyId = bytesField(request.keyId, "key_id", KEY_ID_SIZE);
      const signature = bytesField(request.signature, "signature", SIGNATURE_SIZE);
      const { device } = deployments.find(id);
      begin({ device: device ?? "", detail: `${id}: by key ${Buffer.from(keyId).toString("hex")}` });
      deployments.provide(id, request.request, { keyId, signature });
      return {};
    },
    readPackage: async (request, context) => {
      const saved = await find(request).session.save(reading(context));
      return { package: saved.bytes, swapNumber: saved.swapNumber };
    },
    call: async (request, context) => {
      const data = atMost(request.data, "data", MAX_IO_BUFFER);
      return find(request).session.call(data, reading(context));
    },
    getChallenge: async (request, context) => {
      const { session } = find(request);
      const nonce = await session.challenge(reading(context));
      return { boardId: session.hello.boardId, nonce };
    },
    confirm: command("confirm"),
    rollback: command("rollback"),
    abort: command("abort"),
    clearSpent: command("clearSpent"),
    addKey: command("addKey"),
    removeKey: command("removeKey"),
    replaceKey: command("replaceKey"),
    lock: command("lock"),
    unlock: command("unlock"),
  };
}

export function streamCalls({ devices, deployments }: CallsOptions): StreamCalls {
  return {
    watchEvents: (request, { signal }) => {
      const name = optionalName(request.device, "device");
      return devices.watch(name === "" ? "" : devices.find(name).id, signal);
    },
    watchDeployment: (request, { signal }) =>
      deployments.watch(nameField(request.deployment, "deployment"), request.after, signal),
    deploy: (request, { caller, signal, begin, settle }) => {
      const board = devices.find(nameField(request.device, "device"));
      // An absent board is told at once; one that goes away later is waited for.
      if (board.usable === undefined) throw board.unusable;
      const packageBytes = atMost(request.package, "package", PACKAGE_MAX);
      const order = {
        device: board.id,
        login: caller.name,
        packageBytes,
        allowDowngrade: request.allowDowngrade,
        timeoutMs: request.timeoutMs,
        maySign: request.maySign,
        shadow: readShadow(request.shadow),
      };
      const { manifest, manifestBytes } = deployments.check(order);
      const digest = Buffer.from(sha512(manifestBytes).subarray(0, DIGEST_SIZE)).toString("hex");
      const { name: agent, version: release } = manifest;
      const beside = order.shadow === undefined ? "" : `, ${shadowText(order.shadow, manifest.kind)}`;
      begin({ device: board.id, detail: `${agent} ${release}, manifest ${digest}${beside}` });
      const deployment = deployments.accept(order);
      settle(`accepted as ${deployment.id}`);
      return deployment.read(0, signal);
    },
  };
}

/** Options of a request to the board that changes nothing: it ends with the caller. */
function reading({ signal, timeLeft }: CallContext): RequestOptions {
  return { signal, timeoutMs: Math.max(1, Math.min(timeLeft(), BOARD_PATIENCE_MS)) };
}

/** A command is carried out to its end, also when the caller goes away meanwhile. */
async function carryOut(
  { devices, deployments }: CallsOptions,
  board: GatewayBoard,
  { command, signed }: ReturnType<typeof readCommand>,
  { caller, begin, timeLeft }: CallContext,
): Promise<{ status: Status }> {
  const staging = deployments.staging(board.id);
  if (staging !== undefined && (command.kind === "rollback" || command.kind === "confirm")) {
    throw new EdgePlugError("BUSY", `Board ${board.id} is receiving ${staging.title}.`, {
      action: `Cancel deployment ${staging.id} first, or wait for it.`,
    });
  }
  const { session } = board;
  begin({ device: board.id, detail: `${commandText(command)}${signed === undefined ? "" : ", signed"}` });
  if (staging !== undefined && command.kind === "abort") {
    await deployments.cancel(staging.id, caller.name);
    return { status: await session.status() };
  }
  const timeoutMs = Math.max(1, Math.min(timeLeft(), BOARD_PATIENCE_MS));
  const status = await board.exclusively(() =>
    signed === undefined
      ? session.execute(command, { timeoutMs })
      : session.sendSigned(signed, { timeoutMs }),
  );
  board.saw(status);
  await devices.look(board);
  return { status };
}
