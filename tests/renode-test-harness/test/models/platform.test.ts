// The board's description for Renode against the two files that the firmware is made from: memory-map.json and its header of registers.
// What one of them says and the other doesn't is found here, not in a run that behaves strangely.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";

import { STM32L552 } from "../../src/renode-platform.js";

const HERE = join(import.meta.dirname, "../../renode");
const FIRMWARE = join(import.meta.dirname, "../../../../firmware/boards/stm32l552");

const map = JSON.parse(readFileSync(join(FIRMWARE, "memory-map.json"), "utf8")) as {
  flash: { base: string; size: string; eraseSize: number; programUnit: number };
  sram: { base: string; size: string };
  slots: { a: string; b: string };
  runtime: { base: string; size: string };
  journal: { base: string };
};
const header = readFileSync(join(FIRMWARE, "stm32l552.h"), "utf8");
const description = readFileSync(join(HERE, "stm32l552.repl"), "utf8");
const script = readFileSync(join(HERE, "stm32l552.resc"), "utf8");

interface Peripheral {
  readonly type: string;
  /** Undefined if it isn't on the bus. */
  readonly address: number | undefined;
  readonly values: Map<string, string>;
  /** Interrupt numbers. */
  readonly lines: number[];
}

/** Entries of a .repl: `name: Type @ sysbus address`, then indented `key: value` and `… -> nvic@number`. */
function parse(text: string): Map<string, Peripheral> {
  const found = new Map<string, Peripheral>();
  let current: Peripheral | undefined;
  for (const line of text.split("\n")) {
    const entry = /^(\w+): ([\w.]+) @ sysbus ?<?(0x[0-9A-F]+)?/.exec(line);
    const value = /^ {4}(\w+): "?([^"]*)"?$/.exec(line);
    const irq = /-> nvic@(\d+)/.exec(line);
    if (entry) {
      const [, name = "", type = "", address] = entry;
      current = {
        type,
        address: address === undefined ? undefined : Number(address),
        values: new Map(),
        lines: [],
      };
      found.set(name, current);
    } else if (irq) current?.lines.push(Number(irq[1]));
    else if (value) current?.values.set(value[1] ?? "", value[2] ?? "");
  }
  return found;
}

const peripherals = parse(description);

function peripheral(name: string): Peripheral {
  const found = peripherals.get(name);
  if (!found) throw new Error(`stm32l552.repl has no ${name}`);
  return found;
}

function value(name: string, key: string): number {
  return Number(peripheral(name).values.get(key));
}

function model(name: string): string {
  return readFileSync(join(HERE, "models", `${name}.cs`), "utf8");
}

/** A `const` of a model, whatever number its text comes to. */
function constant(source: string, name: string): number {
  const text = new RegExp(`const \\w+ ${name} = ([^;]+);`).exec(source)?.[1];
  if (text === undefined) throw new Error(`no constant ${name}`);
  const terms = text.split(/\s*\|\s*/).map((term) => {
    const [, factor, shift = "0"] = /^(0x[0-9A-F]+|\d+)u?(?: << (\d+))?$/.exec(term) ?? [];
    return factor === undefined ? constant(source, term) : Number(factor) * 2 ** Number(shift);
  });
  return terms.reduce((all, one) => all + one, 0);
}

/** A `#define` of the firmware's header: a number, a register's address, or a shifted one. */
function defined(name: string): number {
  const text = new RegExp(`#define ${name} +([^/\\n]+)`).exec(header)?.[1]?.trim() ?? "";
  const [, address] = /^REG32\((0x[0-9A-F]+)u\)$/.exec(text) ?? [];
  const [, factor = text, shift = "0"] = /^\((\d+)u << (\d+)\)$/.exec(text) ?? [];
  const number = Number(address ?? factor.replace(/u$/, "")) * 2 ** Number(shift);
  if (Number.isNaN(number)) throw new Error(`${name} is no number: ${text}`);
  return number;
}

const flashBase = Number(map.flash.base);
const flashSize = Number(map.flash.size);

