/** The service over TLS, as callers meet it: every call, who may make it, and how it says no. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { OPERATOR, PUBLISHER, publicKeyOf } from "@edgeplug/test-support/agents";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import { AuditLog, verifyAudit, type AuditInput } from "../../src/gateway/audit.js";
import { ROLE_OF } from "../../src/gateway/service.js";
import {
  fromServiceError,
  gatewayService,
  type MethodName,
  type StreamName,
  type UnaryName,
} from "../../src/gateway/wire.js";
import { edgeplug } from "../../src/generated/messages.js";
import { commandMessage, encodeCommand } from "../../src/session/commands.js";
import { keyId, sha512, sign } from "../../src/signing.js";
import { epk } from "../support/sim-fleet.js";
import { TestGateway, type Caller } from "../support/test-gateway.js";
import { failure } from "../support/failure.js";

const { DEPLOYMENT_STATE_DONE } = edgeplug.gateway.v1.DeploymentState;
const { ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN } = edgeplug.gateway.v1.Role;
const STREAMS: readonly MethodName[] = ["watchEvents", "watchDeployment", "deploy"];
const METHODS = Object.keys(ROLE_OF) as MethodName[];

let gateway: TestGateway;
let viewer: Caller;
let operator: Caller;
let admin: Caller;
let board = "";
let other = "";

beforeAll(async () => {
  gateway = await TestGateway.start({ boards: 2 });
  [viewer, operator, admin] = [gateway.caller("viewer"), gateway.caller("operator"), gateway.caller("admin")];
  [board = "", other = ""] = await gateway.boards();
});
afterAll(() => gateway.stop());

/** Any call, to see how it is refused; of a stream the first message. */
async function attempt(caller: Caller, method: MethodName, request: object = {}): Promise<unknown> {
  if (!STREAMS.includes(method)) return caller.call(method as UnaryName, request);
  for await (const message of caller.stream(method as StreamName, request)) return message;
  return undefined;
}

async function push(caller: Caller, device: string, packageBytes: Uint8Array): Promise<string[]> {
  const bodies: string[] = [];
  for await (const event of caller.stream("deploy", { device, package: packageBytes })) {
    if (event.body !== bodies.at(-1)) bodies.push(event.body);
  }
  return bodies;
}

