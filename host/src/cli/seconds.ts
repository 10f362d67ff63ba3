/** Options that say for how long. */
import { InvalidArgumentError } from "commander";

/** For commander: a number of seconds above 0, as milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("Expected a number above 0.");
  return value * 1000;
}
