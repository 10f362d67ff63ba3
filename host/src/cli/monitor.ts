/** edgeplug monitor: follows what a board says, whatever happens to the line. */
import { Command, Option } from "commander";

import { linkSignals } from "../abort.js";
import { EdgePlugError } from "../errors.js";
import type { Followed } from "../follow.js";
import { openNamed, requireDevice, withDevice, type DeviceOptions } from "./device-options.js";
import { interruptible } from "./interrupt.js";
import { EVENTS, followedLine, followedName, followedRecord } from "./monitor-lines.js";
import { Output, readerLeft } from "./output.js";
import { seconds } from "./seconds.js";

interface MonitorOptions extends DeviceOptions {
  until?: string;
  for?: number;
}

export function monitorCommand(): Command {
  return withDevice(
    new Command("monitor")
      .summary("follow a board's logs, swaps, rollbacks and resets")
      .description(
        "Prints what the board says as it says it, one line each, with the time: logs of its agent, steps of updates, rollbacks, " +
          "traps, health. Stays through resets, pulled cables and replugged USB, and says so. Ctrl-C ends it.",
      ),
  )
    .addOption(new Option("--until <event>", "end with exit code 0 at the first of these").choices(EVENTS))
    .option("--for <seconds>", "end after so long; with --until that is a failure", seconds)
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug monitor --device auto\n  edgeplug monitor --device /dev/ttyUSB0 --json >> board.jsonl\n" +
        "  edgeplug monitor --device auto --until confirmed --for 120",
    )
    .action(monitor);
}

async function monitor(options: MonitorOptions): Promise<void> {
  const output = new Output(options);
  await interruptible(async (interrupt) => {
    const { signal, unlink } = linkSignals([interrupt, readerLeft], options.for);
    try {
      if (await follow(options, output, signal)) return;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      unlink();
    }
    if (options.until === undefined || interrupt.aborted || readerLeft.aborted) return;
    const limit = (options.for ?? 0) / 1000;
    throw new EdgePlugError("TIMEOUT", `There was no "${options.until}" within ${limit} s.`, {
      action: "Raise --for, or see what the board does by `edgeplug-push --status`.",
    });
  });
}

/** True as soon as what was waited for has come; false at the signal. */
async function follow(options: MonitorOptions, output: Output, signal: AbortSignal): Promise<boolean> {
  const { followBoard } = await import("../follow.js");
  const device = requireDevice(options);
  const open = (name: string, ended: AbortSignal | undefined) => openNamed(name, options, ended);
  for await (const followed of followBoard(device, { open, signal })) {
    tell(followed, output);
    if (followedName(followed) === options.until) return true;
  }
  return false;
}

function tell(followed: Followed, output: Output): void {
  const now = new Date();
  output.result([`${clock(now)} ${followedLine(followed)}`], {
    time: now.toISOString(),
    ...followedRecord(followed),
  });
}

/** Local time, `2026-11-21 14:25:35.158` */
function clock(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return local.toISOString().replace("T", " ").slice(0, -1);
}
