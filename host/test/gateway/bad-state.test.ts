/** A gateway whose disk, database, clock or certificates go bad under it: it says so, does nothing by halves, and goes on. */
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { credentials, status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import { verifyAudit } from "../../src/gateway/audit.js";
import { readPair } from "../../src/gateway/certificate-files.js";
import { makeAuthority, newClientKey, signClient, signServer } from "../../src/gateway/authority.js";
import { createGatewayClient, fromServiceError, toServiceError } from "../../src/gateway/wire.js";
import { folderWith } from "../support/files.js";
import { GatewayProcess } from "../support/gateway-process.js";
import { epk } from "../support/sim-fleet.js";
import { TestGateway, type Caller } from "../support/test-gateway.js";
import { failure } from "../support/failure.js";

const DAY_MS = 86_400_000;

/** How a deployment ends: "result", or the failure's name. */
async function deploy(caller: Caller, device: string, release: number): Promise<string> {
  let last = "";
  for await (const event of caller.stream("deploy", { device, package: epk(release, {}, 6_000) }))
    last = event.failure?.name ?? event.body;
  return last;
}

async function startGateway(): Promise<TestGateway> {
  const gateway = await TestGateway.start();
  onTestFinished(() => gateway.stop().catch(() => undefined));
  return gateway;
}

const auditOf = (state: string): string => join(state, "audit.log");

describe("a disk that is full", () => {
  it("lets nothing be done to boards that can't go on record, and all go on once there is room", async (context) => {
    const disk = folderWith();
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]).status !== 0)
      return context.skip("needs a disk of its own, which only root may mount");
    onTestFinished(() => void spawnSync("umount", ["-l", disk]));
    const state = join(disk, "state");
    const flash = join(folderWith(), "board.flash");
    const gateway = await GatewayProcess.serve(state, [`sim:${flash}`]);
    onTestFinished(() => gateway.end());
    const admin = gateway.caller(gateway.token ?? "");
    onTestFinished(() => admin.close());
    const device = `sim:${flash}`;
    expect(await deploy(admin, device, 1)).toBe("result");
    const history = async (): Promise<number> => (await admin.call("getHistory", { device })).entries.length;
    const before = await history();

    const ballast = join(disk, "ballast");
    fill(ballast);
    // what there is of half-empty blocks is used up by calls that leave the board alone
    const answers = new Set<string>();
    while (!answers.has("GATEWAY_STATE"))
      answers.add((await failure(admin.call("confirm", { device }))).code);
    expect([...answers].sort()).toEqual(
      ["GATEWAY_STATE", "NOT_IN_TRIAL"].filter((code) => answers.has(code)),
    );
    const refused = await failure(deploy(admin, device, 2));
    expect(refused).toMatchObject({
      code: "GATEWAY_STATE",
      message: expect.stringContaining("full") as string,
    });
    expect(toServiceError(refused).code).toBe(status.INTERNAL);
    expect((await failure(admin.call("rollback", { device }))).code).toBe("GATEWAY_STATE");
    expect((await admin.call("getStatus", { device })).active).toMatchObject({ version: "1" });
    expect(await history()).toBe(before);

    rmSync(ballast);
    expect(await deploy(admin, device, 3)).toBe("result");
    expect((await admin.call("getStatus", { device })).active).toMatchObject({ version: "3" });
    gateway.kill("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    expect(verifyAudit(auditOf(state)).problems).toEqual([]);
  });

  it("in the middle of a push ends nothing by halves: the push goes on when there is room", async (context) => {
    const disk = folderWith();
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]).status !== 0)
      return context.skip("needs a disk of its own, which only root may mount");
    onTestFinished(() => void spawnSync("umount", ["-l", disk]));
    const state = join(disk, "state");
    const gateway = await GatewayProcess.serve(state, ["sim:"]);
    onTestFinished(() => gateway.end());
    const admin = gateway.caller(gateway.token ?? "");
    onTestFinished(() => admin.close());
    const ballast = join(disk, "ballast");
    const bodies: string[] = [];
    for await (const event of admin.stream("deploy", { device: "sim:", package: epk(1, {}, 13_000) })) {
      if (bodies.length === 0) fill(ballast);
      if (event.body === "interrupted" || event.body === "sending") rmSync(ballast, { force: true });
      bodies.push(event.body);
    }
    expect(bodies.at(-1)).toBe("result");
    expect((await admin.call("getStatus", { device: "sim:" })).active).toMatchObject({ version: "1" });
    expect(await deploy(admin, "sim:", 2)).toBe("result");
    gateway.kill("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    expect(verifyAudit(auditOf(state)).problems).toEqual([]);
  });
});

