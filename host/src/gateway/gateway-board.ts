/** A board as the gateway knows it: by its id, present on a port or remembered. */
import { EdgePlugError } from "../errors.js";
import { edgeplug } from "../generated/messages.js";
import type { Hello, SlotInfo, Status } from "../session/messages.js";
import type { DeviceSession } from "../session/session.js";

export type DeviceView = edgeplug.gateway.v1.Device.$Properties;
const { DeviceState } = edgeplug.gateway.v1;

/** What outlives the connection, and a restart of the gateway. */
export interface BoardMemory {
  id: string;
  port: string;
  boardClass: number;
  runtimeVersion: string;
  locked: boolean;
  active: SlotInfo | null;
  seenMs: number;
  problem: string;
}

export interface Load {
  /** A deployment is under way. */
  busy: boolean;
  /** Deployments that wait. */
  queued: number;
}

export class GatewayBoard {
  /** Other ports on which a board tells the same id. Nobody knows which of them is meant. */
  readonly rivals = new Map<string, DeviceSession>();
  private present: DeviceSession | undefined;
  private commands: Promise<unknown> = Promise.resolve();
  private commandsLeft = 0;

  constructor(private memory: BoardMemory) {}

  static of(port: string, hello: Hello): GatewayBoard {
    return new GatewayBoard({
      id: boardIdText(hello.boardId),
      port,
      boardClass: hello.boardClass,
      runtimeVersion: hello.runtimeVersion,
      locked: hello.locked,
      active: null,
      seenMs: Date.now(),
      problem: "",
    });
  }

  get id(): string {
    return this.memory.id;
  }

  get port(): string {
    return this.memory.port;
  }

  get remembered(): Readonly<BoardMemory> {
    return this.memory;
  }

  get isPresent(): boolean {
    return this.present !== undefined;
  }

  /** The line to it. Throws what `unusable` says. */
  get session(): DeviceSession {
    const session = this.usable;
    if (session === undefined) throw this.unusable;
    return session;
  }

  /** DEVICE_AMBIGUOUS if two boards tell its id, else DEVICE_UNKNOWN: it is absent. */
  get unusable(): EdgePlugError {
    if (this.rivals.size > 0) return this.ambiguous();
    const { id, port, problem } = this.memory;
    const why = problem === "" ? "it has not been found again yet." : problem;
    return new EdgePlugError("DEVICE_UNKNOWN", `Board ${id}, last seen on ${port}, is absent: ${why}`, {
      action: "Check its cable and power; the gateway finds it again by itself.",
    });
  }

  /** The line if it is there and nothing speaks against using it. */
  get usable(): DeviceSession | undefined {
    return this.rivals.size > 0 ? undefined : this.present;
  }

  connected(port: string, session: DeviceSession): void {
    const { hello } = session;
    this.present = session;
    const { boardClass, runtimeVersion, locked } = hello;
    Object.assign(this.memory, { port, boardClass, runtimeVersion, locked, seenMs: Date.now(), problem: "" });
  }

  disconnected(why: EdgePlugError): void {
    this.present = undefined;
    this.memory.problem = why.message;
  }

  saw(status: Status): void {
    Object.assign(this.memory, { active: status.active, locked: status.locked, seenMs: Date.now() });
  }

  /** One command after another: what a command is judged by must not change under it. */
  async exclusively<T>(act: () => Promise<T>): Promise<T> {
    const before = this.commands;
    const mine = before.then(act, act);
    this.commands = mine.catch(() => undefined);
    this.commandsLeft++;
    try {
      return await mine;
    } finally {
      this.commandsLeft--;
    }
  }

  /** A command is under way. */
  get isAtWork(): boolean {
    return this.commandsLeft > 0;
  }

  view(load: Load): DeviceView {
    const { active, ...memory } = this.memory;
    const state = !this.isPresent
      ? DeviceState.DEVICE_STATE_ABSENT
      : load.busy
        ? DeviceState.DEVICE_STATE_BUSY
        : DeviceState.DEVICE_STATE_READY;
    const problem = this.rivals.size > 0 ? this.ambiguous().message : memory.problem;
    return { ...memory, problem, active: active ?? null, state, queued: load.queued };
  }

  private ambiguous(): EdgePlugError {
    const ports = [this.memory.port, ...this.rivals.keys()].join(" and ");
    return new EdgePlugError("DEVICE_AMBIGUOUS", `Boards on ${ports} tell the same id ${this.memory.id}.`, {
      action: "Unplug all but the one that is meant.",
    });
  }
}

export function boardIdText(id: Uint8Array): string {
  return Buffer.from(id).toString("hex");
}
