/** The `edgeplug` command as commander has it. */
import { createRequire } from "node:module";

import { Command } from "commander";

import { COMMANDS } from "./commands.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

/** With the definitions of one command, of all, or of none; of the others only their names. */
export async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command("edgeplug")
    .description("Build, pack, verify and deliver agents for EdgePlug boards.")
    .version(version)
    .option("--debug", "show where an error came from")
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug devices                        which boards are connected?\n" +
        "  edgeplug build my-agent                 compile an agent and check it\n" +
        "  edgeplug explain EP7003                 what does this error mean?\n" +
        "  edgeplug help monitor                   more about one command",
    );
  for (const entry of COMMANDS) {
    if (wanted === "all" || entry.name === wanted) program.addCommand(await entry.load());
    else program.command(entry.name).summary(entry.summary);
  }
  return program;
}
