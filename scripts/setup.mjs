// The work of scripts/setup: npm packages by the lock file, Debian packages that are missing, generated files, firmware,
// TypeScript, agents. Each step runs only when what it depends on has changed since it last succeeded.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const STAMP = join(ROOT, "build/setup.json");
const PRESETS = ["native", "fuzz", "qemu", "sim", "stm32l552"];
const NODE_AT_LEAST = [20, 19];
const DEBIAN_PACKAGES = [
  "clang",
  "clang-format",
  "cmake",
  "dpkg-dev",
  "fish",
  "gcc-arm-none-eabi",
  "libclang-rt-14-dev",
  "libclang-rt-14-dev-wasm32",
  "libnewlib-arm-none-eabi",
  "lld",
  "llvm",
  "mono-mcs",
  "mono-runtime",
  "nanopb",
  "ninja-build",
  "openssl",
  "protobuf-compiler",
  "qemu-system-arm",
  "wabt",
  "zsh",
];

class SetupError extends Error {}

function say(text) {
  console.log(`set-up: ${text}`);
}

/** Runs a command; its output is shown only when it fails, or as it comes with `shown`. */
function run(command, args, { shown = false, hint, env } = {}) {
  const child = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: shown ? "inherit" : ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
  });
  if (child.status === 0) return child.stdout ?? "";
  const output = `${child.stdout ?? ""}${child.stderr ?? ""}${child.error?.message ?? ""}`.trim();
  const lines = [`"${[command, ...args].join(" ")}" failed.`];
  if (output !== "") lines.push(output.split("\n").slice(-60).join("\n"));
  if (hint !== undefined) lines.push(hint);
  throw new SetupError(lines.join("\n"));
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_AT_LEAST[0] || (major === NODE_AT_LEAST[0] && minor >= NODE_AT_LEAST[1])) return;
  throw new SetupError(
    `EdgePlug needs Node.js ${NODE_AT_LEAST.join(".")} or newer; this is ${process.versions.node}.`,
  );
}

function missingDebianPackages() {
  const child = spawnSync(
    "dpkg-query",
    ["-W", "-f", "${Package} ${db:Status-Status}\n", ...DEBIAN_PACKAGES],
    { encoding: "utf8" },
  );
  if (child.error !== undefined)
    throw new SetupError(
      `This set-up installs Debian packages, and there is no dpkg here. Install their like by hand: ${DEBIAN_PACKAGES.join(" ")}`,
    );
  const installed = new Set(
    child.stdout
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return DEBIAN_PACKAGES.filter((name) => !installed.has(name));
}

function installDebianPackages() {
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  const root = process.getuid?.() === 0;
  if (!root && spawnSync("sudo", ["-n", "true"]).status !== 0 && !process.stdin.isTTY)
    throw new SetupError(
      `Missing Debian packages: ${missing.join(" ")}\nRun this as root, then try again:\n  ${command}`,
    );
  say(`installing Debian packages: ${missing.join(" ")}${root ? "" : " (by sudo)"}`);
  const prefix = root ? [] : ["sudo"];
  const apt = (...args) => {
    const [program, ...rest] = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args];
    run(program, rest, { hint: `To do it by hand, as root:\n  ${command}` });
  };
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...missing);
}

/** Whether node_modules holds what the lock file asks for, by npm's own list of what it installed. */
function npmUpToDate() {
  const list = join(ROOT, "node_modules/.package-lock.json");
  if (!existsSync(list)) return false;
  const installed = JSON.parse(readFileSync(list, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (!path.startsWith("node_modules/") || optional === true) return true;
    const there = installed[path];
    return there !== undefined && there.version === version && there.link === link;
  });
}

function installNpmPackages() {
  if (npmUpToDate()) return;
  say("installing npm packages from the lock file");
  run("npm", ["ci", "--no-audit", "--no-fund"], { hint: "Is there a way to the npm registry from here?" });
}

