import { mkdirSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { delay } from "./board-base.js";
import { HarnessError } from "./board.js";
import { leash, type Leashed } from "./leash.js";
import { RenodeMonitor } from "./renode-monitor.js";

/** Real ms between two looks whether Renode is up. */
const LOOK = 10;
/** How much of the log an error shows. */
const LOG_LINES = 15;

/** A running Renode, and its monitor. */
export interface RenodeProcess {
  readonly leashed: Leashed;
  readonly monitor: RenodeMonitor;
  /** The end of its log and of what it printed, for messages. */
  tail(): Promise<string>;
}

/**
 * Starts Renode without any window, with all that it writes in `folder`, which is made: temporary files, settings, log. It
 * takes a free port for its robot server itself, and tells it there. `owned` is removed if this process is killed.
 */
export async function startProcess(
  program: string,
  folder: string,
  owned: string,
  limit: number,
): Promise<RenodeProcess> {
  mkdirSync(folder);
  const log = join(folder, "renode.log");
  const args = [
    // a monitor that is hidden altogether keeps a core busy; one on a console that nobody types at waits
    ...["--disable-gui", "--console", "--plain", "--hide-log", "--config", join(folder, "renode.config")],
    ...["--robot-server-port", "0"],
  ];
  const leashed = await leash(program, args, owned, {
    grouped: true,
    openInput: true,
    environment: { TMPDIR: folder },
  });
  let ended: string | undefined;
  void leashed.ended.then(({ code, output }) => (ended = `Renode ended with ${code}: ${output}`));
  const end = performance.now() + limit;
  for (;;) {
    const port = await findPort(folder);
    if (port !== undefined) {
      const monitor = new RenodeMonitor(port);
      return { leashed, monitor, tail: () => tailOf(log) };
    }
    if (ended !== undefined)
      throw new HarnessError("EMULATOR_ENDED", `${ended}\nIt was started as: ${program} ${args.join(" ")}`);
    if (performance.now() > end) {
      await leashed.kill();
      throw new HarnessError("TIMEOUT", `Renode was not up within ${limit} ms; startTimeout allows it more`);
    }
    await delay(LOOK);
  }
}

/** Renode writes it into the folder of temporary files that has its process id in its name. */
async function findPort(folder: string): Promise<number | undefined> {
  for (const name of await readdir(folder)) {
    if (!/^renode-\d+$/.test(name)) continue;
    const text = await readFile(join(folder, name, "robot_port"), "utf8").catch(() => "");
    // the file is there before the number is
    if (/^\d+$/.test(text.trim())) return Number(text);
  }
  return undefined;
}

async function tailOf(log: string): Promise<string> {
  const text = await readFile(log, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-LOG_LINES).join("\n");
}
