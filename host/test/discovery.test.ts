import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { announceBoard, startSim } from "renode-test-harness";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { findCandidates, resolveDevice, survey, type Candidate } from "../src/discovery/index.js";
import { listSerialPorts } from "../src/transports/serial-ports.js";

let folder = "";
let runtime: string | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-discovery-"));
  runtime = process.env["XDG_RUNTIME_DIR"];
  process.env["XDG_RUNTIME_DIR"] = folder; // nobody else's boards
});
afterEach(() => {
  if (runtime === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = runtime;
  rmSync(folder, { recursive: true, force: true });
});

/** A port as Linux describes it: `device` may lie one or more folders below the USB device. */
function describePort(name: string, device: string | undefined, attributes: Record<string, string>): void {
  const entry = join(folder, "class", "tty", name);
  mkdirSync(entry, { recursive: true });
  if (device === undefined) return;
  const path = join(folder, "devices", device);
  mkdirSync(path, { recursive: true });
  symlinkSync(path, join(entry, "device"));
  for (const [file, text] of Object.entries(attributes)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `${text}\n`);
  }
}

function describeMachine(): void {
  describePort("tty0", undefined, {});
  describePort("ttyS0", "platform/serial8250", { "class/tty/ttyS0/type": "4" });
  describePort("ttyS1", "platform/serial8250", { "class/tty/ttyS1/type": "0" });
  describePort("ttyACM0", "usb1/1-2/1-2:1.2", {
    "devices/usb1/1-2/idVendor": "0483",
    "devices/usb1/1-2/idProduct": "374B",
    "devices/usb1/1-2/serial": "066CFF",
  });
  describePort("ttyUSB10", "usb1/1-3/1-3:1.0/ttyUSB10", {
    "devices/usb1/1-3/idVendor": "0403",
    "devices/usb1/1-3/idProduct": "6001",
  });
  describePort("ttyUSB9", "usb1/1-4/1-4:1.0/ttyUSB9", {
    "devices/usb1/1-4/idVendor": "0483",
    "devices/usb1/1-4/idProduct": "5740",
  });
}

const ports = () => listSerialPorts({ sysfs: folder, platform: "linux" });

describe("serial ports on Linux without udev", () => {
  it("are those with a device behind them, in the order that people count, with their USB ids", async () => {
    describeMachine();
    expect(await ports()).toEqual([
      { path: "/dev/ttyACM0", usb: { vendorId: "0483", productId: "374b", serialNumber: "066CFF" } },
      { path: "/dev/ttyS0" },
      { path: "/dev/ttyUSB9", usb: { vendorId: "0483", productId: "5740" } },
      { path: "/dev/ttyUSB10", usb: { vendorId: "0403", productId: "6001" } },
    ]);
  });

  it("are none where there is no sysfs", async () => {
    expect(await listSerialPorts({ sysfs: join(folder, "nothing"), platform: "linux" })).toEqual([]);
  });
});

describe("candidates", () => {
  const found = async (ids?: string) => {
    const environment = ids === undefined ? {} : { EDGEPLUG_USB_IDS: ids };
    return (await findCandidates({ ports: await ports(), environment })).map(({ port }) => port);
  };

  it("are debuggers' ports; bridges behind which anything may be are left alone", async () => {
    describeMachine();
    expect(await found()).toEqual(["/dev/ttyACM0"]);
  });

  it("are also what EDGEPLUG_USB_IDS lists", async () => {
    describeMachine();
    expect(await found("0403:6001, 10C4:EA60")).toEqual(["/dev/ttyACM0", "/dev/ttyUSB10"]);
    await expect(found("0403")).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringMatching(/"0403"/),
    });
  });
});

/** A board that others see in the registry of running boards. */
async function announced(id: string): Promise<Candidate> {
  const board = await startSim({ backend: "sim", line: "socket", boardId: Buffer.from(id, "hex") });
  const withdraw = announceBoard({ name: id, backend: "sim", port: board.port ?? "" });
  onTestFinished(async () => {
    withdraw();
    await board.close();
  });
  return { port: board.port ?? "", kind: "emulated", description: id };
}

const FIRST = "3f2a00112233445566778899";
const SECOND = "3f2b00112233445566778899";

describe("a choice by identity", () => {
  it("takes the board whose id begins so, and `auto` the only one", async () => {
    const first = await announced(FIRST);
    expect(await resolveDevice("auto")).toBe(first.port);
    const second = await announced(SECOND);
    expect(await resolveDevice("id:3F2B")).toBe(second.port);
    expect(await resolveDevice(`id:${FIRST}`)).toBe(first.port);
    expect(await resolveDevice("/dev/ttyUSB0")).toBe("/dev/ttyUSB0");
  });

  it("is no guess: several matches are listed, with id, class, agent and port", async () => {
    const boards = [await announced(FIRST), await announced(SECOND)];
    for (const name of ["auto", "id:3f2"]) {
      const error: unknown = await resolveDevice(name).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "DEVICE_AMBIGUOUS", exit: 84 });
      for (const [index, id] of [FIRST, SECOND].entries())
        expect((error as Error).message).toContain(`${id} (sim, no agent) on ${boards[index]?.port}`);
    }
  });

  it("of what is not there says which boards are", async () => {
    await expect(resolveDevice("auto")).rejects.toMatchObject({ code: "DEVICE_UNKNOWN" });
    await announced(FIRST);
    await expect(resolveDevice("id:77")).rejects.toMatchObject({
      code: "DEVICE_UNKNOWN",
      message: expect.stringContaining(FIRST) as string,
    });
    await expect(resolveDevice("id:xyz")).rejects.toMatchObject({ code: "USAGE" });
    await expect(resolveDevice("id:")).rejects.toMatchObject({ code: "USAGE" });
  });

  it("takes a port that can't be asked for a board that may be meant", async () => {
    const board = await announced(FIRST);
    const busy: Candidate = { port: join(folder, "missing"), kind: "usb", description: "a debugger" };
    // a port that has just been unplugged is no board
    expect(await resolveDevice("auto", { candidates: [board, busy] })).toBe(board.port);
    const { DeviceSession } = await import("../src/session/session.js");
    const { openTransport } = await import("../src/transports/open.js");
    const other = await announced(SECOND);
    const transport = await openTransport(other.port);
    await DeviceSession.connect(transport);
    onTestFinished(() => transport.close());
    const message = expect.stringMatching(
      new RegExp(`${other.port} is held by \\S+ \\(pid ${process.pid}\\)`),
    ) as string;
    await expect(resolveDevice("auto", { candidates: [board, other] })).rejects.toMatchObject({
      code: "DEVICE_AMBIGUOUS",
      message,
    });
    await expect(resolveDevice("auto", { candidates: [other] })).rejects.toMatchObject({
      code: "PORT_BUSY",
      message,
    });
    expect(await resolveDevice("id:3f2a", { candidates: [board, other] })).toBe(board.port);
  });

  it("leaves every line free for the next", async () => {
    await announced(FIRST);
    for (let turn = 0; turn < 3; turn++) {
      const [sighting] = await survey();
      expect(sighting).toMatchObject({ board: { id: FIRST } });
    }
  });
});
