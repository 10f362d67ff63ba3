/** Pushes by the sources' own session, in a form that tests compare. */
import { EdgePlugError } from "../../src/errors.js";
import type { Deliverable, PushOptions, PushResult, PushStep } from "../../src/session/push.js";
import type { DeviceSession } from "../../src/session/session.js";

/** Pushes `pkg` and waits out its trial; throws what the push throws. */
export async function push(
  session: DeviceSession,
  pkg: Deliverable,
  options: PushOptions = {},
  onStep: (step: PushStep) => unknown = () => undefined,
): Promise<PushResult> {
  const run = session.push(pkg, options);
  for (;;) {
    const step = await run.next();
    if (step.done === true) return step.value;
    await onStep(step.value);
  }
}

/** What `act` fails with. */
export async function failed(act: Promise<unknown>): Promise<EdgePlugError> {
  return act.then(
    () => {
      throw new Error("it went well");
    },
    (error: unknown) => EdgePlugError.from(error),
  );
}
