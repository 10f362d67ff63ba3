/** The client's side of gRPC against gateways that misbehave: real TLS, real connections, on free ports. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";

import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { edgeplug } from "../src/generated/messages.js";
import { readFingerprint } from "../src/gateway/fingerprint.js";
import { parseGatewayName } from "../src/gateway/client/address.js";
import type { GatewayOptions } from "../src/gateway/client/options.js";
import { GatewaySession } from "../src/gateway/client/gateway-session.js";
import { toErrorDetail } from "../src/gateway/wire.js";
import { commandMessage, encodeCommand } from "../src/session/commands.js";
import type { PushResult, PushStep } from "../src/session/push.js";
import type { SessionPushOptions } from "../src/session/board-session.js";
import { keyId, newSecretKey, publicKeyOf, sha512, sign, verifySignature } from "../src/signing.js";
import { Authority, type LeafOptions } from "./support/authority.js";
import { BOARD, BOARD_ID, DEPLOYMENT, FakeGateway, TOKEN } from "./support/fake-gateway.js";
import { folderWith } from "./support/files.js";
import { packageOf } from "./support/packages.js";

const v1 = edgeplug.gateway.v1;
const BEGUN = { begun: { offset: 0, size: 100, slot: 1, swapNumber: 3 } };
const SENT = { sending: { acknowledged: 100, size: 100, sent: 100, chunkSize: 100, page: 0, pages: 1 } };
const ACTIVATED = { activated: { swapNumber: 3, scan: 17, handedOver: 0 } };
const CONFIRMED = { confirmed: { swapNumber: 3, scan: 90 } };
const RESULT = { result: { swapNumber: 3, slot: 1, active: { name: "new", version: "2" }, totalMs: 5 } };
const NONCE = Uint8Array.from([1, 0, 0, 0, 7, 0, 0, 0]);
const pkg = packageOf(new Uint8Array(100));
const patient = packageOf(new Uint8Array(100), { trial: { confirmByHost: true } });

let authority: Authority;
let stranger: Authority;
let configFolder = "";
const environment = { ...process.env };

beforeAll(async () => {
  authority = await Authority.create();
  stranger = await Authority.create("Somebody else");
});
beforeEach(() => {
  configFolder = folderWith();
  process.env["XDG_CONFIG_HOME"] = configFolder;
  process.env["EDGEPLUG_TOKEN"] = TOKEN;
});
afterEach(() => {
  process.env["XDG_CONFIG_HOME"] = environment["XDG_CONFIG_HOME"];
  if (environment["XDG_CONFIG_HOME"] === undefined) delete process.env["XDG_CONFIG_HOME"];
  delete process.env["EDGEPLUG_TOKEN"];
});

async function startGateway(options: LeafOptions = {}, by = authority): Promise<FakeGateway> {
  const gateway = new FakeGateway(await by.issue(options));
  await gateway.start();
  onTestFinished(() => gateway.stop());
  return gateway;
}

async function open(
  { port }: { port: number },
  options: GatewayOptions = {},
  name = `127.0.0.1:${port}`,
): Promise<GatewaySession> {
  const session = await GatewaySession.open(name, { trust: authority.fingerprint, ...options });
  onTestFinished(() => session.close());
  return session;
}

/** A server of another kind, until the test is over. */
async function serve(server: Server): Promise<{ port: number }> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  server.on("secureConnection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port };
}

async function failure(promise: Promise<unknown>): Promise<EdgePlugError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EdgePlugError);
  return error as EdgePlugError;
}

/** A push to its end; `onStep` sees each step. */
async function push(
  session: GatewaySession,
  options: SessionPushOptions = {},
  onStep: (step: PushStep) => unknown = () => undefined,
  what = pkg,
): Promise<{ steps: PushStep[]; result: PushResult }> {
  const run = session.push(what, options);
  const steps: PushStep[] = [];
  for (;;) {
    const next = await run.next();
    if (next.done === true) return { steps, result: next.value };
    steps.push(next.value);
    await onStep(next.value);
  }
}

const names = (steps: PushStep[]): string[] => steps.map(({ step }) => step);

