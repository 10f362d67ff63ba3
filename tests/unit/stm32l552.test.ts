// What can be said of the linked stm32l552 images without a chip: where things lie, what memory protection allows, what the
// linker refuses, and that the documents name the same figures. The drivers themselves: firmware/tests/stm32l552.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { checkSram, stm32l552Rules } from "../../scripts/check-sram.mjs";

const ROOT = join(import.meta.dirname, "../..");
const BUILD = join(ROOT, "build/stm32l552");
const SCRIPT = join(ROOT, "firmware/boards/stm32l552/link.ld");
const IMAGES = ["stm32l552", "stm32l552-process"] as const;
const folder = mkdtempSync(join(tmpdir(), "edgeplug-stm32l552-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface MemoryMap {
  readonly flash: { readonly base: string; readonly size: string; readonly eraseSize: number };
  readonly sram: { readonly base: string; readonly size: string };
  readonly runtime: { readonly base: string; readonly size: string };
}
const map = JSON.parse(
  readFileSync(join(ROOT, "firmware/boards/stm32l552/memory-map.json"), "utf8"),
) as MemoryMap;
const runtime = Number(map.runtime.base);
const flash = { from: Number(map.flash.base), end: Number(map.flash.base) + Number(map.flash.size) };
const sram = { from: Number(map.sram.base), end: Number(map.sram.base) + Number(map.sram.size) };

function path(image: string): string {
  return join(BUILD, `${image}.elf`);
}

function symbols(image: string): Map<string, number> {
  const text = execFileSync("arm-none-eabi-nm", [path(image)], { encoding: "utf8" });
  const found = [...text.matchAll(/^([0-9a-f]+) \w (\S+)$/gm)];
  return new Map(found.map(([, address = "", name = ""]) => [name, parseInt(address, 16)]));
}

function symbol(image: string, name: string): number {
  const address = symbols(image).get(name);
  if (address === undefined) throw new Error(`${image}.elf has no ${name}`);
  return address;
}

/** So many words of the image, from `address` on. */
function words(image: string, address: number, count: number): number[] {
  const text = execFileSync(
    "arm-none-eabi-objdump",
    ["-s", `--start-address=${address}`, `--stop-address=${address + 4 * count}`, path(image)],
    { encoding: "utf8" },
  );
  const bytes = [...text.matchAll(/^ [0-9a-f]+ ((?:[0-9a-f]{2,8} )+)/gm)].map(([, hex = ""]) => hex).join("");
  const buffer = Buffer.from(bytes.replaceAll(" ", ""), "hex");
  return Array.from({ length: count }, (_, index) => buffer.readUInt32LE(4 * index));
}

/** Bytes of flash that the image takes. */
function flashBytes(image: string): number {
  const text = execFileSync("arm-none-eabi-size", ["-A", path(image)], { encoding: "utf8" });
  const sections = [...text.matchAll(/^\.(boot_vectors|start|scan|text|rodata|data|ARM\.exidx)\s+(\d+)/gm)];
  return sections.reduce((sum, [, , size = "0"]) => sum + Number(size), 0);
}

/** Links the image's object files with `alter`ed text of the linker script; the linker's complaint, "" for none. */
function link(name: string, alter: (script: string) => string): string {
  const script = join(folder, `${name}.ld`);
  const text = readFileSync(SCRIPT, "utf8");
  const altered = alter(text);
  if (name !== "unaltered") expect(altered).not.toBe(text);
  writeFileSync(script, altered);
  const commands = execFileSync("ninja", ["-C", BUILD, "-t", "commands", "stm32l552.elf"], {
    encoding: "utf8",
  });
  const command = (commands.trim().split("\n").at(-1) ?? "")
    .replace(SCRIPT, script)
    .replace("-o stm32l552.elf", `-o ${join(folder, `${name}.elf`)}`)
    .replace(/-Map=\S+/, `-Map=${join(folder, `${name}.map`)}`);
  try {
    execFileSync("sh", ["-c", command], { cwd: BUILD, encoding: "utf8", stdio: "pipe" });
    return "";
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

describe.each(IMAGES)("the image %s", (image) => {
  test("boots from the start of the runtime's flash: a stack in SRAM, and a reset handler in flash", () => {
    const [stack, reset] = words(image, runtime, 2);
    expect(stack).toBe(symbol(image, "ep_stack_top"));
    expect(reset).toBe(symbol(image, "ep_stm32_reset") | 1);
    expect(symbol(image, "ep_stack_top")).toBeLessThanOrEqual(sram.end);
  });

  test("fits into the runtime's part of flash", () => {
    expect(flashBytes(image)).toBeLessThanOrEqual(Number(map.runtime.size));
  });

  test("has in SRAM whatever is needed while flash is busy", () => {
    expect(checkSram(path(image), stm32l552Rules()).findings).toEqual([]);
  });

  test("protects memory: nothing can be both written and run, code can't be written, and no byte is left out", () => {
    const READ_ONLY = 3;
    const table = words(image, symbol(image, "regions"), 10);
    const regions = Array.from({ length: 5 }, (_, index) => {
      const [base = 0, limit = 0] = table.slice(2 * index, 2 * index + 2);
      return {
        from: (base & ~31) >>> 0,
        end: ((limit & ~31) >>> 0) + 32,
        readOnly: ((base >> 1) & 3) === READ_ONLY,
        runs: (base & 1) === 0,
        enabled: (limit & 1) === 1,
      };
    });
    const [slots, code, rest, scan, data] = regions;
    for (const region of regions) expect(region.enabled && region.readOnly === region.runs).toBe(true);
    expect([slots?.from, slots?.end]).toEqual([flash.from, runtime]);
    expect([code?.from, code?.end]).toEqual([runtime, runtime + Number(map.runtime.size)]);
    expect([rest?.from, rest?.end]).toEqual([code?.end, flash.end]);
    expect([scan?.from, scan?.end]).toEqual([sram.from, symbol(image, "ep_code_end")]);
    expect([data?.from, data?.end]).toEqual([scan?.end, sram.end]);
    expect(regions.map(({ runs }) => runs)).toEqual([false, true, false, true, false]);
  });

  test("has its stack right behind read-only code, and keeps what outlives a reset out of SRAM2", () => {
    expect(symbol(image, "ep_stack_bottom")).toBe(symbol(image, "ep_code_end"));
    expect(symbol(image, "ep_stack_bottom") % 8).toBe(0); // what MSPLIM takes
    expect(symbol(image, "intent")).toBeLessThan(0x20030000);
  });
});

describe("the image with the make-believe process", () => {
  test("differs from the shipped one in its channels alone, and is hardly larger", () => {
    const shipped = symbols("stm32l552");
    const process = symbols("stm32l552-process");
    expect(shipped.has("ep_process_inputs")).toBe(false);
    expect(process.has("ep_process_inputs")).toBe(true);
    for (const name of ["ep_stm32_observe", "ep_board_flash_erase", "ep_stm32_serial_interrupt"])
      expect([shipped.has(name), process.has(name)]).toEqual([true, true]);
    expect(flashBytes("stm32l552-process") - flashBytes("stm32l552")).toBeLessThan(1024);
  });
});

describe("the linker", () => {
  test("takes the script as it is", () => {
    expect(link("unaltered", (script) => script)).toBe("");
  });

  test("refuses an image for another place than the memory map's", () => {
    expect(link("place", (script) => script.replace("ORIGIN = 0x08007000", "ORIGIN = 0x08007800"))).toMatch(
      /disagree about the runtime's flash/,
    );
  });

  test("refuses a scan in flash", () => {
    const misplace = (script: string): string =>
      script.replace(
        "  .scan : ALIGN(32)",
        "  .lost : { *(.text.ep_runtime_scan) } > FLASH\n  .scan : ALIGN(32)",
      );
    expect(link("scan", misplace)).toMatch(/the scan can't run while flash is busy/);
  });

  test("refuses initialised data, which nobody would copy", () => {
    expect(link("data", (script) => script.replace("*(.data .data.*)", "*(.data .data.*) LONG(1)"))).toMatch(
      /start-up copies no data/,
    );
  });

  test("refuses anything between the stack and the code below it", () => {
    const insert = (script: string): string =>
      script.replace(
        "  .stack (NOLOAD)",
        "  .between (NOLOAD) : { . += 64; } > RAM AT > RAM\n  .stack (NOLOAD)",
      );
    expect(link("stack", insert)).toMatch(/something lies between the stack and the read-only code/);
  });

  test("refuses what outlives a reset in memory that a reset may erase", () => {
    const move = (script: string): string =>
      script.replace(".noinit (NOLOAD) :", ".noinit 0x20030000 (NOLOAD) :");
    expect(link("noinit", move)).toMatch(/lies in SRAM2/);
  });
});

describe("docs/nucleo-l552.md", () => {
  const page = readFileSync(join(ROOT, "docs/nucleo-l552.md"), "utf8");

  test("names the boot address of the memory map, in steps of 128 bytes, wherever it names one", () => {
    const field = `0x${(runtime / 128).toString(16).toUpperCase()}`;
    const named = [...page.matchAll(/NSBOOTADD0=(0x[0-9A-Fa-f]+)/g)].map(([, value]) => value);
    expect(named.length).toBeGreaterThan(0);
    expect(new Set(named)).toEqual(new Set([field]));
  });

  test("names each option byte that the driver checks, and the error that tells of a wrong one", () => {
    for (const name of ["TZEN", "DBANK", "SWAP_BANK", "nSWBOOT0", "NSBOOTADD0", "EP4005"])
      expect(page).toContain(name);
  });
});
