// Waiting in virtual time, lines and events: what all backends have alike, on a board that does just what it is told.
import { describe, expect, it } from "vitest";

import { BoardBase } from "../src/board-base.js";
import { judge } from "../src/assert.js";
import type { Board, BoardEvent } from "../src/index.js";
import "../src/vitest.js";

/** At each virtual ms, something may happen. */
class PlannedBoard extends BoardBase {
  readonly backend = "sim";
  readonly port = undefined;
  powered = true;
  held = true;
  protected readonly step = 2;
  now = 0;
  /** How long the steps were that it was asked for. */
  readonly steps: number[] = [];

  constructor(private readonly plan: Record<number, (board: PlannedBoard) => void> = {}) {
    super();
  }

  say(text: string): void {
    this.cable.receive(Buffer.from(text));
  }

  tell(event: BoardEvent): void {
    this.hub.emit(event);
  }

  protected advance(milliseconds: number): Promise<void> {
    this.steps.push(milliseconds);
    for (const end = this.now + milliseconds; this.now < end && this.powered;) this.plan[++this.now]?.(this);
    return Promise.resolve();
  }

  virtualTime(): Promise<number> {
    if (!this.held) this.plan[++this.now]?.(this); // looking at a running board takes time
    return Promise.resolve(this.now);
  }

  supports(): boolean {
    return true;
  }

  powerOff(): Promise<void> {
    this.powered = false;
    this.startAfresh();
    return Promise.resolve();
  }

  readonly kill = () => this.powerOff();
  readonly reset = () => Promise.resolve();
  readonly powerOn = () => Promise.resolve();
  readonly pause = () => Promise.resolve();
  readonly resume = () => Promise.resolve();
  readonly readFlash = () => Promise.resolve(Uint8Array.of(1, 2, 3));
  readonly writeFlash = () => Promise.resolve();
  readonly cutAt = () => Promise.resolve();
  readonly flashOperations = () => Promise.resolve(0);
  readonly readMemory = (address: number, size: number) =>
    Promise.resolve(new Uint8Array(size).fill(address));
  readonly writeMemory = () => Promise.resolve();
  readonly setInput = () => Promise.resolve();
  readonly output = (channel: number) => Promise.resolve(channel / 2);
  readonly snapshot = () => Promise.reject<never>(new Error("none"));
  readonly restore = () => Promise.resolve();
  readonly close = () => Promise.resolve();
}

describe("waiting for a line", () => {
  it("ends with the step in which the line was said", async () => {
    const board = new PlannedBoard({ 3: (it) => it.say("one\r\ntwo\n"), 9: (it) => it.say("two\n") });
    expect(await board.runUntil({ line: "two" })).toBe("two");
    expect(board.now).toBe(4);
    expect(await board.runUntil({ line: /^t/ })).toBe("two");
    expect(board.now).toBe(10);
  });

  it("misses none that came between two waits, and finds none twice", async () => {
    const board = new PlannedBoard({ 1: (it) => it.say("a\nb\n"), 2: (it) => it.say("c") });
    await board.runFor(2);
    expect(await board.runUntil({ line: "a" })).toBe("a");
    expect(await board.runUntil({ line: "b" })).toBe("b");
    await expect(board.runUntil({ line: "a" }, 10)).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(board.transcript).toBe("a\nb\nc");
  });

  it("wants whole lines, and takes a pattern with memory for what it is", async () => {
    const board = new PlannedBoard({ 1: (it) => it.say("rea"), 5: (it) => it.say("dy\nready\n") });
    const ready = /ready/g;
    expect(await board.runUntil({ line: ready })).toBe("ready");
    expect(board.now).toBe(6);
    expect(await board.runUntil({ line: ready })).toBe("ready");
  });

  it("says what was wanted, for how long, and what came instead", async () => {
    const board = new PlannedBoard({ 1: (it) => it.say("panic at 7\n") });
    await expect(board.runUntil({ line: "ready" }, 25)).rejects.toMatchObject({
      code: "TIMEOUT",
      message: 'the line "ready": not within 25 ms of the board\'s time; it said last:\npanic at 7',
    });
    expect(board.now).toBe(25);
    expect(board.steps.at(-1)).toBe(1);
  });

  it("ends when the power goes", async () => {
    const board = new PlannedBoard({ 3: (it) => (it.powered = false) });
    await expect(board.runUntil({ line: "ready" })).rejects.toMatchObject({ code: "BOARD_OFF" });
    await expect(board.runFor(1)).rejects.toMatchObject({ code: "BOARD_OFF" });
  });

  it("finds what came with the end of the power, whenever that was", async () => {
    const board = new PlannedBoard();
    let looks = 0;
    const found = board.runUntil(async () => {
      if (++looks === 1) {
        board.powered = false; // while somebody looks
        return Promise.resolve(false);
      }
      return Promise.resolve("in time");
    });
    expect(await found).toBe("in time");
  });

  it("keeps the end of what was said, however much that is", async () => {
    const board = new PlannedBoard();
    for (let i = 0; i < 100_000; i++) board.say(`line ${i}\n`);
    expect(board.transcript.length).toBeLessThan(140_000);
    expect(board.transcript.endsWith("line 99999\n")).toBe(true);
    expect(await board.runUntil({ line: /^line/ })).toMatch(/^line 9\d{4}$/);
    expect(await board.runUntil({ line: "line 99999" })).toBe("line 99999");
    board.say("x".repeat(1_000_000) + "\nlast\n");
    expect(board.transcript.length).toBeLessThan(140_000);
    expect(await board.runUntil({ line: "last" })).toBe("last");
  });
});

