/** What a flash held, and each operation on it since: the image at any moment follows. */

export interface Operation {
  /** Virtual milliseconds since the push began. */
  readonly atMs: number;
  readonly kind: "erase" | "program";
  /** From the start of the image. */
  readonly address: number;
  readonly size: number;
  readonly area: string;
  /** Of a program: what it was given. */
  readonly data: Uint8Array;
}

/** Images that are kept: one for so many operations. */
const STRIDE = 64;

/** Does the operation to the image, by the rules of NOR flash. */
export function apply(
  image: Uint8Array,
  { kind, address, size, data }: Pick<Operation, "kind" | "address" | "size" | "data">,
): void {
  if (kind === "erase") image.fill(0xff, address, address + size);
  else for (let at = 0; at < size; at++) image[address + at] = (image[address + at] ?? 0) & (data[at] ?? 0);
}

export class History {
  readonly #kept: Uint8Array[];

  constructor(
    first: Uint8Array,
    readonly operations: readonly Operation[],
  ) {
    this.#kept = [first.slice()];
  }

  /** What a cut after `count` operations leaves: the caller's own copy. */
  after(count: number): Uint8Array {
    if (count > this.operations.length)
      throw new RangeError(`there are ${this.operations.length} operations`);
    const place = Math.floor(count / STRIDE);
    while (this.#kept.length <= place) this.#kept.push(this.#on(this.#kept.length - 1, STRIDE));
    return this.#on(place, count - place * STRIDE);
  }

  get first(): Uint8Array {
    return this.after(0);
  }

  get last(): Uint8Array {
    return this.after(this.operations.length);
  }

  #on(place: number, count: number): Uint8Array {
    const image = (this.#kept[place] as Uint8Array).slice();
    const from = place * STRIDE;
    for (const operation of this.operations.slice(from, from + count)) apply(image, operation);
    return image;
  }
}

/** Throws where two images differ. */
export function expectSame(image: Uint8Array, expected: Uint8Array, when: string): void {
  const at = image.findIndex((byte, offset) => byte !== expected[offset]);
  if (at >= 0) throw new Error(`flash changed at 0x${at.toString(16)} ${when}, and nobody asked for that`);
}