describe("the service", () => {
  it("has a role for every call that proto/gateway.proto names", () => {
    expect(METHODS.map((name) => name.toLowerCase()).sort()).toEqual(
      Object.keys(gatewayService)
        .map((name) => name.toLowerCase())
        .sort(),
    );
  });

  it("turns away who has no login, or a wrong one, from every call", async () => {
    const nobody = gateway.caller("viewer", undefined as never);
    nobody.metadata.remove("authorization");
    for (const method of METHODS)
      expect((await failure(attempt(nobody, method))).code).toMatch(/^GATEWAY_(LOGIN|LIMIT)$/);
  });

  it("lets nobody make a call that is above their role, and puts it on record", async () => {
    const rank = { viewer: 0, operator: 1, admin: 2 };
    for (const [caller, role] of [
      [viewer, "viewer"],
      [operator, "operator"],
    ] as const) {
      for (const method of METHODS.filter((name) => rank[ROLE_OF[name]] > rank[role])) {
        expect(await failure(attempt(caller, method, { device: board }))).toMatchObject({
          code: "GATEWAY_ROLE",
        });
      }
    }
    const log = readFileSync(join(gateway.config.state, "audit.log"), "utf8");
    expect(log).toMatch(/"who":"viewer\d+","address":"127.0.0.1","what":"deploy","outcome":"GATEWAY_ROLE"/);
    expect(log).toMatch(/"who":"operator\d+","address":"127.0.0.1","what":"unlock","outcome":"GATEWAY_ROLE"/);
  });

  it("tells each caller who they are", async () => {
    for (const [caller, role] of [
      [viewer, ROLE_VIEWER],
      [operator, ROLE_OPERATOR],
      [admin, ROLE_ADMIN],
    ] as const) {
      expect(await caller.call("getGateway", {})).toMatchObject({
        role,
        devices: 2,
        version: gateway.running.version,
        shadowRuns: true,
      });
    }
  });

  it("lists the boards, and finds one by id, unique prefix or port", async () => {
    const { devices } = await viewer.call("listDevices", {});
    expect(devices.map(({ id }) => id)).toEqual([board, other].sort());
    expect(devices[0]).toMatchObject({ boardClass: 1, locked: false, queued: 0, problem: "" });
    const prefix = board.slice(0, 1 + [...board].findIndex((digit, at) => digit !== other[at]));
    for (const device of [board, prefix, board.toUpperCase(), "sim:"]) {
      const info = await viewer.call("getInfo", { device });
      expect(info.hello?.boardId.toString("hex")).toBe(board);
      expect(info.slots).toHaveLength(2);
    }
    expect(await failure(viewer.call("getInfo", { device: "no-such-board" }))).toMatchObject({
      code: "DEVICE_UNKNOWN",
    });
  });

  it("deploys, and tells it in events that can be read again afterwards", async () => {
    const bodies = await push(operator, board, epk(1));
    expect(bodies[0]).toBe("queued");
    expect(bodies.at(-1)).toBe("result");
    const { deployments } = await viewer.call("listDeployments", { device: board });
    expect(deployments[0]).toMatchObject({
      device: board,
      state: DEPLOYMENT_STATE_DONE,
      name: "doubler",
      error: null,
    });
    const again: string[] = [];
    const request = { deployment: deployments[0]?.id ?? "" };
    for await (const event of viewer.stream("watchDeployment", request)) again.push(event.body);
    expect(again.at(-1)).toBe("result");
    expect((await viewer.call("getStatus", { device: board })).active).toMatchObject({
      name: "doubler",
      version: "1",
    });
    const { swapNumber, package: bytes } = await operator.call("readPackage", { device: board });
    expect(Buffer.compare(bytes, epk(1))).toBe(0);
    expect(swapNumber).toBe(1);
  });

  it("goes on with a deployment whose caller has vanished", async () => {
    const caller = gateway.caller("operator");
    let id = "";
    for await (const event of caller.stream("deploy", { device: other, package: epk(1, {}, 9_000) })) {
      id = event.deployment;
      if (event.begun) break;
    }
    caller.close();
    let last = "";
    for await (const event of viewer.stream("watchDeployment", { deployment: id })) last = event.body;
    expect(last).toBe("result");
  });

  it("tells events of boards to who watches them", async () => {
    const seen: number[] = [];
    const events = viewer.stream("watchEvents", { device: board });
    const first = events.next();
    await push(operator, board, epk(2));
    const { EVENT_KIND_ACTIVATED, EVENT_KIND_CONFIRMED } = edgeplug.EventKind;
    for (let next = await first; next.done !== true; next = await events.next()) {
      expect(next.value.device).toBe(board);
      if (next.value.event) seen.push(next.value.event.kind);
      if (seen.includes(EVENT_KIND_CONFIRMED)) break;
    }
    await events.return();
    expect(seen).toContain(EVENT_KIND_ACTIVATED);
  });

  it("rolls back, clears the spent list and reads the journal", async () => {
    const { status: after } = await operator.call("rollback", { device: board });
    expect(after?.active).toMatchObject({ version: "1" });
    expect(await failure(operator.call("confirm", { device: board }))).toMatchObject({
      code: "NOT_IN_TRIAL",
    });
    expect(await failure(operator.call("abort", { device: board }))).toMatchObject({ code: "NO_SESSION" });
    await operator.call("clearSpent", { device: board });
    expect((await viewer.call("listSpent", { device: board })).digests).toEqual([]);
    const { entries } = await viewer.call("getHistory", { device: board, limit: 3 });
    expect(entries).toHaveLength(3);
    expect(await failure(operator.call("call", { device: board, data: Buffer.from("x") }))).toMatchObject({
      code: "NO_HANDLER",
    });
  });

  it("lets a new agent run beside the old one first, and names that on record", async () => {
    const same = { stateId: 5, name: "beside" };
    await push(operator, other, epk(1, same));
    const shadow = { scans: 200, tolerance: [0.01, 2], allowed: 3 };
    const bodies: string[] = [];
    let told: unknown;
    const request = { device: other, package: epk(1, { ...same, release: 2 }), shadow };
    for await (const event of operator.stream("deploy", request)) {
      bodies.push(event.body);
      if (event.result) told = event.result.shadow;
    }
    expect(bodies).toContain("shadow");
    expect(told).toMatchObject({ compared: 200, allowed: 3, differing: 0 });
    const log = readFileSync(join(gateway.config.state, "audit.log"), "utf8");
    expect(log).toMatch(
      /"what":"deploy".*"detail":"beside 1, manifest [0-9a-f]{32}, shadow run of 200 scans, tolerance 0.01 2, 3 may differ","outcome":"accepted/,
    );
  });

  it("writes every state-changing call into the audit log, before and after", async () => {
    const log = readFileSync(join(gateway.config.state, "audit.log"), "utf8");
    const lines = log
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
    const of = (what: string): string[] =>
      lines.filter((line) => line["what"] === what).map((line) => line["outcome"] ?? "");
    expect(of("rollback").filter((outcome) => outcome !== "GATEWAY_ROLE")).toEqual(["begun", "ok"]);
    expect(of("confirm").filter((outcome) => outcome !== "GATEWAY_ROLE")).toEqual(["begun", "NOT_IN_TRIAL"]);
    expect(of("deploy")).toEqual(
      expect.arrayContaining(["begun", expect.stringMatching(/^accepted as [0-9a-f]{16}$/)]),
    );
    expect(of("deployment").every((outcome) => outcome === "ok")).toBe(true);
    expect(verifyAudit(join(gateway.config.state, "audit.log")).problems).toEqual([]);
  });
});

