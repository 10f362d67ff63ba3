// A control loop: the measurement runs through four biquads (transposed direct form II), then a PID controller with
// filtered derivative drives the plant. Gains are for a plant of first order with unity gain and a time constant
// between 0.1 s and 1 s.
import { beginState, clamp, input, openState, output, putF32, stateSize, takeF32 } from "@edgeplug/sdk";

export { io_buffer } from "@edgeplug/sdk";

const MEASUREMENT: i32 = 1; // input channels
const SET_POINT: i32 = 2;
const FILTERED: i32 = 0; // output channels
const DRIVE: i32 = 1;

const STEP: f32 = 0.001; // s between scans
const KP: f32 = 2.0;
const KI: f32 = 4.0; // per s
const KD: f32 = 0.02; // s
const SMOOTHING: f32 = 0.1; // of the derivative, per scan
const DRIVE_MAX: f32 = 100.0;

const SECTIONS: i32 = 4;

// b0, b1, b2, a1, a2 at 1 kHz, each with unity gain at rest: two low passes, a notch at 50 Hz (Q = 2), a low pass
// prettier-ignore
const coefficients: StaticArray<f32> = [
  0.0675,   0.1349,   0.0674,   -1.1430,   0.4128,
  0.0600,   0.1200,   0.0600,   -1.2000,   0.4400,
  0.928286, -1.765708, 0.928286, -1.765708, 0.856572,
  0.2000,   0.1000,   0.0500,   -0.7000,   0.0500,
];
const delays = new StaticArray<f32>(2 * SECTIONS);
let integral: f32 = 0;
let lastError: f32 = 0;
let slope: f32 = 0;

function filter(sample: f32): f32 {
  let x = sample;
  for (let section = 0; section < SECTIONS; section++) {
    const c = section * 5;
    const d = section * 2;
    const y: f32 = unchecked(coefficients[c]) * x + unchecked(delays[d]);
    unchecked((delays[d] = coefficients[c + 1] * x - coefficients[c + 3] * y + delays[d + 1]));
    unchecked((delays[d + 1] = coefficients[c + 2] * x - coefficients[c + 4] * y));
    x = y;
  }
  return x;
}

function control(error: f32): f32 {
  slope += SMOOTHING * ((error - lastError) / STEP - slope);
  lastError = error;
  const direct: f32 = KP * error + KD * slope;
  // the integral takes up only what the drive can still give, so it doesn't wind up
  integral = clamp(integral + KI * STEP * error, -DRIVE_MAX, DRIVE_MAX);
  const drive = clamp(direct + integral, -DRIVE_MAX, DRIVE_MAX);
  if (drive != direct + integral) integral = clamp(drive - direct, -DRIVE_MAX, DRIVE_MAX);
  return drive;
}

export function scan(): void {
  const filtered = filter(input(MEASUREMENT));
  output(FILTERED, filtered);
  output(DRIVE, control(input(SET_POINT) - filtered));
}

export function save(): i32 {
  beginState();
  for (let i = 0; i < 2 * SECTIONS; i++) putF32(unchecked(delays[i]));
  putF32(integral);
  putF32(lastError);
  putF32(slope);
  return stateSize();
}

export function restore(size: i32): void {
  openState(size);
  for (let i = 0; i < 2 * SECTIONS; i++) unchecked((delays[i] = takeF32()));
  integral = takeF32();
  lastError = takeF32();
  slope = takeF32();
}
