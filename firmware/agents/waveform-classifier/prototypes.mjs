// Computes the classifier's table: one cycle of 50 Hz, 20 samples, of each waveform that it is to tell apart, in
// several strengths and in five positions of the zero crossing between two samples. `edgeplug build` calls sources()
// and compiles what it gives; the file is never written.

const SAMPLES = 20;
/** Where the sample behind the rising zero crossing lies, in samples after it. */
const OFFSETS = [0.1, 0.3, 0.5, 0.7, 0.9];
/** A sample takes 7 bits: 64 is zero, the cycle's peak reaches 60 from there. */
const ZERO = 64;
const PEAK = 60;

/** In the order of their codes, which is the order in index.ts. */
export const CLASSES = [
  "clean",
  "third harmonic",
  "fifth harmonic",
  "seventh harmonic",
  "flat-topped",
  "notched",
  "sag begins",
  "sag ends",
  "ringing",
  "offset",
  "stepped",
];

const turn = 2 * Math.PI;
const sine = (t) => Math.sin(turn * t);
const product = (first, second) => first.flatMap((a) => second.map((b) => [a, b]));
const harmonic = (order, strengths, phases) =>
  product(strengths, phases).map(
    ([strength, phase]) =>
      (t) =>
        sine(t) + strength * sine(order * t + phase),
  );

const QUARTERS = [0, 0.25, 0.5, 0.75];

/** Shapes by class: each a function of time in cycles, the rising zero crossing at 0 and at 1. */
export const SHAPES = [
  [49.5, 50, 50.5].map((hertz) => (t) => Math.sin((turn * (t - 1) * hertz) / 50)),
  harmonic(3, [0.1, 0.2, 0.32], QUARTERS),
  harmonic(5, [0.08, 0.16, 0.28], QUARTERS),
  harmonic(7, [0.08, 0.18], QUARTERS),
  [0.55, 0.67, 0.8].map((top) => (t) => Math.max(-top, Math.min(top, sine(t)))),
  product([0.4, 0.8], [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]).map(([depth, at]) => (t) => {
    // a commutation notch, 1.2 samples wide, in both half cycles
    const near = Math.abs((((t % 0.5) + 0.5) % 0.5) - at) < 0.03;
    return sine(t) * (near ? 1 - depth : 1);
  }),
  product([0, 0.3, 0.6], [0.25, 0.4, 0.6, 0.75]).map(
    ([left, at]) =>
      (t) =>
        sine(t) * (t < at ? 1 : left),
  ),
  product([0, 0.3, 0.6], [0.25, 0.4, 0.6, 0.75]).map(
    ([left, at]) =>
      (t) =>
        sine(t) * (t < at ? left : 1),
  ),
  product([4, 5, 6], [0.15, 0.35, 0.6]).map(
    ([order, at]) =>
      (t) =>
        t < at ? sine(t) : sine(t) + 0.5 * Math.exp(-8 * (t - at)) * sine(order * (t - at)),
  ),
  [-0.3, -0.2, -0.12, 0.12, 0.2, 0.3].map((offset) => (t) => sine(t) + offset),
  [0.01, 0.045, 0.08].map((gap) => (t) => {
    const phase = ((t % 0.5) + 0.5) % 0.5;
    // from the rising edge on; rests at zero before each edge
    return phase < 0.5 - 2 * gap ? Math.sign(sine(t)) : 0;
  }),
];

/** The 20 samples before the one that lies `offset` samples behind a rising zero crossing, in 7 bits each. */
export function quantised(shape, offset) {
  const samples = Array.from({ length: SAMPLES }, (_, at) => shape((at + offset) / SAMPLES));
  const peak = Math.max(...samples.map(Math.abs));
  return samples.map((sample) => ZERO + Math.round((sample / peak) * PEAK));
}

/** Three words of eight bytes: 20 samples, the class, zeros. The first sample is the lowest byte. */
function words(samples, label) {
  const bytes = Buffer.from([...samples, label, 0, 0, 0]);
  return [0, 8, 16].map((at) => `0x${bytes.readBigUInt64LE(at).toString(16)}`);
}

export function sources() {
  const rows = SHAPES.flatMap((shapes, label) =>
    shapes.flatMap((shape) => OFFSETS.map((offset) => words(quantised(shape, offset), label).join(", "))),
  );
  return {
    "assembly/prototypes.ts":
      `export const COUNT: i32 = ${rows.length};\n` +
      `export const PROTOTYPES: StaticArray<u64> = [\n${rows.map((row) => `  ${row},\n`).join("")}];\n`,
  };
}
