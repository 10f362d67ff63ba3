/** Signals that follow others. (AbortSignal.any() of Node 20 may be collected, with its listeners, before it fires.) */

export interface Linked {
  signal: AbortSignal;
  /** Aborts by itself. */
  abort(reason?: unknown): void;
  /** Lets go of the others. */
  unlink(): void;
}

/** Aborted when one of `signals` is, with its reason, or after so many milliseconds. */
export function linkSignals(signals: readonly (AbortSignal | undefined)[], milliseconds?: number): Linked {
  const controller = new AbortController();
  const links = signals.flatMap((signal) => {
    if (signal === undefined) return [];
    const follow = (): void => controller.abort(signal.reason);
    if (signal.aborted) follow();
    else signal.addEventListener("abort", follow);
    return [() => signal.removeEventListener("abort", follow)];
  });
  const timer = milliseconds === undefined ? undefined : setTimeout(() => controller.abort(), milliseconds);
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => {
      clearTimeout(timer);
      for (const unlink of links) unlink();
    },
  };
}
