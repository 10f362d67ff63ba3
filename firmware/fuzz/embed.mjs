// node embed.mjs HEADER MODULE.wasm...: modules as C arrays, so that a fuzz target needs no file.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const [header, ...modules] = process.argv.slice(2);
const text = modules.map((module) => {
  const bytes = readFileSync(module);
  return `static const uint8_t fuzz_agent_${basename(module, ".wasm")}[${bytes.length}] = {${[...bytes].join(",")}};\n`;
});
writeFileSync(header, `#include <stdint.h>\n${text.join("")}`);
