/** A completion script for zsh, to be sourced or put on $fpath. */
import { caseWords, functionName, quoted } from "./shell-words.js";
import type { CommandWords, ValueKind } from "./words.js";

/** `devices` is the command line that prints what --device may be. */
export function zshScript(commands: readonly CommandWords[], devices: string): string {
  const [root] = commands;
  if (root === undefined) return "";
  const name = functionName(root.path);
  return `#compdef ${root.path}
${name}() {
  local at=${root.path} i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${caseWords(commands.slice(1).map(({ path }) => path))}) at="$at \${words[i]}" ;;
      *" --") _files; return ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${commands.flatMap((command) => valueCases(command, devices)).join("\n")}
  esac
  case "$at" in
${commands.map((command) => wordCase(command, devices)).join("\n")}
  esac
}
if [[ "\${funcstack[1]}" == ${name} ]]; then ${name} "$@"; else compdef ${name} ${root.path}; fi
`;
}

function valueCases({ path, options }: CommandWords, devices: string): string[] {
  return options
    .filter(({ value }) => value.kind !== "none")
    .map(({ flags, value }) => {
      const words = caseWords(flags.map((flag) => `${path} ${flag}`));
      return `    ${words}) ${reply(value, devices)}; return ;;`;
    });
}

function wordCase(command: CommandWords, devices: string): string {
  const options = command.options.flatMap(({ flags, description }) =>
    flags.map((flag) => ({ name: flag, description })),
  );
  const rest = command.commands.length > 0 ? described(command.commands) : reply(command.argument, devices);
  return `    "${command.path}")
      if [[ "$PREFIX" == -* ]]; then ${described(options)}; else ${rest}; fi ;;`;
}

function described(words: readonly { name: string; description: string }[]): string {
  const list = words.map(({ name, description }) =>
    quoted(`${name.replaceAll(":", "\\:")}:${description.replaceAll("\n", " ")}`),
  );
  return `found=(${list.join(" ")}); _describe word found`;
}

function reply(value: ValueKind, devices: string): string {
  switch (value.kind) {
    case "choice":
      return `compadd -- ${value.choices.map(quoted).join(" ")}`;
    case "device":
      return `compadd -- \${(f)"$(${devices} 2>/dev/null)"}`;
    case "file":
      return "_files";
    default:
      return ":";
  }
}
