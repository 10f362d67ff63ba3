/** Assertions about boards, for node's test runner and any other. Each lets the board's time go by until it is settled. */
import { AssertionError } from "node:assert";

import { HarnessError, type Board, type BoardEvent } from "./board.js";

/** Whether something holds, and how to say that it does or doesn't. */
export interface Verdict {
  readonly pass: boolean;
  /** What was found, against what was wanted. */
  readonly message: string;
  readonly actual?: unknown;
  readonly expected?: unknown;
}

/** Virtual ms that an assertion waits unless told otherwise. */
const WITHIN = 10_000;

/** The board says this line, within so many virtual ms. */
export async function says(board: Board, line: string | RegExp, within = WITHIN): Promise<void> {
  check(await judge.says(board, line, within), says);
}

/** The board is reset, by this cause if one is named: "watchdog" is one on every backend. */
export async function resets(board: Board, cause?: string, within = WITHIN): Promise<void> {
  check(await judge.resets(board, cause, within), resets);
}

/** The power goes: at a planned cut, or because the board ended. */
export async function losesPower(board: Board, within = WITHIN): Promise<void> {
  check(await judge.losesPower(board, within), losesPower);
}

/** The flash holds these bytes there. */
export async function hasFlash(board: Board, offset: number, bytes: Uint8Array): Promise<void> {
  check(await judge.hasFlash(board, offset, bytes), hasFlash);
}

/** The memory holds these bytes there. */
export async function hasMemory(board: Board, address: number, bytes: Uint8Array): Promise<void> {
  check(await judge.hasMemory(board, address, bytes), hasMemory);
}

/** An output shows this value, give or take `tolerance`. */
export async function outputs(board: Board, channel: number, value: number, tolerance = 1e-3): Promise<void> {
  check(await judge.outputs(board, channel, value, tolerance), outputs);
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- what AssertionError takes
function check({ pass, message, actual, expected }: Verdict, where: Function): void {
  if (!pass)
    throw new AssertionError({ message, actual, expected, operator: where.name, stackStartFn: where });
}

/** The judgements themselves; matchers are made of them. */
export const judge = {
  async says(board: Board, line: string | RegExp, within = WITHIN): Promise<Verdict> {
    const what = typeof line === "string" ? JSON.stringify(line) : String(line);
    const found = await unlessTimeout(board.runUntil({ line }, within));
    return found instanceof HarnessError
      ? { pass: false, message: `the board should say ${what}: ${found.message}` }
      : {
          pass: true,
          message: `the board should not say ${what} within ${within} ms, and said ${JSON.stringify(found)}`,
        };
  },

  async resets(board: Board, cause: string | undefined, within = WITHIN): Promise<Verdict> {
    const what = cause === undefined ? "be reset" : `be reset by ${cause}`;
    const fits = (event: BoardEvent): boolean =>
      cause === "watchdog"
        ? event.kind === "watchdog"
        : event.kind === "reset" && (cause === undefined || event.cause === cause);
    const seen: BoardEvent[] = [];
    const look = (event: BoardEvent): boolean => {
      if (event.kind === "reset" || event.kind === "watchdog") seen.push(event);
      return fits(event);
    };
    const found = await unlessTimeout(board.runUntil({ event: look }, within));
    if (!(found instanceof HarnessError))
      return { pass: true, message: `the board should not ${what} within ${within} ms, and was` };
    const others = [...new Set(seen.map((event) => (event.kind === "reset" ? event.cause : event.kind)))];
    const but = others.length === 0 ? "" : `; it was by ${others.join(", ")}`;
    return { pass: false, message: `the board should ${what}${but}: ${found.message}` };
  },

  async losesPower(board: Board, within = WITHIN): Promise<Verdict> {
    const found = await unlessTimeout(board.runUntil({ event: "power-off" }, within));
    return found instanceof HarnessError
      ? { pass: false, message: `the board should lose its power: ${found.message}` }
      : { pass: true, message: `the board should keep its power for ${within} ms, and lost it` };
  },

  async hasFlash(board: Board, offset: number, bytes: Uint8Array): Promise<Verdict> {
    const flash = await board.readFlash();
    return compare(`flash at offset ${hex(offset)}`, flash.subarray(offset, offset + bytes.length), bytes);
  },

  async hasMemory(board: Board, address: number, bytes: Uint8Array): Promise<Verdict> {
    return compare(`memory at ${hex(address)}`, await board.readMemory(address, bytes.length), bytes);
  },

  async outputs(board: Board, channel: number, value: number, tolerance = 1e-3): Promise<Verdict> {
    const actual = await board.output(channel);
    const pass = Math.abs(actual - value) <= tolerance;
    const message = `output ${channel} should ${pass ? "not " : ""}be ${value} (± ${tolerance}), and is ${actual}`;
    return { pass, message, actual, expected: value };
  },
};

function compare(where: string, actual: Uint8Array, expected: Uint8Array): Verdict {
  const at = expected.findIndex((byte, index) => actual[index] !== byte);
  const found = Buffer.from(actual).toString("hex");
  const wanted = Buffer.from(expected).toString("hex");
  if (at < 0)
    return {
      pass: true,
      message: `${where} should not hold ${wanted}, and does`,
      actual: found,
      expected: wanted,
    };
  const got = actual[at] === undefined ? "nothing there" : hex(actual[at]);
  const message = `${where} should hold ${hex(expected[at] ?? 0)} at byte ${at}, and has ${got}`;
  return { pass: false, message, actual: found, expected: wanted };
}

/** What did not come in time is a verdict; anything else that goes wrong is an error. */
async function unlessTimeout<T>(found: Promise<T>): Promise<T | HarnessError> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof HarnessError && (error.code === "TIMEOUT" || error.code === "BOARD_OFF"))
      return error;
    throw error;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