describe("a locked board behind the gateway", () => {
  const id = keyId(publicKeyOf(OPERATOR));
  const patient = epk(3, { trial: { healthyScans: 20, confirmByHost: true } });

  beforeAll(async () => {
    const add = (secret: Uint8Array, role: number): object => ({
      device: other,
      command: { addKey: { role, publicKey: publicKeyOf(secret) } },
    });
    await admin.call("addKey", add(PUBLISHER, 1));
    await admin.call("addKey", add(OPERATOR, 2));
    const { status: after } = await admin.call("lock", { device: other });
    expect(after).toMatchObject({ locked: true });
  });

  it("says so, and refuses plain commands", async () => {
    const { devices } = await viewer.call("listDevices", {});
    expect(devices.find((device) => device.id === other)).toMatchObject({ locked: true });
    expect(await failure(operator.call("rollback", { device: other }))).toMatchObject({ code: "LOCKED" });
    expect(await viewer.call("listKeys", { device: other })).toMatchObject({
      keys: [{ role: 1 }, { role: 2 }],
    });
  });

  it("takes a command that an operator has signed for its nonce, once", async () => {
    const { boardId, nonce } = await operator.call("getChallenge", { device: other });
    const command = encodeCommand({ kind: "clearSpent" });
    const signature = sign(commandMessage(boardId, nonce, command), OPERATOR);
    const signedCommand = { command, nonce, keyId: id, signature };
    await operator.call("clearSpent", { device: other, signedCommand });
    const second = await failure(operator.call("rollback", { device: other, signedCommand }));
    expect(second).toMatchObject({ code: "GATEWAY_REQUEST" });
  });

  it("has its trial confirmed by whoever signs what the deployment asks for", async () => {
    let asked = 0;
    let last = "";
    for await (const event of operator.stream("deploy", { device: other, package: patient, maySign: true })) {
      last = event.body;
      const wanted = event.signatureWanted;
      if (!wanted) continue;
      asked++;
      expect(wanted.command).toEqual(Buffer.from(encodeCommand({ kind: "confirm" })));
      const signature = sign(commandMessage(wanted.boardId, wanted.nonce, wanted.command), OPERATOR);
      const answer = { deployment: event.deployment, request: wanted.request, keyId: id, signature };
      await operator.call("provideSignature", answer);
      expect(await failure(operator.call("provideSignature", answer))).toMatchObject({
        code: "GATEWAY_REQUEST",
      });
    }
    expect([asked, last]).toEqual([1, "result"]);
  });

  it("fails a deployment with LOCKED if nobody may sign", async () => {
    const next = epk(4, { trial: { healthyScans: 20, confirmByHost: true, deadlineScans: 2_000 } });
    let failed: string | undefined;
    for await (const event of operator.stream("deploy", { device: other, package: next }))
      failed = event.failure?.name;
    expect(failed).toMatch(/^(LOCKED|ROLLED_BACK)$/);
  });
});

