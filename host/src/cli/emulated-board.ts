/** Emulated boards that commands start, by the harness, and end again. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { EdgePlugError } from "../errors.js";

export const EMULATED_KINDS = ["qemu", "sim", "renode"] as const;
export type EmulatedKind = (typeof EMULATED_KINDS)[number];

export interface EmulatedBoardOptions {
  /** The image for qemu or renode. Default: the one that was built here. */
  firmware?: string | undefined;
  /** Undefined: it is forgotten in the end. */
  flash?: string | undefined;
  /** Of sim: milliseconds of the board in one of the wall, at most. Default: the harness's. */
  speed?: number | undefined;
}

type Harness = typeof import("renode-test-harness");
type StartOptions = Parameters<Harness["startBoard"]>[0];
export type RunningBoard = Awaited<ReturnType<Harness["startBoard"]>>;

const BOARD_ID_SIZE = 12;

/** Starts a board and lists it for `edgeplug devices`. Throws SETUP, EMULATOR or RENODE_MISSING. The caller closes it. */
export async function startEmulatedBoard(
  kind: EmulatedKind,
  options: EmulatedBoardOptions = {},
): Promise<{ board: RunningBoard; port: string }> {
  const { HarnessError, announceBoard, startBoard } = await import("renode-test-harness");
  try {
    const board = await startBoard(await START_OPTIONS[kind](options));
    const { port } = board;
    if (port === undefined) throw new EdgePlugError("EMULATOR", "The board has no port.");
    announceBoard({ name: kind, backend: board.backend, port });
    return { board, port };
  } catch (error) {
    if (!(error instanceof HarnessError)) throw error;
    const name = error.code === "EMULATOR_MISSING" ? "SETUP" : "EMULATOR";
    throw new EdgePlugError(name, error.message, { cause: error });
  }
}

const START_OPTIONS: Readonly<
  Record<EmulatedKind, (options: EmulatedBoardOptions) => Promise<StartOptions>>
> = { qemu: qemuOptions, sim: simOptions, renode: renodeOptions };

function simOptions({ flash, speed }: EmulatedBoardOptions): Promise<StartOptions> {
  const kept = flash === undefined ? { boardId: randomBytes(BOARD_ID_SIZE) } : { flashFile: flash };
  return Promise.resolve({
    backend: "sim",
    line: "socket",
    ...(speed === undefined ? {} : { speed }),
    ...kept,
  });
}

async function qemuOptions({ firmware, flash }: EmulatedBoardOptions): Promise<StartOptions> {
  const { qemuFlash } = await import("../qemu-board.js");
  return {
    backend: "qemu",
    elf: firmware ?? findFirmware("qemu", "qemu.elf"),
    line: "pty",
    icount: true,
    paced: true,
    observed: false, // what nobody reads would fill the disk, 3 GB a day
    flash: qemuFlash({ path: flash }),
  };
}

/** The image in which the board stands in a process, so that agents have something to look at. */
async function renodeOptions({ firmware, flash }: EmulatedBoardOptions): Promise<StartOptions> {
  const { findRenode } = await import("renode-test-harness");
  if (findRenode() === undefined) throw new EdgePlugError("RENODE_MISSING");
  return {
    backend: "renode",
    elf: firmware ?? findFirmware("stm32l552", "stm32l552-process.elf"),
    line: "socket",
    flash: flash === undefined ? {} : { path: flash },
  };
}

/** The image that the set-up builds lies above this file in a clone; elsewhere it has to be named. */
function findFirmware(board: string, name: string): string {
  const part = join("build", board, name);
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, part))) return join(folder, part);
    if (folder === dirname(folder)) break;
  }
  throw new EdgePlugError("SETUP", `The firmware image ${part} is not there.`, {
    action: "Run scripts/setup in a clone of EdgePlug, pass --firmware, or take --board sim.",
  });
}

/** Resolves at the signal; throws EMULATOR if the board ends by itself. */
export async function boardEnded(board: RunningBoard, signal: AbortSignal): Promise<void> {
  for await (const event of board.events(signal)) {
    if (event.kind === "ended") throw new EdgePlugError("EMULATOR", `The board ended: ${event.reason}.`);
  }
}
