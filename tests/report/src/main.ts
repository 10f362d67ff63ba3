/** `npm run report`: writes the page from what the last runs of the suites left. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { ImageSizes } from "./budgets.js";
import { reportPage } from "./page.js";
import { CALLED_FROM, readResults, RESULTS_FOLDER } from "./results.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DEFAULT_OUT = "build/report.html";

const HELP = `Usage: npm run report -- [--out FILE]

Writes one HTML page, which needs no network, about the last runs of the suites.

  --out FILE   where to write it (default ${DEFAULT_OUT})
  --help       this text

Examples:
  npm test && npm run report
  npm run power -- --all && npm run report -- --out power.html`;

function sizes(): ImageSizes[] {
  const text = execFileSync(process.execPath, ["scripts/check-size.mjs", "--json"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return JSON.parse(text) as ImageSizes[];
}

function main(): number {
  const { values } = parseArgs({
    options: { out: { type: "string", default: DEFAULT_OUT }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  const results = readResults();
  if (results.length === 0) {
    console.error(`report: no suite has left a result in ${RESULTS_FOLDER}.`);
    console.error("Run one first, such as: npm test");
    return 1;
  }
  const out = resolve(CALLED_FROM, values.out);
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, reportPage(results, sizes()));
  console.log(out);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(`report: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
