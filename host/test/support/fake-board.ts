/**
 * A scripted peer at the other end of a line in memory. It plays the board's side of the link just well enough
 * to be disturbed: bytes may be mangled on either way, requests swallowed or answered late, the board reset.
 * What it can't show is whether the real runtime behaves like that; the suites on `sim` and `qemu` do.
 */
import type { EdgePlugError } from "../../src/errors.js";
import {
  encodeFrame,
  FrameDecoder,
  type RequestProperties,
  type ResponseProperties,
} from "../../src/frames.js";
import { edgeplug } from "../../src/generated/messages.js";
import { DataSink, type Transport } from "../../src/transports/transport.js";
import { VirtualClock } from "./virtual-clock.js";

const { AgentKind, UpdatePhase, SlotState, EventKind, ShadowState } = edgeplug;

export interface FakeBoardOptions {
  baud?: number;
  hello?: edgeplug.HelloReply.$Properties;
  /** Milliseconds that each kind of request takes. Default 1. */
  delay?: (kind: string) => number;
  /** What becomes of a frame on its way to the board; an empty list loses it. */
  toBoard?: (line: Uint8Array, board: FakeBoard) => Uint8Array[];
  toHost?: (line: Uint8Array, board: FakeBoard) => Uint8Array[];
  /** Answers a request in place of the fake; undefined lets the fake answer, null swallows it. */
  script?: (request: edgeplug.Request, board: FakeBoard) => ResponseProperties | null | undefined;
  trialScans?: number;
  /** How a shadow run goes; without it the board knows none. */
  shadow?: {
    /** Scans compared between two looks at the report. Default 400. */
    pace?: number;
    /** What the report says besides, and how the run ends. Default: agreed. */
    end?: edgeplug.ShadowReport.$Properties;
  };
}

export class FakeBoard implements Transport {
  readonly name = "fake";
  readonly baud: number;
  readonly clock = new VirtualClock();
  readonly closed: Promise<EdgePlugError | undefined>;

  /** Every request that was understood, in order. */
  readonly requests: RequestProperties[] = [];
  bootNumber = 1;
  phase = UpdatePhase.UPDATE_PHASE_IDLE;
  received = new Uint8Array(0);
  nextOffset = 0;
  swapNumber = 6;
  active = {
    state: SlotState.SLOT_STATE_CONFIRMED,
    swapNumber: 6,
    name: "old",
    version: "1",
    kind: AgentKind.AGENT_KIND_CONTROL,
  };
  lastReason = 0;
  lastReasonSwap = 0;
  lastError = 0;
  lastMessage = "";
  trialHealthy = 0;
  largestBurst = 0;
  shadow: edgeplug.ShadowReport.$Properties = {};
  private shadowAsked = "";

  private readonly decoder = new FrameDecoder();
  private readonly sink = new DataSink();
  private settle!: (reason: EdgePlugError | undefined) => void;
  private manifest = "";
  private waitingFrames = 0;

  constructor(readonly options: FakeBoardOptions = {}) {
    this.baud = options.baud ?? 0;
    this.closed = new Promise((resolve) => (this.settle = resolve));
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.sink.set(listener);
  }

  async write(line: Uint8Array): Promise<void> {
    const wire = this.baud === 0 ? 0 : (line.length * 10_000) / this.baud;
    this.clock.after(wire, () => {
      for (const bytes of this.options.toBoard?.(line, this) ?? [line]) this.arrive(bytes);
    });
  }

  async close(): Promise<void> {
    this.settle(undefined);
  }

  /** The cable is pulled. */
  vanish(reason: EdgePlugError): void {
    this.settle(reason);
  }

  /** Forgets the session as a reset does; what was received is kept to the last whole page. */
  reset(pageSize = 2048): void {
    this.bootNumber++;
    this.phase = UpdatePhase.UPDATE_PHASE_IDLE;
    this.shadow = {};
    this.nextOffset -= this.nextOffset % pageSize;
  }

