/** edgeplug board run */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Command, Option } from "commander";

import { EdgePlugError } from "../errors.js";
import { Output } from "./output.js";

type Kind = "qemu" | "sim" | "renode";

interface RunOptions {
  board: Kind;
  ephemeral?: boolean;
  flash?: string;
  firmware?: string;
  json?: boolean;
}

const BOARD_ID_SIZE = 12;
const SIGNAL_EXIT = 128;
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
const SIGNALS = Object.keys(SIGNAL_NUMBERS) as (keyof typeof SIGNAL_NUMBERS)[];

export function runCommand(): Command {
  return new Command("run")
    .summary("start an emulated board and say where its port is")
    .description(
      "Starts an emulated board and prints its port. With a command: runs it with EDGEPLUG_DEVICE set to the port, " +
        "ends the board with it, and passes on its exit code. Without: runs until Ctrl-C.",
    )
    .argument("[command...]", "what to run, after --")
    .addOption(new Option("--board <kind>", "which board").choices(["qemu", "sim", "renode"]).default("qemu"))
    .option("--ephemeral", "forget the flash in the end (default with a command and no --flash)")
    .option("--flash <file>", "keep the flash in this file (default: edgeplug-KIND.flash here)")
    .option("--firmware <elf>", "the image for qemu or renode (default: the one that was built here)")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug board run\n  edgeplug board run --board sim --ephemeral -- edgeplug-push --info",
    )
    .action(run);
}

async function run(command: string[], options: RunOptions): Promise<void> {
  if (options.ephemeral === true && options.flash !== undefined) {
    throw new EdgePlugError("USAGE", "--ephemeral and --flash exclude each other.");
  }
  const forgets = options.ephemeral === true || (command.length > 0 && options.flash === undefined);
  const flash = forgets ? undefined : (options.flash ?? `edgeplug-${options.board}.flash`);
  const { board, port } = await start(options, flash);
  try {
    if (command.length > 0) {
      process.exitCode = await runWith(command, port);
      return;
    }
    new Output(options).result(
      [
        port,
        `  ${options.board} board, flash ${flash === undefined ? "forgotten in the end" : `in ${flash}`}; Ctrl-C ends it`,
      ],
      { port, board: options.board, flash: flash ?? null },
    );
    await ended(board);
  } finally {
    await board.close();
  }
}

type RunningBoard = Awaited<ReturnType<typeof import("renode-test-harness").startBoard>>;

async function start(
  options: RunOptions,
  flash: string | undefined,
): Promise<{ board: RunningBoard; port: string }> {
  const { HarnessError, announceBoard, startBoard } = await import("renode-test-harness");
  try {
    const board = await startBoard(await START_OPTIONS[options.board](options.firmware, flash));
    const { port } = board;
    if (port === undefined) throw new EdgePlugError("EMULATOR", "The board has no port.");
    announceBoard({ name: options.board, backend: board.backend, port });
    return { board, port };
  } catch (error) {
    if (!(error instanceof HarnessError)) throw error;
    const name = error.code === "EMULATOR_MISSING" ? "SETUP" : "EMULATOR";
    throw new EdgePlugError(name, error.message, { cause: error });
  }
}

type StartOptions = Parameters<typeof import("renode-test-harness").startBoard>[0];

/** `flash` undefined: it is forgotten in the end. */
const START_OPTIONS: Readonly<
  Record<Kind, (firmware: string | undefined, flash: string | undefined) => Promise<StartOptions>>
> = { qemu: qemuOptions, sim: simOptions, renode: renodeOptions };

function simOptions(_firmware: string | undefined, flash: string | undefined): Promise<StartOptions> {
  const kept = flash === undefined ? { boardId: randomBytes(BOARD_ID_SIZE) } : { flashFile: flash };
  return Promise.resolve({ backend: "sim", line: "socket", ...kept });
}

async function qemuOptions(firmware: string | undefined, flash: string | undefined): Promise<StartOptions> {
  const { qemuFlash } = await import("../qemu-board.js");
  return {
    backend: "qemu",
    elf: firmware ?? findFirmware("qemu", "qemu.elf"),
    line: "pty",
    icount: true,
    paced: true,
    flash: qemuFlash({ path: flash }),
  };
}

/** The image in which the board stands in a process, so that agents have something to look at. */
async function renodeOptions(firmware: string | undefined, flash: string | undefined): Promise<StartOptions> {
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

/** Runs the command beside the board; signals reach it too, and it decides when to end. */
async function runWith(command: readonly string[], port: string): Promise<number> {
  const [program = "", ...args] = command;
  const env = { ...process.env, EDGEPLUG_DEVICE: port };
  const child = spawn(program, args, { stdio: "inherit", env });
  const pass = (signal: NodeJS.Signals): boolean => child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) =>
        reject(
          new EdgePlugError("FILE_NOT_FOUND", `${program} can't be run: ${String(error.code)}.`, {
            cause: error,
          }),
        ),
      );
      child.once("exit", (code, signal) => resolve(code ?? SIGNAL_EXIT + signalNumber(signal)));
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, pass);
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return SIGNAL_NUMBERS[signal as keyof typeof SIGNAL_NUMBERS] ?? 1;
}

/** Resolves at Ctrl-C; throws if the board ends by itself. */
async function ended(board: RunningBoard): Promise<void> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  for (const signal of SIGNALS) process.on(signal, interrupt);
  // An idle event loop would end the process although the board runs.
  const alive = setInterval(() => undefined, 60_000);
  try {
    for await (const event of board.events(stop.signal)) {
      if (event.kind === "ended") throw new EdgePlugError("EMULATOR", `The board ended: ${event.reason}.`);
    }
  } finally {
    clearInterval(alive);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}
