// Makes everything that follows from one source in the repo: C headers, linker symbols and TypeScript constants.
// Runs in a blink when nothing changed; a file is only rewritten when its content changes, so that builds
// behind it stay up to date.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const STAMP = "build/generated/stamp.json";
const BOARDS = ["qemu", "sim", "stm32l552"];
/** What boards speak, and what only hosts speak among themselves. */
const BOARD_PROTOS = ["package", "device"];
const PROTOS = [...BOARD_PROTOS, "gateway"];

const GENERATED_IN_HOST = ["host/src/generated", "host/dist/generated"];

const protoFile = (name) => `${name}.proto`;
const at = (path) => join(ROOT, path);
const read = (path) => readFileSync(at(path), "utf8");

/** Every file that the outputs depend on, this one included. */
function inputs() {
  const optional = ["firmware/runtime/wasm/fuel.def"].filter((path) => existsSync(at(path)));
  return [
    "scripts/generate.mjs",
    "package-lock.json",
    "proto/errors.json",
    ...PROTOS.map((name) => `proto/${name}.proto`),
    ...BOARD_PROTOS.map((name) => `proto/${name}.options`),
    ...BOARDS.map((board) => `firmware/boards/${board}/memory-map.json`),
    "firmware/runtime/core/limits.h",
    "firmware/runtime/hotswap/record_layout.h",
    ...optional,
  ];
}

function inputHash(paths) {
  const hash = createHash("sha256");
  for (const path of paths)
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(at(path)))
      .update("\0");
  return hash.digest("hex");
}

const written = [];

function write(path, content) {
  written.push(path);
  const file = at(path);
  if (existsSync(file) && readFileSync(file, "utf8") === content) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

const upperSnake = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();

/** Hex strings of the map files become numbers; everything else stays. */
function parseNumbers(value) {
  if (typeof value === "string" && /^0x[0-9a-fA-F]+$/.test(value)) return Number(value);
  if (Array.isArray(value)) return value.map(parseNumbers);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, parseNumbers(inner)]));
  return value;
}

/** Flat list of [NAME, number] of a memory map; texts and lists are left out. */
function flatten(map, prefix) {
  return Object.entries(map).flatMap(([key, value]) => {
    const name = `${prefix}_${upperSnake(key)}`;
    if (typeof value === "number") return [[name, value]];
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return flatten(value, name);
    return [];
  });
}

/** The journal's compaction has room for so many bytes' worth of entries in one half. */
const JOURNAL_HALF_MAX = 8192;

function checkMap(board, { flash, journal }) {
  if (journal !== undefined && journal.pagesPerHalf * flash.eraseSize > JOURNAL_HALF_MAX)
    throw new Error(
      `firmware/boards/${board}/memory-map.json: a journal half has at most ${JOURNAL_HALF_MAX} bytes`,
    );
}

const floatLiteral = (value) => (Number.isInteger(value) ? `${value}.0f` : `${value}f`);

function memoryMapHeader(board, map, maps) {
  const lines = [
    `/* Generated from firmware/boards/${board}/memory-map.json. */`,
    "#ifndef EP_MEMORY_MAP_H",
    "#define EP_MEMORY_MAP_H",
    "",
  ];
  const define = (name, value) =>
    lines.push(`#define ${name} ${value > 0xffff ? `0x${value.toString(16).toUpperCase()}` : value}u`);
  for (const [name, value] of flatten(map, "EP_MAP")) define(name, value);
  for (const [geometry, source] of Object.entries(map.geometries ?? {})) {
    lines.push("", `/* geometry ${geometry}: that of board ${source} */`);
    const { flash, slots, journal } = maps[source];
    for (const [name, value] of flatten({ flash, slots, journal }, `EP_MAP_${upperSnake(geometry)}`))
      define(name, value);
  }
  lines.push("", `#define EP_MAP_OUTPUTS ${map.outputs.length}u`);
  lines.push(
    `#define EP_MAP_FAIL_SAFE { ${map.outputs.map((output) => floatLiteral(output.failSafe)).join(", ")} }`,
  );
  lines.push("", "#endif", "");
  return lines.join("\n");
}

const linkerSymbols = (board, map) =>
  [
    `/* Generated from firmware/boards/${board}/memory-map.json. */`,
    ...flatten(map, "EP_MAP").map(([name, value]) => `${name.toLowerCase()} = 0x${value.toString(16)};`),
    "",
  ].join("\n");

/** `#define PREFIX_NAME value` lines of a C header, in order. */
function defines(path, prefix) {
  const found = [];
  for (const [, name, value] of read(path).matchAll(
    /^#define (EP_\w+) +(0x[0-9a-fA-F]+|\d+|"[^"]*")u?(?=\s|$)/gm,
  ))
    if (name.startsWith(prefix)) found.push([name.slice("EP_".length), value]);
  return found;
}

