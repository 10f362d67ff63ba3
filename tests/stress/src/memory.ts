/** RAM at two moments, compared byte by byte but for the listed counters, with a name for each byte that differs. */
import { LISTED_COUNTERS, RINGS, type Ring } from "./counters.js";
import type { Symbols } from "./symbols.js";

/** What a board's RAM held at one moment. The C stack is not in it: of that, the high-water mark counts. */
export interface MemoryImage {
  /** Address of the first byte. */
  readonly base: number;
  readonly bytes: Uint8Array;
  /** Bytes of stack that were ever in use. */
  readonly stackHighWater: number;
}

export interface Comparison {
  readonly comparedBytes: number;
  /** Each byte that differs, in words. */
  readonly differences: readonly string[];
  /** Listed counters that differ, by name. */
  readonly moved: ReadonlySet<string>;
}

export class MemoryComparer {
  readonly #masked: { readonly name: string; readonly start: number; readonly end: number }[];

  constructor(private readonly symbols: Symbols) {
    this.#masked = LISTED_COUNTERS.flatMap(({ name }) =>
      symbols.find(name).map(({ address, size }) => ({ name, start: address, end: address + size })),
    );
  }

  /** The listed counters that this image has, each with its place. */
  get listed(): string[] {
    return LISTED_COUNTERS.flatMap(({ name, why }) => {
      const ranges = this.symbols.find(name);
      const [first] = ranges;
      if (first === undefined) return [];
      const times = ranges.length > 1 ? ` × ${ranges.length}` : "";
      return [`${name}  0x${first.address.toString(16)} + ${first.size}${times}: ${why}`];
    });
  }

  compare(before: MemoryImage, after: MemoryImage): Comparison {
    const [old, now] = [this.#inOrder(before), this.#inOrder(after)];
    const owner = this.#owners(before);
    const differences: string[] = [];
    const moved = new Set<string>();
    let comparedBytes = 0;
    for (let at = 0; at < now.length; at++) {
      const name = owner.get(at);
      if (name === undefined) comparedBytes++;
      if (old[at] === now[at]) continue;
      if (name !== undefined) moved.add(name);
      else
        differences.push(`${this.symbols.nameOf(before.base + at)}: ${hex(old[at])} was, ${hex(now[at])} is`);
    }
    return { comparedBytes, differences, moved };
  }

  /** Which listed counter each byte belongs to. */
  #owners({ base }: MemoryImage): Map<number, string> {
    const owner = new Map<number, string>();
    for (const { name, start, end } of this.#masked)
      for (let address = start; address < end; address++) owner.set(address - base, name);
    return owner;
  }

  /** A copy in which each ring begins with the oldest that it holds. */
  #inOrder(image: MemoryImage): Uint8Array {
    const bytes = image.bytes.slice();
    for (const ring of RINGS) this.#turn(bytes, image.base, ring);
    return bytes;
  }

  #turn(bytes: Uint8Array, base: number, { contents, count, element }: Ring): void {
    const [whole] = this.symbols.find(contents);
    const [counter] = this.symbols.find(count);
    const [one] = this.symbols.find(element);
    if (whole === undefined || counter === undefined || one === undefined) return;
    const put = new DataView(bytes.buffer, bytes.byteOffset).getUint32(counter.address - base, true);
    const oldest = (put * one.size) % whole.size;
    const start = whole.address - base;
    const held = bytes.slice(start, start + whole.size);
    bytes.set(held.subarray(oldest), start);
    bytes.set(held.subarray(0, oldest), start + whole.size - oldest);
  }
}

function hex(byte = 0): string {
  return byte.toString(16).padStart(2, "0");
}
