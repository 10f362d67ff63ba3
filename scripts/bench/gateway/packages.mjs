// The package of every push: as small as a signed control agent gets, with a trial of ten scans.
import { join } from "node:path";

import { ROOT } from "../board.mjs";

const HEALTHY_SCANS = 10;

/** `release` → AgentPackage. */
export async function smallPackages() {
  const { controlAgent, makePackage } = await import(join(ROOT, "tests/support/dist/agents.js"));
  const code = controlAgent({ value: 1 });
  const made = new Map();
  return (release) => {
    let pkg = made.get(release);
    if (pkg === undefined) {
      const trial = { healthyScans: HEALTHY_SCANS };
      pkg = makePackage(code, { name: "small", version: String(release), release, trial });
      made.set(release, pkg);
    }
    return pkg;
  };
}
