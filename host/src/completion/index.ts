/** Completion scripts for commands that commander defines: `import { completionScript } from "edgeplug/completion"`. */
import type { Command } from "commander";

import { bashScript } from "./bash.js";
import { fishScript } from "./fish.js";
import { commandWords } from "./words.js";
import { zshScript } from "./zsh.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Prints what --device may be, one a line; opens no port. */
const DEVICES = "edgeplug completion devices";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** The script that completes `command` and all commands below it. */
export function completionScript(shell: Shell, command: Command): string {
  return SCRIPTS[shell](commandWords(command), DEVICES);
}
