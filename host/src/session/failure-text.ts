/** Why an agent failed on a board, as far as the board tells. */
import { count } from "../numbers.js";
import { reasonName, type DeviceEvent } from "./messages.js";

/** `trap (out of bounds memory access at byte 812 of its module)`; `words` are the board's, `trap` its last event of one. */
export function failureText(
  reason: number,
  words: string,
  swapNumber: number,
  trap: DeviceEvent | undefined,
): string {
  const all = [words, place(words, swapNumber, trap)].filter((part) => part !== "").join(" ");
  return `${reasonName(reason)}${all === "" ? "" : ` (${all})`}`;
}

/** Where it trapped, unless its own words say so: `enough assembly/index.ts:4:10`. */
function place(words: string, swapNumber: number, trap: DeviceEvent | undefined): string {
  if (trap?.swapNumber !== swapNumber || /:\d+:\d+$/.test(words)) return "";
  return `at byte ${count(trap.detail)} of its module`;
}
