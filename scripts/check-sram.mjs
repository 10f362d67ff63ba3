// Proves on the linked stm32l552 image that nothing which is needed while flash is busy lies in flash: from the scan
// and UART interrupts, the NMI, the fault handlers and the flash driver it follows every call, branch and
// reference (the link keeps its relocations), and fails with the path to the first thing on the wrong side.
//
//   node scripts/check-sram.mjs [IMAGE]
//
// A call through a pointer has no target in the image. Each function that makes one is listed with what it may
// call, a function or a table of them, in firmware/boards/stm32l552/indirect-calls.json, by its own name or by that of the
// source file whose static functions all may; one that isn't listed fails too.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const SHT_SYMTAB = 2;
const SHT_REL = 9;
const SHF_ALLOC = 2;
const R_ARM_ABS32 = 2;
const R_ARM_TARGET1 = 38;
const R_ARM_REL32 = 3;
/** BL, B.W and conditional B.W: after the link these may lead to a veneer, the relocation knows whither in truth. */
const R_ARM_THM_BRANCHES = [10, 30, 51];

/** Sections, symbols and relocations of a 32-bit little-endian ELF file. */
function readElf(path) {
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u32 = (at) => view.getUint32(at, true);
  const text = (base, at) => file.toString("latin1", base + at, file.indexOf(0, base + at));
  const table = u32(0x20);
  const count = view.getUint16(0x30, true);
  const raw = Array.from({ length: count }, (_, index) => {
    const at = table + 40 * index;
    return {
      nameAt: u32(at),
      type: u32(at + 4),
      flags: u32(at + 8),
      address: u32(at + 12),
      offset: u32(at + 16),
      size: u32(at + 20),
      link: u32(at + 24),
      info: u32(at + 28),
    };
  });
  const names = raw[view.getUint16(0x32, true)].offset;
  const sections = raw.map((section) => ({ ...section, name: text(names, section.nameAt) }));
  const symtab = sections.find((section) => section.type === SHT_SYMTAB);
  const strings = sections[symtab.link].offset;
  const symbols = [];
  let source = "";
  for (let at = symtab.offset; at < symtab.offset + symtab.size; at += 16) {
    const value = u32(at + 4);
    const info = file[at + 12];
    // a file's static symbols stand behind its name
    if ((info & 15) === STT.file) source = text(strings, u32(at));
    symbols.push({
      name: text(strings, u32(at)),
      value,
      size: u32(at + 8),
      type: info & 15,
      source: info >> 4 === 0 ? source : "",
      section: view.getUint16(at + 14, true),
    });
  }
  const relocations = [];
  for (const section of sections.filter(
    ({ type, info }) => type === SHT_REL && (sections[info].flags & SHF_ALLOC) !== 0,
  ))
    for (let at = section.offset; at < section.offset + section.size; at += 8) {
      const info = u32(at + 4);
      relocations.push({ address: u32(at), type: info & 0xff, symbol: symbols[info >>> 8] });
    }
  const word = (address) => {
    const home = sections.find(
      (section) =>
        (section.flags & SHF_ALLOC) !== 0 &&
        section.type === 1 &&
        address >= section.address &&
        address < section.address + section.size,
    );
    return home === undefined ? undefined : u32(home.offset + address - home.address);
  };
  return { sections, symbols, relocations, word };
}

const STT = { none: 0, object: 1, func: 2, file: 4 };

/** What lies where: one node a function or object, in order of address. */
function makeNodes(elf) {
  const byAddress = new Map();
  for (const symbol of elf.symbols) {
    const section = elf.sections[symbol.section];
    if (
      section === undefined ||
      (section.flags & SHF_ALLOC) === 0 ||
      symbol.name === "" ||
      symbol.name.startsWith("$")
    )
      continue;
    const code = symbol.type === STT.func;
    if (!code && symbol.type !== STT.object && symbol.type !== STT.none) continue;
    const address = code ? symbol.value & ~1 : symbol.value;
    const known = byAddress.get(address);
    const better =
      known === undefined || (code && !known.code) || (code === known.code && symbol.size > known.size);
    if (better)
      byAddress.set(address, {
        name: symbol.name,
        address,
        size: symbol.size,
        code,
        section: symbol.section,
        source: symbol.source,
        names: [...(known?.names ?? []), symbol.name],
      });
    else known.names.push(symbol.name);
  }
  const nodes = [...byAddress.values()].sort((a, b) => a.address - b.address);
  for (const [index, node] of nodes.entries()) {
    const section = elf.sections[node.section];
    const next = nodes[index + 1];
    // assembler routines of libgcc carry no size
    const limit =
      next !== undefined && next.section === node.section ? next.address : section.address + section.size;
    node.end = node.code || node.size === 0 ? limit : Math.min(limit, node.address + node.size);
    node.edges = new Map();
    node.pointers = [];
  }
  return nodes;
}

