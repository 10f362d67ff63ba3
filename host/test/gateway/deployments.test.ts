/** Deployments on real boards, without a network: queues, order, what cancelling means, and what a restart finds. */
import {
  controlAgent,
  DEEDS,
  failingAgent,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
} from "@edgeplug/test-support/agents";
import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import type { Deployment } from "../../src/gateway/deployment.js";
import { DeploymentState, type DeployEvent } from "../../src/gateway/deployments-store.js";
import { encodeFrame } from "../../src/frames.js";
import { edgeplug } from "../../src/generated/messages.js";
import { serializePackage } from "../../src/package.js";
import { commandMessage } from "../../src/session/commands.js";
import type { ShadowOptions } from "../../src/session/push.js";
import { keyId, sign } from "../../src/signing.js";
import { agent, epk, newBoard, startFleet, until, type Fleet } from "../support/sim-fleet.js";

const { DEPLOYMENT_STATE_DONE: DONE, DEPLOYMENT_STATE_FAILED: FAILED } = DeploymentState;
const NEVER = new AbortController().signal;
/** Healthy after so many scans: minutes of the board's time, some moments of ours. */
const LONG_TRIAL = { trial: { healthyScans: 50_000, deadlineScans: 60_000 } };

function deploy(
  fleet: Fleet,
  device: string,
  packageBytes: Uint8Array,
  maySign = false,
  shadow?: ShadowOptions,
): Deployment {
  return fleet.deployments.accept({
    device,
    login: "maria",
    packageBytes,
    allowDowngrade: false,
    timeoutMs: 0,
    maySign,
    shadow,
  });
}

async function events(deployment: Deployment): Promise<DeployEvent[]> {
  const all: DeployEvent[] = [];
  for await (const event of deployment.read(0, NEVER)) all.push(event);
  return all;
}

const bodyOf = (event: DeployEvent): string =>
  Object.keys(event).find((key) => !["deployment", "sequence", "timeMs"].includes(key)) ?? "";

async function happens(deployment: Deployment, body: keyof DeployEvent): Promise<DeployEvent> {
  for await (const event of deployment.read(0, NEVER)) if (event[body]) return event;
  throw new Error(`${body} never happened`);
}

async function failure(act: () => unknown): Promise<EdgePlugError> {
  try {
    await act();
  } catch (error) {
    return EdgePlugError.from(error);
  }
  throw new Error("it went well");
}

describe("a deployment", () => {
  it("tells every step in order, and ends with the result", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, {}, 4_000));
    const all = await events(deployment);
    const bodies = all.map(bodyOf).filter((body, at, list) => body !== list[at - 1]);
    expect(bodies.filter((body) => body !== "verifying")).toEqual([
      "queued",
      "begun",
      "sending",
      "staged",
      "activated",
      "trial",
      "confirmed",
      "result",
    ]);
    const sequences = all.map((event) => event.sequence ?? 0);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(all.at(-1)?.result).toMatchObject({ swapNumber: 1, active: { name: "doubler", version: "1" } });
    expect(fleet.deployments.find(deployment.id)).toMatchObject({ state: DONE, login: "maria", error: null });
    expect(fleet.devices.find(id).remembered.active).toMatchObject({ swapNumber: 1 });
  });

  it("that fails its trial ends as failed, with the board's reason", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, epk(1)).ended;
    const bad = agent(failingAgent(2, 5, DEEDS.trap), { version: "2", release: 2 });
    const deployment = deploy(fleet, id, serializePackage(bad));
    const last = (await events(deployment)).at(-1);
    expect(last?.failure).toMatchObject({ name: "ROLLED_BACK" });
    expect(fleet.deployments.find(deployment.id)).toMatchObject({
      state: FAILED,
      error: { name: "ROLLED_BACK" },
    });
  });

  it("can be read in full after it is over, from any event on", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1));
    await deployment.ended;
    const all: DeployEvent[] = [];
    for await (const event of fleet.deployments.watch(deployment.id, 0, NEVER)) all.push(event);
    expect(all.map(bodyOf)).toEqual(expect.arrayContaining(["begun", "activated", "confirmed", "result"]));
    const middle = all[3]?.sequence ?? 0;
    const rest: number[] = [];
    for await (const event of fleet.deployments.watch(deployment.id, middle, NEVER))
      rest.push(event.sequence ?? 0);
    expect(rest).toEqual(all.slice(4).map((event) => event.sequence));
  });

  it("keeps of its progress only the latest for a reader who is slow", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, {}, 13_000));
    const reader = deployment.read(0, NEVER);
    await reader.next();
    await deployment.ended;
    const late: string[] = [];
    for await (const event of reader) late.push(bodyOf(event));
    expect(late.filter((body) => body === "sending")).toHaveLength(1);
    expect(late.at(-1)).toBe("result");
  });
});

