// Builds and checks every example agent into build/agents/<folder>/ and packs it, unsigned. What hasn't changed since
// its last build is left as it is.
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { buildAgent, EdgePlugError, packAgent, serializePackage } from "edgeplug";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const AGENTS = join(ROOT, "firmware/agents");

const folders = readdirSync(AGENTS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

try {
  for (const folder of folders) {
    const out = join(ROOT, "build/agents", folder);
    const { config, wasm, check, unchanged } = await buildAgent(join(AGENTS, folder), {
      out,
      skipUnchanged: true,
    });
    const epk = serializePackage(packAgent(config, wasm));
    writeFileSync(join(out, "agent.epk"), epk);
    const figures = `${wasm.length} bytes, fuel ${check.worstFuel} of ${config.limits.fuel}`;
    console.log(`${folder.padEnd(20)} ${figures}${unchanged ? ", unchanged" : ""}`);
  }
} catch (thrown) {
  const error = EdgePlugError.from(thrown);
  console.error(`${error.diagnostics ?? ""}error ${error.id}: ${error.message}\n  try: ${error.action}`);
  process.exitCode = error.exit;
}
