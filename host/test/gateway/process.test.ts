/** The gateway as a process: killed, stopped in the middle, started twice, started wrongly. */
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

import { Ajv2020 } from "ajv/dist/2020.js";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import { verifyAudit } from "../../src/gateway/audit.js";
import { edgeplug } from "../../src/generated/messages.js";
import { folderWith } from "../support/files.js";
import { GatewayProcess } from "../support/gateway-process.js";
import { epk } from "../support/sim-fleet.js";
import type { Caller } from "../support/test-gateway.js";

const { DEPLOYMENT_STATE_DONE } = edgeplug.gateway.v1.DeploymentState;
// Processes take their time on a busy machine. This limit is for what hangs for good, and no measure of anything.
vi.setConfig({ testTimeout: 120_000 });

const SCHEMA = new URL("../../../docs/schemas/gateway.schema.json", import.meta.url);
const LONG_TRIAL = { trial: { healthyScans: 150_000, deadlineScans: 200_000 } };

async function serve(
  folder: string,
  boards: readonly string[],
  args: readonly string[] = [],
): Promise<GatewayProcess> {
  const devices = boards.map((name) => `sim:${join(folder, name)}`);
  const gateway = await GatewayProcess.serve(join(folder, "state"), devices, args);
  onTestFinished(() => gateway.end());
  return gateway;
}

function caller(gateway: GatewayProcess, token = gateway.token ?? ""): Caller {
  const made = gateway.caller(token);
  onTestFinished(() => made.close());
  return made;
}

/** Starts a deployment and reads its events up to one with `body`; gives its id. */
async function deployUntil(
  by: Caller,
  device: string,
  packageBytes: Uint8Array,
  body: string,
): Promise<string> {
  for await (const event of by.stream("deploy", { device, package: packageBytes })) {
    if (event.body === body) return event.deployment;
  }
  throw new Error(`${body} never happened`);
}

async function outcome(by: Caller, deployment: string): Promise<string> {
  let last = "";
  for await (const event of by.stream("watchDeployment", { deployment }))
    last = event.failure?.name ?? event.body;
  return last;
}

describe("a gateway that is killed (-9) in the middle", () => {
  it("goes on by itself after its next start: what was sent, what waited, nothing twice", async () => {
    const folder = folderWith();
    const first = await serve(folder, ["a.flash", "b.flash"]);
    const token = first.token ?? "";
    const before = caller(first);
    const [one = "", two = ""] = (await before.call("listDevices", {})).devices.map(({ id }) => id);
    const done = await deployUntil(before, one, epk(1), "result");
    const trial = await deployUntil(before, two, epk(1, LONG_TRIAL), "trial");
    const sending = await deployUntil(before, one, epk(2, {}, 13_500), "begun");
    const waiting = await deployUntil(before, one, epk(3), "queued");
    first.kill("SIGKILL");
    expect((await first.ended).signal).toBe("SIGKILL");

    const second = await serve(folder, ["a.flash", "b.flash"]);
    expect(second.token).toBeUndefined();
    const after = caller(second, token);
    for (const id of [sending, waiting, trial]) expect(await outcome(after, id)).toBe("result");
    const { deployments } = await after.call("listDeployments", {});
    expect(deployments.map(({ id, state }) => ({ id, state }))).toEqual(
      [waiting, sending, trial, done].map((id) => ({ id, state: DEPLOYMENT_STATE_DONE })),
    );
    expect((await after.call("getStatus", { device: one })).active).toMatchObject({ version: "3" });
    const { entries } = await after.call("getHistory", { device: one });
    const confirmed = entries.filter(({ kind }) => kind === edgeplug.HistoryKind.HISTORY_KIND_CONFIRMED);
    expect(confirmed).toHaveLength(3);
    expect(verifyAudit(join(folder, "state", "audit.log")).problems).toEqual([]);
  });
});

