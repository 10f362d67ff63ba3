import { defineConfig } from "vitest/config";

/** These come last, one after the other: each keeps all cores busy by itself. */
const ALONE = ["tests/power/test/power.test.ts", "tests/power/test/oracle.test.ts"];
const EXCLUDE = ["**/node_modules/**", "**/dist/**", "build/**"];

// eslint-disable-next-line no-restricted-exports -- vitest reads its configuration from the default export
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/count-reporter.mjs"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // what tsc has compiled is loaded as users load it, and not transformed once more for each file of tests
    server: { deps: { external: [/\/dist\//] } },
    projects: [
      {
        extends: true,
        test: {
          name: "suites",
          include: ["{host,tools/*,firmware/boards/*,tests/*}/test/**/*.test.ts", "tests/**/*.test.ts"],
          exclude: [...EXCLUDE, ...ALONE],
          // boards under QEMU keep to the wall's time, and whoever waits for one leaves a core to another
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "sweeps",
          include: ALONE,
          exclude: EXCLUDE,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
