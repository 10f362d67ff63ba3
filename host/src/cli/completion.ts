/** edgeplug completion: scripts that make a shell complete the words of both commands. */
import { spawnSync } from "node:child_process";

import { Argument, Command } from "commander";

import { completionScript, SHELLS, type Shell } from "../completion/index.js";

export function completionCommand(): Command {
  return new Command("completion")
    .summary("print a script that completes commands, options, files and devices")
    .description(
      "Prints a completion script for a shell, for edgeplug and, if it is installed, edgeplug-push. " +
        "`devices` prints what --device can be now; no port is opened for that.",
    )
    .addArgument(new Argument("<shell>", "for which shell").choices([...SHELLS, "devices"]))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(edgeplug completion bash)         in ~/.bashrc" +
        "\n  source <(edgeplug completion zsh)          in ~/.zshrc, after compinit" +
        "\n  edgeplug completion fish | source          in ~/.config/fish/config.fish",
    )
    .action(async (shell: Shell | "devices") => {
      process.stdout.write(shell === "devices" ? await devices() : await scripts(shell));
    });
}

async function scripts(shell: Shell): Promise<string> {
  const { createProgram } = await import("./program.js");
  const own = completionScript(shell, await createProgram("all"));
  // The other command defines its own options, and is a package of its own.
  const { stdout, status } = spawnSync("edgeplug-push", ["--completion", shell], { encoding: "utf8" });
  return status === 0 ? `${own}\n${stdout}` : own;
}

async function devices(): Promise<string> {
  const { findCandidates } = await import("../discovery/candidates.js");
  const ports = (await findCandidates()).map(({ port }) => port);
  return ["auto", ...ports].map((word) => `${word}\n`).join("");
}