describe("a gateway's name", () => {
  it.each([
    [
      "plant.example:50051",
      { host: "plant.example", port: 50051, board: "", gateway: "plant.example:50051" },
    ],
    ["Plant:1/3F2A", { host: "plant", port: 1, board: "3F2A", gateway: "plant:1" }],
    ["10.0.0.7:50051//dev/ttyUSB0", { host: "10.0.0.7", port: 50051, board: "/dev/ttyUSB0" }],
    ["[fe80::1]:50051/ab", { host: "fe80::1", port: 50051, board: "ab", gateway: "[fe80::1]:50051" }],
  ])("%s has host, port and board", (name, parts) => {
    expect(parseGatewayName(name)).toMatchObject(parts);
  });

  it.each([
    "sim:",
    "sim:1",
    "id:50051",
    "/dev/ttyUSB0",
    "COM3",
    "plant.example",
    "::1:50051",
    "C:\\1",
    "a b:1",
  ])("is not %s", (name) => {
    expect(parseGatewayName(name)).toBeUndefined();
  });

  it("with a port that can't be is refused", () => {
    expect(() => parseGatewayName("plant:65536")).toThrow(/no port 65536/);
  });
});

describe("trust", () => {
  it("an unknown gateway is refused where nobody can be asked, and the message says what to pass", async () => {
    const gateway = await startGateway();
    const error = await failure(open(gateway, { trust: undefined }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE", exit: 81 });
    expect(error.action).toContain(`--trust ${authority.fingerprint} `);
    expect(gateway.calls).toEqual([]);
  });

  it("on first use a person compares the fingerprint; later nobody is asked, and only the owner may read the pin", async () => {
    const gateway = await startGateway({ names: ["plant.example", "ip:127.0.0.1"] });
    const questions: unknown[] = [];
    const ask = async (question: unknown): Promise<boolean> => questions.push(question) > 1;
    expect(await failure(open(gateway, { trust: undefined, ask }))).toMatchObject({
      code: "GATEWAY_CERTIFICATE",
    });
    await open(gateway, { trust: undefined, ask });
    await open(gateway, { trust: undefined });
    const known = { fingerprint: authority.fingerprint, names: ["plant.example", "127.0.0.1"] };
    expect(questions).toMatchObject([known, known]);
    const file = join(configFolder, "edgeplug/known-gateways.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(configFolder, "edgeplug")).mode & 0o777).toBe(0o700);
  });

  it("a gateway whose authority has changed is refused with both fingerprints and hears no token", async () => {
    const gateway = await startGateway();
    await open(gateway);
    gateway.stop();
    const impostor = new FakeGateway(await stranger.issue());
    impostor.port = gateway.port;
    await impostor.start();
    onTestFinished(() => impostor.stop());
    const error = await failure(open(impostor, { trust: undefined }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
    expect(error.message).toContain(authority.fingerprint);
    expect(error.message).toContain(stranger.fingerprint);
    expect([impostor.calls, impostor.tokens.size]).toEqual([[], 0]);
    expect((await open(impostor, { trust: stranger.fingerprint })).id).toBe(BOARD);
  });

  it("a fingerprint that the gateway doesn't have is not trusted, nor remembered", async () => {
    const gateway = await startGateway();
    const error = await failure(open(gateway, { trust: stranger.fingerprint }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
    expect(error.message).toContain(authority.fingerprint);
    expect(() => statSync(join(configFolder, "edgeplug/known-gateways.json"))).toThrow(/ENOENT/);
  });

  it.each<[string, LeafOptions, RegExp]>([
    ["has expired", { from: -20, until: -2 }, /expired on/],
    ["is not good yet", { from: 2 }, /holds only from/],
    ["is a client's", { purpose: "client" }, /INVALID_PURPOSE/],
  ])(
    "a gateway whose certificate %s is refused, on first use and when it is known",
    async (_what, leaf, why) => {
      const good = await startGateway();
      await open(good);
      good.stop();
      const bad = new FakeGateway(await authority.issue(leaf));
      bad.port = good.port;
      await bad.start();
      onTestFinished(() => bad.stop());
      for (const trust of [undefined, authority.fingerprint]) {
        const error = await failure(open(bad, { trust }));
        expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
        expect(error.message).toMatch(why);
      }
      const other = await startGateway(leaf);
      expect((await failure(open(other))).message).toMatch(why);
      expect([bad.calls, other.calls]).toEqual([[], []]);
    },
  );

  it("by --ca the certificate must be for the very host", async () => {
    const ca = join(folderWith({ "ca.pem": authority.pem, "other.pem": stranger.pem }), "ca.pem");
    const right = await startGateway();
    expect((await open(right, { trust: undefined, ca })).id).toBe(BOARD);
    expect((await open(right, { trust: undefined, ca }, `localhost:${right.port}/${BOARD}`)).id).toBe(BOARD);
    const elsewhere = await startGateway({ names: ["plant.example"] });
    const error = await failure(open(elsewhere, { trust: undefined, ca }));
    expect(error.message).toMatch(/is for plant\.example, not for 127\.0\.0\.1/);
    const wrong = await failure(open(right, { trust: undefined, ca: ca.replace("ca.pem", "other.pem") }));
    expect(wrong.message).toMatch(/not from an authority in/);
    expect(elsewhere.calls).toEqual([]);
  });

  it("a gateway known by a name that isn't its address keeps that name: another certificate of its authority won't do", async () => {
    const gateway = await startGateway({ names: ["localhost", "plant.example"] });
    await open(gateway);
    await open(gateway, { trust: undefined });
    gateway.stop();
    const neighbour = new FakeGateway(await authority.issue({ names: ["office.example", "ip:127.0.0.1"] }));
    neighbour.port = gateway.port;
    await neighbour.start();
    onTestFinished(() => neighbour.stop());
    expect((await failure(open(neighbour, { trust: undefined }))).message).toMatch(/not for plant\.example/);
    expect(neighbour.calls).toEqual([]);
  });

  it("an impostor who steps in between the look and the calls hears nothing", async () => {
    const gateway = await startGateway();
    await open(gateway);
    const strange = await startGateway({}, stranger);
    const neighbour = await startGateway({ names: ["office.example"] });
    for (const impostor of [strange, neighbour]) {
      let connections = 0;
      const switching = createServer((socket) => {
        const port = connections++ === 0 ? gateway.port : impostor.port;
        const onwards = connect(port, "127.0.0.1");
        for (const end of [socket, onwards]) end.on("error", () => undefined);
        socket.pipe(onwards).pipe(socket);
      });
      const between = await serve(switching);
      const ca = join(folderWith({ "ca.pem": authority.pem }), "ca.pem");
      expect(await failure(open(between, { trust: undefined, ca, timeoutMs: 2_000 }))).toMatchObject({
        code: "GATEWAY_CERTIFICATE",
      });
      expect(connections).toBeGreaterThan(1);
      expect([impostor.calls, impostor.tokens.size]).toEqual([[], 0]);
    }
  });

  it("a file of pins that can't be understood is not taken for an empty one", async () => {
    const gateway = await startGateway();
    mkdirSync(join(configFolder, "edgeplug"));
    const file = join(configFolder, "edgeplug/known-gateways.json");
    for (const text of ["{", "[]", '{"x": {"fingerprint": 1}}']) {
      writeFileSync(file, text);
      expect(await failure(open(gateway))).toMatchObject({ code: "FILE_UNREADABLE" });
      expect(readFileSync(file, "utf8")).toBe(text);
    }
  });

  it("a fingerprint is understood as openssl prints it, too", () => {
    const hex = Buffer.from(authority.fingerprint.slice(7), "base64").toString("hex").toUpperCase();
    const colons = hex.replace(/..(?!$)/g, "$&:");
    for (const text of [hex, colons, `sha256 Fingerprint=${colons}`, `${authority.fingerprint}=`])
      expect(readFingerprint(text)).toBe(authority.fingerprint);
    for (const text of ["", "SHA256:", hex.slice(2), "SHA256:AAAA"])
      expect(readFingerprint(text)).toBeUndefined();
  });
});

describe("a login", () => {
  it("without any token is refused before the gateway is called, and says how to get one", async () => {
    delete process.env["EDGEPLUG_TOKEN"];
    const gateway = await startGateway();
    const error = await failure(open(gateway));
    expect(error).toMatchObject({ code: "GATEWAY_LOGIN", exit: 82 });
    expect(error.action).toContain(`edgeplug login 127.0.0.1:${gateway.port}`);
    expect(gateway.calls).toEqual([]);
  });

  it("takes the token from the file that was named, else the environment, else what was kept", async () => {
    const gateway = await startGateway();
    mkdirSync(join(configFolder, "edgeplug"));
    const kept = { [`127.0.0.1:${gateway.port}`]: "kept-token" };
    writeFileSync(join(configFolder, "edgeplug/gateway-tokens.json"), JSON.stringify(kept));
    await open(gateway, { tokenFile: join(folderWith({ token: "file-token\n" }), "token") });
    await open(gateway);
    delete process.env["EDGEPLUG_TOKEN"];
    await open(gateway);
    expect([...gateway.tokens]).toEqual(["Bearer file-token", `Bearer ${TOKEN}`, "Bearer kept-token"]);
  });

  it.each(["", "two words", "a\nb", "ü"])("refuses %j as a token", async (text) => {
    const gateway = await startGateway();
    const tokenFile = join(folderWith({ token: text }), "token");
    expect(await failure(open(gateway, { tokenFile }))).toMatchObject({ code: "GATEWAY_LOGIN" });
  });
});

describe("a gateway that isn't there, or is none", () => {
  it("is unreachable if nothing listens, or a name means nothing", async () => {
    const gateway = await startGateway();
    gateway.stop();
    const refused = await failure(open(gateway));
    expect(refused).toMatchObject({ code: "GATEWAY_UNREACHABLE", exit: 80 });
    expect(refused.message).toContain("nothing listens there");
    expect(await failure(open({ port: 1 }, {}, "edgeplug.invalid:50051"))).toMatchObject({
      code: "GATEWAY_UNREACHABLE",
    });
  });

  it("is given up if it takes the connection and says nothing", async () => {
    const silent = await serve(createServer(() => undefined));
    const error = await failure(open(silent, { timeoutMs: 100 }));
    expect(error).toMatchObject({ code: "GATEWAY_UNREACHABLE" });
    expect(error.message).toContain("has not answered within 0.1 s");
  });

  it("is told apart if it speaks no TLS", async () => {
    const babbling = await serve(createServer((socket) => void socket.end("220 mail.example ESMTP\r\n")));
    expect(await failure(open(babbling))).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
  });

  it.each([
    ["an HTTP/2 server of another kind", "http2"],
    ["noise inside TLS", "noise"],
  ])("is told apart if it is %s", async (_what, kind) => {
    const { key, chain } = await authority.issue();
    const server =
      kind === "noise"
        ? createTls({ key, cert: chain, ALPNProtocols: ["h2"] }, (socket) => {
            socket.on("error", () => undefined);
            socket.end(Buffer.alloc(4096, 0x5a));
          })
        : createSecureServer({ key, cert: chain }, (_request, response) => {
            response.writeHead(404);
            response.end("not here");
          });
    const error = await failure(open(await serve(server as Server), { timeoutMs: 3_000 }));
    expect(["GATEWAY_UNREACHABLE", "GATEWAY_REQUEST"]).toContain(error.code);
  });

  it("is given up if it takes calls and never answers them", async () => {
    const gateway = await startGateway();
    gateway.stop();
    gateway.handlers = { getInfo: () => undefined };
    await gateway.start();
    const error = await failure(open(gateway, { timeoutMs: 300 }, `127.0.0.1:${gateway.port}/${BOARD}`));
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });

  it("is refused if its answers are none", async () => {
    const gateway = await startGateway();
    gateway.stop();
    gateway.handlers = {
      getInfo: (_call, callback) => callback(null, { hello: { boardId: new Uint8Array(3) } }),
    };
    await gateway.start();
    expect(await failure(open(gateway))).toMatchObject({ code: "PROTOCOL" });
  });
});

describe("the board that is meant", () => {
  it("is never guessed: of several, all are listed", async () => {
    const gateway = await startGateway();
    const { DEVICE_STATE_READY, DEVICE_STATE_ABSENT } = v1.DeviceState;
    gateway.devices = [
      { id: BOARD, port: "sim:a", state: DEVICE_STATE_READY, active: { name: "doubler", version: "1.0.0" } },
      { id: "bbbb", port: "sim:b", state: DEVICE_STATE_READY },
      { id: "cccc", port: "sim:c", state: DEVICE_STATE_ABSENT },
    ];
    const error = await failure(open(gateway));
    expect(error).toMatchObject({ code: "DEVICE_AMBIGUOUS", exit: 84 });
    expect(error.message).toContain(`${BOARD} (any, doubler 1.0.0) on sim:a; bbbb (any, no agent) on sim:b`);
    expect(error.message).not.toContain("sim:c");
    gateway.devices = gateway.devices.slice(2);
    expect(await failure(open(gateway))).toMatchObject({ code: "DEVICE_UNKNOWN", exit: 84 });
  });

  it("is that one or none, whatever the gateway answers", async () => {
    const gateway = await startGateway();
    const at = (board: string): string => `127.0.0.1:${gateway.port}/${board}`;
    expect((await open(gateway, {}, at(BOARD.slice(0, 4).toUpperCase()))).id).toBe(BOARD);
    expect((await open(gateway, {}, at("sim:"))).id).toBe(BOARD);
    expect(await failure(open(gateway, {}, at("ffff")))).toMatchObject({ code: "PROTOCOL" });
  });
});

describe("a push through a gateway", () => {
  it("tells the gateway's steps, and its result", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [{ queued: { position: 2, behind: "doubler 1.2.0 of maria" } }, BEGUN, SENT])
        gateway.emit(body);
      for (const body of [{ verifying: {} }, { staged: {} }, ACTIVATED, CONFIRMED, RESULT])
        gateway.emit(body);
    };
    const { steps, result } = await push(await open(gateway), { timeoutMs: 60_000, allowDowngrade: true });
    expect(steps.slice(0, 3)).toEqual([
      { step: "queued", position: 2, behind: "doubler 1.2.0 of maria" },
      { step: "begin", offset: 0, size: 100, resumed: false, slot: 1, swapNumber: 3 },
      { step: "sending", acknowledged: 100, size: 100, sent: 100, chunkSize: 100, page: 0, pages: 1 },
    ]);
    expect(names(steps).slice(3)).toEqual(["verifying", "staged", "activated", "confirmed"]);
    expect(result).toMatchObject({ swapNumber: 3, slot: 1, active: { name: "new" }, totalMs: 5 });
    expect(gateway.deployRequests).toMatchObject([
      { device: BOARD, timeoutMs: 60_000, allowDowngrade: true, maySign: false },
    ]);
    expect(gateway.calls).not.toContain("cancelDeployment");
  });

  it("fails as the gateway says", async () => {
    const gateway = await startGateway();
    const failed = new EdgePlugError(
      "ROLLED_BACK",
      "new 2 (swap 3) failed its trial: trap; old 1 runs again.",
    );
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      gateway.emit({ failure: toErrorDetail(failed) });
    };
    expect(await failure(push(await open(gateway)))).toMatchObject({
      code: "ROLLED_BACK",
      exit: 60,
      message: failed.message,
    });
  });

  it("loses no event and tells none twice when the gateway is killed and comes back, again and again", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const bodies = [SENT, { staged: {} }, ACTIVATED, CONFIRMED, RESULT];
    const { steps } = await push(await open(gateway), {}, async ({ step }) => {
      if (step === "interrupted") return;
      gateway.stop();
      const body = bodies.shift();
      if (body !== undefined) gateway.emit(body); // it happens while nobody listens
      await gateway.start();
    });
    const told = names(steps);
    expect(told.filter((step) => step !== "interrupted")).toEqual([
      "begin",
      "sending",
      "staged",
      "activated",
      "confirmed",
    ]);
    expect(told).toContain("interrupted");
    expect(gateway.deployRequests).toHaveLength(1);
    expect(gateway.watchedAfter).toEqual([1, 2, 3, 4, 5]);
  });

  it("waits for a gateway that stays away for a while, and says so once", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    let restarted: Promise<unknown> = Promise.resolve();
    const { steps } = await push(await open(gateway), {}, ({ step }) => {
      if (step !== "begin") return;
      gateway.stop();
      gateway.emit(RESULT);
      restarted = new Promise((resolve) => setTimeout(resolve, 700)).then(() => gateway.start());
    });
    await restarted;
    expect(names(steps)).toEqual(["begin", "interrupted"]);
  });

  it("tells what comes twice once, and goes on over progress that was left out", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      const told = { deployment: DEPLOYMENT, timeMs: 1 };
      gateway.events.push({ ...told, sequence: 7, ...SENT }, { ...told, sequence: 3, ...ACTIVATED });
      gateway.events.push({ ...told, sequence: 7, ...SENT }, { ...told, sequence: 8, ...RESULT });
    };
    const { steps } = await push(await open(gateway));
    expect(names(steps)).toEqual(["begin", "sending"]);
  });

  it("is over in time if the gateway goes away for good", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stopAtOnce = ({ step }: PushStep): void => void (step === "begin" && gateway.stop());
    const session = await open(gateway);
    const error = await failure(push(session, { timeoutMs: -4_500 }, stopAtOnce));
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });

  it("is over in time if the gateway goes quiet, and takes the deployment along", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const error = await failure(push(await open(gateway), { timeoutMs: -4_500 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
    expect(error.message).toMatch(/The package was not on the board within/);
    expect(gateway.calls.at(-1)).toBe("cancelDeployment");
  });

  it("that is stopped before activation takes the deployment along", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(push(session, { signal: stop.signal }, () => stop.abort()));
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130, message: "Stopped by the user." });
    expect(gateway.calls.filter((call) => call === "cancelDeployment")).toHaveLength(1);
  });

  it("that is stopped before the gateway has said a word takes the deployment along all the same", async () => {
    const gateway = await startGateway();
    const stop = new AbortController();
    gateway.onDeploy = () => {
      stop.abort();
      setTimeout(() => gateway.emit(BEGUN), 50);
    };
    const error = await failure(push(await open(gateway), { signal: stop.signal }));
    expect(error).toMatchObject({ code: "INTERRUPTED", message: "Stopped by the user." });
    expect(gateway.calls.filter((call) => call === "cancelDeployment")).toHaveLength(1);
  });

  it("that is stopped in the trial leaves the trial alone, and says how to go back", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      gateway.emit(ACTIVATED);
    };
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(
      push(session, { signal: stop.signal }, ({ step }) => step === "activated" && stop.abort()),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect([error.message, error.action]).toEqual([
      expect.stringContaining("its trial goes on by itself"),
      expect.stringContaining("--rollback"),
    ]);
    expect(gateway.calls).not.toContain("cancelDeployment");
  });

  it("whose stop can't be told to the gateway says that it goes on", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(
      push(session, { signal: stop.signal }, () => {
        gateway.stop();
        stop.abort();
      }),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect(error.message).toContain("the gateway could not be told and goes on");
  });
});