describe("a deployment with a shadow run", () => {
  /** Both outputs alike: the value, and a count that is handed over. */
  const alike = (release: number, value = 1): Uint8Array =>
    epk(value, { release, version: `${release}`, stateId: 5 });

  it("tells how it stands, of which only the latest is kept, and has all of it in its result", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const deployment = deploy(fleet, id, alike(2), false, { scans: 3_000, tolerance: [0.25], allowed: 7 });
    const bodies = (await events(deployment)).map(bodyOf);
    expect(bodies.indexOf("shadow")).toBeGreaterThan(bodies.indexOf("staged"));
    expect(bodies.lastIndexOf("shadow")).toBeLessThan(bodies.indexOf("activated"));
    const late = deployment.record.events;
    expect(late.filter((event) => event.shadow)).toHaveLength(1);
    const report = { compared: 3_000, needed: 3_000, differing: 0, allowed: 7, swapNumber: 2 };
    expect(late.find((event) => event.shadow)?.shadow).toMatchObject(report);
    expect(late.at(-1)?.result?.shadow).toMatchObject(report);
    expect(late.at(-1)?.result?.active).toMatchObject({ version: "2" });
  });

  it("fails with SHADOW where they differ, after the whole report; the old agent runs on", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const deployment = deploy(fleet, id, alike(2, 9), false, { scans: 3_000 });
    const [before, last] = (await events(deployment)).slice(-2);
    expect(before?.shadow).toMatchObject({ differing: 8, reason: edgeplug.Reason.REASON_SHADOW });
    expect(before?.shadow?.first?.[0]).toMatchObject({ channel: 0, active: 1, candidate: 9 });
    expect(last?.failure).toMatchObject({ code: 5013, name: "SHADOW" });
    expect(deployment.record.events.some((event) => event.activated)).toBe(false);
    expect(await fleet.devices.find(id).session.status()).toMatchObject({
      active: { version: "1" },
      phase: 0,
      spent: 1,
    });
  });

  it("is cancelled in the middle of it without anything having been activated", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const deployment = deploy(fleet, id, alike(2), false, { scans: 4_000_000_000 });
    await happens(deployment, "shadow");
    expect(await fleet.deployments.cancel(deployment.id, "paul")).toMatchObject({ state: FAILED });
    expect(await fleet.devices.find(id).session.status()).toMatchObject({
      active: { version: "1" },
      phase: 0,
      spent: 0,
    });
  });

  it("begins its run anew when the board comes back, also by its first power", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const deployment = deploy(fleet, id, alike(2), false, { scans: 20_000 });
    await happens(deployment, "shadow");
    const board = await fleet.ports[0]?.pull();
    if (board === undefined) throw new Error("no board");
    board.cutPower();
    board.powerOn();
    fleet.ports[0]?.plug(board);
    await deployment.ended;
    expect(deployment.record).toMatchObject({ error: null, state: DONE });
    const result = deployment.record.events.at(-1)?.result;
    expect(result?.shadow).toMatchObject({ compared: 20_000 });
  });

  it("says how its run ended while the board was out of reach", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const before = `(if (i32.gt_u (global.get $count) (i32.const 20000)) (then
      (call $output (i32.const 0) (f32.const 2))
      (call $output (i32.const 1) (f32.convert_i32_u (global.get $count)))
      (return)))`;
    const later = agent(controlAgent({ value: 1, before }), { version: "2", release: 2, stateId: 5 });
    const deployment = deploy(fleet, id, serializePackage(later), false, { scans: 4_000_000_000 });
    await happens(deployment, "shadow");
    const board = await fleet.ports[0]?.pull();
    if (board === undefined) throw new Error("no board");
    for (let tries = 0; tries < 2; tries++) {
      // the board ends a run when it has heard nothing for half a minute
      board.run(15_000);
      board.send(Buffer.from(encodeFrame({ request: { id: 1, status: {} } })));
    }
    fleet.ports[0]?.plug(board);
    const last = (await events(deployment)).slice(-2);
    expect(last[0]?.shadow).toMatchObject({
      differing: 8,
      first: [{ candidate: 2 }, {}, {}, {}, {}, {}, {}, {}],
    });
    expect(last[1]?.failure).toMatchObject({ name: "SHADOW" });
  });

  it("keeps its settings over a restart of the gateway, in the middle of the run and in the queue", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, alike(1)).ended;
    const running = deploy(fleet, id, alike(2, 1.5), false, {
      scans: 20_000,
      tolerance: [0.5, 0],
      allowed: 3,
    });
    const waiting = deploy(fleet, id, alike(3, 9), false, { scans: 500, tolerance: [0.25] });
    const without = deploy(fleet, id, alike(4, 9));
    await happens(running, "shadow");
    await fleet.stop();
    expect(running.isOver).toBe(false);
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    await until(() => again.deployments.unfinished === 0);
    const ends = async (of: Deployment): Promise<DeployEvent[]> => {
      const all: DeployEvent[] = [];
      for await (const event of again.deployments.watch(of.id, 0, NEVER)) all.push(event);
      return all;
    };
    expect((await ends(running)).at(-1)?.result?.shadow).toMatchObject({ compared: 20_000, allowed: 3 });
    expect((await ends(waiting)).at(-1)?.failure).toMatchObject({ name: "SHADOW" });
    const last = (await ends(without)).at(-1)?.result;
    expect(last).toMatchObject({ active: { version: "4" } });
    expect(last?.shadow ?? null).toBeNull();
  });
});

