export { HarnessError } from "./board.js";
export type {
  BackendName,
  Board,
  BoardEvent,
  BoardSnapshot,
  CutMoment,
  EventSought,
  Feature,
  FlashCut,
  FlashPatch,
  LineSought,
  Sought,
} from "./board.js";
export { findRenode, RENODE_MISSING } from "./find-renode.js";
export type { RenodeFound } from "./find-renode.js";
export type { FlashImageOptions } from "./flash-image.js";
export { NoiseFilter, NoisyLine } from "./line.js";
export type { LineNoise, NoiseCounters, NoisyLineOptions } from "./line.js";
export { QemuBoard, startQemu } from "./qemu.js";
export type { QemuOptions } from "./qemu.js";
export { Qmp, QmpError } from "./qmp.js";
export type { QmpEvent } from "./qmp.js";
export type { RenodeOptions } from "./renode-options.js";
export { RenodeBoard, startRenode } from "./renode.js";
export { STM32L552 } from "./renode-platform.js";
export type { RenodeChannels, RenodePlatform } from "./renode-platform.js";
export { announceBoard, runningBoards } from "./running.js";
export type { RunningBoard } from "./running.js";
export { InProcessBoard, startSim } from "./sim.js";
export type { SimOptions } from "./sim.js";
export { boardFixture, startBoard } from "./start.js";
export type { StartOptions } from "./start.js";
export { renodeOrSkip, withBoard } from "./with-board.js";