/** Takes all the room that there is. */
function fill(path: string): void {
  writeFileSync(path, "");
  for (const size of [65_536, 4_096]) {
    try {
      for (;;) appendFileSync(path, new Uint8Array(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
}

describe("a database that is damaged while it is in use", () => {
  it("costs no board and no answer: what can't be stored is refused, what needs no storing is served", async () => {
    const gateway = await startGateway();
    const operator = gateway.caller("operator");
    const [id = ""] = await gateway.boards();
    expect(await deploy(operator, id, 1)).toBe("result");
    const { state } = gateway.config;
    for (const name of ["gateway.db", "gateway.db-wal"]) {
      const path = join(state, name);
      writeFileSync(path, new Uint8Array(statSync(path).size).fill(0x5a));
    }
    const endings: string[] = [];
    for (const release of [2, 3, 4]) {
      endings.push(
        await deploy(operator, id, release).catch((error: unknown) => EdgePlugError.from(error).code),
      );
    }
    const active = Number((await operator.call("getStatus", { device: id })).active?.version);
    // each push was refused before the board saw any of it, or went through
    expect(endings.filter((ending) => !["result", "GATEWAY_STATE"].includes(ending))).toEqual([]);
    expect(active).toBe(endings.lastIndexOf("result") + 2);
    expect((await operator.call("listDevices", {})).devices).toHaveLength(1);
    expect(verifyAudit(auditOf(state)).problems).toEqual([]);
  });
});

describe("a clock that goes back by a year while the gateway runs", () => {
  it("locks nobody out, stops no push, and is on record in a log that verifies", async () => {
    const gateway = await startGateway();
    const operator = gateway.caller("operator");
    const [id = ""] = await gateway.boards();
    expect(await deploy(operator, id, 1)).toBe("result");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 365 * DAY_MS });
    onTestFinished(() => void vi.useRealTimers());
    expect(await deploy(operator, id, 2)).toBe("result");
    const deadline = Date.now() + 20_000;
    const { active } = await operator.call("getStatus", { device: id }, { deadline });
    expect(active).toMatchObject({ version: "2" });
    vi.useRealTimers();
    expect(await deploy(operator, id, 3)).toBe("result");
    const { deployments } = await operator.call("listDeployments", { device: id });
    expect(deployments.map(({ version }) => version)).toEqual(["3", "2", "1"]);
    const report = verifyAudit(auditOf(gateway.config.state));
    expect(report.problems).toEqual([]);
    expect(readFileSync(auditOf(gateway.config.state), "utf8")).toContain('"clock-back"');
  });
});

describe("a certificate that has expired", () => {
  const over = { from: new Date(Date.now() - 9 * DAY_MS), until: new Date(Date.now() - DAY_MS) };

  it("lets no client in, though the gateway's own authority made it", async () => {
    const gateway = await startGateway();
    const authority = readPair(join(gateway.config.state, "ca-secret.pem"));
    const { key, spki } = await newClientKey();
    const certificate = await signClient(authority, spki, "late", over);
    const { caPem } = gateway.running;
    const client = createGatewayClient(
      gateway.address,
      credentials.createSsl(Buffer.from(caPem), Buffer.from(key), Buffer.from(certificate)),
      { "grpc.use_local_subchannel_pool": 1 },
    );
    onTestFinished(() => client.close());
    const error = await new Promise<unknown>((resolve) => {
      const call = client.watchEvents({ device: "" });
      call.on("error", resolve);
      call.resume();
    });
    expect(error).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(fromServiceError(error)).toMatchObject({ code: "GATEWAY_LOGIN" });
    expect((await gateway.caller("viewer").call("listDevices", {})).devices).toBeDefined();
  });

  it("is no gateway's: one that is given such a certificate says until when it was good, and doesn't start", async () => {
    const authority = await makeAuthority(new Date(Date.now() - 20 * DAY_MS));
    const { key, certificate } = await signServer(authority, ["localhost"], over);
    const folder = folderWith({ "cert.pem": certificate + authority.certificate, "key.pem": key });
    const given = { tlsCert: join(folder, "cert.pem"), tlsKey: join(folder, "key.pem") };
    const error = await failure(TestGateway.start(given));
    expect(error.message).toContain(over.until.toISOString().slice(0, 10));
    expect(error.code).toMatch(/^GATEWAY_(CONFIG|CERTIFICATE)$/);
  });
});
