// Tells what a 50 Hz waveform looks like: clean, distorted, notched, a sag beginning and so on. A cycle that differs
// from the one before is scaled to its peak and compared with a table of prototypes; the nearest one, by the sum of
// absolute differences, names the class. The search is spread over the scans of the six cycles that follow.
import { input, output, say, sayTenths, sendLine } from "@edgeplug/sdk";
import { COUNT, PROTOTYPES } from "./prototypes";

const CYCLE: i32 = 20; // samples
const SHORTEST: i32 = 18; // 55 Hz
const LONGEST: i32 = 24; // 42 Hz: a cycle without a zero crossing is cut off there
const SCANS: i32 = 6 * (SHORTEST - 1) - 1; // of a search; in a scan in which a cycle ends it rests, the last one tells
const PER_SCAN: i32 = (COUNT + SCANS - 1) / SCANS;

const DEAD: f32 = 23.0; // V: a peak below 10 % is an interruption (IEC 61000-4-30)
const ARMED: f32 = -12.0; // V: so low must it have been before a rise counts as zero crossing
const ALIKE: i32 = 60; // sum of differences up to which a cycle is the same as the one before
const FARTHEST: i32 = 220; // beyond, nothing in the table looks like it

const IDLE: i32 = COUNT + 1; // of `row`

const INTERRUPTION: i32 = 11; // behind the classes of prototypes.mjs
const UNKNOWN: i32 = 12;

const HALF_UP: f32 = 64.5; // zero is 64, and the conversion cuts off
const PEAK: f32 = 60.0;
const ROW: usize = 24; // bytes of a prototype
const RING: usize = 80; // bytes of the samples

const samples: usize = memory.data(80); // one cycle of f32; an array object would bring the allocator along
let next: usize = 0; // where the next sample goes, in bytes
let since: i32 = 0; // samples since the last cycle ended
let armed: bool = false;

const fresh: usize = memory.data(24); // the cycle that has just ended, in the table's form
const cycle: usize = memory.data(24); // the cycle that is looked for, or was looked for last
let row: i32 = IDLE; // next prototype to compare; COUNT = all are, and what was found is to be told
let best: i32 = 0;
let bestClass: i32 = 0;

let shown: i32 = -1; // class in output 0
let distance: f32 = 0;
let peak: f32 = 0;

const HIGH_BITS: u64 = 0x8080808080808080;
const LOW_BITS: u64 = 0x7f7f7f7f7f7f7f7f;
const EVEN_BYTES: u64 = 0x00ff00ff00ff00ff;
const LANES: u64 = 0x0001000100010001;

/** Absolute differences of eight 7-bit bytes at once. */
// @ts-ignore: decorator
@inline
function apart(a: u64, b: u64): u64 {
  const difference = (a | HIGH_BITS) - b; // 128 + a - b in each byte: nothing is borrowed from the next one
  const less = (~difference & HIGH_BITS) >>> 7; // 1 where a < b
  // one's complement there, and one more makes it the negative
  return ((difference ^ (less * 127)) & LOW_BITS) + less;
}

/** Sum of absolute differences between `cycle` and 24 bytes, of which 20 are samples within 60 of zero. */
function apartFrom(bytes: usize): i32 {
  const pairs = apart(load<u64>(cycle), load<u64>(bytes)) + apart(load<u64>(cycle, 8), load<u64>(bytes, 8));
  const rest = apart(load<u64>(cycle, 16), <u64>load<u32>(bytes, 16));
  const lanes = (pairs & EVEN_BYTES) + ((pairs >>> 8) & EVEN_BYTES) + (rest & EVEN_BYTES) + ((rest >>> 8) & EVEN_BYTES);
  return <i32>((lanes * LANES) >>> 48);
}

function search(): void {
  let at = changetype<usize>(PROTOTYPES) + <usize>row * ROW;
  row = min<i32>(row + PER_SCAN, COUNT);
  for (const end = changetype<usize>(PROTOTYPES) + <usize>row * ROW; at < end; at += ROW) {
    const sum = apartFrom(at);
    if (sum >= best) continue;
    best = sum;
    bestClass = load<u8>(at, 20);
  }
}

function conclude(): void {
  row = IDLE;
  distance = (<f32>best * 100.0) / (PEAK * <f32>CYCLE);
  show(best <= FARTHEST ? bestClass : UNKNOWN);
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

/**
 * A cycle has ended: scales it to 7 bits, and starts a search if it is a new sight. One that did not end in a zero
 * crossing fits no prototype.
 */
function endCycle(crossed: bool): void {
  since = 0;
  armed = false;
  peak = 0;
  for (let at: usize = 0; at < RING; at += 4) peak = max<f32>(peak, abs<f32>(load<f32>(samples + at)));
  if (peak < DEAD || !crossed) {
    row = IDLE;
    distance = 0;
    show(peak < DEAD ? INTERRUPTION : UNKNOWN);
    return;
  }
  const scale: f32 = PEAK / peak;
  for (let i = 0, at = next; i < CYCLE; i++) {
    store<u8>(fresh + i, <i32>(HALF_UP + load<f32>(samples + at) * scale));
    at = at + 4 == RING ? 0 : at + 4;
  }
  if (row < IDLE) return;
  if (shown < INTERRUPTION && shown >= 0 && apartFrom(fresh) <= ALIKE) return;
  memory.copy(cycle, fresh, CYCLE);
  row = 0;
  best = i32.MAX_VALUE;
}

export function scan(): void {
  const sample = input(0);
  since++;
  if (sample < ARMED) armed = true;
  // the cycle ends before the sample that crosses zero, so that one isn't in it yet
  const crossed = armed && sample > 0 && since >= SHORTEST;
  if (crossed || since >= LONGEST) endCycle(crossed);
  else if (row < COUNT) search();
  else if (row == COUNT) conclude();
  store<f32>(samples + next, sample);
  next = next + 4 == RING ? 0 : next + 4;
  output(0, <f32>shown);
  output(1, distance);
  output(2, peak);
}
