/** Inputs for the checks: the same for everybody who builds the same agent, and rich enough to reach its corners. */
import type { ChannelConfig } from "./config.js";

const SEGMENT = 200; // scans with one kind of signal
const MAINS = 50; // Hz
const SCANS_PER_SECOND = 1000;

/** Numbers from 0 to below 1 that look random (xorshift32, Marsaglia 2003). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

type Signal = (scan: number) => number;

/**
 * Fills `inputs` for each scan in turn. Each channel goes through segments of sines at mains frequency, steps, ramps,
 * noise and its limits, all within its own range.
 */
export function stimulus(channels: readonly ChannelConfig[], seed = 1): (inputs: Float32Array) => void {
  const random = randomNumbers(seed);
  const signals: Signal[] = [];
  let scan = 0;
  return (inputs) => {
    if (scan % SEGMENT === 0) channels.forEach((channel, at) => (signals[at] = newSignal(channel, random)));
    channels.forEach((channel, at) => {
      const value = signals[at]?.(scan) ?? 0;
      inputs[at] = Math.min(channel.max, Math.max(channel.min, value));
    });
    scan++;
  };
}

function newSignal({ min, max }: ChannelConfig, random: () => number): Signal {
  const middle = (min + max) / 2;
  const half = (max - min) / 2;
  const within = (): number => min + random() * (max - min);
  const level = within();
  const end = within();
  const amplitude = half * random();
  switch (Math.floor(random() * 7)) {
    case 0:
      return () => level;
    case 1:
      return (scan) => level + ((end - level) * (scan % SEGMENT)) / SEGMENT;
    case 2:
      return within;
    case 3:
      return (scan) => ((scan >> 3) & 1 ? max : min);
    default:
      return (scan) => middle + amplitude * Math.sin((2 * Math.PI * MAINS * scan) / SCANS_PER_SECOND);
  }
}
