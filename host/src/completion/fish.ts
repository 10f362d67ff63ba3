/** A completion script for fish. */
import { functionName } from "./shell-words.js";
import type { CommandWords, OptionWords, ValueKind } from "./words.js";

/** `devices` is the command line that prints what --device may be. */
export function fishScript(commands: readonly CommandWords[], devices: string): string {
  const [root] = commands;
  if (root === undefined) return "";
  const at = `_${functionName(root.path)}_at`;
  const lines = commands.flatMap((command) => commandLines(root.path, at, command, devices));
  const paths = commands.slice(1).map(({ path }) => quoted(path));
  const follow = paths.length === 0 ? "" : `\n      case ${paths.join(" ")}\n        set path "$path $word"`;
  return `# fish completion for ${root.path}
function ${at}
  set -l path ${root.path}
  for word in (commandline -opc)[2..-1]
    switch "$path $word"${follow}
    end
  end
  test "$path" = "$argv"
end
complete -c ${root.path} -f
${lines.join("\n")}
`;
}

function commandLines(root: string, at: string, command: CommandWords, devices: string): string[] {
  const start = `complete -c ${root} -n ${quoted(`${at} ${command.path}`)}`;
  const names = command.commands.map(
    ({ name, description }) => `${start} -f -a ${name} -d ${quoted(description)}`,
  );
  const options = command.options.map((option) => `${start} ${optionPart(option, devices)}`);
  const argument = command.commands.length === 0 ? argumentPart(command.argument, devices) : "";
  return [...names, ...options, ...(argument === "" ? [] : [`${start} ${argument}`])];
}

function optionPart({ flags, description, value }: OptionWords, devices: string): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, ...valuePart(value, devices), "-d", quoted(description)].join(" ");
}

function valuePart(value: ValueKind, devices: string): string[] {
  switch (value.kind) {
    case "none":
      return ["-f"];
    case "text":
      return ["-x"];
    case "file":
      return ["-r", "-F"];
    case "device":
      return ["-x", "-a", quoted(`(${devices} 2>/dev/null)`)];
    case "choice":
      return ["-x", "-a", quoted(value.choices.join(" "))];
  }
}

function argumentPart(value: ValueKind, devices: string): string {
  if (value.kind === "file") return "-F";
  return value.kind === "device" || value.kind === "choice" ? valuePart(value, devices).join(" ") : "";
}

/** fish knows only \\ and \' inside single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
