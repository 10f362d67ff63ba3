/** edgeplug board run */
import { spawn } from "node:child_process";

import { Command, Option } from "commander";

import { EdgePlugError } from "../errors.js";
import {
  boardEnded,
  EMULATED_KINDS,
  startEmulatedBoard,
  type EmulatedKind,
  type RunningBoard,
} from "./emulated-board.js";
import { Output } from "./output.js";

interface RunOptions {
  board: EmulatedKind;
  ephemeral?: boolean;
  flash?: string;
  firmware?: string;
  json?: boolean;
}

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
    .addOption(new Option("--board <kind>", "which board").choices(EMULATED_KINDS).default("qemu"))
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
  const { firmware } = options;
  const { board, port } = await startEmulatedBoard(options.board, { firmware, flash });
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
    await boardEnded(board, stop.signal);
  } finally {
    clearInterval(alive);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}
