/** Pushes by the sources' own session, in a form that tests compare. */
import { runOut } from "@edgeplug/test-support/run-out";

import type { Deliverable, PushOptions, PushResult, PushStep } from "../../src/session/push.js";
import type { DeviceSession } from "../../src/session/session.js";

/** Pushes `pkg` and waits out its trial; throws what the push throws. */
export async function push(
  session: DeviceSession,
  pkg: Deliverable,
  options: PushOptions = {},
  onStep: (step: PushStep) => unknown = () => undefined,
): Promise<PushResult> {
  return runOut(session.push(pkg, options), onStep);
}