describe("a board's queue", () => {
  it("is served in the order of arrival, one push at a time, and tells everybody their place", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const all = [1, 2, 3, 4].map((value) => deploy(fleet, id, epk(value)));
    expect(fleet.deployments.load(id).queued).toBe(4);
    const results = await Promise.all(all.map(events));
    expect(results.map((list) => list.at(-1)?.result?.swapNumber)).toEqual([1, 2, 3, 4]);
    const places = results[3]?.flatMap((event) => (event.queued ? [event.queued] : [])) ?? [];
    expect(places.at(-1)).toEqual({ position: 1, behind: "doubler 3 of maria" });
    const ends = results.map((list) => list.at(-1)?.timeMs ?? 0);
    const begins = results.map((list) => list.find((event) => event.begun)?.timeMs ?? 0);
    for (let at = 1; at < 4; at++) expect(begins[at]).toBeGreaterThanOrEqual(ends[at - 1] ?? Infinity);
  });

  it("takes no more than its bound, and says so", async () => {
    const fleet = await startFleet({ deployments: { queueLimit: 2 } });
    const [id = ""] = await fleet.ids();
    const first = deploy(fleet, id, epk(1, LONG_TRIAL));
    await happens(first, "begun");
    deploy(fleet, id, epk(2));
    deploy(fleet, id, epk(3));
    const error = await failure(() => deploy(fleet, id, epk(4)));
    expect(error).toMatchObject({ code: "QUEUE_FULL" });
    expect(fleet.deployments.list("", 100)).toHaveLength(3);
  });

  it("of one board doesn't keep another board's from moving", async () => {
    const fleet = await startFleet({ boards: 2 });
    const [one = "", two = ""] = await fleet.ids();
    const long = deploy(fleet, one, epk(1, LONG_TRIAL));
    await happens(long, "trial");
    for (const value of [1, 2, 3]) await deploy(fleet, two, epk(value)).ended;
    expect(long.isOver).toBe(false);
  });

  it("is as fast on every board when all have much to do", async () => {
    const fleet = await startFleet({ boards: 6 });
    const ids = await fleet.ids();
    const done = new Map(ids.map((id) => [id, 0]));
    let spread = 0;
    const all = ids.flatMap((id) =>
      [1, 2, 3, 4].map((value) => ({ id, deployment: deploy(fleet, id, epk(value)) })),
    );
    await Promise.all(
      all.map(async ({ id, deployment }) => {
        await deployment.ended;
        done.set(id, (done.get(id) ?? 0) + 1);
        spread = Math.max(spread, Math.max(...done.values()) - Math.min(...done.values()));
      }),
    );
    expect(spread).toBeLessThanOrEqual(2);
  });
});

