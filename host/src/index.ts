/** The library behind `edgeplug` and `edgeplug-push`. */
export * from "./device.js";
export * from "./errors.js";
export * from "./manifest.js";
export * from "./package.js";
export * from "./signing.js";
