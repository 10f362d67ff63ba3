import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { decodeFlashFile } from "@edgeplug/sim";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { EdgePlugError } from "../src/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import { openPort } from "../src/open-device.js";
import { readPackage } from "../src/package.js";
import { DeviceSession } from "../src/session/session.js";
import { openSim } from "../src/transports/sim.js";
import { epk } from "./support/sim-fleet.js";

describe("a simulated board as a device", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "edgeplug-sim-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const failure = (promise: Promise<unknown>): Promise<EdgePlugError> =>
    promise.then(
      () => Promise.reject(new Error("it did not fail")),
      (error: unknown) => error as EdgePlugError,
    );

  it("answers in virtual time, which waits for no clock on the wall", async () => {
    const session = await openPort("sim:");
    const { clock } = session.connection.transport;
    const virtual = clock.now();
    // a minute: twice what a test may take by the wall's clock
    await new Promise<void>((resolve) => clock.after(60_000, resolve));
    expect(clock.now() - virtual).toBeGreaterThanOrEqual(60_000);
    const status = await session.status();
    expect(status.safeMode).toBe(true);
    expect(status.counters.scansMissed).toBe(0);
    await session.close();
  });

  it("takes a request that comes in while it boots", async () => {
    const transport = await openSim("");
    const session = await DeviceSession.connect(transport);
    for (let boot = 0; boot < 5; boot++) {
      transport.board.reset();
      const hello = await session.refresh();
      expect(hello.bootNumber).toBe(boot + 2);
    }
    await session.close();
  });

  it("remembers none of its flash's operations, so that it may run for months in little memory", async () => {
    for (const path of ["", join(folder, "board.flash")]) {
      const transport = await openSim(path);
      const session = await DeviceSession.connect(transport);
      expect(transport.board.flash.operations).toBeGreaterThan(0);
      expect(transport.board.flash.log).toEqual([]);
      await session.close();
    }
  });

  it("keeps its identity and boot count in the file", async () => {
    const device = `sim:${join(folder, "board.flash")}`;
    const first = await openPort(device);
    const { boardId, bootNumber } = first.hello;
    await first.close();
    const second = await openPort(device);
    expect(Buffer.compare(second.hello.boardId, boardId)).toBe(0);
    expect(second.hello.bootNumber).toBe(bootNumber + 1);
    await second.close();
    const other = await openPort("sim:");
    expect(Buffer.compare(other.hello.boardId, boardId)).not.toBe(0);
    await other.close();
  });

  it("has in its file whatever it has answered for, so that a killed process takes nothing back", async () => {
    const path = join(folder, "board.flash");
    const transport = await openSim(path);
    const session = await DeviceSession.connect(transport);
    const inFile: boolean[] = [];
    session.connection.onEvent(({ kind }) => {
      if (kind !== edgeplug.EventKind.EVENT_KIND_CONFIRMED) return;
      const { flash } = decodeFlashFile(readFileSync(path));
      inFile.push(Buffer.compare(flash.image(), transport.board.flash.image()) === 0);
    });
    for (const release of [1, 2, 3]) for await (const _ of session.push(readPackage(epk(release)))) void _;
    expect(inFile).toEqual([true, true, true]);
    await session.close();
  });

  it("belongs to one process at a time, and a lock left behind by a dead one is no obstacle", async () => {
    const path = join(folder, "board.flash");
    const session = await openPort(`sim:${path}`);
    expect(await failure(openPort(`sim:${path}`))).toMatchObject({
      code: "PORT_BUSY",
      message: expect.stringMatching(`^sim:${path} is held by .+ \\(pid ${process.pid}\\)\\.$`) as string,
    });
    await session.close();
    expect(existsSync(`${path}.lock`)).toBe(false);
    await writeFile(`${path}.lock`, "4194304999\n");
    await (await openPort(`sim:${path}`)).close();
  });

  it("refuses a file that is no flash, and leaves it as it is", async () => {
    const path = join(folder, "letter.txt");
    await writeFile(path, "Dear board,");
    expect(await failure(openPort(`sim:${path}`))).toMatchObject({ code: "FILE_UNREADABLE", exit: 10 });
    expect(await readFile(path, "utf8")).toBe("Dear board,");
    expect(existsSync(`${path}.lock`)).toBe(false);
  });
});
