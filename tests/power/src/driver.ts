/** Drives a simulated board over its link, frame by frame and in step with it: no session, no promise, no real time. */
import type { SimBoard } from "@edgeplug/sim";
import type { AgentPackage } from "edgeplug";
import { encodeFrame, FrameDecoder } from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";
import { signedCommand } from "@edgeplug/test-support/authority";
import { errorNameOf } from "./words.js";

export const { UpdatePhase, SlotState, Reason, KeyRole, ShadowState } = edgeplug;

type Body = Omit<edgeplug.Request.$Properties, "id">;
type Response = edgeplug.Response.$Properties;

/** Virtual milliseconds that any answer may take, a key change with its four erased pages included. */
const REPLY_MS = 2_000;
/** Every request carries the same id: there is never more than one. */
const ID = 1;

/** What the suite looks at in a board's status. */
export interface Status {
  readonly phase: number;
  /** Undefined in safe mode. */
  readonly active:
    { readonly swapNumber: number; readonly state: number; readonly digest: string } | undefined;
  readonly lastError: number;
  readonly securityVersion: number;
  readonly locked: boolean;
  readonly spent: number;
  readonly journalError: number;
  readonly bootNumber: number;
}

function activeOf(active: edgeplug.SlotInfo.$Properties | null | undefined): Status["active"] {
  const { swapNumber, state, digest } = active ?? {};
  return {
    swapNumber: swapNumber ?? 0,
    state: state ?? 0,
    digest: Buffer.from(digest ?? []).toString("hex"),
  };
}

/** The board refused a request that was to succeed. */
export class Refused extends Error {
  constructor(
    what: string,
    readonly code: number,
  ) {
    super(`${what} was refused: ${errorNameOf(code)}`);
  }
}

/** The board did not answer, or did not come to what was waited for. */
export class Silent extends Error {}

/** Who ran, as the outputs showed it, since the board's last start. */
export interface Watch {
  /** Scans in which outputs were written. */
  scans: number;
  /** Agents by swap number with all their scans; 0 = none ran. */
  readonly seen: Map<number, number>;
  /** The agent of the latest scan and its scans without another in between. */
  swapNumber: number;
  streak: number;
  outputs: readonly number[];
}

export class Driver {
  readonly watch: Watch = { scans: 0, seen: new Map(), swapNumber: 0, streak: 0, outputs: [] };
  /** Whether the latest settle() has waited out a trial. */
  tried = false;
  /** The journaled half of the latest nonce that a board told. */
  told = 0;
  private readonly decoder = new FrameDecoder(2_048);
  private readonly frames = new WeakMap<AgentPackage, Map<string, Uint8Array>>();
  private readonly encoded = new Map<string, Uint8Array>();
  private reply: Response | undefined;

  constructor(readonly board: SimBoard) {
    board.onOutputs = ({ swapNumber, outputs }) => {
      const { watch } = this;
      watch.scans++;
      watch.streak = watch.swapNumber === swapNumber ? watch.streak + 1 : 1;
      watch.swapNumber = swapNumber;
      watch.outputs = outputs;
      watch.seen.set(swapNumber, (watch.seen.get(swapNumber) ?? 0) + 1);
    };
    board.onReset = () => {
      this.forget();
    };
    board.onSerial = (bytes) => {
      for (const { response } of this.decoder.push(bytes)) if (response?.id === ID) this.reply = response;
    };
  }

  /** What was seen belongs to a boot that is over. */
  private forget(): void {
    const { watch } = this;
    watch.scans = 0;
    watch.seen.clear();
    watch.swapNumber = 0;
    watch.streak = 0;
    watch.outputs = [];
  }

  /** Power on, all that a boot does before it first looks at the line, and a first scan. */
  boot(): void {
    const { board } = this;
    board.cutPower();
    board.powerOn();
    board.step();
    while (this.watch.scans === 0) board.step();
  }

  /** Sends a request and gives the answer, whatever it is. */
  ask(body: Body): Response {
    return this.exchange(encodeFrame({ request: { id: ID, ...body } }), Object.keys(body)[0] ?? "");
  }

  /** A request that has to succeed. */
  do(body: Body): Response {
    return granted(this.ask(body), Object.keys(body)[0] ?? "a request");
  }

  /** A nonce, as the board tells it. */
  challenge(): Uint8Array {
    const nonce = this.do({ challenge: {} }).challenge?.nonce ?? new Uint8Array(8);
    this.told = Buffer.from(nonce).readUInt32LE(0);
    return nonce;
  }

  /** `command`, signed by an operator's key (secret) for this board and a fresh nonce. */
  signed(command: Body, key?: Uint8Array): Body {
    const boardId = this.do({ hello: {} }).hello?.boardId ?? new Uint8Array();
    return { signedCommand: signedCommand({ boardId, nonce: this.challenge() }, command, key) };
  }

  status(): Status {
    const { status } = this.query("status");
    return {
      phase: status?.phase ?? 0,
      active: status?.safeMode === true ? undefined : activeOf(status?.active),
      lastError: status?.lastError ?? 0,
      securityVersion: status?.securityVersion ?? 0,
      locked: status?.locked ?? false,
      spent: status?.spent ?? 0,
      journalError: status?.journalError ?? 0,
      bootNumber: status?.bootNumber ?? 0,
    };
  }

