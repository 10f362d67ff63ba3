/** What tests of agents import: `import { simulate } from "@edgeplug/testing"`. */
export * from "edgeplug/simulate";
