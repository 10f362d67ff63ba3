// Watches a 50 Hz mains voltage and tells sags and swells, in the manner of IEC 61000-4-30: the RMS of the last
// cycle against 90 % and 110 % of 230 V, with 2 % of hysteresis on the way back.
import {
  beginState,
  input,
  openState,
  output,
  putF32,
  putI32,
  say,
  sayInteger,
  sayTenths,
  sendLine,
  stateSize,
  takeF32,
  takeI32,
} from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk";

const CYCLE: i32 = 20; // samples: one cycle of 50 Hz at 1 kHz, so that the RMS has no ripple
const CONFIRM: i32 = 4; // scans in a row before an event begins or ends

const SAG_BELOW: f32 = 207.0;
const SAG_OVER: f32 = 211.6;
const SWELL_ABOVE: f32 = 253.0;
const SWELL_OVER: f32 = 248.4;

const NORMAL: i32 = 0;
const SAG: i32 = 1;
const SWELL: i32 = 2;

const samples = new StaticArray<f32>(CYCLE);
let next: i32 = 0; // where the next sample goes
let seen: i32 = 0; // samples so far, up to one cycle: before that there is no RMS to judge
let event: i32 = NORMAL;
let streak: i32 = 0; // scans in a row that speak for a change
let scans: i32 = 0; // since the event began

function rmsOfCycle(): f32 {
  let sum: f32 = 0;
  for (let i = 0; i < CYCLE; i++) {
    const sample = unchecked(samples[i]);
    sum += sample * sample;
  }
  return sqrt<f32>(sum / <f32>CYCLE);
}

/** What the RMS speaks for, seen from the event under way. A sag doesn't turn into a swell without an end of its own. */
function judge(rms: f32): i32 {
  if (event == SAG) return rms <= SAG_OVER ? SAG : NORMAL;
  if (event == SWELL) return rms >= SWELL_OVER ? SWELL : NORMAL;
  return rms < SAG_BELOW ? SAG : rms > SWELL_ABOVE ? SWELL : NORMAL;
}

function change(to: i32, rms: f32): void {
  const from = event;
  event = to;
  if (from != NORMAL) {
    say(from == SAG ? "sag over, " : "swell over, ");
    sayInteger(scans);
    say(" ms");
    sendLine();
  }
  scans = 0;
  if (to == NORMAL) return;
  say(to == SAG ? "sag, " : "swell, ");
  sayTenths(rms);
  say(" V");
  sendLine();
}

export function scan(): void {
  unchecked((samples[next] = input(0)));
  next = next + 1 == CYCLE ? 0 : next + 1;
  const rms = rmsOfCycle();
  if (seen < CYCLE) seen++;
  else {
    scans++;
    const verdict = judge(rms);
    streak = verdict == event ? 0 : streak + 1;
    if (streak >= CONFIRM) {
      streak = 0;
      change(verdict, rms);
    }
  }
  output(0, rms);
  output(1, <f32>event);
}

export function save(): i32 {
  beginState();
  putI32(next);
  putI32(seen);
  putI32(event);
  putI32(streak);
  putI32(scans);
  for (let i = 0; i < CYCLE; i++) putF32(unchecked(samples[i]));
  return stateSize();
}

// A newer release may have appended fields of its own; they are left unread.
export function restore(size: i32): void {
  openState(size);
  next = takeI32() % CYCLE;
  seen = takeI32();
  event = takeI32();
  streak = takeI32();
  scans = takeI32();
  for (let i = 0; i < CYCLE; i++) unchecked((samples[i] = takeF32()));
}
