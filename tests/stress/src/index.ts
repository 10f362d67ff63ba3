/** A thousand swaps over the serial path, and nothing missed, lost or leaked. */
export * from "./agents.js";
export * from "./bench.js";
export * from "./counters.js";
export * from "./memory.js";
export * from "./requests.js";
export * from "./run.js";
export * from "./symbols.js";
export * from "./wear.js";
export * from "./result.js";
export * from "./verdict.js";
