/**
 * The least of a debugger: stops a board under QEMU and puts a branch to itself where one of its functions begins. The
 * core is lost from there on, as to a hardware fault, until the watchdog resets it; a reset loads the image anew.
 */
import { execFileSync } from "node:child_process";
import { connect, type Socket } from "node:net";

/** `b .` */
const HANG = "fee7";
/** An instruction that is none, permanently: a usage fault. */
const FAULT = "00de";

const tables = new Map<string, string>();

/** Where the linker put a function. */
export function addressOf(elf: string, symbol: string): number {
  const table = tables.get(elf) ?? execFileSync("arm-none-eabi-nm", [elf], { encoding: "utf8" });
  tables.set(elf, table);
  const line = table.split("\n").find((text) => text.endsWith(` ${symbol}`));
  if (line === undefined) throw new Error(`${elf} has no ${symbol}`);
  return Number.parseInt(line, 16) & ~1;
}

/** Overwrites the first instruction at `address`; `path` is the unix socket of QEMU's gdb stub. */
export async function spoil(path: string, address: number, how: "hang" | "fault"): Promise<void> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const code = how === "hang" ? HANG : FAULT;
    await command(socket, `M${address.toString(16)},2:${code}`);
    await command(socket, "D"); // lets the board go on
  } finally {
    socket.destroy();
  }
}

function command(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = "";
    const listen = (bytes: Buffer): void => {
      received += bytes.toString("latin1");
      // a stop reply may come first: the stub stops the core when somebody connects
      const answer = [...received.matchAll(/\$([^#]*)#[0-9a-f]{2}/g)].map(([, body]) => body);
      const outcome = answer.find((body) => body === "OK" || body?.startsWith("E"));
      if (outcome === undefined) return;
      socket.off("data", listen);
      if (outcome === "OK") resolve();
      else reject(new Error(`gdb stub: ${text} gave ${outcome}`));
    };
    socket.on("data", listen);
    socket.once("error", reject);
    const sum = [...text].reduce((total, char) => (total + char.charCodeAt(0)) & 0xff, 0);
    socket.write(`+$${text}#${sum.toString(16).padStart(2, "0")}`);
  });
}
