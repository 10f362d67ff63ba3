// Boards on a real serial device, and `edgeplug-push` as its users run it: as processes of its own.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { serializePackage } from "edgeplug";
import { describe, expect, it, onTestFinished } from "vitest";

import { controlAgent, makePackage, padded } from "@edgeplug/test-support/agents";
import { type TestBoard } from "@edgeplug/test-support/board";
import { startTestBoard } from "./fixture.js";

const PUSH = fileURLToPath(new URL("../../tools/edgeplug-push/dist/main.js", import.meta.url));

const old = makePackage(controlAgent({ value: 7 }));
const large = makePackage(padded(controlAgent({ value: 9 }), 13_000), { version: "2", release: 2 });
const other = makePackage(controlAgent({ value: 8 }), { version: "3", release: 3 });

/** `edgeplug-push --json`, running. */
class PushProcess {
  readonly ended: Promise<number>;
  readonly lines: Record<string, unknown>[] = [];
  stderr = "";
  readonly #child;
  #heard: () => void = () => undefined;

  constructor(device: string, ...args: string[]) {
    this.#child = spawn(process.execPath, [PUSH, "--device", device, "--json", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    createInterface(this.#child.stdout).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Record<string, unknown>);
      this.#heard();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => this.#child.once("close", (code) => resolve(code ?? -1)));
    void this.ended.then(() => this.#heard());
    onTestFinished(() => void this.#child.kill("SIGKILL"));
  }

  /** Waits for a line about this event. */
  async event(name: string): Promise<Record<string, unknown>> {
    let over = false;
    void this.ended.then(() => (over = true));
    for (;;) {
      const found = this.lines.find(({ event }) => event === name);
      if (found !== undefined) return found;
      if (over) throw new Error(`it ended without ${name}: ${JSON.stringify(this.lines)} ${this.stderr}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  /** Neither runs nor lets go of anything, until resume(). */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }
}

function folderWith(files: Record<string, Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-e2e-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}

async function boardOnPort(): Promise<{ board: TestBoard; port: string }> {
  const board = await startTestBoard("qemu", { line: "pty" });
  const { port } = board.harness;
  if (port === undefined) throw new Error("the board has no port");
  return { board, port };
}

describe("on qemu's serial device", () => {
  it("of two processes that push at once, one is told PORT_BUSY, and the other one's push succeeds", async () => {
    const { board, port } = await boardOnPort();
    const folder = folderWith({
      "large.epk": serializePackage(large),
      "other.epk": serializePackage(other),
    });
    const first = new PushProcess(port, join(folder, "large.epk"));
    await first.event("sending");
    first.pause(); // in the middle of it, however fast the machine is
    const second = new PushProcess(port, join(folder, "other.epk"));
    expect(await second.ended).toBe(73);
    first.resume();
    expect(await first.ended, first.stderr).toBe(0);
    expect(first.lines.at(-1)).toMatchObject({ event: "result", ok: true });
    expect(board.watch.missed).toBe(0);
  });

  it("whatever is no package is refused with its own code, and the board's flash is as before, byte for byte", async () => {
    const { board, port } = await boardOnPort();
    const good = serializePackage(other);
    const flip = (at: number): Uint8Array => good.map((byte, index) => (index === at ? byte ^ 0x20 : byte));
    const folder = folderWith({
      "old.epk": serializePackage(old),
      "truncated.epk": good.subarray(0, good.length - 10),
      "oversized.epk": new Uint8Array(Buffer.concat([good, new Uint8Array(20_000)])),
      "flipped-payload.epk": flip(good.length - 5),
      "empty.epk": new Uint8Array(),
      "other-product.bin": Uint8Array.from([0x3d, 0xb8, 0xf3, 0x96, ...new Uint8Array(100)]),
    });
    mkdirSync(join(folder, "directory.epk"));
    expect(await new PushProcess(port, join(folder, "old.epk")).ended).toBe(0);
    await board.run(10);
    const before = await board.flash();
    const exits: Record<string, number> = {};
    for (const name of [
      "truncated.epk",
      "oversized.epk",
      "flipped-payload.epk",
      "empty.epk",
      "other-product.bin",
      "directory.epk",
      "missing.epk",
    ]) {
      exits[name] = await new PushProcess(port, join(folder, name)).ended;
    }
    expect(exits).toEqual({
      "truncated.epk": 20,
      "oversized.epk": 20,
      "flipped-payload.epk": 21,
      "empty.epk": 20,
      "other-product.bin": 20,
      "directory.epk": 10,
      "missing.epk": 10,
    });
    expect(before.changes(await board.flash())).toEqual({});
    expect(board.watch.seen.at(-1)).toMatchObject({
      swapNumber: 1,
      outputs: [7, expect.any(Number), 0, 0],
    });
  });
});

describe("on sim in a file", () => {
  it("of two processes that push at once, one is told PORT_BUSY, and the other one's push succeeds", async () => {
    const folder = folderWith({
      "large.epk": serializePackage(large),
      "other.epk": serializePackage(other),
    });
    const device = `sim:${join(folder, "board.flash")}`;
    const first = new PushProcess(device, join(folder, "large.epk"));
    await first.event("begin");
    first.pause();
    const second = new PushProcess(device, join(folder, "other.epk"));
    expect(await second.ended).toBe(73);
    first.resume();
    expect(await first.ended, first.stderr).toBe(0);
    expect(await new PushProcess(device, join(folder, "other.epk")).ended).toBe(0);
  });
});
