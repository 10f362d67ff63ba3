// What the fuzz targets begin with: real frames, requests, manifests, modules and boards' lives, written to the corpus of
// each target. Fuzzing adds to them; nothing of it is in git.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { edgeplug } from "../../host/dist/generated/messages.js";
import { corpusOf } from "./targets.mjs";

const ROOT = join(import.meta.dirname, "../..");

/** Numbers that are always the same. */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

function files(folder, suffix) {
  const at = join(ROOT, folder);
  if (!existsSync(at)) return [];
  return readdirSync(at, { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return files(path, suffix);
      return entry.name.endsWith(suffix) ? [join(ROOT, path)] : [];
    })
    .sort();
}

const agents = () => files("build/agents", "agent.wasm").map((file) => readFileSync(file));
const modules = () => [
  ...agents(),
  ...files("build/bench", ".wasm").map((file) => readFileSync(file)),
  ...files("build/fuzz/firmware/fuzz", ".wasm").map((file) => readFileSync(file)),
  ...wats(),
];

/** Small modules, one for each part of the binary format, by wabt. */
function wats() {
  const texts = readFileSync(join(ROOT, "firmware/fuzz/modules.wat"), "utf8").split(/^;; ---.*$/m);
  return texts
    .filter((text) => text.includes("(module"))
    .map((text) => execFileSync("wat2wasm", ["-", "--output=-"], { input: text }));
}

function manifests() {
  return files("build/agents", "agent.epk").map((file) =>
    Buffer.from(edgeplug.Package.decode(readFileSync(file)).signedManifest.manifest),
  );
}

/** Requests of every kind. */
function requests() {
  const manifest = manifests()[0] ?? new Uint8Array(8);
  const bodies = [
    ...["hello", "status", "activate", "confirm", "abort", "spent", "listKeys", "lock"].map((name) => ({
      [name]: {},
    })),
    { begin: { manifest } },
    { begin: { manifest, keyId: new Uint8Array(8), signature: new Uint8Array(64), timestamp: 1 } },
    { chunk: { offset: 0, data: new Uint8Array(64) } },
    { rollback: { allowDowngrade: true } },
    { call: { data: new Uint8Array([1, 2, 3]) } },
    { readSlot: { slot: 0, offset: 13824, size: 512 } },
    { history: { before: 5 } },
    { clearSpent: { digest: new Uint8Array(16) } },
    { addKey: { role: 1, publicKey: new Uint8Array(32).fill(9) } },
    { slot: { slot: 1 } },
    { shadow: { scans: 5, tolerance: [0.5, 0], allowed: 1 } },
    { shadowReport: {} },
    { challenge: {} },
    { unlock: {} },
    { removeKey: { keyId: new Uint8Array(8) } },
    { replaceKey: { keyId: new Uint8Array(8), publicKey: new Uint8Array(32).fill(9) } },
    { allowDowngrade: { digest: new Uint8Array(16) } },
    {
      signedCommand: {
        command: edgeplug.Request.encode({ unlock: {} }).finish(),
        nonce: new Uint8Array(8).fill(1),
        keyId: new Uint8Array(8),
        signature: new Uint8Array(64),
      },
    },
  ];
  return bodies.map((body, index) => edgeplug.Frame.encode({ request: { id: index + 1, ...body } }).finish());
}

/** Pieces as target_frames.c reads them: an odd length byte frames what follows it. */
function frameSeeds() {
  const framed = requests().map((message) => {
    const size = message.length > 252 ? 0xff : message.length | 1;
    return Buffer.concat([
      Buffer.from([size]),
      message,
      Buffer.alloc(size === 0xff ? 646 - message.length : size - message.length),
    ]);
  });
  const raw = [
    [0],
    [2, 1, 0],
    [4, 0, 2, 1, 0],
    [0xfe, ...new Array(646).fill(1)],
    [6, 5, 1, 2, 3, 4],
    [0xfc, 0x90, 2, 7, 2, 0, 0],
    [0xfc, 0xff, 7, 0],
  ];
  return [...framed, Buffer.concat(framed.slice(0, 4)), ...raw.map((bytes) => Buffer.from(bytes))];
}

