// All suites on the STM32L552 under Renode: end to end, power cuts, lost cores, rollback, corruption, a hundred swaps, the main
// job. Where there is no Renode one line says so, and every test counts as skipped. Further words go to vitest.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { findRenode, RENODE_MISSING } from "renode-test-harness";

const ROOT = join(import.meta.dirname, "..");

const found = findRenode();
console.log(found === undefined ? RENODE_MISSING : `Renode ${found.version}, ${found.path}`);
const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--config", join(ROOT, "scripts/renode.config.ts"), ...process.argv.slice(2)],
  { cwd: ROOT, stdio: "inherit", env: { ...process.env, EDGEPLUG_BOARDS: "renode" } },
);
process.exitCode = status ?? 1;
