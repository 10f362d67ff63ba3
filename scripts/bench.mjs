// The figures that one machine gives like any other: flash by part, and instructions counted exactly under QEMU
// (-icount), on the object files of the shipped runtime. Limits are those of docs/measurements.md.
import { execFileSync, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const LIMITS = { ed25519_verify_300_bytes: { instructions: 4_000_000, stack: 3072 } };

const sizes = spawnSync(process.execPath, [join(ROOT, "scripts/check-size.mjs")], { stdio: "inherit" });
if (sizes.status !== 0) process.exitCode = 1;

const machine = [
  "-M",
  "ast1030-evb,fmc-model=w25q80bl",
  "-nographic",
  "-monitor",
  "none",
  "-serial",
  "stdio",
];
const counting = ["-semihosting", "-icount", "shift=3", "-kernel", join(ROOT, "build/qemu/bench.elf")];
const output = execFileSync("qemu-system-arm", [...machine, ...counting], {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
  timeout: 120_000,
});

console.log("Cortex-M4F: instructions, bytes of stack");
for (const line of output.trim().split("\n")) {
  const [name, instructions, stack] = line.trim().split(" ");
  const limit = LIMITS[name];
  const over =
    limit !== undefined && (Number(instructions) > limit.instructions || Number(stack) > limit.stack);
  console.log(`  ${name.padEnd(32)}${instructions.padStart(10)}${stack.padStart(8)}${over ? "  OVER" : ""}`);
  if (over || !Number.isInteger(Number(instructions))) process.exitCode = 1;
}
