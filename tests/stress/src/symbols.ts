/**
 * Where the variables of an image lie and what they are made of, read from its DWARF by llvm-dwarfdump: so that each
 * byte of RAM has a name, `ep_runtime.agents.bank[1].manifest.name[3]`, and each name its bytes.
 */
import { execFileSync } from "node:child_process";

/** Some bytes of RAM. */
export interface Range {
  readonly address: number;
  readonly size: number;
}

/** One entry of the debug information. */
interface Entry {
  readonly tag: string;
  readonly attributes: Map<string, string>;
  readonly children: Entry[];
}

const MAX_OUTPUT = 256 << 20;
const AGGREGATES = new Set(["structure_type", "union_type"]);
const TRANSPARENT = new Set(["typedef", "const_type", "volatile_type", "restrict_type"]);

export class Symbols {
  readonly #entries: Map<number, Entry>;
  readonly #variables = new Map<string, { address: number; type: Entry }>();

  /** Reads the debug information of an ELF or WebAssembly image. */
  constructor(readonly image: string) {
    const options = { encoding: "utf8", maxBuffer: MAX_OUTPUT } as const;
    this.#entries = parse(execFileSync("llvm-dwarfdump", ["--debug-info", image], options));
    for (const entry of this.#entries.values()) this.#addVariable(entry);
    if (this.#variables.size === 0) throw new Error(`${image} has no debug information`);
  }

  /** The ranges that a name stands for; `[*]` is every element of an array. Empty if the image has no such thing. */
  find(name: string): Range[] {
    const [first = "", ...steps] = name.split(/(?=\[)|\./);
    const variable = this.#variables.get(first);
    if (variable === undefined) return [];
    let found = [variable];
    for (const step of steps) found = found.flatMap(({ address, type }) => this.#step(address, type, step));
    return found.map(({ address, type }) => ({ address, size: this.#size(type) }));
  }

  /** What the byte at `address` belongs to; its number where no variable lies. */
  nameOf(address: number): string {
    for (const [name, { address: start, type }] of this.#variables)
      if (address >= start && address < start + this.#size(type))
        return this.#inside(name, type, address - start);
    return `0x${address.toString(16)}`;
  }

  #addVariable({ tag, attributes }: Entry): void {
    const location = /^DW_OP_addr (0x[0-9a-f]+)$/.exec(attributes.get("location") ?? "")?.[1];
    if (tag !== "variable" || location === undefined) return;
    const declared = this.#reference(attributes.get("specification"));
    const name = text(attributes.get("name") ?? declared?.attributes.get("name"));
    const type = this.#reference(attributes.get("type") ?? declared?.attributes.get("type"));
    if (name !== undefined && type !== undefined)
      this.#variables.set(name, { address: Number(location), type });
  }

  #reference(value: string | undefined): Entry | undefined {
    return value === undefined ? undefined : this.#entries.get(Number(value.split(" ")[0]));
  }

  /** The type behind typedefs and qualifiers. */
  #resolve(type: Entry): Entry {
    let found = type;
    while (TRANSPARENT.has(found.tag)) found = this.#reference(found.attributes.get("type")) ?? NOTHING;
    return found;
  }

  #element(array: Entry): Entry {
    return this.#reference(array.attributes.get("type")) ?? NOTHING;
  }

  #size(of: Entry): number {
    const type = this.#resolve(of);
    if (type.tag === "array_type")
      return counts(type).reduce((size, count) => size * count, this.#size(this.#element(type)));
    const size = type.attributes.get("byte_size");
    return size === undefined ? 4 : Number(size); // only pointers may go without
  }

  #step(address: number, of: Entry, step: string): { address: number; type: Entry }[] {
    const type = this.#resolve(of);
    const index = /^\[(\d+|\*)\]$/.exec(step)?.[1];
    if (index !== undefined) {
      if (type.tag !== "array_type") return [];
      const element = this.#element(type);
      const size = this.#size(element);
      const count = this.#size(type) / size;
      const at = Array.from({ length: count }, (_, each) => each).filter(
        (each) => index === "*" || each === Number(index),
      );
      return at.map((each) => ({ address: address + each * size, type: element }));
    }
    for (const member of type.children) {
      const inner = this.#reference(member.attributes.get("type"));
      if (member.tag === "member" && inner !== undefined && text(member.attributes.get("name")) === step)
        return [{ address: address + offset(member), type: inner }];
    }
    return [];
  }

  #inside(name: string, of: Entry, at: number): string {
    const type = this.#resolve(of);
    if (type.tag === "array_type") {
      const element = this.#element(type);
      const size = this.#size(element);
      return this.#inside(`${name}[${Math.floor(at / size)}]`, element, at % size);
    }
    if (!AGGREGATES.has(type.tag)) return name;
    for (const member of type.children) {
      const inner = this.#reference(member.attributes.get("type"));
      if (member.tag !== "member" || inner === undefined) continue;
      const start = offset(member);
      if (at >= start && at < start + this.#size(inner))
        return this.#inside(`${name}.${text(member.attributes.get("name")) ?? "?"}`, inner, at - start);
    }
    return `${name} (between members)`;
  }
}

const NOTHING: Entry = { tag: "nothing", attributes: new Map(), children: [] };

function text(value: string | undefined): string | undefined {
  return value?.replace(/^"(.*)"$/, "$1");
}

function offset(member: Entry): number {
  return Number(member.attributes.get("data_member_location") ?? 0);
}

function counts(array: Entry): number[] {
  return array.children
    .filter(({ tag }) => tag === "subrange_type")
    .map(({ attributes }) =>
      Number(attributes.get("count") ?? Number(attributes.get("upper_bound") ?? -1) + 1),
    );
}

/** The tree of entries, by their offsets: llvm-dwarfdump indents by depth. */
function parse(dump: string): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  const path: { depth: number; entry: Entry }[] = [];
  let current: Entry | undefined;
  for (const line of dump.split("\n")) {
    const head = /^(0x[0-9a-f]+):( +)(?:DW_TAG_(\w+)|NULL)/.exec(line);
    if (head === null) {
      const attribute = /^ +DW_AT_(\w+)\t\((.*)\)$/.exec(line);
      if (attribute !== null) current?.attributes.set(attribute[1] ?? "", attribute[2] ?? "");
      continue;
    }
    const [, at, indent = "", tag] = head;
    if (tag === undefined) continue;
    while ((path.at(-1)?.depth ?? -1) >= indent.length) path.pop();
    current = { tag, attributes: new Map(), children: [] };
    path.at(-1)?.entry.children.push(current);
    path.push({ depth: indent.length, entry: current });
    entries.set(Number(at), current);
  }
  return entries;
}
