/**
 * Rot in the emulated board's flash while it runs. QEMU keeps the chip's contents to itself, so the debugger takes the
 * firmware's place for a moment: with the core stopped it erases the sector and programs it anew, by the same commands
 * (W25Q80BL data sheet, section 11.2) through the same controller registers, and lets the core go on.
 */
import { GdbStub } from "@edgeplug/test-support/gdb-stub";

const FMC_CTRL0 = 0x7e620010;
const FMC_WINDOW = 0x80000000;
const SELECTED = 3;
/** Command mode, chip select idle: no operation of the firmware's is under way. */
const DESELECTED = 7;
const WRITE_ENABLE = [0x06];
const ERASE_4K = 0x20;
const PROGRAM = 0x02;
const SECTOR = 4096;
const PAGE = 256;
const TRIES = 200;

/** Puts `bytes` at `offset`; `image` is the whole flash as it is. `path` is the unix socket of QEMU's gdb stub. */
export async function rotWhileRunning(
  path: string,
  image: Uint8Array,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  const changed = Uint8Array.from(image);
  changed.set(bytes, offset);
  for (let tries = 0; tries < TRIES; tries++) {
    const link = await GdbStub.open(path);
    try {
      await link.physical(true); // registers, too, not only memory
      const idle = (await link.readWord(FMC_CTRL0)) === DESELECTED;
      if (idle) await rewrite(link, changed, offset, bytes.length);
      await link.physical(false);
      await link.detach(); // lets the board go on
      if (idle) return;
    } finally {
      link.close();
    }
  }
  throw new Error("the flash was never at rest");
}

async function rewrite(link: GdbStub, image: Uint8Array, offset: number, size: number): Promise<void> {
  for (let sector = offset - (offset % SECTOR); sector < offset + size; sector += SECTOR) {
    await command(link, WRITE_ENABLE);
    await command(link, [ERASE_4K, ...addressBytes(sector)]);
    for (let page = sector; page < sector + SECTOR; page += PAGE) {
      const contents = image.subarray(page, page + PAGE);
      if (contents.every((byte) => byte === 0xff)) continue;
      await command(link, WRITE_ENABLE);
      await command(link, [PROGRAM, ...addressBytes(page), ...contents]);
    }
  }
}

function addressBytes(address: number): number[] {
  return [(address >> 16) & 0xff, (address >> 8) & 0xff, address & 0xff];
}

async function command(link: GdbStub, bytes: readonly number[]): Promise<void> {
  await writeWord(link, FMC_CTRL0, SELECTED);
  for (const byte of bytes) await link.write(FMC_WINDOW, Uint8Array.of(byte));
  await writeWord(link, FMC_CTRL0, DESELECTED);
}

async function writeWord(link: GdbStub, address: number, value: number): Promise<void> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  await link.write(address, bytes);
}
