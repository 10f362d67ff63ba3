/** RAM at two moments, compared byte by byte but for the listed counters, with a name for each byte that differs. */
import { LISTED_COUNTERS, RINGS, type Ring } from "./counters.js";
import type { Range, Symbols } from "./symbols.js";

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
  /** Each byte that differs, in words; of many, the first hundred and how many more. */
  readonly differences: readonly string[];
  /** Listed counters that differ, by name. */
  readonly moved: ReadonlySet<string>;
}

/** Differing bytes that are told by name. */
const NAMED = 100;

export class MemoryComparer {
  readonly #listed: readonly {
    readonly name: string;
    readonly why: string;
    readonly ranges: readonly Range[];
  }[];
  /** For each byte of RAM, once its extent is known, which listed counter it belongs to: its place in the list plus 1. */
  #owners: Uint16Array | undefined;

  constructor(private readonly symbols: Symbols) {
    this.#listed = LISTED_COUNTERS.map(({ name, why }) => ({ name, why, ranges: symbols.find(name) })).filter(
      ({ ranges }) => ranges.length > 0,
    );
  }

  /** The listed counters that this image has, each with its place. */
  get listed(): string[] {
    return this.#listed.map(({ name, why, ranges }) => {
      const times = ranges.length > 1 ? ` × ${ranges.length}` : "";
      return `${name}  0x${(ranges[0]?.address ?? 0).toString(16)} + ${ranges[0]?.size}${times}: ${why}`;
    });
  }

  compare(before: MemoryImage, after: MemoryImage): Comparison {
    const [old, now] = [this.#inOrder(before), this.#inOrder(after)];
    const owners = (this.#owners ??= this.#own(before));
    const differences: string[] = [];
    const moved = new Set<string>();
    let differing = 0;
    for (let at = 0; at < now.length; at++) {
      if (old[at] === now[at]) continue;
      const owner = this.#listed[(owners[at] ?? 0) - 1];
      if (owner !== undefined) moved.add(owner.name);
      else if (++differing <= NAMED)
        differences.push(`${this.symbols.nameOf(before.base + at)}: ${hex(old[at])} was, ${hex(now[at])} is`);
    }
    if (differing > NAMED) differences.push(`${differing - NAMED} more bytes`);
    return { comparedBytes: owners.filter((owner) => owner === 0).length, differences, moved };
  }

  #own({ base, bytes }: MemoryImage): Uint16Array {
    const owners = new Uint16Array(bytes.length);
    for (const [index, { ranges }] of this.#listed.entries())
      for (const { address, size } of ranges) owners.fill(index + 1, address - base, address - base + size);
    return owners;
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
