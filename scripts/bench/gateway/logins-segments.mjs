// Pushes with and without failed logins beside them, in short segments by turns, so that both meet the same machine. In the
// segments without, the same process fails to log in at another gateway that has nothing else to do: what an attacker takes of
// this machine's processors is the same in both, and is not the gateway's.
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { ROOT } from "../board.mjs";

const ATTACKER = join(ROOT, "scripts/bench/gateway/failed-logins.mjs");
const CONNECTIONS = 8;
/** What an earlier segment left under way isn't counted. */
const BETWEEN_MS = 500;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Attacker {
  static async start(gateway, rate) {
    const child = fork(
      ATTACKER,
      [gateway.port, join(gateway.folder, "ca.pem"), rate, CONNECTIONS].map(String),
    );
    return new Attacker(child);
  }

  constructor(child) {
    this.child = child;
  }

  start() {
    this.child.send("start");
  }

  stop() {
    this.child.send("stop");
  }

  /** {sent, answered, statuses} so far. */
  count() {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error("the process that fails to log in has ended"));
      this.child.once("exit", ended);
      this.child.once("message", (count) => {
        this.child.off("exit", ended);
        resolve(count);
      });
      this.child.send("count");
    });
  }

  async end() {
    this.child.disconnect();
    await once(this.child, "exit");
  }
}

/** One segment: {seconds, pushes, times, cpuMs, decoyMs, asked, answered} */
async function segment(gateway, decoy, load, attacker, ms) {
  attacker.start();
  await pause(BETWEEN_MS);
  const before = await attacker.count();
  const [start, cpu, decoyCpu, first] = [performance.now(), gateway.cpu, decoy.cpu, load.total];
  await pause(ms);
  const [end, cpuEnd, decoyEnd, last] = [performance.now(), gateway.cpu, decoy.cpu, load.total];
  const after = await attacker.count();
  attacker.stop();
  await pause(BETWEEN_MS);
  const times = load.times.slice(first, last).map((push) => push.ms);
  return {
    seconds: (end - start) / 1000,
    pushes: last - first,
    times,
    cpuMs: cpuEnd - cpu,
    decoyMs: decoyEnd - decoyCpu,
    asked: after.sent - before.sent,
    answered: after.answered - before.answered,
  };
}

/**
 * `pairs` of segments of `ms` each, with the one under attack first in every other pair, while `load` pushes as fast as it can.
 * `decoy`: the other gateway. Gives all segments, and what the attacker was answered.
 */
export async function attackInSegments(gateway, decoy, load, { rate, pairs, ms }) {
  const attacker = await Attacker.start(gateway, rate);
  const elsewhere = await Attacker.start(decoy, rate);
  let over = false;
  const pushing = load.run(Infinity, { stopped: () => over });
  const segments = [];
  try {
    await pause(2 * BETWEEN_MS);
    for (let pair = 0; pair < pairs; pair++)
      for (const attacked of pair % 2 === 0 ? [false, true] : [true, false])
        segments.push({
          pair,
          attacked,
          ...(await segment(gateway, decoy, load, attacked ? attacker : elsewhere, ms)),
        });
    return { segments, statuses: (await attacker.count()).statuses };
  } finally {
    over = true;
    await pushing;
    await attacker.end();
    await elsewhere.end();
  }
}
