import { randomBytes } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { deflateSync, inflateSync } from "node:zlib";

import { Flash, type FlashOptions } from "./flash.js";
import { geometryOf, type GeometryName } from "./geometry.js";

/** A file that is no flash image of a sim board. */
export class FlashFileError extends Error {
  readonly code = "FLASH_FILE";
  override readonly name = "FlashFileError";
}

/** What a flash file holds. */
export interface FlashFile {
  readonly flash: Flash;
  readonly boardId: Uint8Array;
}

interface Trailer {
  readonly geometry: GeometryName;
  readonly boardId: string;
  readonly wear: readonly number[];
  readonly pages: readonly { index: number; state: string; unstable?: string }[];
}

// the raw image comes first, so that any tool can look at it; then a deflated JSON trailer, its size, this
const MAGIC = "EPSIMFL1";

/** The bytes of a flash file. */
export function encodeFlashFile({ flash, boardId }: FlashFile): Uint8Array {
  const trailer: Trailer = {
    geometry: flash.geometry.name,
    boardId: Buffer.from(boardId).toString("hex"),
    wear: [...flash.wear],
    pages: flash.exportStates().map(({ index, state, unstable }) => ({
      index,
      state: Buffer.from(state).toString("base64"),
      ...(unstable && { unstable: Buffer.from(unstable).toString("base64") }),
    })),
  };
  const deflated = deflateSync(JSON.stringify(trailer));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(deflated.length);
  return Buffer.concat([flash.image(), deflated, size, Buffer.from(MAGIC)]);
}

export function decodeFlashFile(bytes: Uint8Array, options: FlashOptions = {}): FlashFile {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const foot = MAGIC.length + 4;
  if (file.length < foot || file.toString("latin1", file.length - MAGIC.length) !== MAGIC)
    throw new FlashFileError("not a flash file of a sim board: its end mark is missing");
  const size = file.readUInt32LE(file.length - foot);
  const trailer = parseTrailer(file, file.length - foot - size, file.length - foot);
  const flash = new Flash(geometryOf(trailer.geometry), options);
  const { base, size: flashSize } = flash.geometry;
  if (file.length - foot - size !== flashSize)
    throw new FlashFileError(`the image in it has ${file.length - foot - size} bytes, expected ${flashSize}`);
  for (const { index, state, unstable } of trailer.pages) {
    const { eraseSize } = flash.geometry;
    flash.poke(base + index * eraseSize, file.subarray(index * eraseSize, (index + 1) * eraseSize));
    flash.importState(
      index,
      Buffer.from(state, "base64"),
      unstable === undefined ? undefined : Uint8Array.from(Buffer.from(unstable, "base64")),
    );
  }
  flash.wear.set(trailer.wear);
  return { flash, boardId: Uint8Array.from(Buffer.from(trailer.boardId, "hex")) };
}

/** Reads `path`; where there is no file, a blank flash with a board id of its own. */
export async function openFlashFile(
  path: string,
  geometry: GeometryName = "l5",
  options: FlashOptions = {},
): Promise<FlashFile> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (bytes) return decodeFlashFile(bytes, options);
  return { flash: new Flash(geometryOf(geometry), options), boardId: Uint8Array.from(randomBytes(12)) };
}

/** Keeps a board's flash in a file, so that a process which is killed takes back nothing that it has saved. */
export class FlashStorage {
  #saved: number;

  /** `file` is what `path` holds, or will hold with the first save. */
  constructor(
    readonly path: string,
    readonly file: FlashFile,
  ) {
    this.#saved = file.flash.operations;
  }

  /** Writes the file if an operation has ended since the last save. Throws what the file system says. */
  saveChanges(): void {
    if (this.file.flash.operations !== this.#saved) this.save();
  }

  /** Writes the file anew; whoever is killed meanwhile leaves the old one or the new one. */
  save(): void {
    const { flash } = this.file;
    const temporary = `${this.path}.${process.pid}.new`;
    writeFileSync(temporary, encodeFlashFile(this.file));
    renameSync(temporary, this.path);
    // an operation under way is not in the file yet
    this.#saved = flash.operations - (flash.busy ? 1 : 0);
  }
}

function parseTrailer(file: Buffer, from: number, to: number): Trailer {
  try {
    return JSON.parse(inflateSync(file.subarray(from, to)).toString()) as Trailer;
  } catch (error) {
    throw new FlashFileError("the flash file is damaged", { cause: error });
  }
}