  /** Digests of the spent packages, in hex, newest first. */
  spent(): string[] {
    return (this.query("spent").spent?.digests ?? []).map((digest) => Buffer.from(digest).toString("hex"));
  }

  keys(): { role: number; id: string }[] {
    return (this.query("listKeys").keys?.keys ?? []).map(({ role, keyId }) => ({
      role: role ?? 0,
      id: Buffer.from(keyId ?? []).toString("hex"),
    }));
  }

  /** Runs until the update machinery rests, a trial's end included; at most for `milliseconds`. */
  settle(milliseconds = 1_000): Status {
    const end = this.board.milliseconds + milliseconds;
    this.tried = false;
    for (;;) {
      const status = this.status();
      if (status.phase === UpdatePhase.UPDATE_PHASE_TRIAL) this.tried = true;
      if (status.phase === UpdatePhase.UPDATE_PHASE_IDLE) return status;
      if (this.board.milliseconds >= end) throw new Silent(`still in phase ${status.phase}`);
      this.board.run(5);
    }
  }

  // ---- an update, step by step --------------------------------------------------------------------

  begin(pkg: AgentPackage, { allowDowngrade = false } = {}): { offset: number; swapNumber: number } {
    const { begin } = this.doFor(pkg, `begin ${allowDowngrade}`, () => beginOf(pkg, allowDowngrade));
    return { offset: begin?.offset ?? 0, swapNumber: begin?.swapNumber ?? 0 };
  }

  /** Sends the payload from `offset` up to `end`. */
  send(pkg: AgentPackage, offset: number, end = pkg.payload.length): void {
    let at = offset;
    while (at < end) {
      const offset = at;
      const stop = Math.min(at + 512, end);
      const { chunk } = this.doFor(pkg, `chunk ${at} to ${stop}`, () => ({
        chunk: { offset, data: pkg.payload.subarray(offset, stop) },
      }));
      at = chunk?.nextOffset ?? 0;
    }
  }

  /** Begin to STAGED, or to where the board gives it up; tells which. */
  stage(pkg: AgentPackage, options: { allowDowngrade?: boolean } = {}): boolean {
    return this.finish(pkg, this.begin(pkg, options).offset);
  }

  /** Sends what is missing from `offset` on and waits for the verification; tells whether it went well. */
  finish(pkg: AgentPackage, offset: number): boolean {
    this.send(pkg, offset);
    for (;;) {
      this.board.step();
      const { phase } = this.status();
      if (phase === UpdatePhase.UPDATE_PHASE_STAGED) return true;
      if (phase === UpdatePhase.UPDATE_PHASE_IDLE) return false;
    }
  }

  /** A shadow run of what is staged, from its request to its end: whether it agreed. */
  shadow(scans: number): boolean {
    this.do({ shadow: { scans } });
    while (this.status().phase === UpdatePhase.UPDATE_PHASE_SHADOW) this.board.run(1);
    return this.ask({ shadowReport: {} }).shadowReport?.state === ShadowState.SHADOW_STATE_AGREED;
  }

  /** Begin to the end of the trial, well or badly. */
  update(pkg: AgentPackage, options: { allowDowngrade?: boolean } = {}): Status {
    return this.complete(pkg, this.begin(pkg, options).offset);
  }

  /** From `offset` of a session that is open to the end of the trial. */
  complete(pkg: AgentPackage, offset: number): Status {
    if (this.finish(pkg, offset)) this.ask({ activate: {} });
    this.board.run(pkg.manifest.trial.healthyScans + 2);
    return this.settle();
  }

  /** A request that is made of many boards: its frame is kept. */
  private doFor(pkg: AgentPackage, what: string, make: () => Body): Response {
    let frames = this.frames.get(pkg);
    if (frames === undefined) this.frames.set(pkg, (frames = new Map()));
    let frame = frames.get(what);
    if (frame === undefined) frames.set(what, (frame = encodeFrame({ request: { id: ID, ...make() } })));
    return granted(this.exchange(frame, what), what);
  }

  // ---- inside -------------------------------------------------------------------------------------

  private query(what: "status" | "spent" | "listKeys"): Response {
    let frame = this.encoded.get(what);
    if (frame === undefined) {
      frame = encodeFrame({ request: { id: ID, [what]: {} } });
      this.encoded.set(what, frame);
    }
    return this.exchange(frame, what);
  }

  private exchange(frame: Uint8Array, what: string): Response {
    const { board } = this;
    this.reply = undefined;
    board.send(frame);
    if (!board.runUntil(() => this.reply !== undefined, REPLY_MS) || this.reply === undefined)
      throw new Silent(`no answer to ${what}`);
    return this.reply;
  }
}

function granted(response: Response, what: string): Response {
  if (response.error) throw new Refused(what, response.error);
  return response;
}

export function beginOf(pkg: AgentPackage, allowDowngrade = false): Body {
  const { manifestBytes, keyId, signature } = pkg;
  return { begin: { manifest: manifestBytes, keyId, signature, timestamp: 1, allowDowngrade } };
}
