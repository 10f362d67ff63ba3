// scripts/check-sram.mjs on the linked stm32l552 image as it is, and on images in which something lies where it mustn't.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { checkSram, stm32l552Rules } from "../../scripts/check-sram.mjs";

const ROOT = join(import.meta.dirname, "../..");
const BUILD = join(ROOT, "build/stm32l552");
const SCRIPT = join(ROOT, "firmware/boards/stm32l552/link.ld");
const folder = mkdtempSync(join(tmpdir(), "edgeplug-sram-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Links the image's own object files again, with `sections` put into flash ahead of everything else. */
function linkWithMisplaced(name: string, sections: string): string {
  const script = join(folder, `${name}.ld`);
  const image = join(folder, `${name}.elf`);
  const marker = "  .scan : ALIGN(32)";
  const text = readFileSync(SCRIPT, "utf8");
  expect(text).toContain(marker);
  writeFileSync(script, text.replace(marker, `  .misplaced : { *(${sections}) } > FLASH\n${marker}`));
  const commands = execFileSync("ninja", ["-C", BUILD, "-t", "commands", "stm32l552.elf"], {
    encoding: "utf8",
  });
  const link = commands.trim().split("\n").at(-1) ?? "";
  const altered = link
    .replace(SCRIPT, script)
    .replace("-o stm32l552.elf", `-o ${image}`)
    .replace(/-Map=\S+/, `-Map=${image}.map`);
  execFileSync("sh", ["-c", altered], { cwd: BUILD });
  return image;
}

describe("what is needed while flash is busy", () => {
  test("lies in SRAM, in the image as it is built", () => {
    const { findings, functions } = checkSram(join(BUILD, "stm32l552.elf"), stm32l552Rules());
    expect(findings).toEqual([]);
    expect(functions).toBeGreaterThan(40);
  });

  test("is missed when a function of the scan is linked into flash, and the path to it is told", () => {
    const image = linkWithMisplaced("guards", ".text.ep_scan_run");
    const { findings } = checkSram(image, stm32l552Rules());
    expect(findings.join("\n")).toMatch(
      /ep_scan_run lies in flash .*\n\s+ep_stm32_scan_interrupt\n\s+calls ep_runtime_scan/,
    );
  });

  test("is missed when a host function, called through a pointer alone, is linked into flash", () => {
    const image = linkWithMisplaced("host", ".text.ep_host_output");
    expect(checkSram(image, stm32l552Rules()).findings.join("\n")).toMatch(/ep_host_output lies in flash/);
  });

  test("is missed when only the interpreter's table of handlers leads to what is linked into flash", () => {
    const image = linkWithMisplaced("bulk", ".text.ep_wasm_bulk");
    expect(checkSram(image, stm32l552Rules()).findings.join("\n")).toMatch(
      /ep_wasm_bulk lies in flash[^]*?\n\s+jumps to op_prefix\n/,
    );
  });

  test("is missed when the compiler's helpers are linked into flash", () => {
    const image = linkWithMisplaced("libgcc", "EXCLUDE_FILE(*.c.obj) .text");
    expect(checkSram(image, stm32l552Rules()).findings.join("\n")).toMatch(/__aeabi_\w+ lies in flash/);
  });

  test("is missed when a table that the scan reads is linked into flash", () => {
    const image = linkWithMisplaced("map", ".rodata.map");
    expect(checkSram(image, stm32l552Rules()).findings.join("\n")).toMatch(
      /map lies in flash .*[\s\S]*refers to map/,
    );
  });

  test("is missed when a function of the flash driver is linked into flash", () => {
    const image = linkWithMisplaced("driver", ".text.ep_board_flash_erase");
    expect(checkSram(image, stm32l552Rules()).findings.join("\n")).toMatch(
      /ep_board_flash_erase lies in flash/,
    );
  });

  test("is not taken on trust where a pointer is called: who does so must be listed", () => {
    const rules = stm32l552Rules();
    const { findings } = checkSram(join(BUILD, "stm32l552.elf"), { ...rules, indirect: {} });
    expect(findings.join("\n")).toMatch(/calls through a pointer at 0x/);
  });
});
