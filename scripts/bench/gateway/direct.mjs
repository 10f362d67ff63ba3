// A process that pushes to one board in memory without a gateway: what board and session take by themselves.
import { join } from "node:path";

import { ROOT } from "../board.mjs";
import { smallPackages } from "./packages.mjs";

const WARM_UP = 20;

const host = (path) => import(join(ROOT, "host/dist", path));
const [{ openSim }, { DeviceSession }] = await Promise.all([
  host("transports/sim.js"),
  host("session/session.js"),
]);
const packageOf = await smallPackages();

async function push(session, release) {
  const run = session.push(packageOf(release));
  while (!(await run.next()).done);
}

const pushes = Number(process.argv[2]);
const session = await DeviceSession.connect(await openSim(""));
for (let release = 1; release <= WARM_UP; release++) await push(session, release);
for (let release = WARM_UP + 1; release <= WARM_UP + pushes; release++) packageOf(release);
const before = process.cpuUsage();
const start = performance.now();
for (let release = WARM_UP + 1; release <= WARM_UP + pushes; release++) await push(session, release);
const { user, system } = process.cpuUsage(before);
await session.close();
process.stdout.write(
  JSON.stringify({ cpuMs: (user + system) / 1000 / pushes, wallMs: (performance.now() - start) / pushes }),
);
