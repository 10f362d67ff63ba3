// Flash used by each part of the linked images, from the linker's map, and the static RAM of the hot-swap engine,
// against scripts/size-budgets.json. A part has a target; one that misses it also has a ceiling, which may only go down.
// Fails when a ceiling (or a target without one) is overrun.
//
//   node scripts/check-size.mjs [--json]
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const BUDGETS = JSON.parse(readFileSync(join(ROOT, "scripts/size-budgets.json"), "utf8"));
const IN_FLASH = /^\.(boot_vectors|vectors|start|scan|text|rodata|data|ARM\.exidx)$/;
const IN_RAM = /^\.(data|bss)$/;

/** Every input section of a map: output section, size, and the object that it came from. */
export function readMap(text) {
  const body = text.slice(text.indexOf("Linker script and memory map"));
  const found = [];
  const totals = new Map();
  let output = "";
  let pending = "";
  for (const line of body.split("\n")) {
    const head = /^(\.\S+)(?:\s+0x[0-9a-f]+\s+0x([0-9a-f]+))?/.exec(line);
    if (head !== null) {
      output = head[1];
      if (head[2] !== undefined) totals.set(output, parseInt(head[2], 16));
      pending = "output";
      continue;
    }
    // a long name stands on a line of its own, its figures on the next
    const figures =
      /^\s+(?:(\.\S+|COMMON)\s+)?0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+load address \S+|\s+(\S.*))?$/.exec(line);
    if (figures !== null) {
      const [, name, , size, object] = figures;
      if (object !== undefined && (name !== undefined || pending === "input"))
        found.push({ output, size: parseInt(size, 16), object });
      else if (pending === "output" && !totals.has(output)) totals.set(output, parseInt(size, 16));
      pending = "";
      continue;
    }
    if (/^ (\.\S+|COMMON)$/.test(line)) pending = "input";
  }
  return { sections: found, totals };
}

function partOf(object) {
  return (
    BUDGETS.parts.find((part) => part.objects.some((pattern) => object.includes(pattern)))?.name ?? "other"
  );
}

export function measure(image) {
  const { sections, totals } = readMap(readFileSync(join(ROOT, `build/${image}/${image}.map`), "utf8"));
  const used = new Map();
  for (const { output, size, object } of sections)
    if (IN_FLASH.test(output)) used.set(partOf(object), (used.get(partOf(object)) ?? 0) + size);
  const attributed = [...used.values()].reduce((sum, size) => sum + size, 0);
  const whole = [...totals].filter(([name]) => IN_FLASH.test(name)).reduce((sum, [, size]) => sum + size, 0);
  used.set("alignment and other", (used.get("other") ?? 0) + whole - attributed);
  used.delete("other");
  const ram = sections
    .filter(({ output, object }) => IN_RAM.test(output) && object.includes("libep_hotswap.a"))
    .reduce((sum, { size }) => sum + size, 0);
  return { used, whole, engineStatics: ram };
}

/** Bytes of the context that the engine's caller owns, as the Arm compiler lays it out. */
function contextSize(image) {
  const folder = join(ROOT, `build/${image}/CMakeFiles/ep_size_probe.dir`);
  const object = readdirSync(folder, { recursive: true }).find(
    (name) => /size_probe\.c\.o/.test(name) && !name.endsWith(".d"),
  );
  const symbols = execFileSync("arm-none-eabi-nm", ["-S", join(folder, object)], { encoding: "utf8" });
  return parseInt(/^[0-9a-f]+ ([0-9a-f]+) . ep_size_of_hotswap$/m.exec(symbols)[1], 16);
}

/** What one image takes, as rows: name, bytes, and the target and ceiling of parts that have them. */
function rowsOf(image) {
  if (!existsSync(join(ROOT, `build/${image}/${image}.map`)))
    throw new Error(`build/${image}/${image}.map is missing: run scripts/setup first`);
  const { used, whole, engineStatics } = measure(image);
  const parts = BUDGETS.parts.filter(({ only }) => only === undefined || only === image);
  const instruments = parts.filter(({ only }) => only !== undefined);
  const bytesOf = ({ name }) => used.get(name) ?? 0;
  const rest = whole - instruments.reduce((sum, part) => sum + bytesOf(part), 0);
  const limits = ({ target, ceiling }) => ({ target, ceiling });
  return [
    ...parts.map((part) => ({
      name: part.only === undefined ? part.name : `${part.name} (this board only)`,
      bytes: bytesOf(part),
      ...limits(part),
    })),
    { name: "alignment and other", bytes: used.get("alignment and other") },
    {
      name: instruments.length > 0 ? "whole runtime, without the former" : "whole runtime",
      bytes: rest,
      ...limits(BUDGETS.total),
    },
    {
      name: "static RAM of the hot-swap engine",
      bytes: engineStatics + contextSize(image),
      target: BUDGETS.engineRam,
    },
  ];
}

/** One line; true if the ceiling is overrun. Without a ceiling of its own, the target is one. */
function row(name, bytes, { target, ceiling = target } = {}) {
  const over = ceiling !== undefined && bytes > ceiling;
  let share = "";
  if (target !== undefined) {
    const percent = `${String(Math.round((100 * bytes) / target)).padStart(4)} %`;
    const missed = bytes > target ? `  target missed by ${bytes - target}` : "";
    share = `${String(target).padStart(8)} ${percent}${missed}${over ? `, OVER the ceiling of ${ceiling}` : ""}`;
  }
  console.log(`  ${name.padEnd(36)}${String(bytes).padStart(8)}${share}`);
  return over;
}

function report({ image, parts }) {
  console.log(`${image}: bytes of flash, target`);
  return parts.map((part) => row(part.name, part.bytes, part)).some((over) => over);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const images = BUDGETS.images.map((image) => ({ image, parts: rowsOf(image) }));
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify(images));
  } else if (images.map(report).some((over) => over)) {
    console.error("A part has outgrown its ceiling (scripts/size-budgets.json).");
    process.exitCode = 1;
  }
}
