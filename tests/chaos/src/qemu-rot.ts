/**
 * Rot in the emulated board's flash while it runs. QEMU keeps the chip's contents to itself, so the debugger takes the
 * firmware's place for a moment: with the core stopped it erases the sector and programs it anew, by the same commands
 * (W25Q80BL data sheet, section 11.2) through the same controller registers, and lets the core go on.
 */
import { connect, type Socket } from "node:net";

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
    const link = await GdbLink.open(path);
    try {
      await link.ask("Qqemu.PhyMemMode:1"); // registers, too, not only memory
      const idle = (await link.readWord(FMC_CTRL0)) === DESELECTED;
      if (idle) await rewrite(link, changed, offset, bytes.length);
      await link.ask("Qqemu.PhyMemMode:0");
      await link.ask("D"); // lets the board go on
      if (idle) return;
    } finally {
      link.close();
    }
  }
  throw new Error("the flash was never at rest");
}

async function rewrite(link: GdbLink, image: Uint8Array, offset: number, size: number): Promise<void> {
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

async function command(link: GdbLink, bytes: readonly number[]): Promise<void> {
  await link.writeWord(FMC_CTRL0, SELECTED);
  for (const byte of bytes) await link.writeByte(FMC_WINDOW, byte);
  await link.writeWord(FMC_CTRL0, DESELECTED);
}

/** One question after the other. */
class GdbLink {
  #received = "";
  #wake: () => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    socket.on("data", (bytes: Buffer) => {
      this.#received += bytes.toString("latin1");
      this.#wake();
    });
  }

  static async open(path: string): Promise<GdbLink> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new GdbLink(socket);
  }

  async readWord(address: number): Promise<number> {
    const answer = await this.ask(`m${address.toString(16)},4`);
    return Buffer.from(answer, "hex").readUInt32LE();
  }

  async writeWord(address: number, value: number): Promise<void> {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    await this.ask(`M${address.toString(16)},4:${bytes.toString("hex")}`);
  }

  async writeByte(address: number, value: number): Promise<void> {
    await this.ask(`M${address.toString(16)},1:${value.toString(16).padStart(2, "0")}`);
  }

  /** The answer; stop replies, which come when somebody connects, are none. */
  async ask(text: string): Promise<string> {
    const sum = [...text].reduce((total, char) => (total + char.charCodeAt(0)) & 0xff, 0);
    this.#received = "";
    this.socket.write(`+$${text}#${sum.toString(16).padStart(2, "0")}`);
    for (;;) {
      const answers = [...this.#received.matchAll(/\$([^#]*)#[0-9a-f]{2}/g)].map(([, body]) => body ?? "");
      const answer = answers.find((body) => !body.startsWith("T") && !body.startsWith("S"));
      if (answer?.startsWith("E")) throw new Error(`gdb stub: ${text} gave ${answer}`);
      if (answer !== undefined) return answer;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