describe("a request that makes no sense", () => {
  const shadowOf = (shadow: object): object => ({ device: "DEVICE", package: epk(9), shadow });
  const digest = sha512(new Uint8Array()).slice(0, 16);
  const cases: [string, MethodName, object, string][] = [
    ["an empty device", "getInfo", { device: "" }, "GATEWAY_REQUEST"],
    ["a device with control characters", "getStatus", { device: "a\u0000b" }, "GATEWAY_REQUEST"],
    ["a device name without end", "getStatus", { device: "x".repeat(5_000) }, "GATEWAY_REQUEST"],
    ["an unknown deployment", "watchDeployment", { deployment: "ffffffffffffffff" }, "DEPLOYMENT_UNKNOWN"],
    ["an empty deployment", "cancelDeployment", { deployment: "" }, "GATEWAY_REQUEST"],
    ["a list without end", "listDeployments", { limit: 4_000_000_000 }, "GATEWAY_REQUEST"],
    ["a history without end", "getHistory", { device: "DEVICE", limit: 4_000_000_000 }, "GATEWAY_REQUEST"],
    ["a call that is too long", "call", { device: "DEVICE", data: Buffer.alloc(513) }, "GATEWAY_REQUEST"],
    ["a package that is none", "deploy", { device: "DEVICE", package: Buffer.from("MZ…") }, "PACKAGE_FORMAT"],
    ["an empty package", "deploy", { device: "DEVICE" }, "PACKAGE_EMPTY"],
    ["a shadow run of nothing", "deploy", shadowOf({ scans: 0 }), "GATEWAY_REQUEST"],
    ["a tolerance below nothing", "deploy", shadowOf({ scans: 5, tolerance: [0, -1] }), "GATEWAY_REQUEST"],
    ["a tolerance that is none", "deploy", shadowOf({ scans: 5, tolerance: [NaN] }), "GATEWAY_REQUEST"],
    [
      "tolerances without end",
      "deploy",
      shadowOf({ scans: 5, tolerance: new Array<number>(5_000).fill(1) }),
      "GATEWAY_REQUEST",
    ],
    [
      "a package that is too large",
      "deploy",
      { device: "DEVICE", package: Buffer.alloc(20_000, 13) },
      "GATEWAY_REQUEST",
    ],
    [
      "a message that is too large",
      "deploy",
      { device: "DEVICE", package: Buffer.alloc(70_000) },
      "GATEWAY_REQUEST",
    ],
    [
      "a message far too large",
      "deploy",
      { device: "DEVICE", package: Buffer.alloc(300_000) },
      "GATEWAY_REQUEST",
    ],
    [
      "a key without a role",
      "addKey",
      { device: "DEVICE", command: { addKey: { publicKey: Buffer.alloc(32) } } },
      "GATEWAY_REQUEST",
    ],
    [
      "a key of an unknown role",
      "addKey",
      { device: "DEVICE", command: { addKey: { role: 7, publicKey: Buffer.alloc(32) } } },
      "GATEWAY_REQUEST",
    ],
    [
      "a key that is too short",
      "addKey",
      { device: "DEVICE", command: { addKey: { role: 1, publicKey: Buffer.alloc(31) } } },
      "GATEWAY_REQUEST",
    ],
    [
      "another command than the call's",
      "confirm",
      { device: "DEVICE", command: { rollback: {} } },
      "GATEWAY_REQUEST",
    ],
    [
      "a request that is no command",
      "confirm",
      { device: "DEVICE", command: { readSlot: { size: 9 } } },
      "GATEWAY_REQUEST",
    ],
    [
      "a command with an id of its own",
      "abort",
      { device: "DEVICE", command: { id: 5, abort: {} } },
      "GATEWAY_REQUEST",
    ],
    [
      "a digest that is too short",
      "clearSpent",
      { device: "DEVICE", command: { clearSpent: { digest: digest.slice(1) } } },
      "GATEWAY_REQUEST",
    ],
    [
      "a signature that is too short",
      "confirm",
      {
        device: "DEVICE",
        signedCommand: {
          command: encodeCommand({ kind: "confirm" }),
          nonce: Buffer.alloc(8),
          keyId: Buffer.alloc(8),
          signature: Buffer.alloc(63),
        },
      },
      "GATEWAY_REQUEST",
    ],
    [
      "a signed command that can't be decoded",
      "confirm",
      {
        device: "DEVICE",
        signedCommand: {
          command: Buffer.alloc(9, 255),
          nonce: Buffer.alloc(8),
          keyId: Buffer.alloc(8),
          signature: Buffer.alloc(64),
        },
      },
      "GATEWAY_REQUEST",
    ],
    [
      "a signature for nothing",
      "provideSignature",
      { deployment: "ffffffffffffffff", keyId: Buffer.alloc(8), signature: Buffer.alloc(64) },
      "DEPLOYMENT_UNKNOWN",
    ],
  ];

  it.each(cases)("is refused: %s", async (_what, method, request, code) => {
    const named = {
      ...request,
      ...("device" in request && request.device === "DEVICE" ? { device: board } : {}),
    };
    expect(await failure(attempt(admin, method, named))).toMatchObject({ code });
  });

  it("changes nothing on the board, and leaves no record", async () => {
    const history = async (): Promise<number> =>
      (await viewer.call("getHistory", { device: board })).entries.length;
    const log = (): number => readFileSync(join(gateway.config.state, "audit.log")).length;
    const before = [await history(), log()];
    for (const [, method, request] of cases) {
      const named = {
        ...request,
        ...("device" in request && request.device === "DEVICE" ? { device: board } : {}),
      };
      await failure(attempt(admin, method, named));
    }
    expect([await history(), log()]).toEqual(before);
  });

  it("is answered with a clear status code and our error, down to bytes that are no message", async () => {
    const definition = gatewayService["GetInfo"];
    if (definition === undefined) throw new Error("no GetInfo");
    const error = await new Promise<unknown>((resolve) => {
      viewer.client.makeUnaryRequest(
        definition.path,
        () => Buffer.from([0x0a, 0xff, 0xff, 0xff]),
        (bytes) => bytes,
        {},
        viewer.metadata,
        {},
        (failed) => resolve(failed),
      );
    });
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining("decoded"),
    });
    expect(fromServiceError(error)).toMatchObject({ code: "GATEWAY_REQUEST" });
  });

  it("that is too large is told the limit, before anybody looks into it", async () => {
    const tooLarge = { device: board, package: Buffer.alloc(70_000) };
    const error = await failure(attempt(operator, "deploy", tooLarge));
    expect(error.message).toMatch(/70\d{3} bytes, not up to 65536/);
  });

  it("to a call that there isn't is told so", async () => {
    const error = await new Promise<unknown>((resolve) => {
      viewer.client.makeUnaryRequest(
        "/edgeplug.gateway.v1.Gateway/MakeCoffee",
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        viewer.metadata,
        {},
        (failed) => resolve(failed),
      );
    });
    expect(error).toMatchObject({ code: status.UNIMPLEMENTED });
    expect(fromServiceError(error)).toMatchObject({ code: "GATEWAY_REQUEST" });
  });
});

