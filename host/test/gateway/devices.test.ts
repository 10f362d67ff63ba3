/** Boards come, go, move and are taken for each other: what the gateway makes of it. */
import { SimBoard } from "@edgeplug/sim";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import { BoardsStore } from "../../src/gateway/boards-store.js";
import type { DeviceReport } from "../../src/gateway/devices.js";
import { GatewayState } from "../../src/gateway/state.js";
import { edgeplug } from "../../src/generated/messages.js";
import { folderWith } from "../support/files.js";
import { newBoard, startFleet, TestPort, until, type Fleet } from "../support/sim-fleet.js";

const { DEVICE_STATE_ABSENT, DEVICE_STATE_READY } = edgeplug.gateway.v1.DeviceState;

const eventsOf = (fleet: Fleet): DeviceReport["event"][] => fleet.reports.map(({ event }) => event);

function failure(act: () => unknown): EdgePlugError {
  try {
    act();
  } catch (error) {
    return EdgePlugError.from(error);
  }
  throw new Error("it went well");
}

describe("a board", () => {
  it("that comes back on another port is the same board", async () => {
    const fleet = await startFleet({ boards: 2 });
    const [id = ""] = await fleet.ids();
    await fleet.ports[1]?.pull();
    const board = await fleet.ports[0]?.pull();
    await until(() => fleet.devices.present === 0);
    if (board !== undefined) fleet.ports[1]?.plug(board);
    await until(() => fleet.devices.find(id).isPresent);
    expect(fleet.devices.find(id).port).toBe("port1");
    expect(fleet.devices.list(true)).toHaveLength(2);
  });

  it("that is gone is remembered with why, listed only on demand, and found by name", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await fleet.ports[0]?.pull();
    await until(() => fleet.devices.present === 0);
    expect(fleet.devices.list(false)).toEqual([]);
    expect(fleet.devices.list(true)).toMatchObject([
      { id, state: DEVICE_STATE_ABSENT, problem: expect.stringMatching(/closed/) },
    ]);
    const board = fleet.devices.find(id.slice(0, 8));
    expect(failure(() => board.session)).toMatchObject({
      code: "DEVICE_UNKNOWN",
      message: expect.stringContaining("absent"),
    });
  });

  it("that another one tells the same id as is used no more, until one of them is left", async () => {
    const boardId = Uint8Array.from({ length: 12 }, (_, at) => at);
    const ports = [new TestPort("port0"), new TestPort("port1")];
    for (const port of ports) port.plug(await SimBoard.create({ boardId }));
    const fleet = await startFleet({ ports });
    await until(() => eventsOf(fleet).includes("rival"));
    const board = fleet.devices.find("000102030405060708090a0b");
    expect(board.usable).toBeUndefined();
    expect(failure(() => board.session)).toMatchObject({
      code: "DEVICE_AMBIGUOUS",
      message: expect.stringMatching(/port0 and port1|port1 and port0/),
    });
    expect(fleet.devices.list(false)).toMatchObject([{ problem: expect.stringContaining("same id") }]);
    await ports.find((port) => port.name === board.port)?.pull();
    await until(() => board.usable !== undefined);
    expect(fleet.devices.list(false)).toMatchObject([{ state: DEVICE_STATE_READY, problem: "" }]);
  });

  it("is noticed when another one takes its place on the port without a word", async () => {
    const fleet = await startFleet({ heartbeatMs: 20 });
    const [id = ""] = await fleet.ids();
    const other = await newBoard();
    const transport = fleet.ports[0]?.transport;
    if (transport === undefined) throw new Error("no line");
    // The same line, another board behind it: a plug that was quicker than the driver.
    Object.assign(transport, { board: other });
    fleet.ports[0]?.plug(other);
    await until(() => fleet.devices.list(false).some((device) => device.id !== id));
    expect(fleet.devices.find(id).isPresent).toBe(false);
  });

  it("that falls silent is given up, and found again when it answers", async () => {
    const fleet = await startFleet({ heartbeatMs: 20 });
    const [id = ""] = await fleet.ids();
    fleet.ports[0]?.board?.cutPower();
    await until(() => fleet.devices.present === 0);
    fleet.ports[0]?.board?.powerOn();
    await until(() => fleet.devices.find(id).isPresent);
    expect(eventsOf(fleet)).toEqual(expect.arrayContaining(["connected", "disconnected"]));
  });

  it("that is silent over a command is given up only when that is over", async () => {
    const fleet = await startFleet({ heartbeatMs: 5 });
    const [id = ""] = await fleet.ids();
    let end: () => void = () => undefined;
    const command = fleet.devices.find(id).exclusively(() => new Promise<void>((done) => (end = done)));
    // a look that had begun before is over by then
    await new Promise((resolve) => setTimeout(resolve, 50));
    fleet.ports[0]?.board?.cutPower();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(fleet.devices.present).toBe(1);
    end();
    await command;
    await until(() => fleet.devices.present === 0);
  });
});

describe("names", () => {
  it("that several boards match are listed, never guessed", async () => {
    const ports = [1, 2].map((last) => {
      const port = new TestPort(`port${last}`);
      return { port, boardId: Uint8Array.from({ length: 12 }, (_, at) => (at === 11 ? last : 0xaa)) };
    });
    for (const { port, boardId } of ports) port.plug(await SimBoard.create({ boardId }));
    const fleet = await startFleet({ ports: ports.map(({ port }) => port) });
    await fleet.ids();
    const error = failure(() => fleet.devices.find("aaaa"));
    expect(error).toMatchObject({ code: "DEVICE_AMBIGUOUS" });
    expect(error.message).toMatch(/aa01 \(port1\).*aa02 \(port2\)/);
    expect(fleet.devices.find(`${"aa".repeat(11)}02`).port).toBe("port2");
    expect(failure(() => fleet.devices.find("bb"))).toMatchObject({ code: "DEVICE_UNKNOWN" });
  });
});

describe("ports that are found", () => {
  it("are served as long as they are found", async () => {
    const port = new TestPort("found0");
    port.plug(await newBoard());
    let found: string[] = [];
    const fleet = await startFleet({
      ports: [],
      open: () => port.open(),
      findPorts: async () => found,
      searchMs: 5,
    });
    expect(fleet.devices.present).toBe(0);
    found = ["found0"];
    await until(() => fleet.devices.present === 1);
    found = [];
    await until(() => fleet.devices.present === 0);
    found = ["found0"];
    await until(() => fleet.devices.present === 1);
  });

  it("that can't be opened are told once, not each second", async () => {
    const fleet = await startFleet({ ports: [new TestPort("empty")], longestPauseMs: 5 });
    await until(() => eventsOf(fleet).includes("no-board"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(eventsOf(fleet)).toEqual(["no-board"]);
  });
});

describe("the memory of boards", () => {
  it("outlives the process, but not that of boards in memory", () => {
    const folder = folderWith();
    const state = GatewayState.open(folder);
    const store = new BoardsStore(state);
    const board = {
      id: "00",
      port: "/dev/ttyUSB0",
      boardClass: 3,
      runtimeVersion: "0.1.0",
      locked: true,
      active: null,
      seenMs: 5,
      problem: "pulled",
    };
    store.save(board);
    store.save({ ...board, id: "01", port: "sim:#3" });
    state.close();
    const again = GatewayState.open(folder);
    expect(new BoardsStore(again).all()).toEqual([board]);
    again.close();
  });
});