/** Operations of target_requests.c; a state is 2 × its number in states.h, plus 1 for the other geometry. */
const DO = {
  status: 1,
  spent: 2,
  keys: 3,
  activate: 4,
  confirm: 5,
  abort: 6,
  lock: 7,
  begin: 8,
  chunk: 9,
  anyChunk: 10,
  call: 11,
  readSlot: 12,
  addKey: 13,
  clear: 14,
  message: 15,
  rollback: 16,
  history: 17,
  slot: 18,
  run: 19,
  boot: 21,
  pass: 22,
  damage: 23,
  removeKey: 24,
  replaceKey: 25,
  allowDowngrade: 26,
  challenge: 27,
  unlock: 28,
  signed: 29,
  shadow: 32,
  shadowReport: 33,
};
/** Of DO.signed: with a fresh nonce, by the operator. */
const COMMAND = {
  rollback: 0x81,
  clear: 0x83,
  addKey: 0x84,
  removeKey: 0x85,
  replaceKey: 0x86,
  unlock: 0x87,
};
/** Of DO.signed: bytes that need not be a command; a byte is changed after it was signed; by another key; the last one again. */
const SIGNED = { any: 0x89, changed: 0xa0, by: 0x90, again: 0x40 };
const shadow = (how, run) => [
  DO.begin,
  how,
  DO.chunk,
  255,
  DO.run,
  5,
  DO.shadow,
  run,
  DO.run,
  9,
  DO.shadowReport,
];
const update = (how) => [DO.begin, how, DO.chunk, 255, DO.run, 5, DO.activate, DO.run, 40];

function requestSeeds() {
  const stories = [
    [...update(0), ...update(1), DO.confirm, DO.run, 9, DO.rollback, 1],
    [...update(3), DO.spent, DO.clear, 0, ...update(3)],
    [...update(4), DO.status],
    [...update(2), DO.call, 3, 1, 2, 3, DO.call, 1, 0xff, DO.call, 1, 0xfe, DO.call, 1, 0xfd],
    [
      DO.addKey,
      0x10,
      DO.addKey,
      0x21,
      ...update(8),
      DO.run,
      9,
      DO.lock,
      ...update(0),
      ...update(0x19),
      ...update(9),
    ],
    [
      DO.begin,
      1,
      DO.chunk,
      30,
      DO.boot,
      0,
      DO.begin,
      1,
      DO.chunk,
      255,
      DO.chunk,
      255,
      DO.run,
      3,
      DO.activate,
      DO.boot,
      2,
    ],
    [DO.begin, 1, DO.pass, 1, DO.run, 2, DO.begin, 0x21, 9, 2, DO.abort],
    [DO.damage, 3, 0, 0, DO.run, 1, DO.pass, 1, DO.run, 1, DO.damage, 0x90, 16, 0, DO.pass, 1, DO.run, 2],
    [
      DO.readSlot,
      0,
      0,
      0,
      0,
      2,
      DO.readSlot,
      1,
      0,
      0x36,
      0,
      2,
      DO.history,
      0,
      DO.history,
      4,
      DO.slot,
      0,
      DO.slot,
      1,
      DO.keys,
    ],
    [DO.boot, 2, DO.boot, 2, DO.boot, 2, DO.boot, 2, DO.boot, 0],
    [...shadow(1, 0x15), DO.activate, DO.run, 40, ...shadow(3, 0x0f), DO.shadow, 3, DO.abort],
    [...shadow(1, 0x0f), DO.activate, DO.run, 20, DO.shadowReport, DO.begin, 1, DO.chunk, 255],
    [
      ...update(2),
      ...shadow(0x22, 0x24),
      DO.call,
      3,
      1,
      2,
      3,
      DO.call,
      1,
      0xff,
      DO.call,
      1,
      0xfe,
      DO.call,
      1,
      0xfd,
    ],
    [
      DO.shadow,
      0x8f,
      1,
      0,
      0,
      0xc0,
      0x7f,
      DO.shadow,
      0x81,
      1,
      0,
      0,
      0x80,
      0x3f,
      DO.run,
      3,
      DO.boot,
      0,
      DO.begin,
      1,
    ],
    [DO.signed, COMMAND.addKey, 0x23, DO.signed, SIGNED.again, DO.signed, COMMAND.removeKey, 1, DO.keys],
    [DO.signed, COMMAND.replaceKey, 0x31, DO.boot, 0, DO.signed, SIGNED.by | 7, 3, DO.lock, DO.unlock],
    [DO.signed, COMMAND.unlock, DO.signed, SIGNED.again, DO.lock, DO.signed, SIGNED.changed | 7, 1, 1],
    [
      DO.signed,
      COMMAND.rollback,
      1,
      DO.signed,
      COMMAND.clear,
      0,
      DO.challenge,
      DO.signed,
      7,
      DO.allowDowngrade,
      1,
    ],
    [
      DO.signed,
      SIGNED.any,
      3,
      0xba,
      1,
      0,
      DO.signed,
      SIGNED.any,
      5,
      0xba,
      1,
      0,
      8,
      1,
      DO.removeKey,
      1,
      DO.replaceKey,
      0x20,
    ],
    [DO.anyChunk, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, DO.activate, DO.confirm, DO.rollback, 0, DO.abort],
  ];
  const starts = Array.from({ length: 26 }, (_, state) => state);
  return [
    ...stories.flatMap((story) =>
      [0, 2, 5, 8, 12, 16, 18, 24].map((state) => Buffer.from([state, ...story])),
    ),
    ...starts.map((state) => Buffer.from([state, ...stories[0].slice(0, 9), ...stories[8]])),
    ...requests()
      .filter(({ length }) => length < 510 && length % 2 === 0)
      .map((message) => Buffer.from([4, DO.message, message.length / 2, ...message])),
  ];
}