describe("cancelling", () => {
  it("takes a deployment that waits out of the queue", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const first = deploy(fleet, id, epk(1, LONG_TRIAL));
    const [second, third] = [deploy(fleet, id, epk(2)), deploy(fleet, id, epk(3))];
    await happens(first, "begun");
    expect(await fleet.deployments.cancel(second.id, "karl")).toMatchObject({
      state: FAILED,
      error: { name: "ABORTED" },
    });
    expect((await events(second)).at(-1)?.failure?.message).toContain("karl");
    const places: unknown[] = [];
    for await (const event of third.read(0, NEVER)) {
      places.push(event.queued);
      break;
    }
    expect(places).toEqual([{ position: 1, behind: "doubler 1 of maria" }]);
  });

  it("before activation leaves the board as it was, ready for the next", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, epk(1)).ended;
    const second = deploy(fleet, id, epk(2, {}, 13_000));
    await happens(second, "sending");
    expect(await fleet.deployments.cancel(second.id, "karl")).toMatchObject({ error: { name: "ABORTED" } });
    const status = await fleet.devices.find(id).session.status();
    expect(status).toMatchObject({ phase: 0, active: { swapNumber: 1 } });
    const third = deploy(fleet, id, epk(3));
    await third.ended;
    expect(third.record.error).toBeNull();
  });

  it("after activation ends the trial and brings the old agent back", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, epk(1)).ended;
    const second = deploy(fleet, id, epk(2, LONG_TRIAL));
    await happens(second, "trial");
    const view = await fleet.deployments.cancel(second.id, "karl");
    expect(view).toMatchObject({ state: FAILED, error: { name: "ABORTED" } });
    const status = await fleet.devices.find(id).session.status();
    expect(status).toMatchObject({ phase: 0, active: { swapNumber: 1, version: "1" } });
  });

  it("changes nothing of a deployment that is over", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1));
    await deployment.ended;
    expect(await fleet.deployments.cancel(deployment.id, "karl")).toMatchObject({ state: DONE });
    expect((await failure(() => fleet.deployments.cancel("0123456789abcdef", "karl"))).code).toBe(
      "DEPLOYMENT_UNKNOWN",
    );
  });
});

describe("a board that goes away in the middle", () => {
  it("is waited for, and goes on where it was when it comes back on another port", async () => {
    const fleet = await startFleet({ boards: 2 });
    const [id = ""] = await fleet.ids();
    const spare = await fleet.ports[1]?.pull();
    expect(spare).toBeDefined();
    const deployment = deploy(fleet, id, epk(1, {}, 13_000));
    for await (const event of deployment.read(0, NEVER))
      if ((event.sending?.acknowledged ?? 0) > 6_000) break;
    const board = await fleet.ports[0]?.pull();
    await happens(deployment, "interrupted");
    if (board !== undefined) fleet.ports[1]?.plug(board);
    await deployment.ended;
    const begun = (await events(deployment)).flatMap((event) => (event.begun ? [event.begun] : []));
    expect(begun.at(-1)).toMatchObject({ resumed: true });
    expect(begun.at(-1)?.offset).toBeGreaterThanOrEqual(2_048);
    expect(deployment.record.error).toBeNull();
    expect(fleet.devices.find(id).port).toBe("port1");
  });

  it("is given up after the time that was set, with the reason why it went", async () => {
    const fleet = await startFleet({ deployments: { absenceMs: 50 } });
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, {}, 13_000));
    await happens(deployment, "sending");
    await fleet.ports[0]?.pull();
    await deployment.ended;
    expect(deployment.record.error).toMatchObject({ name: "PORT_LOST" });
  });

  it("gets nothing if another board is on its port then", async () => {
    const fleet = await startFleet({ deployments: { absenceMs: 300 } });
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, {}, 13_000));
    await happens(deployment, "sending");
    await fleet.ports[0]?.pull();
    const other = await newBoard();
    fleet.ports[0]?.plug(other);
    await deployment.ended;
    expect(deployment.record.error).not.toBeNull();
    const session = fleet.devices.find("port0").session;
    expect(await session.status()).toMatchObject({ phase: 0, safeMode: true, nextOffset: 0 });
    expect((await session.slots()).map((slot) => slot.state)).toEqual([0, 0]);
  });
});

