/** Shadow runs by the real tool on the Arm image: between request agents, and through a gateway that is killed in the middle. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { serializePackage, type AgentPackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { controlAgent, makePackage, REQUEST, requestAgent } from "@edgeplug/test-support/agents";
import type { TestBoard } from "@edgeplug/test-support/board";

import "./fixture.js";
import { EDGEPLUG_PUSH, runTool, type Outcome, type ToolOptions } from "./support/tool.js";
import { boardOnPort, startGateway, type GatewayProcess } from "./support/ways.js";

const asker = (release: number, tag: number): AgentPackage =>
  makePackage(requestAgent(tag), {
    ...REQUEST,
    name: "asker",
    version: `${release}`,
    release,
    trial: { minRequests: 2 },
    vectors: [{ request: Uint8Array.of(1, 2), reply: Uint8Array.of(tag, 1, 2) }],
  });
const fill = (release: number, value: number): AgentPackage =>
  makePackage(controlAgent({ value }), {
    name: "fill",
    version: `${release}`,
    release,
    stateId: 5,
    channels: [{ name: "power", unit: "kW" }, { name: "count" }],
  });
const PACKAGES = {
  asks: asker(1, 0x2a),
  otherwise: asker(2, 0x2b),
  alike: asker(3, 0x2a),
  fill: fill(1, 12.5),
  near: fill(2, 12.75),
};

let folder = "";
let board: TestBoard;
let port = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-shadow-"));
  for (const [name, pkg] of Object.entries(PACKAGES))
    writeFileSync(join(folder, `${name}.epk`), serializePackage(pkg));
  ({ board, port } = await boardOnPort());
});
afterAll(async () => {
  await board.close();
  rmSync(folder, { recursive: true, force: true });
});

const push = (device: string, args: string, onLine?: ToolOptions["onLine"]): Promise<Outcome> =>
  runTool(EDGEPLUG_PUSH, [...args.split(" "), "--device", device], { folder, onLine });

const eventsOf = ({ stdout }: Outcome): Record<string, unknown>[] =>
  stdout.map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a shadow run between request agents, over a serial port", () => {
  it("is served by the push itself, and rejects other replies with all of the report; the old agent answers on", async () => {
    expect((await push(port, "asks.epk")).code).toBe(0);
    const outcome = await push(port, "otherwise.epk --shadow 40 --json");
    expect(outcome.code).toBe(55);
    const last = eventsOf(outcome).at(-1);
    expect(last).toMatchObject({
      event: "error",
      name: "SHADOW",
      shadow: {
        state: "rejected",
        compares: "requests",
        needed: 40,
        compared: 8,
        differing: 8,
        reason: "shadow",
        channels: [],
      },
    });
    const { first } = last?.["shadow"] as { first: object[] };
    expect(first).toHaveLength(8);
    expect(first[0]).toMatchObject({ number: 1, byte: 0, active: "2a0102", candidate: "2b0102" });
    const status = eventsOf(await push(port, "--status --json"))[0];
    expect(status).toMatchObject({ spent: 1, active: { name: "asker", version: "1" }, lastReason: "shadow" });
    expect((await push(port, "--request 09")).stdout).toEqual(["2a09"]);
    expect((await push(port, "otherwise.epk --shadow 40")).code).toBe(25);
  });

  it("activates what replies alike", async () => {
    const outcome = await push(port, "alike.epk --shadow 40");
    expect([outcome.code, outcome.stderr]).toEqual([0, []]);
    expect(outcome.stdout).toContain("agreed    in all 40 requests");
    expect(outcome.stdout.at(-1)).toBe("running   asker 3 (swap 3) stays");
  });
});

describe("a shadow run through a gateway", () => {
  it("goes on when the gateway is killed in the middle of it, and activates only what agrees", async () => {
    let gateway: GatewayProcess = await startGateway(folder, [port]);
    const device = gateway.address;
    try {
      expect((await push(device, "fill.epk")).code).toBe(0);
      let restarted: Promise<void> | undefined;
      const restart = async (): Promise<void> => {
        const ended = new Promise((resolve) => gateway.child.once("close", resolve));
        gateway.child.kill("SIGKILL");
        await ended;
        gateway = await startGateway(folder, [port], { port: gateway.port });
      };
      const outcome = await push(device, "near.epk --shadow 1500 --tolerance power=0.25 --json", (line) => {
        if (line.includes('"event":"shadow"')) restarted ??= restart();
      });
      await restarted;
      expect(restarted).toBeDefined();
      expect([outcome.code, outcome.stderr]).toEqual([0, []]);
      const events = eventsOf(outcome);
      const told = events.map(({ event }) => event);
      expect(told).toContain("interrupted");
      expect(told.lastIndexOf("shadow")).toBeLessThan(told.indexOf("activated"));
      expect(told.filter((event) => event === "activated")).toHaveLength(1);
      expect(events.at(-1)).toMatchObject({
        ok: true,
        active: { version: "2" },
        shadow: {
          state: "agreed",
          compared: 1_500,
          differing: 0,
          channels: [
            { name: "power", unit: "kW", tolerance: 0.25, largest: 0.25 },
            { name: "count", largest: 0 },
            {},
            {},
          ],
        },
      });
      const status = eventsOf(await push(device, "--status --json"))[0];
      expect(status).toMatchObject({ counters: { scansMissed: 0 } });
    } finally {
      await gateway.close();
    }
  });
});
