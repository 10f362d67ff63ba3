// The order of things in `edgeplug dev`, with a scripted board: what a real one can't be brought to do on the dot.
import { describe, expect, it } from "vitest";

import type { CheckResult } from "../src/agent/check.js";
import { parseAgentConfig } from "../src/agent/config.js";
import { DETAILS_SECTION, encodeDetails } from "../src/agent/details.js";
import { withCustomSection } from "../src/agent/wasm-outline.js";
import type { BuiltModule } from "../src/dev/compiler.js";
import { devName, devPackage, nextRelease } from "../src/dev/dev-package.js";
import { develop } from "../src/dev/development.js";
import type { DevEvent } from "../src/dev/events.js";
import type { Saved } from "../src/dev/sources.js";
import { EdgePlugError } from "../src/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import { decodeManifest, type AgentManifest } from "../src/manifest.js";
import type { BoardSession } from "../src/session/board-session.js";
import { toHello, toStatus, toSlotInfo, type DeviceEvent, type Status } from "../src/session/messages.js";
import type { Deliverable, PushOptions, PushResult, PushStep } from "../src/session/push.js";

const { UPDATE_PHASE_IDLE, UPDATE_PHASE_TRIAL } = edgeplug.UpdatePhase;
const { SLOT_STATE_CONFIRMED } = edgeplug.SlotState;

/** `(module (func (export "scan")))` */
const EMPTY_SCAN = Uint8Array.from(
  Buffer.from("0061736d010000000104016000000302010007080104" + "7363616e00000a040102000b", "hex"),
);
const CHECK: CheckResult = {
  ...{ vectors: 0, runs: 1000, worstFuel: 300, worstInitFuel: 100, guardHits: 0, stateSize: 0 },
};

function built(description: string, json: object = {}): BuiltModule {
  const config = parseAgentConfig({
    ...{ name: "my-agent", version: "1.0.0", release: 3, description, limits: { fuel: 360, initFuel: 1000 } },
    ...json,
  });
  const wasm = withCustomSection(EMPTY_SCAN, DETAILS_SECTION, encodeDetails(config, ""));
  return { config, ownFuel: false, wasm, mapJson: "", check: CHECK, warnings: "", sources: [], checkMs: 1 };
}

type Steps = AsyncGenerator<PushStep, PushResult, void>;
type Script = (board: ScriptedBoard, signal: AbortSignal) => Steps;

/** A board that does as it is told. */
class ScriptedBoard {
  readonly device = "scripted";
  hello = toHello({ boardId: new Uint8Array(12).fill(1), nanosPerFuel: 100, tickUs: 1000, bootNumber: 1 });
  readonly pushed: Deliverable[] = [];
  readonly scripts: Script[] = [];
  underWay = 0;
  mostUnderWay = 0;
  phase = UPDATE_PHASE_IDLE;
  swapNumber = 0;
  asked = 0;
  slotNames: { name: string; release: number }[] = [];
  #lose: (reason: EdgePlugError) => void = () => undefined;

