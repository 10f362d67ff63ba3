/** A line with somebody on it who writes down what a tool sends to a board: the start of every replay. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FrameDecoder, openTransport, wrapFrame } from "edgeplug/device";
import { edgeplug } from "edgeplug/messages";

export interface TappedLine {
  /** The device that the tool is told to use. */
  readonly device: string;
  /** Resolves when all tools have left, and the board's port is free for others. */
  free(): Promise<void>;
  /** Everything that went to the board since the last call, once it is free(). */
  take(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Passes bytes between one tool at a time and the board on `device`, which is held only while the tool is there. */
export async function tapLine(device: string): Promise<TappedLine> {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-tap-"));
  const path = join(folder, "line");
  const recorded: Uint8Array[] = [];
  let relays: Promise<void> = Promise.resolve();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const left = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    relays = relays.then(() => relay(socket, left, device, recorded));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    device: path,
    free: () => relays,
    take: async () => {
      await relays;
      return Buffer.concat(recorded.splice(0));
    },
    close: async () => {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Until the tool has `left` and the board's port is closed. */
async function relay(
  socket: Socket,
  left: Promise<void>,
  device: string,
  recorded: Uint8Array[],
): Promise<void> {
  socket.pause();
  const board = await openTransport(device);
  board.onData((bytes) => socket.write(bytes));
  socket.on("data", (bytes: Buffer) => {
    recorded.push(bytes);
    void board.write(bytes);
  });
  socket.resume();
  await left;
  await board.close();
}

/** The signed commands in recorded bytes, with their frames as they went over the line. */
export function signedCommands(line: Uint8Array): { frame: Uint8Array; signed: edgeplug.SignedCommand }[] {
  return new FrameDecoder().push(line).flatMap((frame) => {
    const signed = frame.request?.signedCommand;
    if (!signed) return [];
    return [
      { frame: wrapFrame(edgeplug.Frame.encode(frame).finish()), signed: signed as edgeplug.SignedCommand },
    ];
  });
}

/** Sends recorded bytes again and gives the error code of each answer, until the board has been silent for a while. */
export async function replay(device: string, line: Uint8Array): Promise<number[]> {
  const requests = new FrameDecoder().push(line).filter((frame) => frame.request);
  const board = await openTransport(device);
  const decoder = new FrameDecoder();
  const errors: number[] = [];
  try {
    for (const frame of requests) {
      const answered = new Promise<number>((resolve) => {
        board.onData((bytes) => {
          for (const { response } of decoder.push(bytes)) if (response) resolve(response.error ?? 0);
        });
      });
      await board.write(wrapFrame(edgeplug.Frame.encode(frame).finish()));
      errors.push(await answered);
    }
  } finally {
    await board.close();
  }
  return errors;
}
