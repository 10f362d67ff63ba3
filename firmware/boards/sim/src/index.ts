export { BoardCrash, BoardOff, SimBoard } from "./board.js";
export type { Observation, ResetCause, SimBoardOptions, Snapshot } from "./board.js";
export { Clock } from "./clock.js";
export type { ClockEvents, ClockState } from "./clock.js";
export { Engine, EngineError } from "./engine.js";
export type { CallResult, EngineGuards, EngineLimits, EngineModule, ScanResult } from "./engine.js";
export { decodeFlashFile, encodeFlashFile, FlashFileError, FlashStorage, openFlashFile } from "./file.js";
export type { FlashFile } from "./file.js";
export { Flash, FLASH_ECC, FLASH_FAILED, FLASH_OK, FlashViolation, PowerCut, TEAR_SHAPES } from "./flash.js";
export type {
  Cells,
  Cut,
  CutMoment,
  FlashOperation,
  FlashOperationKind,
  FlashOptions,
  PassTime,
  TearShape,
} from "./flash.js";
export { boardMapOf, geometryOf } from "./geometry.js";
export type { BoardMap, Geometry, GeometryName } from "./geometry.js";
export { SIM_WASM } from "./image.js";
export { MEMORY_MAPS } from "./generated/memory-maps.js";
export { observerFrame } from "./observer.js";
export { Random } from "./random.js";
export { SerialLine } from "./serial.js";
export type { SerialOptions, SerialState } from "./serial.js";
export { wasm } from "./webassembly.js";
export type { WasmMemory } from "./webassembly.js";
export { MAIN_LOOP_HERTZ, WORK_INSTRUCTIONS, workNanos } from "./work.js";