  session(): BoardSession {
    const { device, hello } = this;
    const board = this; // eslint-disable-line @typescript-eslint/no-this-alias -- generators have a `this` of their own
    const gone = new Promise<never>((_resolve, reject) => (this.#lose = reject));
    gone.catch(() => undefined);
    return {
      device,
      hello,
      status: () => Promise.resolve(board.status()),
      refresh: () => Promise.resolve(hello),
      slots: () => Promise.resolve(board.slotNames.map(toSlotInfo)),
      push: (pkg: Deliverable, { signal }: PushOptions) => board.push(pkg, signal),
      async *events(signal?: AbortSignal): AsyncGenerator<DeviceEvent, void, void> {
        const ended = new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
        await Promise.race([gone, ended]);
      },
      close: () => Promise.resolve(),
    } as unknown as BoardSession;
  }

  /** The cable is pulled. */
  lose(): void {
    this.#lose(new EdgePlugError("PORT_LOST"));
  }

  status(): Status {
    this.asked++;
    const { phase, swapNumber } = this;
    const active = { name: "my-agent~dev", version: "1.0.0", swapNumber, state: SLOT_STATE_CONFIRMED };
    return toStatus({ phase, safeMode: swapNumber === 0, active, bootNumber: 1, counters: {} });
  }

  async *push(pkg: Deliverable, signal: AbortSignal | undefined): Steps {
    this.pushed.push(pkg);
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    try {
      return yield* (this.scripts.shift() ?? succeeds)(this, signal ?? new AbortController().signal);
    } finally {
      this.underWay--;
    }
  }
}

const begin = (swapNumber: number): PushStep => ({
  ...{ step: "begin", offset: 0, size: 40, resumed: false, slot: 0, swapNumber },
});

async function* succeeds(board: ScriptedBoard): Steps {
  const swapNumber = board.swapNumber + 1;
  yield begin(swapNumber);
  yield { step: "staged" };
  board.swapNumber = swapNumber;
  yield { step: "activated", swapNumber, scan: 1, handedOver: 0 };
  yield { step: "confirmed", swapNumber, scan: 2 };
  return {} as PushResult;
}

/** Sends until somebody says stop. */
async function* sendsForEver(board: ScriptedBoard, signal: AbortSignal): Steps {
  yield begin(board.swapNumber + 1);
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  throw new EdgePlugError("INTERRUPTED");
}

const refuses = (code: EdgePlugError["code"]): Script =>
  async function* () {
    await Promise.resolve();
    yield* [];
    throw new EdgePlugError(code);
  };

/** A developer with a scripted board: what was saved, and what was told of it. */
class Desk {
  readonly board = new ScriptedBoard();
  readonly events: DevEvent[] = [];
  readonly stop = new AbortController();
  readonly over: Promise<void>;
  modules: (BuiltModule | EdgePlugError)[] = [];
  opened = 0;
  reachable = true;
  #present: BuiltModule | EdgePlugError = built("first");
  #saved: Saved[] = [];
  #wake: () => void = () => undefined;
  #heard: () => void = () => undefined;

  constructor(prepare: (desk: Desk) => void = () => undefined) {
    prepare(this);
    this.over = this.#run();
    this.over.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const options = {
      ...{ folder: "/agent", device: "scripted", signal: this.stop.signal },
      open: () => {
        if (!this.reachable) return Promise.reject(new EdgePlugError("PORT_NOT_FOUND"));
        this.opened++;
        return Promise.resolve(this.board.session());
      },
      build: () =>
        this.#present instanceof EdgePlugError
          ? Promise.reject(this.#present)
          : Promise.resolve(this.#present),
      sources: { next: (signal: AbortSignal) => this.#nextSaved(signal), watchAlso: () => Promise.resolve() },
    };
    for await (const event of develop(options)) {
      this.events.push(event);
      this.#heard();
    }
  }

  async #nextSaved(signal: AbortSignal): Promise<Saved | undefined> {
    while (!signal.aborted) {
      const saved = this.#saved.shift();
      if (saved !== undefined) return saved;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve());
      });
    }
    return undefined;
  }

  save(module: BuiltModule | EdgePlugError): void {
    this.#present = module;
    this.#saved.push({ at: performance.now(), files: ["assembly/index.ts"] });
    this.#wake();
  }

  /** Waits until it was told so often. */
  async told(kind: DevEvent["kind"], times = 1): Promise<DevEvent> {
    for (;;) {
      const found = this.events.filter((event) => event.kind === kind)[times - 1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  async leave(): Promise<string[]> {
    this.stop.abort();
    await this.over;
    return this.events.map(({ kind }) => kind);
  }

  get manifests(): AgentManifest[] {
    return this.board.pushed.map(({ manifestBytes }) => decodeManifest(manifestBytes));
  }
}

describe("saves that come while others are under way", () => {
  it("overtake a push before the swap, and never is there a second one beside it", async () => {
    const desk = new Desk(({ board }) => board.scripts.push(sendsForEver));
    await desk.told("board");
    desk.save(built("second"));
    await desk.told("running");
    expect(desk.board.mostUnderWay).toBe(1);
    expect(await desk.leave()).toEqual(["board", "changed", "overtaken", "running", "confirmed", "ended"]);
    expect(desk.board.pushed).toHaveLength(2);
  });

  it("wait for a push that is staged: calling it back would take longer", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow: Script = async function* (board, signal) {
      yield begin(1);
      yield { step: "staged" };
      await held;
      expect(signal.aborted).toBe(false);
      board.swapNumber = 1;
      yield { step: "activated", swapNumber: 1, scan: 1, handedOver: 0 };
      yield { step: "confirmed", swapNumber: 1, scan: 2 };
      return {} as PushResult;
    };
    const desk = new Desk(({ board }) => board.scripts.push(slow));
    await desk.told("board");
    desk.save(built("second"));
    desk.save(built("third"));
    await desk.told("changed", 2);
    release();
    await desk.told("running", 2);
    expect(desk.board.mostUnderWay).toBe(1);
    await desk.leave();
    expect(desk.board.pushed).toHaveLength(2);
    expect(desk.board.pushed.at(-1)?.payload).toEqual(built("third").wasm);
  });

  it("that don't compile are told with the agent that runs, be it in its trial", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const inTrial: Script = async function* (board) {
      yield begin(4);
      yield { step: "activated", swapNumber: 4, scan: 1, handedOver: 0 };
      yield { step: "trial", scans: 1, needed: 200 };
      await held;
      board.swapNumber = 4;
      yield { step: "confirmed", swapNumber: 4, scan: 2 };
      return {} as PushResult;
    };
    const desk = new Desk(({ board }) => board.scripts.push(inTrial));
    await desk.told("running");
    desk.save(new EdgePlugError("COMPILE", "no"));
    expect(await desk.told("refused")).toMatchObject({ running: { name: "my-agent~dev", swapNumber: 4 } });
    release();
    await desk.leave();
  });

  it("that don't compile leave a push alone", async () => {
    const desk = new Desk(({ board }) => board.scripts.push(sendsForEver));
    await desk.told("board");
    desk.save(new EdgePlugError("COMPILE", "no"));
    await desk.told("refused");
    expect(desk.board.underWay).toBe(1);
    expect(await desk.leave()).not.toContain("overtaken");
    expect(desk.board.underWay).toBe(0);
  });
});

describe("a board that can't take a package now", () => {
  it("is waited for while it is busy, which is said once; the same package then goes on", async () => {
    const desk = new Desk(({ board }) => {
      board.scripts.push(refuses("BUSY"), refuses("BUSY"));
      board.phase = UPDATE_PHASE_TRIAL;
    });
    await desk.told("waiting");
    const { asked } = desk.board;
    while (desk.board.asked < asked + 3) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(desk.board.pushed).toHaveLength(1); // it asks how the trial does, and pushes nothing meanwhile
    desk.board.phase = UPDATE_PHASE_IDLE;
    await desk.told("running");
    expect((await desk.leave()).filter((kind) => kind === "waiting")).toHaveLength(1);
    expect(new Set(desk.manifests.map(({ release }) => release)).size).toBe(1);
  });

  it("is waited for when the cable is pulled; the same package then goes on, so that the board resumes it", async () => {
    const pulled: Script = async function* (board) {
      yield begin(1);
      board.lose();
      throw new EdgePlugError("PORT_LOST");
    };
    const desk = new Desk(({ board }) => board.scripts.push(pulled));
    await desk.told("running");
    expect(await desk.leave()).toEqual(expect.arrayContaining(["waiting", "followed", "running"]));
    expect(desk.opened).toBe(2);
    expect(desk.board.pushed[1]).toBe(desk.board.pushed[0]);
  });

  it("is waited for if it was away before the save, which is said once, and at no other save", async () => {
    const desk = new Desk();
    await desk.told("confirmed");
    desk.reachable = false;
    desk.board.lose();
    await desk.told("followed"); // lost
    desk.save(built("second"));
    expect(await desk.told("waiting")).toMatchObject({ reason: { code: "PORT_LOST" } });
    desk.reachable = true;
    await desk.told("confirmed", 2);
    desk.save(built("third"));
    await desk.told("confirmed", 3);
    expect((await desk.leave()).filter((kind) => kind === "waiting")).toHaveLength(1);
  });

  it("but another board in its place gets nothing", async () => {
    const desk = new Desk();
    await desk.told("confirmed");
    desk.board.hello = { ...desk.board.hello, boardId: new Uint8Array(12).fill(2) };
    desk.board.lose();
    await expect(desk.over).rejects.toMatchObject({ code: "PORT_LOST" });
    expect(desk.board.pushed).toHaveLength(1);
  });

  it("is refused at once if it is locked and there is no key", async () => {
    const desk = new Desk(({ board }) => (board.hello = { ...board.hello, locked: true }));
    await expect(desk.over).rejects.toMatchObject({ code: "UNSIGNED" });
    expect(desk.board.pushed).toHaveLength(0);
  });
});

describe("a package for development", () => {
  it("is new to the board at each attempt, also with the module that has just failed", async () => {
    const desk = new Desk(({ board }) => {
      board.slotNames = [
        { name: "my-agent", release: 90 },
        { name: "my-agent~dev", release: 7 },
      ];
      board.scripts.push(refuses("VECTOR"));
    });
    await desk.told("failed");
    desk.save(built("first"));
    await desk.told("confirmed");
    desk.save(built("first"));
    await desk.told("unchanged");
    await desk.leave();
    expect(desk.manifests.map(({ name, release }) => [name, release])).toEqual([
      ["my-agent~dev", 8],
      ["my-agent~dev", 9],
    ]);
  });

  it("is pushed again if another agent has taken its place meanwhile", async () => {
    const desk = new Desk();
    await desk.told("confirmed");
    desk.board.swapNumber = 9;
    desk.board.lose();
    await desk.told("followed", 2);
    desk.save(built("first"));
    await desk.told("running", 2);
    await desk.leave();
    expect(desk.board.pushed).toHaveLength(2);
  });

  const hello = { nanosPerFuel: 100, tickUs: 1000 };

  it("has a trial that is over before the next build is, which nobody has to confirm", async () => {
    const trial = {
      healthyScans: 30_000,
      confirmByHost: true,
      minRequests: 50,
      maxGuardHits: 4,
      attempts: 2,
    };
    const own = await devPackage(built("", { trial }), { release: 1, hello });
    expect(own.manifest.trial).toEqual({
      ...{
        healthyScans: 200,
        deadlineScans: 0,
        confirmByHost: false,
        minRequests: 0,
        maxGuardHits: 4,
        attempts: 2,
      },
    });
    const seldom = await devPackage(built("", { scanDivider: 500 }), { release: 1, hello });
    expect(seldom.manifest.trial.healthyScans).toBe(1000);
    const short = await devPackage(built("", { trial: { healthyScans: 10 } }), { release: 1, hello });
    expect(short.manifest.trial.healthyScans).toBe(10);
  });

  it("has room in its fuel as long as two such agents fit into a scan, and never less than `build` gives", async () => {
    const fuel = async (nanosPerFuel: number, module = built("")): Promise<number> =>
      (await devPackage(module, { release: 1, hello: { nanosPerFuel, tickUs: 1000 } })).manifest.limits.fuel;
    expect(await fuel(100)).toBe(600);
    expect(await fuel(700)).toBe(500);
    expect(await fuel(5000)).toBe(360);
    expect(await fuel(100, { ...built(""), ownFuel: true })).toBe(360);
  });

  it("has a name that fits, and a release above any of that name", () => {
    expect(devName("my-agent")).toBe("my-agent~dev");
    expect(devName("a-name-of-20-letters")).toBe("a-name-of-20-let~dev");
    expect(Buffer.byteLength(devName("äöüäöüäöüä"))).toBeLessThanOrEqual(20);
    expect(nextRelease("a", [])).toBe(1);
    const slots = [
      { name: "a~dev", release: 4 },
      { name: "a", release: 70 },
    ];
    expect(nextRelease("a", slots)).toBe(5);
  });
});
