import { defineConfig } from "vitest/config";

// eslint-disable-next-line no-restricted-exports -- vitest reads its configuration from the default export
export default defineConfig({
  test: {
    include: ["{host,tools/*,firmware/boards/*,tests/*}/test/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "build/**"],
    reporters: ["default", "./scripts/count-reporter.mjs"],
    // emulated boards run in real time beside the tests: more workers than cores would only starve them
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
