/** The library behind `edgeplug` and `edgeplug-push`. */
export { buildAgent, type BuildOptions, type BuildResult } from "./agent/build.js";
export { checkAgent, type CheckResult } from "./agent/check.js";
export {
  compileAgent,
  CompileError,
  sdkDirectory,
  type CompileOptions,
  type Compiled,
} from "./agent/compile.js";
export {
  parseAgentConfig,
  readAgentConfig,
  type AgentConfig,
  type ChannelConfig,
  type ControlVector,
  type RequestVector,
} from "./agent/config.js";
export { readDetails, type AgentDetails } from "./agent/details.js";
export { findBuiltAgent, packAgent, type BuiltAgent, type PackOptions } from "./agent/pack.js";
export * from "./errors.js";
export { crc32 } from "./frames.js";
export * from "./keys.js";
export * from "./manifest.js";
export * from "./package.js";
export * from "./signing.js";
