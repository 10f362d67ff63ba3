import { defineConfig } from "vitest/config";

/**
 * These come last, one after the other. The sweeps of power cuts keep all cores busy by themselves; the stress run reads a record
 * of each scan of the Arm image, and QEMU drops what a starved reader leaves on its line.
 */
const ALONE = [
  "tests/stress/test/stress.test.ts",
  "tests/power/test/power.test.ts",
  "tests/power/test/oracle.test.ts",
];
const EXCLUDE = ["**/node_modules/**", "**/dist/**", "build/**"];

// eslint-disable-next-line no-restricted-exports -- vitest reads its configuration from the default export
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/count-reporter.mjs"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "suites",
          include: ["{host,tools/*,firmware/boards/*,tests/*}/test/**/*.test.ts", "tests/**/*.test.ts"],
          exclude: [...EXCLUDE, ...ALONE],
          // emulated boards run in real time beside the tests: more workers than cores would only starve them
          maxWorkers: 2,
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