describe("a board that is exchanged in the middle", () => {
  it("without a word of the line's: the other one gets nothing, not even a Begin", async () => {
    const fleet = await startFleet({ deployments: { absenceMs: 300 } });
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, {}, 13_000));
    await happens(deployment, "sending");
    const other = await newBoard();
    const { transport } = fleet.ports[0] ?? {};
    if (transport === undefined) throw new Error("no line");
    Object.assign(transport, { board: other });
    fleet.ports[0]?.plug(other);
    await deployment.ended;
    expect(deployment.record.error).toMatchObject({ name: "PORT_LOST" });
    await until(() => fleet.devices.present === 1);
    const { session } = fleet.devices.find("port0");
    expect((await session.history()).filter((entry) => entry.kind === 2)).toEqual([]);
    expect((await session.slots()).map((slot) => slot.state)).toEqual([0, 0]);
  });
});

describe("a gateway that can't write its state down", () => {
  const full = (): never => {
    throw new EdgePlugError("GATEWAY_STATE", "The disk is full.");
  };

  it("activates nothing that is not on disk, and goes on when it can", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const save = fleet.store.save.bind(fleet.store);
    fleet.store.save = full;
    const deployment = deploy(fleet, id, epk(1));
    const { interrupted } = await happens(deployment, "interrupted");
    expect(interrupted).toMatchObject({ name: "GATEWAY_STATE" });
    expect(await fleet.devices.find(id).session.status()).toMatchObject({ phase: 0, safeMode: true });
    fleet.store.save = save;
    await deployment.ended;
    expect(deployment.record).toMatchObject({ error: null, state: DONE });
  });

  it("takes no deployment that it can't keep", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    fleet.store.add = full;
    expect((await failure(() => deploy(fleet, id, epk(1)))).code).toBe("GATEWAY_STATE");
    expect(fleet.deployments.load(id)).toEqual({ busy: false, queued: 0 });
  });

  it("cancels nothing that it says it can't cancel", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const save = fleet.store.save.bind(fleet.store);
    const first = deploy(fleet, id, epk(1, {}, 13_000));
    const second = deploy(fleet, id, epk(2));
    await happens(first, "sending");
    fleet.store.save = full;
    expect((await failure(() => fleet.deployments.cancel(second.id, "eve"))).code).toBe("GATEWAY_STATE");
    expect((await failure(() => fleet.deployments.cancel(first.id, "eve"))).code).toBe("GATEWAY_STATE");
    fleet.store.save = save;
    await second.ended;
    expect([first, second].map(({ record }) => record.state)).toEqual([DONE, DONE]);
  });

  it("ends what is over all the same, and writes it down as soon as it can", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const save = fleet.store.save.bind(fleet.store);
    const deployment = deploy(fleet, id, epk(1));
    await happens(deployment, "activated");
    fleet.store.save = full;
    await deployment.ended;
    expect(fleet.store.find(deployment.id)?.state).not.toBe(DONE);
    expect(fleet.deployments.find(deployment.id)).toMatchObject({ state: DONE });
    const told: DeployEvent[] = [];
    for await (const event of fleet.deployments.watch(deployment.id, 0, NEVER)) told.push(event);
    expect(told.at(-1)?.result).toBeDefined();
    fleet.store.save = save;
    await fleet.stop();
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    expect(again.deployments.find(deployment.id)).toMatchObject({ state: DONE });
    expect(again.deployments.unfinished).toBe(0);
  });
});

/** Waits for its host's word once it has been healthy for a moment. */
const PATIENT = { trial: { healthyScans: 20, confirmByHost: true } };

async function lock(fleet: Fleet, id: string): Promise<void> {
  const { session } = fleet.devices.find(id);
  await session.execute({ kind: "addKey", role: "publisher", publicKey: publicKeyOf(PUBLISHER) });
  await session.execute({ kind: "addKey", role: "operator", publicKey: publicKeyOf(OPERATOR) });
  await session.execute({ kind: "lock" });
}

describe("a signature that nobody gives", () => {
  it("fails the deployment with LOCKED when its time is over", async () => {
    const fleet = await startFleet({ deployments: { signaturePatienceMs: 30 } });
    const [id = ""] = await fleet.ids();
    await lock(fleet, id);
    const deployment = deploy(fleet, id, epk(1, PATIENT), true);
    const { signatureWanted } = await happens(deployment, "signatureWanted");
    await deployment.ended;
    expect(deployment.record.error).toMatchObject({ name: "LOCKED" });
    const signature = { keyId: new Uint8Array(8), signature: new Uint8Array(64) };
    const late = await failure(() => deployment.provide(signatureWanted?.request ?? 0, signature));
    expect(late.code).toBe("GATEWAY_REQUEST");
  });
});

