export { KINDS, runChaos, type CaseReport, type Figures, type RunOptions } from "./run.js";
export { SimBench } from "./sim-bench.js";
export { QemuBench } from "./qemu-bench.js";
export { RenodeBench } from "./renode-bench.js";
