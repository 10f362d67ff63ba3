/** Boards in memory under the gateway's own bookkeeping, without a network before it: ports that a test plugs and pulls. */
import { join } from "node:path";

import { controlAgent, makePackage, padded, type PackageOptions } from "@edgeplug/test-support/agents";
import { SimBoard } from "@edgeplug/sim";
import { onTestFinished } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import { Deployments, type DeploymentsOptions } from "../../src/gateway/deployments.js";
import { DeploymentsStore } from "../../src/gateway/deployments-store.js";
import { Devices, type DeviceReport, type DevicesOptions } from "../../src/gateway/devices.js";
import { GatewayState } from "../../src/gateway/state.js";
import { serializePackage, type AgentPackage } from "../../src/package.js";
import { DeviceSession } from "../../src/session/session.js";
import { SimTransport } from "../../src/transports/sim.js";
import { folderWith } from "./files.js";

/** A port that a board can be plugged into. */
export class TestPort {
  board: SimBoard | undefined;
  transport: SimTransport | undefined;

  constructor(readonly name: string) {}

  async open(): Promise<DeviceSession> {
    if (this.board === undefined) throw new EdgePlugError("PORT_NOT_FOUND", `${this.name} does not exist.`);
    this.transport = new SimTransport(this.name, this.board);
    return DeviceSession.connect(this.transport);
  }

  plug(board: SimBoard): void {
    this.board = board;
  }

  /** The cable is pulled; the board goes on, or loses its power too. */
  async pull(): Promise<SimBoard> {
    const { board, transport } = this;
    if (board === undefined) throw new Error(`${this.name} has no board`);
    this.board = undefined;
    await transport?.close();
    return board;
  }
}

let seed = 1;

export function newBoard(): Promise<SimBoard> {
  return SimBoard.create({ seed: ++seed });
}

export interface FleetOptions extends Partial<Omit<DevicesOptions, "ports">> {
  /** Ports with a board each. Default 1. */
  boards?: number;
  deployments?: Partial<Omit<DeploymentsOptions, "store">>;
  /** A state folder of before. */
  folder?: string;
  /** Ports of before, with what is in them. */
  ports?: TestPort[];
}

export interface Fleet {
  ports: TestPort[];
  devices: Devices;
  deployments: Deployments;
  store: DeploymentsStore;
  reports: DeviceReport[];
  folder: string;
  /** Ids of the boards in the ports, in order; waits until all are there. */
  ids(): Promise<string[]>;
  /** As the gateway does it; `crash` leaves the database as a killed process does. */
  stop(graceMs?: number): Promise<void>;
}

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const {
    boards = 1,
    deployments: limits = {},
    folder = join(folderWith(), "state"),
    ports: old,
    ...rest
  } = options;
  const ports = old ?? Array.from({ length: boards }, (_, index) => new TestPort(`port${index}`));
  if (old === undefined) for (const port of ports) port.plug(await newBoard());
  const state = GatewayState.open(folder);
  const reports: DeviceReport[] = [];
  const store = new DeploymentsStore(state);
  const deployments = new Deployments({ store, ...limits });
  const devices = new Devices({
    ports: ports.map((port) => port.name),
    open: (name) => (ports.find((port) => port.name === name) as TestPort).open(),
    load: (id) => deployments.load(id),
    report: (event) => reports.push(event),
    heartbeatMs: 200,
    longestPauseMs: 30,
    ...rest,
  });
  deployments.start(devices);
  let stopped: Promise<void> | undefined;
  const stop = (graceMs = 0): Promise<void> =>
    (stopped ??= (async () => {
      await deployments.stop(graceMs);
      await devices.stop();
      state.close();
    })());
  onTestFinished(() => stop());
  const ids = async (): Promise<string[]> => {
    const wanted = ports.filter((port) => port.board !== undefined);
    await until(() =>
      wanted.every((port) => devices.list(false).some((device) => device.port === port.name)),
    );
    return wanted.map((port) => devices.find(port.name).id);
  };
  return { ports, devices, deployments, store, reports, folder, ids, stop };
}

/** Waits for something that happens soon; the test's own time limit is the only one. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** An .epk with a short trial; `value` is what its agent writes, its version and its release. */
export function epk(value: number, options: PackageOptions = {}, size?: number): Uint8Array {
  const code = controlAgent({ value });
  return serializePackage(
    agent(size === undefined ? code : padded(code, size), {
      version: String(value),
      release: value,
      ...options,
    }),
  );
}

export function agent(module: string | Uint8Array, options: PackageOptions = {}): AgentPackage {
  return makePackage(module, { name: "doubler", ...options });
}
