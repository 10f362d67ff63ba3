/** A completion script for bash, from 3.2 on. */
import { caseWords, functionName } from "./shell-words.js";
import type { CommandWords, ValueKind } from "./words.js";

/** `devices` is the command line that prints what --device may be. */
export function bashScript(commands: readonly CommandWords[], devices: string): string {
  const [root] = commands;
  if (root === undefined) return "";
  const name = functionName(root.path);
  return `# bash completion for ${root.path}
${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path=${root.path} i
  local IFS=$'\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${caseWords(commands.slice(1).map(({ path }) => path))}) path="$path \${COMP_WORDS[i]}" ;;
      *" --") return ;;
    esac
  done
  case "$path $prev" in
${commands.flatMap((command) => valueCases(command, devices)).join("\n")}
  esac
  case "$path" in
${commands.map((command) => wordCase(command, devices)).join("\n")}
  esac
}
complete -F ${name} ${root.path}
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

/** What may stand at this place: options, commands below, and the argument. */
function wordCase(command: CommandWords, devices: string): string {
  const flags = command.options.flatMap((option) => option.flags);
  const names = command.commands.map(({ name }) => name);
  return `    "${command.path}")
      if [[ $cur == -* ]]; then ${words(flags)}
      else ${names.length > 0 ? words(names) : reply(command.argument, devices)}; fi ;;`;
}

function words(list: readonly string[]): string {
  return list.length === 0 ? ":" : `COMPREPLY=($(compgen -W $'${list.join("\\n")}' -- "$cur"))`;
}

function reply(value: ValueKind, devices: string): string {
  switch (value.kind) {
    case "choice":
      return words(value.choices);
    case "device":
      return `COMPREPLY=($(compgen -W "$(${devices} 2>/dev/null)" -- "$cur"))`;
    case "file":
      return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))`;
    default:
      return ":";
  }
}
