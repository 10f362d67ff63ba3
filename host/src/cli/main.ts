#!/usr/bin/env node
/** The `edgeplug` command. */
import { type Command, CommanderError } from "commander";

import { EdgePlugError } from "../errors.js";
import { printError } from "./output.js";
import { createProgram } from "./program.js";

/** Runs one command line and gives its exit code. */
async function run(args: readonly string[]): Promise<number> {
  const wanted = args.find((argument) => !argument.startsWith("-"));
  const program = await createProgram(wanted === "help" ? args[args.indexOf("help") + 1] : wanted);
  for (const command of [program, ...allCommands(program)])
    command.exitOverride().configureOutput({ outputError: () => undefined });
  try {
    await program.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return printError(error instanceof CommanderError ? usageError(error) : error, {
      json: args.includes("--json"),
      debug: args.includes("--debug"),
    });
  }
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

/** Without a command commander shows the help and calls it an error. */
function usageError(error: CommanderError): EdgePlugError {
  const message = error.message.replace(/^error: /, "");
  const text = error.code === "commander.help" ? "No command was given." : sentence(message);
  return new EdgePlugError("USAGE", text, { cause: error });
}

function sentence(text: string): string {
  const line = text.replace(/\s*\n\s*/g, " ").trim();
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.?)]$/.test(line) ? "" : ".");
}

process.exitCode = await run(process.argv.slice(2));
