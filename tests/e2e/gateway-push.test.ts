/** Pushes through a gateway that is killed, is full of others' work, or is told to stop: real processes all. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { serializePackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { controlAgent, makePackage, padded } from "@edgeplug/test-support/agents";
import { type TestBoard } from "@edgeplug/test-support/board";

import "./fixture.js";
import { EDGEPLUG, EDGEPLUG_PUSH, runTool, type Outcome, type ToolOptions } from "./support/tool.js";
import { boardOnPort, startGateway, type GatewayProcess } from "./support/ways.js";

const PACKAGES = {
  large: makePackage(padded(controlAgent({ value: 1 }), 13_000), {
    name: "large",
    trial: { healthyScans: 3_000 },
  }),
  patient: makePackage(controlAgent({ value: 2 }), {
    name: "patient",
    trial: { healthyScans: 1_000_000, deadlineScans: 2_000_000 },
  }),
  next: makePackage(controlAgent({ value: 3 }), { name: "next" }),
};

let folder = "";
let gateway: GatewayProcess;
/** One that goes on when the gateway is killed. */
let board: TestBoard;
let port = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-gateway-push-"));
  for (const [name, pkg] of Object.entries(PACKAGES))
    writeFileSync(join(folder, `${name}.epk`), serializePackage(pkg));
  ({ board, port } = await boardOnPort());
  gateway = await startGateway(folder, [port]);
});
afterAll(async () => {
  await gateway.close();
  await board.close();
  rmSync(folder, { recursive: true, force: true });
});

const push = (args: readonly string[], onLine?: ToolOptions["onLine"]): Promise<Outcome> =>
  runTool(EDGEPLUG_PUSH, [...args, "--device", gateway.address], { folder, onLine });

/** Kills it as the kernel does, and starts it anew on the same port. */
async function restart(): Promise<void> {
  const ended = new Promise((resolve) => gateway.child.once("close", resolve));
  gateway.child.kill("SIGKILL");
  await ended;
  gateway = await startGateway(folder, [port], { port: gateway.port });
}

const eventsOf = ({ stdout }: Outcome): Record<string, unknown>[] =>
  stdout.map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a push through a gateway", () => {
  it("survives kill -9 of the gateway in the middle of the transfer, and tells every stage once", async () => {
    let restarted: Promise<void> | undefined;
    const outcome = await push(["large.epk", "--json"], (line) => {
      if (/"acknowledged":[4-9]\d{3},/.test(line)) restarted ??= restart();
    });
    await restarted;
    expect(restarted).toBeDefined();
    expect([outcome.code, outcome.stderr]).toEqual([0, []]);
    const events = eventsOf(outcome);
    const told = events.map(({ event }) => event);
    for (const once of ["package", "staged", "activated", "confirmed", "result"])
      expect(
        told.filter((event) => event === once),
        once,
      ).toHaveLength(1);
    expect(told).toContain("interrupted");
    const interrupted = events.find(({ event }) => event === "interrupted");
    expect(interrupted).toMatchObject({ cause: { name: "GATEWAY_UNREACHABLE" } });
    expect(events.at(-1)).toMatchObject({ ok: true, active: { name: "large", state: "confirmed" } });
  });

  it("says whom it waits for, and leaves the queue on Ctrl-C; the other one's trial goes on", async () => {
    let second: Promise<Outcome> | undefined;
    const first = await push(["patient.epk"], (line, child) => {
      if (!line.startsWith("activated")) return;
      second ??= push(["next.epk"], (told, waiting) => {
        if (told.startsWith("queue")) waiting.kill("SIGINT");
      });
      void second.then(() => child.kill("SIGINT"));
    });
    const waited = await second;
    expect(waited?.stdout.at(-1)).toMatch(/^queue {5}1st, behind patient 1 of \S+$/);
    expect([waited?.code, waited?.stderr[0]]).toEqual([130, "error EP1010: Stopped by the user."]);
    expect(first.code).toBe(130);
    expect(first.stderr[0]).toContain("its trial goes on by itself");
    expect((await push(["--status"])).stdout[0]).toMatch(/patient 1, .* trial/);
  });

  it("survives kill -9 of the gateway in the trial, which goes on", async () => {
    const abort = await push(["--abort"]);
    expect(abort.code).toBe(0);
    let restarted: Promise<void> | undefined;
    const outcome = await push(["large.epk", "--json"], (line) => {
      if (line.includes('"event":"activated"')) restarted ??= restart();
    });
    await restarted;
    expect([outcome.code, outcome.stderr]).toEqual([0, []]);
    expect(eventsOf(outcome).filter(({ event }) => event === "activated")).toHaveLength(1);
  });

  it("is an operator's: a viewer may look and no more, by token as by client certificate", async () => {
    const home = join(folder, "viewer");
    mkdirSync(home);
    const state = ["--state", join(folder, "state")];
    const make = (...args: string[]): Promise<Outcome> =>
      runTool(EDGEPLUG, ["gateway", ...args, ...state], { folder: home });
    expect(await make("cert", "issue", "vera", "--role", "viewer", "--out", "vera.pem")).toMatchObject({
      code: 0,
    });
    const token = await make("token", "add", "victor", "--role", "viewer", "--json");
    const env = { EDGEPLUG_TOKEN: (JSON.parse(token.stdout[0] ?? "{}") as { token: string }).token };
    const byCertificate = ["--client-cert", "vera.pem", "--client-key", "vera.pem.key"];
    const as = (who: "vera" | "victor", ...args: string[]): Promise<Outcome> =>
      runTool(
        EDGEPLUG_PUSH,
        [
          ...args,
          "--device",
          gateway.address,
          "--trust",
          gateway.fingerprint,
          ...(who === "vera" ? byCertificate : []),
        ],
        { folder: home, env: who === "vera" ? {} : env },
      );
    for (const who of ["vera", "victor"] as const) {
      expect(await as(who, "--status")).toMatchObject({ code: 0, stderr: [] });
      const refused = await as(who, "../next.epk");
      expect([refused.code, refused.stderr[0]]).toEqual([82, expect.stringMatching(/^error EP8004: /)]);
    }
  });
});