describe("memory", () => {
  test("the areas of flash lie one after the other and fill bank 1", () => {
    const areas = ["slots", "runtime", "journal"].map((name) => ({
      from: peripheral(name).address ?? 0,
      size: value(name, "size"),
    }));
    let end = flashBase;
    for (const { from, size } of areas) {
      expect(from).toBe(end);
      end += size;
    }
    expect(end).toBe(flashBase + flashSize);
  });

  test("code runs from exactly the runtime's pages, everything else is seen by the controller", () => {
    expect(peripheral("runtime")).toMatchObject({
      type: "Memory.MappedMemory",
      address: Number(map.runtime.base),
    });
    expect(value("runtime", "size")).toBe(Number(map.runtime.size));
    expect(value("flashController", "runtimeOffset")).toBe(Number(map.runtime.base) - flashBase);
    for (const name of ["slots", "journal"]) {
      const { type, address, values } = peripheral(name);
      expect(type).toBe("MTD.STM32L5_FlashArea");
      expect(values.get("controller")).toBe("flashController");
      expect(value(name, "offset")).toBe((address ?? 0) - flashBase);
    }
    expect(peripheral("slots").address).toBe(Number(map.slots.a));
    expect(Number(map.slots.b)).toBeLessThan(Number(map.runtime.base));
    expect(peripheral("journal").address).toBe(Number(map.journal.base));
  });

  test("pages, units and the bank are as large as the firmware takes them to be", () => {
    expect(constant(model("FlashCells"), "PageSize")).toBe(map.flash.eraseSize);
    expect(constant(model("FlashCells"), "UnitSize")).toBe(map.flash.programUnit);
    expect(model("STM32L5_FlashController")).toContain("BankSize = 256 * 1024");
    expect(flashSize).toBe(256 * 1024);
    expect(constant(model("STM32L5_FlashController"), "Base")).toBe(flashBase);
  });

  test("SRAM is where and as large as the firmware has it", () => {
    expect(peripheral("sram").address).toBe(Number(map.sram.base));
    expect(value("sram", "size")).toBe(Number(map.sram.size));
  });

  test("the core boots from the runtime, by option byte, description and script, at first and after each reset", () => {
    expect(value("flashController", "bootAddress")).toBe(Number(map.runtime.base));
    expect(description).toMatch(/^cpu: CPU\.CortexM[\s\S]*?init:\n {8}VectorTableOffset 0x08007000$/m);
    expect(script).toMatch(/macro reset\n"""\n +sysbus\.cpu VectorTableOffset 0x08007000\n"""/);
    expect(script).toContain("runMacro $reset");
    expect(Number(map.runtime.base)).toBe(0x08007000);
  });
});