/** What target_flash.c may do to flash: raw 0, entry 1, record 2, mark 3, forged slot 4, copy 5, erase 6, unreadable 7, torn 8, rot 9. */
function flashSeeds() {
  const harm = [
    [],
    [0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    [0, 2, 0, 0, 4, 0, 0, 0, 0],
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20].flatMap((kind) => [
      [1, 0, 0xfe, 1, kind, 1, 6, 1, 2, 4, 1, 2, 3, 4],
      [1, 1, 0xff, 200, kind, 255, 255, 255, 255, 15, ...new Array(15).fill(255)],
    ]),
    ...[0, 1, 2, 3, 4, 5].flatMap((mark) => [
      [3, mark << 1, 9],
      [3, (mark << 1) | 0x11, 9],
      [3, (mark << 1) | 0x41, 9],
    ]),
    ...Array.from({ length: 15 }, (_, field) => [
      4,
      field & 1,
      1,
      field,
      field * 2,
      255,
      5,
      3,
      (field & 1) | 0,
      3,
      8 | (field & 1),
    ]),
    [5, 0],
    [5, 1],
    [5, 2],
    [5, 3],
    ...[0, 1, 2, 3].flatMap((area) => [
      [6, area, 0, 0],
      [7, area, 16, 0],
      [8, area, 32, 0, 0xff],
      [9, area, 3, 0, 5],
    ]),
    [1, 0, 0, 1, 16, 9, 0, 0, 1, 0, 1, 0, 1, 1, 16, 9, 0, 0, 1, 0],
  ];
  return harm.flatMap((bytes, index) =>
    [index % 24, (index * 7 + 3) % 24].map((state) => Buffer.from([state, index & 3, ...bytes])),
  );
}

/** The custom section "edgeplug" of a module. */
function details(module) {
  const compiled = new WebAssembly.Module(module);
  return WebAssembly.Module.customSections(compiled, "edgeplug").map((section) => Buffer.from(section));
}

function detailSeeds() {
  const vectors = [
    { inputs: [1, 2], scans: 3, outputs: [4, 0], tolerance: 0.5 },
    { inputs: [0, 0], scans: 1, outputs: [1, 0] },
    { inputs: new Array(8).fill(0), scans: 2, outputs: new Array(6).fill(0), tolerance: 1e30 },
    { request: new Uint8Array([1, 2, 3]), reply: new Uint8Array([3, 2, 1]) },
    { request: new Uint8Array([0xff]), reply: new Uint8Array(1) },
    { inputs: new Array(8).fill(1), outputs: new Array(6).fill(1), scans: 4000000000 },
  ];
  const made = vectors.map((vector) =>
    Buffer.from(edgeplug.AgentDetails.encode({ vectors: [vector, vector] }).finish()),
  );
  return [...agents().flatMap(details), ...made].flatMap((section) =>
    [0, 1, 2].map((agent) => Buffer.concat([Buffer.from([agent]), section])),
  );
}

function interpreterSeeds() {
  const next = numbers(7);
  const decisions = Array.from({ length: 240 }, (_, index) =>
    Buffer.from([((next() & 0x7f) << 1) | 1, ...Array.from({ length: 20 + index * 3 }, () => next() & 0xff)]),
  );
  return [...modules().map((module) => Buffer.concat([Buffer.from([0x62]), module])), ...decisions];
}

const SEEDS = {
  frames: frameSeeds,
  requests: requestSeeds,
  manifest: () =>
    manifests().flatMap((manifest) => [0, 0x82].map((how) => Buffer.concat([Buffer.from([how]), manifest]))),
  module: () => modules().map((module) => Buffer.concat([Buffer.from([0xf4]), module])),
  interpreter: interpreterSeeds,
  flash: flashSeeds,
  details: detailSeeds,
};

/** Writes the seeds of a target into its corpus; returns how many. Named by content, so that they are there but once. */
export function writeSeeds(name, folder = corpusOf(name)) {
  const seeds = SEEDS[name]();
  mkdirSync(folder, { recursive: true });
  for (const seed of seeds) {
    const file = join(folder, createHash("sha1").update(seed).digest("hex"));
    if (!existsSync(file)) writeFileSync(file, seed);
  }
  return seeds.length;
}
