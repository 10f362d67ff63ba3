import { defineConfig } from "vitest/config";

// the first test of a run compiles the agent
export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 60_000 } });