  emit(event: edgeplug.Event.$Properties): void {
    this.send({ event });
  }

  raw(bytes: Uint8Array): void {
    this.sink.deliver(bytes);
  }

  private arrive(bytes: Uint8Array): void {
    for (const frame of this.decoder.push(bytes)) {
      const { request } = frame;
      if (!request) continue;
      this.waitingFrames++;
      this.largestBurst = Math.max(this.largestBurst, this.waitingFrames);
      const kind = (request as edgeplug.Request).body ?? "none";
      this.clock.after(this.options.delay?.(kind) ?? 1, () => {
        this.waitingFrames--;
        this.requests.push(request);
        const scripted = this.options.script?.(request as edgeplug.Request, this);
        if (scripted === null) return;
        this.send({ response: { ...(scripted ?? this.answer(request)), id: request.id ?? 0 } });
      });
    }
  }

  private send(frame: edgeplug.Frame.$Properties): void {
    const line = encodeFrame(frame);
    for (const bytes of this.options.toHost?.(line, this) ?? [line]) this.sink.deliver(bytes);
  }

  answer(request: RequestProperties): ResponseProperties {
    if (request.hello) return { hello: this.hello() };
    if (request.status) return { status: this.status() };
    if (request.begin) return this.begin(request.begin);
    if (request.chunk) return this.chunk(request.chunk);
    if (request.activate) return this.activate();
    if (request.abort) return this.abort();
    if (request.shadow && this.options.shadow) return this.beginShadow(request.shadow);
    if (request.shadowReport && this.options.shadow) return { shadowReport: this.shadowReport() };
    return { error: 3012 };
  }

  private hello(): edgeplug.HelloReply.$Properties {
    return {
      protocol: 1,
      boardId: new Uint8Array(12).fill(7),
      boardClass: 1,
      abi: 1,
      runtimeVersion: "0.1.0",
      maxFrame: 768,
      maxChunk: 512,
      window: 2,
      pageSize: 2048,
      slotPayload: 13824,
      bootNumber: this.bootNumber,
      ...this.options.hello,
    };
  }

  private status(): edgeplug.Status.$Properties {
    const { phase, nextOffset, lastReason, lastReasonSwap, lastError, lastMessage, bootNumber } = this;
    const answer = {
      phase,
      nextOffset,
      lastReason,
      lastReasonSwap,
      lastError,
      lastMessage,
      bootNumber,
      active: { ...this.active },
      trialScans: this.trialHealthy,
      trialNeeded: this.options.trialScans ?? 1000,
      scan: Math.floor(this.clock.now()),
    };
    if (phase === UpdatePhase.UPDATE_PHASE_VERIFYING) this.phase = UpdatePhase.UPDATE_PHASE_STAGED;
    if (phase === UpdatePhase.UPDATE_PHASE_TRIAL) this.healthy(400);
    return answer;
  }

  /** The trial has gone well for so many scans more. */
  private healthy(scans: number): void {
    this.trialHealthy += scans;
    if (this.trialHealthy < (this.options.trialScans ?? 1000)) return;
    this.phase = UpdatePhase.UPDATE_PHASE_IDLE;
    this.active.state = SlotState.SLOT_STATE_CONFIRMED;
  }

  private begin(begin: edgeplug.Begin.$Properties): ResponseProperties {
    const manifest = Buffer.from(begin.manifest ?? []).toString("hex");
    const size = edgeplug.Manifest.decode(begin.manifest ?? new Uint8Array()).payloadSize;
    const resumed = manifest === this.manifest && this.nextOffset > 0;
    // a copy of a Begin whose answer got lost changes nothing
    const repeated = manifest === this.manifest && this.phase === UpdatePhase.UPDATE_PHASE_RECEIVING;
    if (!resumed && !repeated) {
      this.manifest = manifest;
      this.received = new Uint8Array(size);
      this.nextOffset = 0;
      this.swapNumber++;
    }
    this.lastError = 0;
    const complete = this.nextOffset === size;
    this.phase = complete ? UpdatePhase.UPDATE_PHASE_STAGED : UpdatePhase.UPDATE_PHASE_RECEIVING;
    return { begin: { offset: this.nextOffset, resumed, swapNumber: this.swapNumber, slot: 1 } };
  }

