/** A board behind a gateway, in the terms of one on a port: same questions, same answers, same errors. */
import { EdgePlugError } from "../../errors.js";
import { edgeplug } from "../../generated/messages.js";
import { readPackage, verifyPackage } from "../../package.js";
import type {
  BoardCommand,
  BoardSession,
  CommandOptions,
  HistoryOptions,
  SessionPushOptions,
} from "../../session/board-session.js";
import {
  BOARD_ID_SIZE,
  commandRequest,
  decodeCommand,
  isSignable,
  NONCE_SIZE,
} from "../../session/commands.js";
import { silentLine, type RequestOptions } from "../../session/connection.js";
import { executeSigned, type CommandTarget, type SignedCommand } from "../../session/execute.js";
import {
  boardClassName,
  toCallReply,
  toEvent,
  toHello,
  toHistory,
  toKeys,
  toSlotInfo,
  toSpent,
  toStatus,
  type CallReply,
  type DeviceEvent,
  type Hello,
  type HistoryEntry,
  type KeyInfo,
  type SlotInfo,
  type Status,
} from "../../session/messages.js";
import type { Deliverable, PushResult, PushStep } from "../../session/push.js";
import type { SavedPackage } from "../../session/save.js";
import type { UnaryName } from "../wire.js";
import { parseGatewayName, type GatewayAddress } from "./address.js";
import { deploy } from "./deployment.js";
import { GatewayClient, type CallOptions } from "./gateway-client.js";
import type { GatewayOptions } from "./options.js";

const { DEVICE_STATE_ABSENT } = edgeplug.gateway.v1.DeviceState;

/** The call that carries each command; a downgrade is allowed in the course of a deployment only. */
const COMMAND_CALLS = {
  confirm: "confirm",
  abort: "abort",
  rollback: "rollback",
  clearSpent: "clearSpent",
  addKey: "addKey",
  removeKey: "removeKey",
  replaceKey: "replaceKey",
  lock: "lock",
  unlock: "unlock",
} as const satisfies Partial<Record<BoardCommand["kind"], UnaryName>>;

/** All of a slot, or of a journal, over the slowest of lines. */
const READ_MS = 180_000;

export class GatewaySession implements BoardSession, CommandTarget {
  /** The line is the gateway's; nothing is known of it here. */
  readonly line = silentLine();

  private constructor(
    readonly device: string,
    readonly client: GatewayClient,
    /** Board id in hex: what the gateway is asked for from now on. */
    readonly id: string,
    private current: Hello,
  ) {}