const constants = (source, pairs) =>
  [
    `// Generated from ${source}.`,
    ...pairs.map(([name, value]) => `export const ${name} = ${value};`),
    "",
  ].join("\n");

function generateErrors() {
  const errors = JSON.parse(read("proto/errors.json"));
  const codes = new Set(errors.map((error) => error.code));
  const names = new Set(errors.map((error) => error.name));
  if (codes.size !== errors.length || names.size !== errors.length)
    throw new Error("proto/errors.json: codes and names must be unique");
  const c = errors.map((error) => `  EP_ERR_${error.name} = -${error.code}, /* ${error.cause} */`);
  write(
    "build/generated/c/errors.h",
    [
      "/* Generated from proto/errors.json. */",
      "#ifndef EP_ERRORS_H",
      "#define EP_ERRORS_H",
      "",
      "typedef enum {",
      "  EP_OK = 0,",
      ...c,
      "} ep_error_t;",
      "",
      "#endif",
      "",
    ].join("\n"),
  );
  const entries = errors.map((error) => `  ${error.name}: ${JSON.stringify(error)},`);
  write(
    "host/src/generated/errors.ts",
    ["// Generated from proto/errors.json.", "export const ERRORS = {", ...entries, "} as const;", ""].join(
      "\n",
    ),
  );
}

function generateMaps() {
  const maps = Object.fromEntries(
    BOARDS.map((board) => [
      board,
      parseNumbers(JSON.parse(read(`firmware/boards/${board}/memory-map.json`))),
    ]),
  );
  for (const [board, map] of Object.entries(maps)) {
    checkMap(board, map);
    write(`build/generated/c/${board}/memory_map.h`, memoryMapHeader(board, map, maps));
    write(`build/generated/ld/${board}.ld`, linkerSymbols(board, map));
  }
  write(
    "firmware/boards/sim/src/generated/memory-maps.ts",
    `// Generated from firmware/boards/*/memory-map.json.\nexport const MEMORY_MAPS = ${JSON.stringify(maps, null, 2)} as const;\n`,
  );
}

function generateConstants() {
  const layout = "firmware/runtime/hotswap/record_layout.h";
  write("host/src/generated/record-layout.ts", constants(layout, defines(layout, "EP_RECORD_")));
  const limits = "firmware/runtime/core/limits.h";
  write("host/src/generated/limits.ts", constants(limits, defines(limits, "EP_")));
}

function generateMessages() {
  const scratch = mkdtempSync(join(tmpdir(), "edgeplug-generate-"));
  try {
    const files = BOARD_PROTOS.map(protoFile);
    execFileSync("nanopb_generator.py", ["-q", "-D", scratch, ...files], {
      cwd: at("proto"),
      stdio: ["ignore", "inherit", "inherit"],
    });
    for (const name of readdirSync(scratch))
      write(`build/generated/c/${name}`, readFileSync(join(scratch, name), "utf8"));
    // Two runs: types are written from comments, and every start of a tool would have to read those.
    compileMessages(join(scratch, "messages.js"), "--no-comments");
    compileMessages(join(scratch, "typed.js"), "--dts");
    renameSync(join(scratch, "typed.d.ts"), join(scratch, "messages.d.ts"));
    // gRPC's reflection tells the definitions themselves, so they travel with the library.
    for (const folder of GENERATED_IN_HOST)
      for (const file of PROTOS.map(protoFile)) write(`${folder}/proto/${file}`, read(`proto/${file}`));
    // tsc copies neither a .js beside a .d.ts nor the .d.ts, so both also go where it writes its own output.
    for (const folder of GENERATED_IN_HOST)
      for (const name of ["messages.js", "messages.d.ts"])
        write(`${folder}/${name}`, readFileSync(join(scratch, name), "utf8"));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Without what nothing uses: each start of a tool reads the whole file. */
function compileMessages(file, ...options) {
  const unused = ["--no-verify", "--no-typeurl", "--no-service"];
  const pbjs = at("node_modules/protobufjs-cli/bin/pbjs");
  const shape = ["-t", "static-module", "-w", "esm", "--force-number"];
  execFileSync(
    process.execPath,
    [pbjs, ...shape, ...unused, ...options, "-o", file, ...PROTOS.map(protoFile)],
    { cwd: at("proto"), stdio: ["ignore", "inherit", "inherit"] },
  );
}

function upToDate(hash) {
  if (!existsSync(at(STAMP))) return false;
  const stamp = JSON.parse(read(STAMP));
  return stamp.hash === hash && stamp.files.every((path) => existsSync(at(path)));
}

const hash = inputHash(inputs());
if (!upToDate(hash)) {
  generateErrors();
  generateMaps();
  generateConstants();
  generateMessages();
  write(STAMP, JSON.stringify({ hash, files: written.filter((path) => path !== STAMP) }));
  console.log(`generated ${written.length - 1} files`);
}