describe("a signature", () => {
  const secret = newSecretKey();
  const signer = {
    keyId: keyId(publicKeyOf(secret)),
    publicKey: publicKeyOf(secret),
    sign: async (message: Uint8Array) => sign(message, secret),
  };
  const confirm = encodeCommand({ kind: "confirm" });
  const grant = (manifest: Uint8Array): Uint8Array =>
    encodeCommand({ kind: "allowDowngrade", digest: sha512(manifest).slice(0, 16) });
  const wanted = (command: Uint8Array, fields: object = {}) => ({
    signatureWanted: { request: 1, boardId: BOARD_ID, nonce: NONCE, command, ...fields },
  });

  it("is given for the package that was to be let in, and for its trial, over board, nonce and command", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(wanted(grant(patient.manifestBytes)));
    gateway.onSignature = () => {
      if (gateway.signatures.length === 1) {
        for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
      } else {
        gateway.emit(RESULT);
      }
    };
    const session = await open(gateway);
    await push(session, { signer, allowDowngrade: true }, undefined, patient);
    expect(gateway.deployRequests[0]?.maySign).toBe(true);
    const commands = [grant(patient.manifestBytes), confirm];
    const holds = gateway.signatures.map(({ deployment, request, keyId: key, signature }, index) => {
      const message = commandMessage(BOARD_ID, NONCE, commands[index] ?? new Uint8Array());
      expect([deployment, request, Buffer.compare(key, signer.keyId)]).toEqual([DEPLOYMENT, 1, 0]);
      return verifySignature(signature, message, signer.publicKey);
    });
    expect(holds).toEqual([true, true]);
  });

  it.each<[string, object[], SessionPushOptions]>([
    ["to unlock the board", [wanted(encodeCommand({ kind: "unlock" }))], { allowDowngrade: true }],
    ["to confirm what is not in its trial yet", [BEGUN, wanted(confirm)], {}],
    ["to let another package in", [wanted(grant(new Uint8Array(3)))], { allowDowngrade: true }],
    ["to let an older package in, unasked", [wanted(grant(patient.manifestBytes))], {}],
    ["of another board", [ACTIVATED, wanted(confirm, { boardId: new Uint8Array(12) })], {}],
    ["without a nonce", [ACTIVATED, wanted(confirm, { nonce: new Uint8Array() })], {}],
    ["with more than a command in it", [ACTIVATED, wanted(Buffer.concat([confirm, confirm]))], {}],
    ["that is none", [ACTIVATED, wanted(Uint8Array.of(0xff, 0xff))], {}],
  ])("is refused for a command %s: nobody asked for that", async (_what, bodies, options) => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of bodies) gateway.emit(body);
    };
    let signed = 0;
    const counting = { ...signer, sign: (message: Uint8Array) => (signed++, signer.sign(message)) };
    const session = await open(gateway);
    const error = await failure(push(session, { signer: counting, ...options }, undefined, patient));
    expect(error).toMatchObject({ code: "PROTOCOL" });
    expect(error.message).toMatch(/nobody asked for. Nothing was signed/);
    expect([signed, gateway.signatures]).toEqual([0, []]);
  });

  it("that got lost with the gateway is given again when it is back", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
    };
    gateway.onSignature = () => gateway.emit(RESULT);
    let turn = 0;
    const slow = {
      ...signer,
      sign: async (message: Uint8Array) => {
        if (turn++ === 0) {
          gateway.stop();
          setTimeout(() => void gateway.start(), 300);
        }
        return signer.sign(message);
      },
    };
    await push(await open(gateway), { signer: slow }, undefined, patient);
    expect([turn, gateway.signatures.length]).toEqual([2, 1]);
  });

  it("that was taken is not given a second time after a lost connection", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
    };
    gateway.onSignature = () => gateway.emit(CONFIRMED);
    await push(
      await open(gateway),
      { signer },
      async ({ step }) => {
        if (step !== "confirmed") return;
        gateway.stop();
        gateway.emit(RESULT);
        await gateway.start();
      },
      patient,
    );
    expect(gateway.signatures).toHaveLength(1);
  });

  it("is never made for a challenge that is another board's", async () => {
    const gateway = await startGateway();
    gateway.stop();
    gateway.locked = true;
    gateway.handlers = {
      getChallenge: (_call, callback) => callback(null, { boardId: new Uint8Array(12), nonce: NONCE }),
    };
    await gateway.start();
    const session = await open(gateway);
    const command = { kind: "rollback", allowDowngrade: false } as const;
    expect(await failure(session.execute(command, { signer }))).toMatchObject({ code: "PROTOCOL" });
    expect(gateway.calls).not.toContain("rollback");
  });
});
