/** The ways to a board: a real serial port, a simulated board in a file, and a gateway that owns one. */
import { join } from "node:path";

import { startBoard } from "@edgeplug/test-support/board";

export interface BoardAway {
  /** What `--device` is given. */
  device: string;
  /** What the tools have to know besides. */
  env: NodeJS.ProcessEnv;
  close(): Promise<void>;
}

export interface Way {
  name: string;
  /** A blank board at the end of it; files lie in `folder`. */
  open(folder: string): Promise<BoardAway>;
}

export const SIM: Way = {
  name: "sim:FILE",
  open: async (folder) => ({
    device: `sim:${join(folder, "board.flash")}`,
    env: {},
    close: async () => undefined,
  }),
};

export const SERIAL: Way = {
  name: "a serial port",
  open: async () => {
    const board = await startBoard("qemu", { line: "pty" });
    const { port } = board.harness;
    if (port === undefined) throw new Error("the board has no port");
    return { device: port, env: {}, close: () => board.close() };
  },
};