  /**
   * Opens `HOST:PORT/ID`, or the only board at `HOST:PORT`. Throws GATEWAY_UNREACHABLE, GATEWAY_CERTIFICATE,
   * GATEWAY_LOGIN, GATEWAY_LIMIT, DEVICE_UNKNOWN, DEVICE_AMBIGUOUS with a list, TIMEOUT, INTERRUPTED.
   */
  static async open(device: string, options: GatewayOptions = {}): Promise<GatewaySession> {
    const address = parseGatewayName(device);
    if (address === undefined) throw new EdgePlugError("USAGE", `"${device}" names no gateway.`);
    const client = await GatewayClient.connect(address, options);
    try {
      return await GatewaySession.over(client, device, options);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Over a client in hand, which the session closes in the end. */
  static async over(
    client: GatewayClient,
    device: string,
    options: CallOptions = {},
  ): Promise<GatewaySession> {
    const { address } = client;
    const wanted = address.board === "" ? await theOnlyBoard(client, options) : address.board;
    const info = await client.call("getInfo", { device: wanted }, options);
    const hello = toHello(info.hello ?? {});
    if (hello.boardId.length !== BOARD_ID_SIZE) {
      throw new EdgePlugError("PROTOCOL", `The gateway ${client.gateway} tells no board id for ${wanted}.`);
    }
    const id = hex(hello.boardId);
    checkIdentity(address, wanted, id, info.port);
    return new GatewaySession(device, client, id, hello);
  }

  get hello(): Hello {
    return this.current;
  }

  now(): number {
    return performance.now();
  }

  async refresh(options?: RequestOptions): Promise<Hello> {
    const info = await this.ask("getInfo", options);
    this.current = this.sameBoard(toHello(info.hello ?? {}));
    return this.current;
  }

  async status(options?: RequestOptions): Promise<Status> {
    return toStatus(await this.ask("getStatus", options));
  }

  async slots(options?: RequestOptions): Promise<SlotInfo[]> {
    return (await this.ask("getInfo", options)).slots.map(toSlotInfo);
  }

  async history(options: HistoryOptions = {}): Promise<HistoryEntry[]> {
    const { limit, ...call } = options;
    if (limit !== undefined && limit <= 0) return [];
    const finite = limit === undefined || limit === Infinity ? 0 : Math.ceil(limit);
    const request = { device: this.id, limit: finite };
    const reply = await this.client.call("getHistory", request, {
      ...call,
      timeoutMs: call.timeoutMs ?? READ_MS,
    });
    const entries = toHistory(reply);
    return limit === undefined ? entries : entries.slice(0, limit);
  }

  async spent(options?: RequestOptions): Promise<Uint8Array[]> {
    return toSpent(await this.ask("listSpent", options));
  }

  async listKeys(options?: RequestOptions): Promise<KeyInfo[]> {
    return toKeys(await this.ask("listKeys", options));
  }

  async call(data: Uint8Array, options?: RequestOptions): Promise<CallReply> {
    return toCallReply(await this.client.call("call", { device: this.id, data }, options));
  }

  async save(options?: RequestOptions): Promise<SavedPackage> {
    const timeoutMs = options?.timeoutMs ?? READ_MS;
    const reply = await this.ask("readPackage", { ...options, timeoutMs });
    const bytes = Uint8Array.from(reply.package);
    const pkg = readPackage(bytes);
    verifyPackage(pkg);
    return { bytes, package: pkg, swapNumber: reply.swapNumber };
  }

  async execute(command: BoardCommand, options: CommandOptions = {}): Promise<Status> {
    const { signer, ...call } = options;
    const signs = signer !== undefined && isSignable(command);
    // A staging may be aborted by anybody, a trial only by an operator: the board knows which of them it has.
    if (!signs || !this.current.locked || command.kind === "abort") {
      try {
        return await this.send(command, { command: commandRequest(command) }, call);
      } catch (error) {
        if (!signs || EdgePlugError.from(error).code !== "LOCKED") throw error;
        await this.refresh(call);
      }
    }
    return executeSigned(this, command, signer, call);
  }

  /** A nonce of this very board for one command. */
  async challenge(options?: RequestOptions): Promise<Uint8Array> {
    const { boardId, nonce } = await this.ask("getChallenge", options);
    if (hex(boardId) !== this.id || nonce.length !== NONCE_SIZE) {
      throw new EdgePlugError(
        "PROTOCOL",
        "The gateway's challenge is not from this board; nothing was signed.",
      );
    }
    return nonce;
  }

  async sendSigned(signed: SignedCommand, options?: RequestOptions): Promise<Status> {
    return this.send(decodeCommand(signed.command), { signedCommand: { ...signed } }, options);
  }

  push(pkg: Deliverable, options?: SessionPushOptions): AsyncGenerator<PushStep, PushResult, void> {
    return deploy(this, pkg, options);
  }

  async *events(signal?: AbortSignal): AsyncGenerator<DeviceEvent, void, void> {
    try {
      for await (const told of this.client.stream("watchEvents", { device: this.id }, signal)) {
        if (told.event) yield toEvent(told.event);
        if (told.disconnected) {
          const why = told.disconnected.problem;
          throw new EdgePlugError(
            "PORT_LOST",
            `The gateway has lost the board${why === "" ? "" : `: ${why}`}.`,
          );
        }
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      return;
    }
    throw new EdgePlugError("GATEWAY_UNREACHABLE", `${this.client.gateway} has ended the stream of events.`);
  }

  async close(): Promise<void> {
    this.client.close();
  }

  private ask<M extends "getInfo" | "getStatus" | "listSpent" | "listKeys" | "readPackage" | "getChallenge">(
    method: M,
    options?: RequestOptions,
  ) {
    return this.client.call(method, { device: this.id }, options);
  }

  private async send(
    command: BoardCommand,
    body: edgeplug.gateway.v1.CommandRequest.$Properties,
    options?: RequestOptions,
  ): Promise<Status> {
    if (command.kind === "allowDowngrade") {
      throw new EdgePlugError(
        "UNSUPPORTED",
        "A gateway lets older packages in as it deploys them, not before.",
        {
          action: "Push with --allow-downgrade.",
        },
      );
    }
    const call = COMMAND_CALLS[command.kind];
    const reply = await this.client.call(call, { ...body, device: this.id }, options);
    return toStatus(reply.status ?? {});
  }

  private sameBoard(hello: Hello): Hello {
    if (hex(hello.boardId) === this.id) return hello;
    throw new EdgePlugError(
      "PROTOCOL",
      `The gateway ${this.client.gateway} answers for board ${hex(hello.boardId)} instead of ${this.id}.`,
    );
  }
}

/** What a name leaves open is settled only if there is no choice. */
async function theOnlyBoard(client: GatewayClient, options: CallOptions): Promise<string> {
  const { gateway } = client;
  const { devices } = await client.call("listDevices", { includeAbsent: true }, options);
  const here = devices.filter(({ state }) => state !== DEVICE_STATE_ABSENT);
  const [only] = here;
  if (only !== undefined && here.length === 1) return only.id;
  if (only === undefined) {
    const absent = devices.map(({ port, problem }) => `${port} (${problem || "absent"})`).join("; ");
    throw new EdgePlugError(
      "DEVICE_UNKNOWN",
      `No board is connected to the gateway ${gateway}${absent === "" ? "" : `; absent: ${absent}`}.`,
      { action: "Check cable and power at the gateway, and its log." },
    );
  }
  const list = here.map((device) => {
    const agent = device.active === null ? "no agent" : `${device.active.name} ${device.active.version}`;
    return `${device.id} (${boardClassName(device.boardClass)}, ${agent}) on ${device.port}`;
  });
  throw new EdgePlugError("DEVICE_AMBIGUOUS", `Several boards are at ${gateway}: ${list.join("; ")}.`, {
    action: `Name one of them, say --device ${gateway}/${only.id.slice(0, 8)}.`,
  });
}

/** Who asks for a board by its id gets that board or none, whatever the gateway answers. */
function checkIdentity(address: GatewayAddress, wanted: string, id: string, port: string): void {
  if (id.startsWith(wanted.toLowerCase()) || port === wanted) return;
  throw new EdgePlugError(
    "PROTOCOL",
    `Asked for ${wanted}, the gateway ${address.gateway} answers for ${id}.`,
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
