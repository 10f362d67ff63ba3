// A line that other programs reach by a unix socket.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";

import { afterEach, beforeEach, expect, it } from "vitest";

import { LineSocket } from "../src/line-socket.js";

let folder = "";
let heard = "";
let line: Duplex;
let socket: LineSocket;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "line-socket-"));
  heard = "";
  line = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      heard += bytes.toString();
      line.emit("heard");
      done();
    },
  });
  socket = await LineSocket.open(join(folder, "line"), line);
});

afterEach(() => {
  socket.close();
  rmSync(folder, { recursive: true, force: true });
});

async function guest(): Promise<Socket> {
  const program = connect(socket.path);
  program.on("error", () => undefined);
  await once(program, "connect");
  return program;
}

it("carries bytes both ways, and forgets what nobody hears", async () => {
  line.push("unheard");
  const program = await guest();
  program.write("to the board");
  await once(line, "heard");
  expect(heard).toBe("to the board");
  line.push("to the host");
  const [bytes] = (await once(program, "data")) as [Buffer];
  expect(bytes.toString()).toBe("to the host");
  program.destroy();
});

it("has one other end: a second program is sent away, and one that comes as the first leaves is let in", async () => {
  const first = await guest();
  first.write("1");
  await once(line, "heard");
  const second = await guest();
  await once(second, "close");
  const third = await guest();
  third.write("3");
  first.destroy();
  await once(line, "heard");
  expect(heard).toBe("13");
  third.destroy();
});

it("ends with all that hold it", async () => {
  const program = await guest();
  program.write("1");
  await once(line, "heard");
  socket.close();
  await once(program, "close");
  await expect(guest()).rejects.toThrow();
});

it("ends also for one that waits for another to leave", async () => {
  const first = await guest();
  first.write("1");
  await once(line, "heard");
  const second = await guest();
  const sentAway = new Promise((resolve) => second.once("close", resolve)); // it may come as a reset, too
  socket.close();
  second.write("2");
  await sentAway;
  expect(heard).toBe("1");
});
