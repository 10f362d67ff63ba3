/** edgeplug monitor: follows what a board says, whatever happens to the line. */
import { Command, Option } from "commander";

import { linkSignals } from "../abort.js";
import { EdgePlugError } from "../errors.js";
import type { MappedPackage } from "../agent/rejection.js";
import type { Followed } from "../follow.js";
import { openNamed, requireDevice, withDevice, type DeviceOptions } from "./device-options.js";
import { interruptible } from "./interrupt.js";
import { EVENTS, followedLine, followedName, followedRecord } from "./monitor-lines.js";
import { Output, readerLeft } from "./output.js";
import { seconds } from "./seconds.js";

interface MonitorOptions extends DeviceOptions {
  until?: string;
  source?: string[];
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
    "print one JSON object a line",
  )
    .addOption(new Option("--until <event>", "end with exit code 0 at the first of these").choices(EVENTS))
    .option(
      "--source <package...>",
      "packages whose source maps lie beside them: their traps name file and line",
    )
    .option("--for <seconds>", "end after so long; with --until that is a failure", seconds)
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug monitor --device auto\n  edgeplug monitor --device /dev/ttyUSB0 --json >> board.jsonl\n" +
        "  edgeplug monitor --device auto --until confirmed --for 120\n" +
        "  edgeplug monitor --device auto --source my-agent/build/agent.epk",
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
  const sources = await readSources(options.source ?? []);
  for await (const followed of followBoard(device, { open, signal, digests: sources.length > 0 })) {
    tell(followed, output, sources);
    if (followedName(followed) === options.until) return true;
  }
  return false;
}

/** Throws what reading a package throws, and FILE_NOT_FOUND for one without its source map. */
async function readSources(paths: readonly string[]): Promise<MappedPackage[]> {
  if (paths.length === 0) return [];
  const { mapOfPackage } = await import("../agent/rejection.js");
  const { readPackageFile } = await import("../package-file.js");
  return Promise.all(
    paths.map(async (path) => {
      const mapped = await mapOfPackage(await readPackageFile(path), path);
      if (mapped !== undefined) return mapped;
      throw new EdgePlugError("FILE_NOT_FOUND", `There is no source map of ${path} beside it.`, {
        action: "Pack it anew: `edgeplug pack` puts the map beside the package.",
      });
    }),
  );
}

function tell(followed: Followed, output: Output, sources: readonly MappedPackage[]): void {
  const now = new Date();
  const source = sourceOf(followed, sources);
  const line = followedLine(followed);
  output.result([`${clock(now)} ${source === undefined ? line : source.inWords(line)}`], {
    time: now.toISOString(),
    ...followedRecord(followed),
    ...(source === undefined ? {} : { place: source.place }),
  });
}

/** Whose source a trap is in, by the digest of the package that the board has. */
function sourceOf(
  followed: Followed,
  sources: readonly MappedPackage[],
): { place: object; inWords(line: string): string } | undefined {
  if (followed.kind !== "event" || followed.digest === undefined) return undefined;
  const { digest, event } = followed;
  const mapped = sources.find((one) => Buffer.compare(one.digest, digest) === 0);
  const place = mapped?.locate(event.detail);
  if (mapped === undefined || place === undefined) return undefined;
  return { place, inWords: mapped.inWords };
}

/** Local time, `2026-11-21 14:25:35.158` */
function clock(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return local.toISOString().replace("T", " ").slice(0, -1);
}