describe("waiting for an event, or anything", () => {
  it("finds it by kind or by a function, each one once", async () => {
    const board = new PlannedBoard({
      2: (it) => it.tell({ kind: "reset", cause: "software" }),
      4: (it) => it.tell({ kind: "reset", cause: "pin" }),
    });
    await board.runFor(4);
    const pin = (event: BoardEvent): boolean => event.kind === "reset" && event.cause === "pin";
    expect(await board.runUntil({ event: "reset" })).toEqual({ kind: "reset", cause: "software" });
    expect(await board.runUntil({ event: pin })).toEqual({ kind: "reset", cause: "pin" });
    await expect(board.runUntil({ event: "reset" }, 5)).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("asks a function until it gives something, and gives that back", async () => {
    const board = new PlannedBoard();
    expect(await board.runUntil(() => board.now >= 5 && `at ${board.now}`)).toBe("at 6");
    expect(
      await board.runUntil(async () => Promise.resolve(board.now >= 8 ? { now: board.now } : undefined)),
    ).toEqual({
      now: 8,
    });
  });

  it("forgets what happened before the board was switched", async () => {
    const board = new PlannedBoard({ 1: (it) => it.tell({ kind: "watchdog" }), 2: (it) => it.say("old\n") });
    await board.runFor(2);
    await board.powerOff();
    board.powered = true;
    await expect(board.runUntil({ event: "watchdog" }, 4)).rejects.toMatchObject({ code: "TIMEOUT" });
    await expect(board.runUntil({ line: "old" }, 4)).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("waits for one that runs by itself, too", async () => {
    const board = new PlannedBoard({ 5: (it) => it.say("late\n") });
    board.held = false;
    expect(await board.runUntil({ line: "late" })).toBe("late");
    await board.runFor(10);
    expect(board.now).toBeGreaterThanOrEqual(15);
    expect(board.steps).toEqual([]);
    await expect(board.runFor(-1)).rejects.toThrow(RangeError);
  });
});

describe("matchers", () => {
  const failing = async (assertion: Promise<void>): Promise<string> => {
    const error = await assertion.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (!(error instanceof Error)) throw new Error("it should have failed");
    return error.message;
  };
  const planned = (): Board =>
    new PlannedBoard({
      3: (it) => it.say("ready\n"),
      5: (it) => it.tell({ kind: "reset", cause: "software" }),
      8: (it) => it.tell({ kind: "watchdog" }),
      9: (it) => it.tell({ kind: "power-off" }),
    });

  it("hold when they should", async () => {
    const board = planned();
    await expect(board).toSay("ready", 4);
    await expect(board).not.toReset("watchdog", 2);
    await expect(board).toReset("software", 2);
    await expect(board).toReset("watchdog", 4);
    await expect(board).toLosePower(2);
    await expect(board).toHaveFlash(1, Uint8Array.of(2, 3));
    await expect(board).not.toHaveFlash(1, Uint8Array.of(2, 4));
    await expect(board).toHaveMemory(9, Uint8Array.of(9, 9));
    await expect(board).toOutput(3, 1.5);
    await expect(board).not.toOutput(3, 1.6);
    await expect(board).toOutput(3, 1.6, 0.2);
  });

  it("fail when they should, and say why", async () => {
    expect(await failing(expect(planned()).toSay("gone", 8))).toMatch(
      /the board should say "gone": .*not within 8 ms of the board's time; it said last:\nready/,
    );
    expect(await failing(expect(planned()).not.toSay(/rea/, 8))).toBe(
      'the board should not say /rea/ within 8 ms, and said "ready"',
    );
    expect(await failing(expect(planned()).toReset("pin", 6))).toMatch(
      /should be reset by pin; it was by software: such an event: not within 6 ms/,
    );
    expect(await failing(expect(planned()).not.toReset(undefined, 6))).toContain(
      "should not be reset within 6 ms",
    );
    expect(await failing(expect(planned()).toLosePower(5))).toContain("should lose its power");
    expect(await failing(expect(planned()).not.toLosePower(10))).toContain("should keep its power");
    expect(await failing(expect(planned()).toHaveFlash(1, Uint8Array.of(2, 9)))).toBe(
      "flash at offset 0x1 should hold 0x9 at byte 1, and has 0x3",
    );
    expect(await failing(expect(planned()).toHaveFlash(2, Uint8Array.of(3, 9)))).toContain(
      "and has nothing there",
    );
    expect(await failing(expect(planned()).not.toHaveMemory(4, Uint8Array.of(4)))).toContain(
      "memory at 0x4 should not",
    );
    expect(await failing(expect(planned()).toOutput(1, 7))).toBe(
      "output 1 should be 7 (± 0.001), and is 0.5",
    );
  });

  it("don't take an error of the board for a verdict", async () => {
    const board = new PlannedBoard({
      1: () => {
        throw new TypeError("broken board");
      },
    });
    await expect(judge.says(board, "x", 5)).rejects.toThrow("broken board");
  });
});
