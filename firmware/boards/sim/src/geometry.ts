import { MEMORY_MAPS } from "./generated/memory-maps.js";

/** "l5": STM32L5, 2 KiB pages, double words programmed once. "nor": SPI NOR, 4 KiB erases, 256-byte programs. */
export type GeometryName = "l5" | "nor";

/** What a flash can do and how long it takes. All addresses and sizes in bytes. */
export interface Geometry {
  readonly name: GeometryName;
  readonly base: number;
  readonly size: number;
  readonly eraseSize: number;
  /** Programs are aligned to this and a multiple of it. */
  readonly programUnit: number;
  /** The largest program; one never crosses a multiple of it. */
  readonly programMax: number;
  /** What can be programmed once only after an erase: 8 = a double word with ECC, 1 = each byte. */
  readonly granule: number;
  readonly eraseMicros: number;
  /** Time of a program of `size` bytes. */
  programMicros(size: number): number;
}

/** Where the runtime finds its things, for the map of core/board.h. */
export interface BoardMap {
  readonly slots: readonly [number, number];
  readonly journal: number;
  readonly journalHalfSize: number;
  readonly boardClass: number;
  readonly tickMicros: number;
  readonly nanosPerFuel: number;
  readonly inputs: number;
  readonly failSafe: readonly number[];
}

// RM0438 and the STM32L552 datasheet, table "Flash memory characteristics": tPROG 82 µs for 64 bits, tERASE 22 ms
const L5_TIMES = { eraseMicros: 22_000, programMicros: (size: number) => 82 * Math.ceil(size / 8) };
// W25Q80BL datasheet, AC characteristics, typical: sector erase 30 ms, first byte 30 µs, each further one 2.5 µs
const NOR_TIMES = { eraseMicros: 30_000, programMicros: (size: number) => Math.ceil(30 + 2.5 * (size - 1)) };

function flashOf(name: GeometryName): (typeof MEMORY_MAPS)["stm32l552" | "qemu"] {
  return MEMORY_MAPS[MEMORY_MAPS.sim.geometries[name]];
}

export function geometryOf(name: GeometryName): Geometry {
  const { base, size, eraseSize, programUnit, programMax } = flashOf(name).flash;
  const times = name === "l5" ? L5_TIMES : NOR_TIMES;
  return { name, base, size, eraseSize, programUnit, programMax, granule: name === "l5" ? 8 : 1, ...times };
}

export function boardMapOf(name: GeometryName): BoardMap {
  const { slots, journal, flash } = flashOf(name);
  const { boardClass, tickMicros, nanosPerFuel, inputs, outputs } = MEMORY_MAPS.sim;
  return {
    slots: [slots.a, slots.b],
    journal: journal.base,
    journalHalfSize: journal.pagesPerHalf * flash.eraseSize,
    boardClass,
    tickMicros,
    nanosPerFuel,
    inputs,
    failSafe: outputs.map((output) => output.failSafe),
  };
}
