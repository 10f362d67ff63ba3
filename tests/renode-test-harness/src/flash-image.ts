import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readFile, stat, writeFile } from "node:fs/promises";

import { HarnessError, type FlashPatch } from "./board.js";

/** The file that an emulator takes for its flash chip. */
export interface FlashImageOptions {
  /** Kept between runs; default: a temporary file that close() removes. Made anew, all 0xFF, where it is missing. */
  readonly path?: string;
  /** Bytes of the chip. Default 1 MiB. */
  readonly size?: number;
  /** Where a new image gets a random identity, e.g. { offset: 0xC000, size: 12 }. */
  readonly identity?: { readonly offset: number; readonly size: number };
  /** Written before the first start, into an existing image too. */
  readonly patches?: readonly FlashPatch[];
}

export async function prepareFlashImage(path: string, options: FlashImageOptions): Promise<void> {
  const size = options.size ?? 1 << 20;
  if (!existsSync(path)) {
    const image = Buffer.alloc(size, 0xff);
    if (options.identity) randomBytes(options.identity.size).copy(image, options.identity.offset);
    await writeFile(path, image);
  } else if ((await stat(path)).size !== size) {
    throw new HarnessError(
      "FLASH_SIZE",
      `${path} has ${(await stat(path)).size} bytes, the chip has ${size}`,
    );
  }
  for (const { offset, bytes } of options.patches ?? []) await patchFlashImage(path, offset, bytes);
}

export async function patchFlashImage(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const { size } = await stat(path);
  if (offset < 0 || offset + bytes.length > size)
    throw new HarnessError("FLASH_SIZE", `${bytes.length} bytes at ${offset} don't fit into ${size}`);
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

export async function readFlashImage(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}
