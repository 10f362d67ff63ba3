/** What tests of agents import: `import { simulate } from "@edgeplug/testing"`. */
import { setFlagsFromString } from "node:v8";

// the compiler is WebAssembly too, and runs once in a test's process: optimising it takes longer than it saves
setFlagsFromString("--liftoff-only");

export * from "edgeplug/simulate";
