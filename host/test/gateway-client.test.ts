/** The gateway's client and what is no gateway, or not the board that was meant. */
import { createSecureServer } from "node:http2";
import { createServer, type Server } from "node:net";
import { createServer as createTls } from "node:tls";

import { describe, expect, it } from "vitest";

import { edgeplug } from "../src/generated/messages.js";
import { parseGatewayName } from "../src/gateway/client/address.js";
import { BOARD } from "./support/fake-gateway.js";
import { authority, open, serve, startGateway } from "./support/gateway-caller.js";
import { failure } from "./support/failure.js";

const v1 = edgeplug.gateway.v1;

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