describe("streams", () => {
  it("drop the oldest events of a watcher who never reads, tell how many, and keep the gateway's memory", async () => {
    const watcher = gateway.caller("viewer");
    onTestFinished(() => watcher.close());
    const call = watcher.client.watchEvents({ device: "" }, watcher.metadata);
    call.on("error", () => undefined);
    call.pause();
    const { devices } = gateway.running.gateway;
    await expect.poll(() => devices.watching).toBe(1);
    const text = "x".repeat(500);
    for (let count = 0; count < 5_000; count++) {
      devices.tell({ device: board, timeMs: count, event: { kind: 7, text } });
      if (count % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    let missed = 0;
    let seen = 0;
    let last = -1;
    for await (const event of call as AsyncIterable<{ missed: number; body: string; timeMs: number }>) {
      if (event.body === "missed") missed += event.missed;
      else {
        seen++;
        last = event.timeMs;
      }
      if (last === 4_999) break;
    }
    call.cancel();
    expect(missed).toBeGreaterThan(1_000);
    expect(missed + seen).toBe(5_000);
  });
});

describe("an outcome that can't be written down", () => {
  it("makes no failure of what was done, and none of a deployment that was accepted", async () => {
    const own = await TestGateway.start();
    onTestFinished(() => own.stop());
    const caller = own.caller("operator");
    const [device = ""] = await own.boards();
    const { append } = AuditLog.prototype;
    const full = vi.spyOn(AuditLog.prototype, "append").mockImplementation(function (
      this: AuditLog,
      entry: AuditInput,
    ) {
      if (entry.outcome !== "begun") throw new EdgePlugError("GATEWAY_STATE", "The disk is full.");
      append.call(this, entry);
    });
    try {
      expect((await caller.call("clearSpent", { device })).status).toMatchObject({ spent: 0 });
      expect((await push(caller, device, epk(1))).at(-1)).toBe("result");
    } finally {
      full.mockRestore();
    }
    expect(own.reports.filter(({ event }) => event === "state").length).toBeGreaterThanOrEqual(3);
  });
});
