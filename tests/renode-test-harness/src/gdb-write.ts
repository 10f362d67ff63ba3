import { connect, type Socket } from "node:net";

import { HarnessError } from "./board.js";

/**
 * Writes memory through the gdb stub that listens at the unix socket `path`. Connecting stops the machine, and it stays
 * stopped: a stub that loses its debugger does nothing.
 */
export async function writeByGdb(path: string, address: number, bytes: Uint8Array): Promise<void> {
  const socket = connect(path);
  socket.on("error", () => undefined); // "close" follows
  try {
    const replies = packets(socket);
    // addresses are the bus's own, whatever the core's memory protection says
    await command(socket, replies, "Qqemu.PhyMemMode:1");
    const hex = Buffer.from(bytes).toString("hex");
    await command(socket, replies, `M${address.toString(16)},${bytes.length.toString(16)}:${hex}`);
  } finally {
    socket.destroy();
  }
}

async function command(socket: Socket, replies: AsyncIterator<string>, body: string): Promise<void> {
  const sum = [...body].reduce((total, char) => (total + char.charCodeAt(0)) & 0xff, 0);
  socket.write(`+$${body}#${sum.toString(16).padStart(2, "0")}`);
  for (;;) {
    const reply = await replies.next();
    if (reply.done === true) throw new HarnessError("EMULATOR_ENDED", "QEMU's gdb stub has gone");
    // it may or may not tell first that it stopped the core
    if (/^[TS]/.test(reply.value)) continue;
    if (reply.value === "OK") return;
    throw new HarnessError("EMULATOR_REFUSED", `writing memory by gdb: ${reply.value || "not supported"}`);
  }
}

async function* packets(socket: Socket): AsyncGenerator<string, void, undefined> {
  let text = "";
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    text += bytes.toString("latin1");
    for (
      let match = /^[^$]*\$([^#]*)#[0-9a-f]{2}/.exec(text);
      match;
      match = /^[^$]*\$([^#]*)#[0-9a-f]{2}/.exec(text)
    ) {
      text = text.slice(match[0].length);
      yield match[1] ?? "";
    }
  }
}
