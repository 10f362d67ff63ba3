/** Connections and calls that break off, say nothing, never read, or speak something else: nobody else notices. */
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { setLogger } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { verifyAudit } from "../../src/gateway/audit.js";
import { edgeplug } from "../../src/generated/messages.js";
import { framed, RawCaller, type Ending } from "../support/raw-http2.js";
import { epk } from "../support/sim-fleet.js";
import { TestGateway, type Caller } from "../support/test-gateway.js";

const { DEPLOYMENT_STATE_DONE } = edgeplug.gateway.v1.DeploymentState;
const CONNECTIONS = 6;

let gateway: TestGateway;
let operator: Caller;
let id = "";
let release = 0;

beforeAll(async () => {
  gateway = await TestGateway.start({ connections: CONNECTIONS });
  operator = gateway.caller("operator");
  [id = ""] = await gateway.boards();
});
afterAll(() => gateway.stop());

const port = (): number => gateway.running.port;

function tcp(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port(), "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

function tls(ALPNProtocols = ["h2"]): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const ca = gateway.running.caPem;
    const socket = connectTls({ port: port(), host: "localhost", ca, ALPNProtocols }, () => resolve(socket));
    socket.on("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

/** Resolves when the gateway has ended it. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on("error", () => undefined);
    if (socket.closed) resolve();
    socket.once("close", () => resolve());
    socket.resume();
  });
}

/** A new caller, on a new connection, is served. */
async function isServed(): Promise<void> {
  const caller = gateway.caller("viewer");
  onTestFinished(() => caller.close());
  expect((await caller.call("listDevices", {})).devices).toHaveLength(1);
  caller.close();
}

describe("connections that say nothing", () => {
  it.each([
    ["before TLS", tcp],
    ["after it", tls],
    [
      "after half a frame",
      async (): Promise<Socket> => {
        const socket = await tls();
        socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        socket.write(Buffer.from([0, 64, 0, 1, 4, 0, 0, 0, 1, 0x82]));
        return socket;
      },
    ],
  ])(
    "%s, be there as many as there may be, make room for others, and none for themselves",
    async (_when, open) => {
      await operator.call("getGateway", {});
      const silent: Socket[] = [];
      for (let count = 0; count < 2 * CONNECTIONS; count++) silent.push(await open());
      for (const socket of silent) socket.on("error", () => undefined);
      await isServed();
      // who has logged in keeps the connection
      await operator.call("getStatus", { device: id });
      // those that were there longest are gone
      await Promise.all(silent.slice(0, CONNECTIONS).map(closed));
    },
  );
});

describe("another protocol on the port", () => {
  it.each([
    ["HTTP/1.1 without TLS", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ["gRPC without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"],
    ["ssh", "SSH-2.0-OpenSSH_9.0\r\n"],
    ["noise", "\u0016\u0003\u0001\u00ff\u00ff".repeat(500)],
  ])("%s is closed, and the next caller served", async (_what, bytes) => {
    const socket = await tcp();
    const end = closed(socket);
    socket.write(Buffer.from(bytes, "latin1"));
    await end;
    await isServed();
  });

  it("HTTP/1.1 over TLS gets an answer that says so, or none, and the next caller is served", async () => {
    const answer = await new Promise<number>((resolve) => {
      const call = httpsRequest(
        { host: "localhost", port: port(), ca: gateway.running.caPem },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      call.on("error", () => resolve(0));
      call.end();
    });
    expect([0, 403, 505]).toContain(answer);
    await isServed();
  });
});

describe("a call that", () => {
  const cases: [string, string, (raw: RawCaller) => Promise<Ending>][] = [
    [
      "ends without a message",
      "INTERNAL|INVALID_ARGUMENT|UNIMPLEMENTED",
      (raw) => body(raw, Buffer.alloc(0)),
    ],
    [
      "ends in the middle of a message",
      "INTERNAL|INVALID_ARGUMENT|UNIMPLEMENTED",
      (raw) => body(raw, framed(Buffer.alloc(3), 10)),
    ],
    [
      "ends in the middle of a length",
      "INTERNAL|INVALID_ARGUMENT|UNIMPLEMENTED",
      (raw) => body(raw, Buffer.from([0, 0])),
    ],
    ["claims four gigabytes", "RESOURCE_EXHAUSTED", (raw) => body(raw, framed(Buffer.alloc(3), 0xffffffff))],
    [
      "sends two messages",
      "INTERNAL|UNIMPLEMENTED|OK",
      (raw) => body(raw, Buffer.concat([framed(Buffer.alloc(0)), framed(Buffer.alloc(0))])),
    ],
    [
      "says its message is packed, and not how",
      "INTERNAL|UNIMPLEMENTED|INVALID_ARGUMENT",
      (raw) => body(raw, framed(Buffer.alloc(3, 1), 3, 1)),
    ],
    [
      "is packed in a way that there isn't",
      "UNIMPLEMENTED|INTERNAL",
      (raw) => body(raw, framed(Buffer.alloc(3), 3, 1), { "grpc-encoding": "zip9" }),
    ],
    [
      "is no gRPC by its type",
      "HTTP 415",
      (raw) => body(raw, framed(Buffer.alloc(0)), { "content-type": "text/html" }),
    ],
    [
      "has a deadline that is none",
      "INTERNAL|INVALID_ARGUMENT|OUT_OF_RANGE",
      (raw) => body(raw, framed(Buffer.alloc(0)), { "grpc-timeout": "soon" }),
    ],
    [
      "has its deadline behind it",
      "DEADLINE_EXCEEDED|OK",
      (raw) => body(raw, framed(Buffer.alloc(0)), { "grpc-timeout": "1n" }),
    ],
  ];

  function body(raw: RawCaller, bytes: Buffer, headers: Record<string, string> = {}): Promise<Ending> {
    const stream = raw.open("GetGateway", headers);
    const ending = RawCaller.ending(stream);
    stream.end(bytes);
    return ending;
  }

  it.each(cases)("%s is told so", async (_what, allowed, act) => {
    const ending = await act(new RawCaller(gateway, gateway.token("viewer")));
    expect(ending.status).toMatch(new RegExp(`^(${allowed})`));
    if (!/^(OK|HTTP|RST)/.test(ending.status)) expect(ending.name).not.toBe("");
    await isServed();
  });

  it.each(["/%", "/no.such.Service/%zz", "/edgeplug.gateway.v1.Gateway/%E0", "/\u00ff", "no path"])(
    "has no login, and for its path %j, ends nobody's work",
    async (path) => {
      const ending = RawCaller.ending(new RawCaller(gateway, "none").open("", { ":path": path }));
      expect((await ending).status).toMatch(/^(UNIMPLEMENTED|UNAUTHENTICATED|RST)/);
      await isServed();
    },
  );

  it("has signs in its metadata that can't be there leaves none of them in the log", async () => {
    const printed: unknown[] = [];
    setLogger({ error: (...parts: unknown[]) => printed.push(parts) });
    onTestFinished(() => setLogger(console));
    const raw = new RawCaller(gateway, `${gateway.token("viewer")}\u00e9`);
    const stream = raw.open("", { ":path": "/grpc.health.v1.Health/Check" });
    const ending = RawCaller.ending(stream);
    stream.end(framed(Buffer.alloc(0)));
    await ending;
    expect(printed).toEqual([]);
  });

  it("is given up in the middle of its request leaves nothing behind", async () => {
    const raw = new RawCaller(gateway, gateway.token("operator"));
    for (let count = 0; count < 100; count++) {
      const stream = raw.open("Deploy");
      stream.on("error", () => undefined);
      stream.write(framed(Buffer.alloc(40), 4_000));
      stream.close();
    }
    await isServed();
    expect((await operator.call("listDeployments", { device: id })).deployments).toEqual([]);
  });
});

/** Reads a deployment up to `body`, then does `act` with the call; the deployment's id. */
function deployUpTo(body: string, act: (call: { cancel(): void; pause(): void }) => void): Promise<string> {
  const request = { device: id, package: epk(++release, {}, 6_000) };
  const call = operator.client.deploy(request, operator.metadata);
  return new Promise((resolve, reject) => {
    call.on("error", () => undefined);
    call.on("end", () => reject(new Error(`${body} never happened`)));
    call.on("data", (event: { body: string; deployment: string }) => {
      if (event.body !== body) return;
      act(call);
      resolve(event.deployment);
    });
  });
}

async function outcome(deployment: string): Promise<string> {
  let last = "";
  for await (const event of operator.stream("watchDeployment", { deployment }))
    last = event.failure?.name ?? event.body;
  return last;
}

describe("a deployment", () => {
  it.each(["queued", "begun", "sending", "staged", "activated", "trial", "confirmed"])(
    "whose caller leaves at %s goes on to its end",
    async (body) => {
      const deployment = await deployUpTo(body, (call) => call.cancel());
      expect(await outcome(deployment)).toBe("result");
      const { active } = await operator.call("getStatus", { device: id });
      expect(active?.version).toBe(String(release));
    },
  );

  it("whose caller never reads on goes on to its end, and keeps nobody waiting", async () => {
    const first = await deployUpTo("queued", (call) => call.pause());
    expect(await outcome(first)).toBe("result");
    const second = await deployUpTo("result", () => undefined);
    expect(second).not.toBe(first);
    const { deployments } = await operator.call("listDeployments", { device: id });
    expect(deployments.every(({ state }) => state === DEPLOYMENT_STATE_DONE)).toBe(true);
  });
});

describe("failed logins by the hundred", () => {
  it("are all answered, some at once and the rest together, and good ones get in between", async () => {
    const wrong = await new RawCaller(gateway, `epg_${"A".repeat(43)}`).ready();
    const counts = new Map<string, number>();
    let asked = 0;
    const ask = async (): Promise<void> => {
      while (asked < 200) {
        const stream = wrong.open("Deploy");
        const ending = RawCaller.ending(stream);
        // some never end their request
        if (++asked % 20 !== 0) stream.end(framed(Buffer.alloc(2_000)));
        else stream.write(framed(Buffer.alloc(2_000), 60_000));
        if (asked % 60 === 0) await isServed();
        const { status, name } = await ending;
        const key = `${status} ${name}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    };
    // with those that stay open fewer than HTTP/2 allows, which would refuse more by itself
    await Promise.all(Array.from({ length: 40 }, ask));
    expect([...counts.keys()].sort()).toEqual([
      "RESOURCE_EXHAUSTED GATEWAY_LIMIT",
      "UNAUTHENTICATED GATEWAY_LOGIN",
    ]);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(asked);
    await isServed();
  });
});

describe("after all of it", () => {
  it("nobody watches, nothing waits, and the log verifies", async () => {
    const { devices, deployments } = gateway.running.gateway;
    expect(devices.watching).toBe(0);
    expect(deployments.unfinished).toBe(0);
    expect(verifyAudit(join(gateway.config.state, "audit.log")).problems).toEqual([]);
  });
});
