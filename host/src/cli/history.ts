/** edgeplug history: the board's journal, for people and for files. */
import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { withDevice, withSession, type DeviceOptions } from "./device-options.js";
import { Output } from "./output.js";

interface HistoryOptions extends DeviceOptions {
  limit?: string;
}

export function historyCommand(): Command {
  return withDevice(
    new Command("history")
      .summary("print or export a board's journal")
      .description(
        "Prints what the board's journal remembers, newest first: boots, updates, trials and how they ended, keys, locks, damage. " +
          "A board has no clock; the order is that of `sequence`.",
      ),
  )
    .option("--limit <entries>", "only the newest")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug history --device auto\n  edgeplug history --device auto --limit 10\n" +
        "  edgeplug history --device auto --json > journal.jsonl",
    )
    .action(async (options: HistoryOptions) => {
      const limit = options.limit === undefined ? undefined : Number(options.limit);
      if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
        throw new EdgePlugError("USAGE", `--limit ${options.limit} is not a number above 0.`);
      }
      await withSession(options, async (session, signal) => {
        const { historyLine, historyRecord } = await import("../session/describe.js");
        const output = new Output(options);
        for (const entry of await session.history({ limit, signal })) {
          const [sequence, text] = historyLine(entry);
          output.result([`${sequence.padStart(6)}  ${text}`], { event: "history", ...historyRecord(entry) });
        }
      });
    });
}