/** Path, size and time of each file below `paths`; contents are left to the tools themselves. */
function fingerprint(paths) {
  const hash = createHash("sha256");
  const skipped = new Set(["node_modules", "dist", "build", "generated", ".git"]);
  const visit = (path) => {
    const info = statSync(join(ROOT, path), { throwIfNoEntry: false });
    if (info === undefined) return;
    if (info.isDirectory()) {
      hash.update(`${path}/\n`);
      for (const name of readdirSync(join(ROOT, path)).sort())
        if (!skipped.has(name)) visit(`${path}/${name}`);
    } else hash.update(`${path} ${info.size} ${info.mtimeMs}\n`);
  };
  for (const path of paths) visit(path);
  return hash.digest("hex");
}

const stamp = existsSync(STAMP) ? JSON.parse(readFileSync(STAMP, "utf8")) : {};

/** Does `work` unless it succeeded before with the same inputs and its results are still there. */
function step(name, inputs, results, sentence, work) {
  const print = fingerprint(inputs);
  if (stamp[name] === print && results.every((path) => existsSync(join(ROOT, path)))) return;
  say(sentence);
  const begun = Date.now();
  work();
  stamp[name] = print;
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, JSON.stringify(stamp));
  say(`  took ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

function buildFirmware() {
  for (const preset of PRESETS) {
    if (!existsSync(join(ROOT, `build/${preset}/build.ninja`))) run("cmake", ["--preset", preset]);
    run("cmake", ["--build", "--preset", preset]);
  }
}

/** npm links commands, and makes them executable, only where their files are already there: these have just been compiled. */
function linkCommands() {
  const runs = (name) => {
    try {
      accessSync(join(ROOT, "node_modules/.bin", name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const missing = ["edgeplug", "edgeplug-push"].filter((name) => !runs(name));
  if (missing.length > 0) run("npm", ["rebuild", "--ignore-scripts", ...missing]);
}

function main() {
  checkNode();
  installDebianPackages();
  installNpmPackages();
  run(process.execPath, ["scripts/fetch-nanopb.mjs"], { shown: true });
  run(process.execPath, ["scripts/generate.mjs"], { shown: true });
  const results = [
    "build/qemu/qemu.elf",
    "build/native/build.ninja",
    "build/fuzz/build.ninja",
    "build/sim/build.ninja",
    "build/stm32l552/stm32l552.elf",
    "build/stm32l552/stm32l552-process.elf",
  ];
  const firmware = ["firmware", "proto", "cmake", "CMakeLists.txt", "CMakePresets.json", "scripts"];
  step(
    "firmware",
    firmware,
    results,
    "building the firmware: native tests, fuzz targets, qemu, sim, stm32l552",
    buildFirmware,
  );
  const typescript = [
    "tsconfig.json",
    "tsconfig.base.json",
    "proto",
    "firmware/boards/sim",
    ...[
      "renode-test-harness",
      "support",
      "report",
      "power",
      "arm",
      "stress",
      "chaos",
      "conformance",
      "differential",
    ].map((at) => `tests/${at}`),
    "host",
    "tools",
    "demo",
  ];
  const compiled = [
    "host",
    "tests/power",
    "tests/chaos",
    "tests/conformance",
    "tests/differential",
    "tools/edgeplug-push",
    "tools/testing",
  ].map((at) => `${at}/dist/tsconfig.tsbuildinfo`);
  step("typescript", typescript, compiled, "compiling the TypeScript packages", () => {
    run(process.execPath, ["node_modules/typescript/bin/tsc", "-b"]);
  });
  linkCommands();
  const scripts = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).scripts;
  if (scripts["build:agents"] === undefined) return;
  const sources = ["firmware/sdk", "firmware/agents", "firmware/boards/sim", "firmware/runtime", "host/src"];
  step("agents", sources, ["build/agents"], "building the example agents", () => {
    run("npm", ["run", "--silent", "build:agents"]);
  });
}

try {
  main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`set-up: ${error.message}`);
  process.exitCode = 1;
}
