/**
 * What each unit of work of core/board.h (ep_work_t, in its order) costs on the Arm core, in instructions; the
 * scan is not in it, see MAIN_LOOP_HERTZ. Measured on the Arm objects and rounded up: `npm run bench` holds each against
 * what it takes now. LOOP is an upper bound, FUEL_SLICE what the law of fuel allows.
 */
export const WORK_INSTRUCTIONS: readonly number[] = [
  300, // LOOP: one turn of the main loop with nothing to do
  2_500, // ED25519_STEP: 1/256 of a signature check
  13_100, // SHA512_BLOCK: 128 bytes
  2_900, // CRC_BLOCK: 256 bytes
  400, // COPY_BLOCK: 256 bytes
  11_800, // VALIDATE_BLOCK: 64 bytes of code, and its share of loading
  24_600, // FUEL_SLICE: 2,048 fuel at 12 instructions, twice an i32.add
];

/** 110 MHz, one instruction a cycle, of which the scans take 70 %. */
export const MAIN_LOOP_HERTZ = 110_000_000 * 0.3;

const WORK_NANOS = WORK_INSTRUCTIONS.map((instructions) => (instructions / MAIN_LOOP_HERTZ) * 1e9);

/** Nanoseconds that `unit` takes. */
export function workNanos(unit: number): number {
  const nanos = WORK_NANOS[unit];
  if (nanos === undefined) throw new RangeError(`unknown unit of work ${unit}`);
  return nanos;
}
