/** What can stand where on a command line, read from commander's own definitions, so that no list can go stale. */
import type { Argument, Command, Option } from "commander";

/** What follows an option, or stands as an argument. */
export type ValueKind =
  | { kind: "none" }
  | { kind: "text" }
  | { kind: "file" }
  | { kind: "device" }
  | { kind: "choice"; choices: readonly string[] };

export interface OptionWords {
  /** `-d` and `--device`, or one of them. */
  flags: readonly string[];
  description: string;
  value: ValueKind;
}

/** One command, by the words that lead to it: `edgeplug board run`. */
export interface CommandWords {
  path: string;
  commands: readonly { name: string; description: string }[];
  options: readonly OptionWords[];
  argument: ValueKind;
}

/** How the definitions name values that are files, and those that are devices. */
const FILES = new Set(["file", "elf", "folder", "package", "path", "command"]);
const DEVICES = new Set(["port", "device"]);

/** The command and all below it, each before its own. */
export function commandWords(command: Command, before = ""): CommandWords[] {
  const path = before === "" ? command.name() : `${before} ${command.name()}`;
  const children = command.commands.filter((child) => child.name() !== "help");
  const own: CommandWords = {
    path,
    commands: children.map((child) => ({
      name: child.name(),
      description: child.summary() || child.description(),
    })),
    options: [...command.createHelp().visibleOptions(command)].map(optionWords),
    argument: argumentKind(command.registeredArguments[0]),
  };
  return [own, ...children.flatMap((child) => commandWords(child, path))];
}

function optionWords(option: Option): OptionWords {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  return { flags, description: option.description, value: optionKind(option) };
}

function optionKind(option: Option): ValueKind {
  if (!option.required && !option.optional) return { kind: "none" };
  if (option.argChoices !== undefined) return { kind: "choice", choices: option.argChoices };
  return byName(/[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? "");
}

function argumentKind(argument: Argument | undefined): ValueKind {
  if (argument === undefined) return { kind: "none" };
  if (argument.argChoices !== undefined) return { kind: "choice", choices: argument.argChoices };
  return byName(argument.name());
}

function byName(name: string): ValueKind {
  if (DEVICES.has(name)) return { kind: "device" };
  return { kind: FILES.has(name) ? "file" : "text" };
}
