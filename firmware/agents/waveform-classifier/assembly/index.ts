// Tells what a 50 Hz waveform looks like, cycle by cycle: clean, distorted, notched, a sag beginning and so on. Each
// cycle is scaled to its peak and compared with a table of prototypes; the nearest one, by the sum of absolute
// differences, names the class. The search is spread over the scans of the cycle that follows.
import { input, output, say, sayTenths, sendLine } from "@edgeplug/sdk";
import { COUNT, PROTOTYPES } from "./prototypes";

const CYCLE: i32 = 20; // samples
const SHORTEST: i32 = 18; // 55 Hz: by then the search for the last cycle has ended
const LONGEST: i32 = 24; // 42 Hz: a cycle without a zero crossing is cut off there
const PER_SCAN: i32 = (COUNT + SHORTEST - 1) / SHORTEST;

const DEAD: f32 = 23.0; // V: a peak below 10 % is an interruption (IEC 61000-4-30)
const ARMED: f32 = -12.0; // V: so low must it have been before a rise counts as zero crossing
const FARTHEST: i32 = 220; // beyond, nothing in the table looks like it

const INTERRUPTION: i32 = 11; // behind the classes of prototypes.mjs
const UNKNOWN: i32 = 12;

const ZERO: f32 = 64.0;
const PEAK: f32 = 60.0;
const ROW: usize = 24; // bytes of a prototype
const RING: usize = 80; // bytes of the samples

const samples: usize = memory.data(80); // one cycle of f32; an array object would bring the allocator along
let next: usize = 0; // where the next sample goes, in bytes
let since: i32 = 0; // samples since the last cycle ended
let armed: bool = false;

const cycle: usize = memory.data(24); // the cycle that is looked for, in the table's form
let row: i32 = COUNT; // next prototype to compare; COUNT = no search under way
let best: i32 = 0;
let bestClass: i32 = 0;

let shown: i32 = -1; // class in output 0
let distance: f32 = 0;
let peak: f32 = 0;

const HIGH_BITS: u64 = 0x8080808080808080;
const LOW_BITS: u64 = 0x7f7f7f7f7f7f7f7f;
const EVEN_BYTES: u64 = 0x00ff00ff00ff00ff;
const LANES: u64 = 0x0001000100010001;

/** Absolute differences of eight 7-bit bytes at once, added up in pairs: four lanes of 16 bits. */
// @ts-ignore: decorator
@inline
function apart(a: u64, b: u64): u64 {
  const difference = (a | HIGH_BITS) - b; // 128 + a - b in each byte: nothing is borrowed from the next one
  const less = (~difference & HIGH_BITS) >>> 7; // 1 where a < b
  const flip = (less << 7) - less; // 127 there: one's complement, and one more makes it the negative
  const magnitude = ((difference ^ flip) & LOW_BITS) + less;
  return (magnitude & EVEN_BYTES) + ((magnitude >>> 8) & EVEN_BYTES);
}

function compareRow(at: usize): void {
  const last = load<u64>(at, 16);
  const lanes =
    apart(load<u64>(cycle), load<u64>(at)) +
    apart(load<u64>(cycle, 8), load<u64>(at, 8)) +
    apart(load<u64>(cycle, 16), last & 0xffffffff);
  const sum = <i32>((lanes * LANES) >>> 48);
  if (sum < best) {
    best = sum;
    bestClass = <i32>((last >>> 32) & 0xff);
  }
}

function sayClass(label: i32): void {
  switch (label) {
    case 0: say("clean"); break;
    case 1: say("third harmonic"); break;
    case 2: say("fifth harmonic"); break;
    case 3: say("seventh harmonic"); break;
    case 4: say("flat-topped"); break;
    case 5: say("notched"); break;
    case 6: say("sag begins"); break;
    case 7: say("sag ends"); break;
    case 8: say("ringing"); break;
    case 9: say("offset"); break;
    case 10: say("stepped"); break;
    case INTERRUPTION: say("interruption"); break;
    default: say("unknown");
  }
}

function show(label: i32): void {
  if (label == shown) return;
  shown = label;
  sayClass(label);
  say(", peak ");
  sayTenths(peak);
  say(" V");
  sendLine();
}

/** A cycle has ended: scales it to 7 bits and starts the search. */
function endCycle(): void {
  since = 0;
  armed = false;
  peak = 0;
  for (let at: usize = 0; at < RING; at += 4) peak = max<f32>(peak, abs<f32>(load<f32>(samples + at)));
  if (peak < DEAD) {
    row = COUNT;
    distance = 0;
    show(INTERRUPTION);
    return;
  }
  const scale: f32 = PEAK / peak;
  for (let i = 0, at = next; i < CYCLE; i++) {
    store<u8>(cycle + i, <i32>nearest<f32>(ZERO + load<f32>(samples + at) * scale));
    at = at + 4 == RING ? 0 : at + 4;
  }
  row = 0;
  best = i32.MAX_VALUE;
}

function search(): void {
  const end = min<i32>(row + PER_SCAN, COUNT);
  let at = changetype<usize>(PROTOTYPES) + <usize>row * ROW;
  for (; row < end; row++, at += ROW) compareRow(at);
  if (row < COUNT) return;
  distance = (<f32>best * 100.0) / (PEAK * <f32>CYCLE);
  show(best <= FARTHEST ? bestClass : UNKNOWN);
}

export function scan(): void {
  const sample = input(0);
  since++;
  if (sample < ARMED) armed = true;
  // the cycle ends before the sample that crosses zero, so that one isn't in it yet
  if ((armed && sample >= 0 && since >= SHORTEST) || since >= LONGEST) endCycle();
  else if (row < COUNT) search();
  store<f32>(samples + next, sample);
  next = next + 4 == RING ? 0 : next + 4;
  output(0, <f32>shown);
  output(1, distance);
  output(2, peak);
}
