/** edgeplug gateway backup */
import { resolve } from "node:path";

import { Command } from "commander";

import { administer } from "../gateway/administer.js";
import { stateFolder, withStateFolder, type StateOptions } from "./gateway-state-options.js";
import { Output } from "./output.js";

export function backupCommand(): Command {
  return withStateFolder(
    new Command("backup")
      .summary("copy the gateway's state into a new folder, also while it runs")
      .description(
        "Copies database, audit log, authority and certificate into FOLDER as they are at one moment. To restore, copy the " +
          "folder to where the state was. Keep it as safe as the gateway: the authority's key is in it.",
      )
      .argument("<folder>", "a folder that doesn't exist yet, on the gateway's machine")
      .addHelpText("after", "\nExample:\n  edgeplug gateway backup /mnt/backup/gateway-2026-11-21"),
  ).action(async (folder: string, options: StateOptions) => {
    const to = resolve(folder);
    const { files } = await administer(stateFolder(options), "backup", { folder: to });
    new Output(options).result([`${to}: ${files.join(", ")}`], { folder: to, files });
  });
}