describe("a gateway that is told to stop", () => {
  it("refuses new calls, gives a running push its time, and exits with 0", async () => {
    const folder = folderWith();
    const gateway = await serve(folder, ["a.flash"], ["--grace", "60"]);
    const by = caller(gateway);
    const [device = ""] = (await by.call("listDevices", {})).devices.map(({ id }) => id);
    const events = by.stream("deploy", { device, package: epk(1, LONG_TRIAL) });
    let last = "";
    let refused: unknown;
    for await (const event of events) {
      if (event.body === "trial" && refused === undefined) {
        gateway.kill("SIGTERM");
        await gateway.happens(({ event: name }) => name === "stopping");
        refused = await by.call("listDevices", {}).catch((error: unknown) => error);
      }
      last = event.body;
    }
    expect(refused).toMatchObject({ code: "GATEWAY_STOPPING" });
    expect(last).toBe("result");
    expect(await gateway.ended).toMatchObject({ code: 0, stderr: "" });
    expect(gateway.events.map(({ event }) => event)).toEqual([
      "serving",
      "connected",
      "stopping",
      "deployment",
      "stopped",
    ]);
    const holds = new Ajv2020({ strict: false }).compile(JSON.parse(readFileSync(SCHEMA, "utf8")) as object);
    for (const event of gateway.events) expect(holds(event), JSON.stringify(event)).toBe(true);
  });

  it("leaves a push that takes too long as the board can resume it, and goes on at the next start", async () => {
    const folder = folderWith();
    const gateway = await serve(folder, ["a.flash"], ["--grace", "0"]);
    const token = gateway.token ?? "";
    const by = caller(gateway);
    const [device = ""] = (await by.call("listDevices", {})).devices.map(({ id }) => id);
    const id = await deployUntil(by, device, epk(1, {}, 13_500), "sending");
    gateway.kill("SIGTERM");
    expect(await gateway.ended).toMatchObject({ code: 0, stderr: "" });
    const again = await serve(folder, ["a.flash"]);
    expect(await outcome(caller(again, token), id)).toBe("result");
  });

  it("ends at once when it is told so a second time", async () => {
    const folder = folderWith();
    const gateway = await serve(folder, ["a.flash"], ["--grace", "3600"]);
    const by = caller(gateway);
    const [device = ""] = (await by.call("listDevices", {})).devices.map(({ id }) => id);
    const endless = { trial: { healthyScans: 4_000_000, deadlineScans: 4_100_000 } };
    const id = await deployUntil(by, device, epk(1, endless), "trial");
    gateway.kill("SIGTERM");
    await gateway.happens(({ event }) => event === "stopping");
    gateway.kill("SIGTERM");
    expect((await gateway.ended).code).toBe(143);
    expect(id).not.toBe("");
  });
});

describe("a gateway that can't start", () => {
  it("because another one has its state folder names that process, and leaves it alone", async () => {
    const folder = folderWith();
    const gateway = await serve(folder, []);
    const by = caller(gateway);
    const second = GatewayProcess.spawn(join(folder, "state"), []);
    const { code, stderr } = await second.ended;
    expect(code).toBe(87);
    expect(stderr).toMatch(/EP8010: .*in use by a gateway, process \d+/);
    expect(await by.call("getGateway", {})).toMatchObject({ devices: 0 });
  });

  it("because its address is taken says so, and keeps its first token for the time when it can", async () => {
    const folder = folderWith();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const failed = await GatewayProcess.spawn(join(folder, "state"), ["--listen", `127.0.0.1:${port}`]).ended;
    expect(failed.code).toBe(13);
    expect(failed.stderr).toContain(`127.0.0.1:${port} can't be served: another program serves it already`);
    const gateway = await serve(folder, []);
    expect(await caller(gateway).call("getGateway", {})).toMatchObject({ login: "admin" });
  });

  it.each([
    [
      "a certificate file that isn't there",
      ["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.pem"],
      10,
      "/nowhere.pem",
    ],
    ["a setting that there isn't", ["--colour", "blue"], 2, "--colour"],
  ])("because of %s says which", async (_what, args, exit, words) => {
    const { code, stderr } = await GatewayProcess.spawn(join(folderWith(), "state"), args).ended;
    expect(stderr).toContain(words);
    expect(stderr.trimEnd().split("\n")).toHaveLength(2);
    expect(code).toBe(exit);
  });
});
