// What an agent may use of the board, and a few helpers that allocate nothing and stay small. Whatever an agent
// doesn't call is not in its module.

// ---- the board ------------------------------------------------------------------------------------------------

/** The value of input channel `channel`, latched when this scan began. A channel that agent.json doesn't name traps. */
// @ts-ignore: decorator
@external("edgeplug", "input")
export declare function input(channel: i32): f32;

/** Sets output channel `channel`. It is applied after the scan, together with all others, within its guards. */
// @ts-ignore: decorator
@external("edgeplug", "output")
export declare function output(channel: i32, value: f32): void;

/** When this scan began, in microseconds since boot. Never goes back. */
// @ts-ignore: decorator
@external("edgeplug", "now_us")
export declare function nowMicros(): i64;

// @ts-ignore: decorator
@external("edgeplug", "log")
declare function logBytes(text: usize, size: i32): void;

// ---- log lines ------------------------------------------------------------------------------------------------

/** Bytes of a log line that arrive at the host. */
export const LINE_MAX: i32 = 64;

const line: usize = memory.data(64);
let lineSize: i32 = 0;

function putByte(byte: i32): void {
  if (lineSize < LINE_MAX) store<u8>(line + lineSize++, byte);
}

/** Appends text to the log line; what is over 64 bytes is left off. ASCII only. */
export function say(text: string): void {
  const size = min<i32>(text.length, LINE_MAX - lineSize);
  let to = line + lineSize;
  lineSize += size;
  let from = changetype<usize>(text);
  for (const end = to + size; to < end; to++, from += 2) store<u8>(to, load<u8>(from));
}

/** Appends a whole number. */
export function sayInteger(value: i32): void {
  let rest: u32 = value;
  if (value < 0) {
    putByte(0x2d);
    rest = 0 - rest;
  }
  // one decimal digit in four bits, the first one lowest
  let digits: u64 = 0;
  let count = 0;
  do {
    const tenth = rest / 10;
    digits = (digits << 4) | (rest - tenth * 10);
    rest = tenth;
    count++;
  } while (rest > 0);
  for (; count > 0; count--, digits >>>= 4) putByte(0x30 + <i32>(digits & 15));
}

/** Appends a number with one decimal. */
export function sayTenths(value: f32): void {
  const tenths = <i32>nearest<f32>(abs<f32>(value) * 10.0);
  if (value < 0 && tenths > 0) putByte(0x2d);
  sayInteger(tenths / 10);
  putByte(0x2e);
  putByte(0x30 + (tenths % 10));
}

/** Sends the log line and starts a new one. */
export function sendLine(): void {
  logBytes(line, lineSize);
  lineSize = 0;
}

/** Sends one text as a log line. */
export function log(text: string): void {
  lineSize = 0;
  say(text);
  sendLine();
}

// ---- the buffer for bytes in and out --------------------------------------------------------------------------

/** Most bytes that pass between host and agent, or between two agents, at once. */
export const IO_MAX: i32 = 512;

/** The buffer itself, for agents that take requests. */
export const io: usize = memory.data(512);

/** Where the buffer lies. Agents export it: `export { io_buffer } from "@edgeplug/sdk";` */
export function io_buffer(): i32 {
  return <i32>io;
}

// ---- state hand-over ------------------------------------------------------------------------------------------
// save() puts values one after the other and returns stateSize(); restore(len) opens what it was given and takes
// them in the same order. Newer agents append fields: stateLeft() tells whether the older one had them.

let stateAt: i32 = 0;
let stateEnd: i32 = 0;

/** Starts writing state. */
export function beginState(): void {
  stateAt = 0;
}

export function putF32(value: f32): void {
  assert(stateAt + 4 <= IO_MAX, "more than 512 bytes of state");
  store<f32>(io + stateAt, value);
  stateAt += 4;
}

export function putI32(value: i32): void {
  assert(stateAt + 4 <= IO_MAX, "more than 512 bytes of state");
  store<i32>(io + stateAt, value);
  stateAt += 4;
}

/** Bytes written so far: what save() returns. */
export function stateSize(): i32 {
  return stateAt;
}

/** Starts reading `size` bytes of state. */
export function openState(size: i32): void {
  stateAt = 0;
  stateEnd = size;
}

/** Bytes that are still to be read. */
export function stateLeft(): i32 {
  return stateEnd - stateAt;
}

/** Takes a value; a state that ends before it traps, and the hand-over is refused. */
export function takeF32(): f32 {
  assert(stateAt + 4 <= stateEnd, "state ends too early");
  const value = load<f32>(io + stateAt);
  stateAt += 4;
  return value;
}

export function takeI32(): i32 {
  assert(stateAt + 4 <= stateEnd, "state ends too early");
  const value = load<i32>(io + stateAt);
  stateAt += 4;
  return value;
}

// ---- arithmetic -----------------------------------------------------------------------------------------------

/** `value`, but not below `low` nor above `high`. */
// @ts-ignore: decorator
@inline
export function clamp(value: f32, low: f32, high: f32): f32 {
  return min<f32>(max<f32>(value, low), high);
}

/** Sine of an angle given in turns (1 = 360°). Off by at most 0.00003; six multiplications and no table. */
export function sineOfTurns(turns: f32): f32 {
  const x = turns - nearest<f32>(turns);
  // folded onto -90° .. 90°, where the odd polynomial of degree 7 holds
  const y: f32 = abs<f32>(x) > 0.25 ? copysign<f32>(0.5, x) - x : x;
  const z: f32 = y * y;
  return y * (6.2831855 + z * (-41.341675 + z * (81.60225 + z * -74.5)));
}