describe("registers", () => {
  const sizes = new Map([
    ["UID_ADDRESS", "factory"],
    ["ADC", "adc"],
    ["DBGMCU", "dbgmcu"],
    ["FLASH", "flashController"],
    ["GPIOA", "gpioPortA"],
    ["GPIOC", "gpioPortC"],
    ["GPIOG", "gpioPortG"],
    ["ITM", "trace"],
    ["IWDG", "iwdg"],
    ["LPUART", "lpuart1"],
    ["PWR", "pwr"],
    ["RCC", "rcc"],
    ["TIM2", "timer2"],
    ["TIM3", "pwm"],
  ]);
  const addresses = [...header.matchAll(/#define (\w+) +(?:REG32\()?(0x[0-9A-F]{8})u\)?(?=\s)/g)].filter(
    ([, , address]) => Number(address) >= 0x0b000000,
  );

  test("each address in the firmware's header belongs to the peripheral of its name", () => {
    const used = new Set<string>();
    for (const [, name = "", address] of addresses) {
      const owner = [...sizes.keys()].find((prefix) => name.startsWith(prefix));
      if (name.startsWith("FLASH_KEY") || name === "NSBOOTADD0R_FIELD") continue;
      expect(owner, `whose is ${name}?`).toBeDefined();
      const from = peripheral(sizes.get(owner ?? "") ?? "").address ?? 0;
      expect(Number(address), name).toBeGreaterThanOrEqual(from);
      expect(Number(address), name).toBeLessThan(from + 0x1000);
      used.add(owner ?? "");
    }
    expect([...used].sort()).toEqual([...sizes.keys()].sort());
  });

  test("base addresses are those of the first register", () => {
    for (const [name, register] of [
      ["flashController", "FLASH_ACR"],
      ["pwr", "PWR_CR1"],
      ["rcc", "RCC_CR"],
      ["adc", "ADC_ISR"],
      ["iwdg", "IWDG_KR"],
      ["lpuart1", "LPUART_CR1"],
      ["trace", "ITM_STIM0"],
      ["timer2", "TIM2"],
      ["pwm", "TIM3"],
      ["gpioPortA", "GPIOA"],
      ["gpioPortC", "GPIOC"],
      ["gpioPortG", "GPIOG"],
    ] as const)
      expect(peripheral(name).address, name).toBe(defined(register));
    expect(defined("UID_ADDRESS") - (peripheral("factory").address ?? 0)).toBe(0x590);
  });

  test.each([
    ["STM32L5_FlashController", "flashController", "KeyRegister", "FLASH_NSKEYR"],
    ["STM32L5_FlashController", "flashController", "StatusRegister", "FLASH_NSSR"],
    ["STM32L5_FlashController", "flashController", "ControlRegister", "FLASH_NSCR"],
    ["STM32L5_FlashController", "flashController", "EccRegister", "FLASH_ECCR"],
    ["STM32L5_FlashController", "flashController", "OptionRegister", "FLASH_OPTR"],
    ["STM32L5_FlashController", "flashController", "BootAddress0Register", "FLASH_NSBOOTADD0R"],
    ["STM32L5_RCC", "rcc", "Configuration", "RCC_CFGR"],
    ["STM32L5_RCC", "rcc", "PllConfiguration", "RCC_PLLCFGR"],
    ["STM32L5_RCC", "rcc", "ControlStatus", "RCC_CSR"],
    ["STM32L5_PWR", "pwr", "Status2", "PWR_SR2"],
    ["STM32L5_IWDG", "iwdg", "PrescalerRegister", "IWDG_PR"],
    ["STM32L5_IWDG", "iwdg", "ReloadRegister", "IWDG_RLR"],
    ["STM32L5_IWDG", "iwdg", "StatusRegister", "IWDG_SR"],
    ["STM32L5_ADC", "adc", "ControlRegister", "ADC_CR"],
    ["STM32L5_ADC", "adc", "SequenceRegister", "ADC_SQR1"],
    ["STM32L5_ADC", "adc", "DataRegister", "ADC_DR"],
    ["ITM_Trace", "trace", "TraceEnable", "ITM_TER"],
    ["ITM_Trace", "trace", "TraceControl", "ITM_TCR"],
  ])("%s: %s %s is where %s is", (file, name, register, address) => {
    expect((peripheral(name).address ?? 0) + constant(model(file), register)).toBe(defined(address));
  });

  test.each([
    ["STM32L5_FlashController", "Key1", "FLASH_KEY1"],
    ["STM32L5_FlashController", "Key2", "FLASH_KEY2"],
    ["STM32L5_FlashController", "EndOfOperation", "NSSR_EOP"],
    ["STM32L5_FlashController", "Errors", "NSSR_ERRORS"],
    ["STM32L5_FlashController", "Busy", "NSSR_BSY"],
    ["STM32L5_FlashController", "ProgramEnable", "NSCR_PG"],
    ["STM32L5_FlashController", "PageErase", "NSCR_PER"],
    ["STM32L5_FlashController", "Bank2", "NSCR_BKER"],
    ["STM32L5_FlashController", "Start", "NSCR_STRT"],
    ["STM32L5_FlashController", "EndInterrupt", "NSCR_EOPIE"],
    ["STM32L5_FlashController", "ErrorInterrupt", "NSCR_ERRIE"],
    ["STM32L5_FlashController", "Lock", "NSCR_LOCK"],
    ["STM32L5_FlashController", "SwapBanks", "OPTR_SWAP_BANK"],
    ["STM32L5_FlashController", "DualBank", "OPTR_DBANK"],
    ["STM32L5_RCC", "HsiOn", "RCC_CR_HSION"],
    ["STM32L5_RCC", "HsiReady", "RCC_CR_HSIRDY"],
    ["STM32L5_RCC", "PllOn", "RCC_CR_PLLON"],
    ["STM32L5_RCC", "PllReady", "RCC_CR_PLLRDY"],
    ["STM32L5_RCC", "RemoveFlags", "RCC_CSR_RMVF"],
    ["STM32L5_RCC", "BrownOutFlag", "RCC_CSR_BORRSTF"],
    ["STM32L5_RCC", "SoftwareFlag", "RCC_CSR_SFTRSTF"],
    ["STM32L5_IWDG", "StartKey", "IWDG_START"],
    ["STM32L5_IWDG", "UnlockKey", "IWDG_UNLOCK"],
    ["STM32L5_IWDG", "ReloadKey", "IWDG_RELOAD"],
    ["STM32L5_ADC", "Ready", "ADC_ISR_ADRDY"],
    ["STM32L5_ADC", "EndOfConversion", "ADC_ISR_EOC"],
    ["STM32L5_ADC", "Enable", "ADC_CR_ADEN"],
    ["STM32L5_ADC", "StartConversion", "ADC_CR_ADSTART"],
    ["STM32L5_ADC", "Regulator", "ADC_CR_ADVREGEN"],
    ["STM32L5_ADC", "Calibrate", "ADC_CR_ADCAL"],
    ["STM32L5_PWM", "CounterEnable", "TIM_CR1_CEN"],
    ["STM32L5_PWM", "UpdateDisable", "TIM_CR1_UDIS"],
    ["STM32L5_PWM", "AutoReloadPreload", "TIM_CR1_ARPE"],
    ["STM32L5_PWM", "UpdateGeneration", "TIM_EGR_UG"],
  ])("%s: %s is the firmware's %s", (file, name, bits) => {
    expect(constant(model(file), name)).toBe(defined(bits));
  });

  test("interrupts have the firmware's numbers", () => {
    expect(peripheral("lpuart1").lines).toEqual([defined("LPUART1_IRQ")]);
    expect(peripheral("flashController").lines).toEqual([defined("FLASH_IRQ")]);
    expect(peripheral("timer2").lines).toEqual([45]);
  });

  test("everything that runs from the core's clock runs at the firmware's", () => {
    const hertz = defined("CORE_HZ");
    expect(value("nvic", "systickFrequency")).toBe(hertz);
    expect(value("timer2", "frequency")).toBe(hertz);
    expect(value("lpuart1", "frequency")).toBe(hertz);
  });
});

describe("files", () => {
  const models = readdirSync(join(HERE, "models"))
    .map((name) => basename(name, ".cs"))
    .sort();

  test("the script compiles each model of the board, before the description that uses them", () => {
    const included = [...script.matchAll(/\$ORIGIN\/models\/(\w+)\.cs/g)].map(([, name]) => name);
    expect([...included].sort()).toEqual(models);
    expect(script.indexOf(".cs")).toBeLessThan(script.indexOf("LoadPlatformDescription"));
  });

  test("so does the harness", () => {
    expect(STM32L552.models?.map((path) => basename(path, ".cs")).sort()).toEqual(models);
    expect(basename(STM32L552.description)).toBe("stm32l552.repl");
  });

  test("the harness knows the board by the names and numbers of its description", () => {
    const names = [
      STM32L552.serial,
      STM32L552.observer,
      STM32L552.events,
      STM32L552.flash,
      STM32L552.button,
      STM32L552.inputs?.name,
      STM32L552.outputs?.name,
    ];
    for (const name of names) expect(peripherals.has(name?.replace("sysbus.", "") ?? "")).toBe(true);
    expect(STM32L552.flashBase).toBe(flashBase);
    expect(STM32L552.flashSize).toBe(flashSize);
    expect(STM32L552.vectorTable).toBe(Number(map.runtime.base));
    expect(STM32L552.identity).toBe(defined("UID_ADDRESS"));
  });

  test("each class has its file, and each peripheral of ours its class", () => {
    for (const name of models) expect(model(name)).toMatch(new RegExp(`public class ${name}\\b`));
    for (const [name, { type }] of peripherals)
      if (type.includes("STM32L5") || name === "trace" || name === "events")
        expect(models).toContain(type.split(".").pop());
  });

  test("each peripheral of ours is given what its constructor asks for, by the names that it has there", () => {
    for (const [name, { type, values }] of peripherals) {
      const file = type.split(".").pop() ?? "";
      if (!models.includes(file)) continue;
      const parameters = new RegExp(`public ${file}\\(([^)]*)\\)`).exec(model(file))?.[1] ?? "";
      const asked = parameters.split(/,\s*/).filter((text) => text !== "" && !text.includes("IMachine"));
      const required = asked
        .filter((text) => !text.includes("="))
        .map((text) => text.trim().split(" ").pop());
      const known = asked.map((text) => text.trim().split(" ")[1]);
      expect([...values.keys()], name).toEqual(expect.arrayContaining(required));
      for (const key of values.keys()) expect(known, name).toContain(key);
    }
  });

  const readme = readFileSync(join(HERE, "README.md"), "utf8");
  const robot = readFileSync(join(HERE, "stm32l552.robot"), "utf8");

  test("what README and example call a peripheral is one", () => {
    for (const [, name = ""] of `${readme}${robot}`.matchAll(/sysbus\.(\w+)/g))
      expect([...peripherals.keys()]).toContain(name);
  });

  test("what README says that the flash controller and the others can be told, they can be told", () => {
    const rows = [...readme.matchAll(/^\| `([^|]*)`[^|]*\| ([^|]*)\|$/gm)];
    let commands = 0;
    for (const [row, first = "", second = ""] of rows) {
      const name = /^sysbus\.(\w+)$/.exec(first)?.[1];
      const file =
        peripherals
          .get(name ?? "flashController")
          ?.type.split(".")
          .pop() ?? "";
      if (/\.\w+$/.test(first) && name === undefined) continue;
      if (!models.includes(file)) continue;
      const told = name === undefined ? (row.split("|")[1] ?? "") : second;
      for (const [, command = ""] of told.matchAll(/`([A-Z][A-Za-z]+)(?: [^`]*)?`/g)) {
        expect(model(file), command).toMatch(new RegExp(`public [\\w<>?]+ ${command}\\b`));
        commands += 1;
      }
    }
    expect(commands).toBeGreaterThan(25);
  });
});