describe("a gateway that starts again", () => {
  it("goes on with what was under way, then with what waited, and leaves alone what was over", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await deploy(fleet, id, epk(1)).ended;
    const second = deploy(fleet, id, epk(2, {}, 13_000));
    const third = deploy(fleet, id, epk(3));
    for await (const event of second.read(0, NEVER)) if ((event.sending?.acknowledged ?? 0) > 5_000) break;
    await fleet.stop();
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    await until(() => again.deployments.unfinished === 0);
    const views = again.deployments.list("", 10);
    expect(views.map(({ version, state }) => ({ version, state }))).toEqual([
      { version: "3", state: DONE },
      { version: "2", state: DONE },
      { version: "1", state: DONE },
    ]);
    const last: DeployEvent[] = [];
    for await (const event of again.deployments.watch(second.id, 0, NEVER)) last.push(event);
    expect(last.filter((event) => event.begun).at(-1)?.begun).toMatchObject({ resumed: true });
    const sequences = last.map((event) => event.sequence ?? 0);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(again.deployments.find(third.id)).toMatchObject({ state: DONE });
    expect(await again.devices.find(id).session.status()).toMatchObject({
      active: { version: "3", swapNumber: 3 },
    });
  });

  it("waits out a trial that went on by itself meanwhile, and doesn't push again", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, LONG_TRIAL));
    await happens(deployment, "trial");
    await fleet.stop();
    fleet.ports[0]?.board?.run(1_000);
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    await until(() => again.deployments.unfinished === 0);
    expect(again.deployments.find(deployment.id)).toMatchObject({ state: DONE });
    expect(await again.devices.find(id).session.status()).toMatchObject({ active: { swapNumber: 1 } });
  });

  it("finds that a push was confirmed while it was away, and runs nothing twice", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, LONG_TRIAL));
    await happens(deployment, "trial");
    await fleet.stop();
    fleet.ports[0]?.board?.run(55_000);
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    await until(() => again.deployments.unfinished === 0);
    expect(again.deployments.find(deployment.id)).toMatchObject({ state: DONE });
    const status = await again.devices.find(id).session.status();
    expect(status).toMatchObject({ active: { swapNumber: 1 } });
    expect((await again.devices.find(id).session.history()).filter((entry) => entry.kind === 2)).toHaveLength(
      1,
    );
  });

  it("asks anew for the signature that it was waiting for, and takes none for the old question", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    await lock(fleet, id);
    const deployment = deploy(fleet, id, epk(1, PATIENT), true);
    const { signatureWanted: first } = await happens(deployment, "signatureWanted");
    await fleet.stop();
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    const answer = async (wanted: typeof first): Promise<void> => {
      const { boardId, nonce, command, request } = edgeplug.gateway.v1.SignatureWanted.create(wanted ?? {});
      const signature = sign(commandMessage(boardId, nonce, command), OPERATOR);
      again.deployments.provide(deployment.id, request, { keyId: keyId(publicKeyOf(OPERATOR)), signature });
    };
    for await (const { signatureWanted } of again.deployments.watch(deployment.id, 0, NEVER)) {
      if (!signatureWanted || signatureWanted.request === first?.request) continue;
      expect((await failure(() => answer(first))).code).toBe("GATEWAY_REQUEST");
      await answer(signatureWanted);
    }
    expect(again.deployments.find(deployment.id)).toMatchObject({ state: DONE });
  });

  it("keeps to a cancelling that came just before", async () => {
    const fleet = await startFleet();
    const [id = ""] = await fleet.ids();
    const deployment = deploy(fleet, id, epk(1, LONG_TRIAL));
    await happens(deployment, "trial");
    // as if the process had died between writing it down and the board's answer
    deployment.record.cancelledBy = "karl";
    await fleet.stop();
    const again = await startFleet({ folder: fleet.folder, ports: fleet.ports });
    await until(() => again.deployments.unfinished === 0);
    expect(again.deployments.find(deployment.id)).toMatchObject({
      state: FAILED,
      error: { name: "ABORTED" },
    });
    expect(await again.devices.find(id).session.status()).toMatchObject({ phase: 0 });
  });
});
