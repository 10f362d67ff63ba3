import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  ..."-mcpu=cortex-m33 -mthumb -Os -std=c11 -Wall -Wextra -Werror -ffreestanding -nostdlib".split(" "),
  ...["-Wl,--no-warn-rwx-segments", "-Wl,-e,0"],
];

/** Builds selftest.c for an STM32L552; the ELF, with the address of its `scratch`, lasts as long as this process. */
export function buildSelftest(): { elf: string; scratch: number } {
  const folder = mkdtempSync(join(tmpdir(), "harness-firmware-"));
  process.on("exit", () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const elf = join(folder, "selftest.elf");
  const here = import.meta.dirname;
  execFileSync("arm-none-eabi-gcc", [
    ...FLAGS,
    `-Wl,-T,${join(here, "selftest.ld")}`,
    ...["-o", elf, join(here, "selftest.c")],
  ]);
  const symbols = execFileSync("arm-none-eabi-nm", [elf], { encoding: "utf8" });
  return { elf, scratch: Number.parseInt(/^(\w+) B scratch$/m.exec(symbols)?.[1] ?? "", 16) };
}