  private chunk(chunk: edgeplug.Chunk.$Properties): ResponseProperties {
    if (this.phase !== UpdatePhase.UPDATE_PHASE_RECEIVING) return { error: 3002 };
    const offset = chunk.offset ?? 0;
    const data = chunk.data ?? new Uint8Array();
    if (offset <= this.nextOffset && offset + data.length > this.nextOffset) {
      this.received.set(data, offset);
      this.nextOffset = offset + data.length;
      if (this.nextOffset === this.received.length) this.phase = UpdatePhase.UPDATE_PHASE_VERIFYING;
    }
    return { chunk: { nextOffset: this.nextOffset } };
  }

  private beginShadow(wanted: edgeplug.Shadow.$Properties): ResponseProperties {
    const asked = JSON.stringify(wanted);
    if (this.phase === UpdatePhase.UPDATE_PHASE_SHADOW)
      return asked === this.shadowAsked ? {} : { error: 3001 };
    if (this.phase !== UpdatePhase.UPDATE_PHASE_STAGED) return { error: 3002 };
    this.phase = UpdatePhase.UPDATE_PHASE_SHADOW;
    this.shadowAsked = asked;
    this.shadow = {
      state: ShadowState.SHADOW_STATE_RUNNING,
      swapNumber: this.swapNumber,
      needed: wanted.scans ?? 0,
      allowed: wanted.allowed ?? 0,
      compared: 0,
    };
    return {};
  }

  /** Each look finds the run further on. */
  private shadowReport(): edgeplug.ShadowReport.$Properties {
    const { pace = 400, end = {} } = this.options.shadow ?? {};
    const { shadow } = this;
    if (this.phase !== UpdatePhase.UPDATE_PHASE_SHADOW) return shadow;
    const { compared = 0, needed = 0 } = shadow;
    shadow.compared = Math.min(needed ?? 0, (compared ?? 0) + pace);
    if (shadow.compared !== needed) return shadow;
    const state = end.state ?? ShadowState.SHADOW_STATE_AGREED;
    Object.assign(shadow, end, { state });
    const agreed = state === ShadowState.SHADOW_STATE_AGREED;
    this.phase = agreed ? UpdatePhase.UPDATE_PHASE_STAGED : UpdatePhase.UPDATE_PHASE_IDLE;
    return shadow;
  }

  private activate(): ResponseProperties {
    if (this.phase === UpdatePhase.UPDATE_PHASE_SHADOW) return { error: 3001 };
    if (this.phase !== UpdatePhase.UPDATE_PHASE_STAGED) return { error: 3002 };
    this.phase = UpdatePhase.UPDATE_PHASE_TRIAL;
    this.trialHealthy = 0;
    this.active = {
      state: SlotState.SLOT_STATE_TRIAL,
      swapNumber: this.swapNumber,
      name: "new",
      version: "2",
      kind: this.active.kind,
    };
    this.emit({ kind: EventKind.EVENT_KIND_ACTIVATED, scan: 4711, swapNumber: this.swapNumber, detail: 12 });
    return {};
  }

  private abort(): ResponseProperties {
    if (this.phase === UpdatePhase.UPDATE_PHASE_IDLE) return { error: 3002 };
    if (this.phase === UpdatePhase.UPDATE_PHASE_SHADOW) this.shadow.state = ShadowState.SHADOW_STATE_STOPPED;
    this.phase = UpdatePhase.UPDATE_PHASE_IDLE;
    return {};
  }
}
