/** Ctrl-C, and its likes, end a command in good order; a second one ends the process. */
import { EdgePlugError } from "../errors.js";
import { ERRORS } from "../generated/errors.js";

const SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Runs `act` with a signal that is aborted, with INTERRUPTED, when the process is asked to end. */
export async function interruptible<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(ERRORS.INTERRUPTED.exit);
    controller.abort(new EdgePlugError("INTERRUPTED"));
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  try {
    return await act(controller.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt);
  }
}
