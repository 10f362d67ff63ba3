/** Waiting by the wall clock, so that nothing is left behind which would keep the process. */
import { linkSignals } from "./abort.js";

/** Resolves after so long, or at once when the signal comes. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal?.addEventListener("abort", finish);
  });
}

/** Resolves when `promise` has come to its end, well or badly, or after so long, or when the signal comes. */
export async function settledWithin(
  promise: Promise<unknown>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<void> {
  const over = linkSignals([signal]);
  await Promise.race([promise.catch(() => undefined), pause(milliseconds, over.signal)]);
  over.abort();
  over.unlink();
}