function finder(nodes) {
  return (address) => {
    let low = 0;
    let high = nodes.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const node = nodes[middle];
      if (address < node.address) high = middle - 1;
      else if (address >= node.end) low = middle + 1;
      else return node;
    }
    return undefined;
  };
}

/**
 * Where a jump by a table leads: distances from the table's beginning, in halfwords. Nothing tells how long the table is, but the
 * code that it leads to is behind it. An entry of 0 leads nowhere.
 */
function followTable(elf, node, begin, width) {
  let end = Infinity;
  for (let address = begin; address < end; address += width) {
    const word = elf.word(address & ~3);
    if (word === undefined) return;
    const distance = (word >>> (8 * (address & 3))) & (width === 2 ? 0xffff : 0xff);
    if (distance === 0) continue;
    node.edges.set(begin + 2 * distance, "jumps to");
    end = Math.min(end, begin + 2 * distance);
  }
}

/** Branches and calls, from the disassembly: those that need no relocation are in nobody's list. */
function followCode(path, elf, at) {
  const text = execFileSync("arm-none-eabi-objdump", ["-d", "--no-show-raw-insn", path], {
    encoding: "utf8",
    maxBuffer: 256 << 20,
  });
  let previous;
  for (const line of text.split("\n")) {
    const found = /^\s*([0-9a-f]+):\s+(\S+)(?:\s+(.*))?$/.exec(line);
    if (found === null) continue;
    const address = parseInt(found[1], 16);
    const [mnemonic, operands] = [found[2], found[3] ?? ""];
    const node = at(address);
    if (node === undefined) continue;
    // code that runs on over its end runs into the next function
    if (
      previous !== undefined &&
      previous.node !== node &&
      previous.node.end === node.address &&
      !previous.ends
    )
      previous.node.edges.set(node.address, "runs on into");
    const target = /^(?:bl?x?|b(?:eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)|cbn?z)(?:\.[nw])?$/.test(
      mnemonic,
    )
      ? /(?:^|\s)([0-9a-f]+) </.exec(operands)
      : null;
    const table = /^tb([bh])$/.exec(mnemonic);
    if (target !== null) node.edges.set(parseInt(target[1], 16), "calls");
    else if (table !== null && /^\[pc,/.test(operands))
      followTable(elf, node, address + 4, table[1] === "h" ? 2 : 1);
    else if (
      /^blx?$/.test(mnemonic) ||
      (/^bx/.test(mnemonic) && !/^lr\b/.test(operands)) ||
      (/^(mov|ldr)/.test(mnemonic) && /^pc\b/.test(operands) && !/\[(sp|pc)/.test(operands))
    )
      node.pointers.push(address);
    const ends =
      /^(b|b\.[nw]|bx|udf|\.word|\.short)$/.test(mnemonic) ||
      (/^(pop|ldm|ldr|mov)/.test(mnemonic) && /\bpc\b/.test(operands)) ||
      /^nop/.test(mnemonic) ||
      (mnemonic === "movs" && operands === "r0, r0"); // padding
    previous = { node, ends };
  }
}

/** Literals and pointers in tables: every word that the linker filled with an address. */
function followReferences(elf, at) {
  const allocated = (symbol) => ((elf.sections[symbol.section]?.flags ?? 0) & SHF_ALLOC) !== 0;
  for (const { address, type, symbol } of elf.relocations) {
    const node = at(address);
    // absolute symbols are numbers: the map's addresses, which the driver writes to as it should
    if (node === undefined || !allocated(symbol)) continue;
    if (R_ARM_THM_BRANCHES.includes(type) && symbol.type === STT.func)
      node.edges.set(symbol.value & ~1, "calls");
    if (type !== R_ARM_ABS32 && type !== R_ARM_TARGET1 && type !== R_ARM_REL32) continue;
    const value = type === R_ARM_REL32 ? symbol.value : elf.word(address);
    if (value !== undefined) node.edges.set(symbol.type === STT.func ? value & ~1 : value, "refers to");
  }
}

/** The linker's own stubs for far calls: no relocation tells of them, the target is a word in the stub. */
function followVeneers(elf, nodes, at) {
  for (const node of nodes.filter(({ name }) => name.endsWith("_veneer")))
    for (let address = (node.address + 3) & ~3; address + 4 <= node.end; address += 4) {
      const target = (elf.word(address) ?? 0) & ~1;
      if (at(target)?.code === true) node.edges.set(target, "calls");
    }
}

/**
 * Walks from `entries`. Returns the findings, each a text that ends in the path that leads there.
 * `indirect` lists, for each function that calls through a pointer, what it may call; `exempt` names what may
 * lie in flash though it is reached, with the reason.
 */
export function checkSram(path, { entries, exempt, indirect, flash }) {
  const elf = readElf(path);
  const nodes = makeNodes(elf);
  const at = finder(nodes);
  followCode(path, elf, at);
  followReferences(elf, at);
  followVeneers(elf, nodes, at);
  const named = new Map(nodes.flatMap((node) => node.names.map((name) => [name, node])));
  const findings = [];
  const reached = new Map();
  const queue = [];
  const reach = (node, how) => {
    if (reached.has(node) || exempt[node.name] !== undefined) return;
    reached.set(node, how);
    queue.push(node);
  };
  for (const entry of entries) {
    const node = named.get(entry);
    if (node === undefined) findings.push(`${entry} is an entry, but the image has no such function`);
    else reach(node, null);
  }
  const pathTo = (node) => {
    const how = reached.get(node);
    return how === null ? node.name : `${pathTo(how.from)}\n    ${how.verb} ${node.name}`;
  };
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    if (node.address >= flash.from && node.address < flash.end) {
      findings.push(`${node.name} lies in flash (0x${node.address.toString(16)}):\n    ${pathTo(node)}`);
      continue;
    }
    for (const [address, verb] of node.edges) {
      const target = at(address);
      if (target !== undefined && target !== node) reach(target, { from: node, verb });
      else if (target === undefined && address >= flash.from && address < flash.end)
        findings.push(`0x${address.toString(16)} lies in flash, and has no name:\n    ${pathTo(node)}`);
    }
    if (node.pointers.length === 0) continue;
    // a compiler's clone (.constprop.0 and so on) calls what its original calls
    const base = node.name.replace(/\..*$/, "");
    const callable = [indirect[base], indirect[node.source]].filter((names) => names !== undefined).flat();
    if (callable.length === 0)
      findings.push(
        `${node.name} calls through a pointer at 0x${node.pointers[0].toString(16)}; list what it may call in indirect-calls.json:\n    ${pathTo(node)}`,
      );
    for (const name of callable) {
      const target = named.get(name);
      if (target === undefined)
        findings.push(`indirect-calls.json names ${name}, but the image has no such thing`);
      else reach(target, { from: node, verb: "calls through a pointer" });
    }
  }
  const functions = [...reached.keys()].filter((node) => node.code);
  return {
    findings,
    functions: functions.length,
    bytes: functions.reduce((sum, node) => sum + node.end - node.address, 0),
  };
}

export function stm32l552Rules() {
  const map = JSON.parse(readFileSync(join(ROOT, "firmware/boards/stm32l552/memory-map.json"), "utf8"));
  const from = Number(map.flash.base);
  const { entries, exempt, indirect } = JSON.parse(
    readFileSync(join(ROOT, "firmware/boards/stm32l552/indirect-calls.json"), "utf8"),
  );
  return { entries, exempt, indirect, flash: { from, end: from + Number(map.flash.size) } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const image = process.argv[2] ?? join(ROOT, "build/stm32l552/stm32l552.elf");
  const { findings, functions, bytes } = checkSram(image, stm32l552Rules());
  for (const finding of findings) console.error(finding);
  if (findings.length > 0) process.exitCode = 1;
  else
    console.log(
      `SRAM check: ${functions} functions (${bytes} bytes) are needed while flash is busy; none lies in flash`,
    );
}
