import { join } from "node:path";

import { defineConfig } from "vitest/config";

/** The suites that know the board under Renode: the same files as in `npm test`, on that board alone. */
// eslint-disable-next-line no-restricted-exports -- vitest reads its configuration from the default export
export default defineConfig({
  test: {
    root: join(import.meta.dirname, ".."),
    reporters: ["default", "./scripts/count-reporter.mjs"],
    include: [
      "tests/e2e/{authority,journal,life,line,main-job,operators,power,refusals,stm32l552,trial}.test.ts",
      "tests/{arm,chaos,stress}/test/{chaos,power,rollback,stress,watchdog}.test.ts",
      "tests/renode-test-harness/test/{readme,renode}.test.ts",
    ],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // each has Renodes of its own, which take a core each
    maxWorkers: 2,
    env: { EDGEPLUG_BOARDS: "renode" },
  },
});
