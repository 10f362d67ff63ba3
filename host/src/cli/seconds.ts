/** Options that say for how long. */
import { InvalidArgumentError } from "commander";

/** For commander: a number of seconds above 0, as milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("Expected a number above 0.");
  return value * 1000;
}

/** Aborted with `signal` or after so many milliseconds, whichever comes first. */
export function withLimit(signal: AbortSignal, milliseconds: number | undefined): AbortSignal {
  return milliseconds === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
}
