/** Boards in vitest: matchers, registered by importing this, and a fixture. */
import { expect } from "vitest";

import { judge, type Verdict } from "./assert.js";
import type { Board } from "./board.js";

export { boardFixture } from "./start.js";

/** What `await expect(board)` can do. Each lets the board's time go by until it is settled; `within` is in virtual ms. */
export interface BoardMatchers {
  /** Says this line, within 10,000 ms unless told otherwise. */
  toSay: (line: string | RegExp, within?: number) => Promise<void>;
  /** Is reset, by this cause if one is named; "watchdog" is one on every backend. */
  toReset: (cause?: string, within?: number) => Promise<void>;
  /** Loses its power: at a planned cut, or because it ended. */
  toLosePower: (within?: number) => Promise<void>;
  toHaveFlash: (offset: number, bytes: Uint8Array) => Promise<void>;
  toHaveMemory: (address: number, bytes: Uint8Array) => Promise<void>;
  /** An output shows this value, give or take `tolerance` (default 0.001). */
  toOutput: (channel: number, value: number, tolerance?: number) => Promise<void>;
}

declare module "vitest" {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unused-vars -- as vitest declares it
  interface Matchers<T = any> extends BoardMatchers {}
}

interface Result {
  readonly pass: boolean;
  readonly message: () => string;
  readonly actual?: unknown;
  readonly expected?: unknown;
}

/** A judgement as vitest takes it. */
function matcher<A extends unknown[]>(judgement: (board: Board, ...rest: A) => Promise<Verdict>) {
  return async (received: Board, ...rest: A): Promise<Result> => {
    const { message, ...verdict } = await judgement(received, ...rest);
    return { ...verdict, message: () => message };
  };
}

expect.extend({
  toSay: matcher(judge.says),
  toReset: matcher((board, cause?: string, within?: number) => judge.resets(board, cause, within)),
  toLosePower: matcher(judge.losesPower),
  toHaveFlash: matcher(judge.hasFlash),
  toHaveMemory: matcher(judge.hasMemory),
  toOutput: matcher(judge.outputs),
});
