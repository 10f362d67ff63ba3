// One scan each millisecond: read inputs, compute, write outputs. Nothing is allocated in a scan.
import { beginState, input, log, openState, output, putF32, putI32, stateSize, takeF32, takeI32 } from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk"; // what save() and restore() pass state through

const LEVEL: i32 = 0; // input channel, in the order of agent.json
const SMOOTH: i32 = 0; // output channels
const ALARM: i32 = 1;

const SHARE: f32 = 0.01; // of the way to the level in each scan: a time constant of 0.1 s
const ALARM_ON: f32 = 80.0; // %
const ALARM_OFF: f32 = 75.0; // %

let smooth: f32 = 0;
let alarm: bool = false;

export function scan(): void {
  smooth += SHARE * (input(LEVEL) - smooth);
  if (!alarm && smooth > ALARM_ON) {
    alarm = true;
    log("level is high");
  } else if (alarm && smooth < ALARM_OFF) {
    alarm = false;
    log("level is normal");
  }
  output(SMOOTH, smooth);
  output(ALARM, alarm ? 1.0 : 0.0);
}

/** The agent that runs gives its state to the one that takes over, if both have the same stateId. */
export function save(): i32 {
  beginState();
  putF32(smooth);
  putI32(alarm ? 1 : 0);
  return stateSize();
}

export function restore(size: i32): void {
  openState(size);
  smooth = takeF32();
  alarm = takeI32() != 0;
}
