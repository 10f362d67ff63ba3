/** What the suites of the gateway's client share: authorities, gateways, and a user with no settings of their own. */
import { type AddressInfo, type Server, type Socket } from "node:net";

import { runOut } from "@edgeplug/test-support/run-out";
import { afterEach, beforeAll, beforeEach, onTestFinished } from "vitest";

import type { GatewayOptions } from "../../src/gateway/client/options.js";
import { GatewaySession } from "../../src/gateway/client/gateway-session.js";
import type { PushResult, PushStep } from "../../src/session/push.js";
import type { SessionPushOptions } from "../../src/session/board-session.js";
import { Authority, type LeafOptions } from "./authority.js";
import { FakeGateway, TOKEN } from "./fake-gateway.js";
import { folderWith } from "./files.js";
import { packageOf } from "./packages.js";

export const pkg = packageOf(new Uint8Array(100));

export let authority: Authority;
export let stranger: Authority;
export let configFolder = "";
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

/** A gateway until the test is over. */
export async function startGateway(options: LeafOptions = {}, by = authority): Promise<FakeGateway> {
  const gateway = new FakeGateway(await by.issue(options));
  await gateway.start();
  onTestFinished(() => gateway.stop());
  return gateway;
}

/** Opens the only board there, trusting the test's authority. */
export async function open(
  { port }: { port: number },
  options: GatewayOptions = {},
  name = `127.0.0.1:${port}`,
): Promise<GatewaySession> {
  const session = await GatewaySession.open(name, { trust: authority.fingerprint, ...options });
  onTestFinished(() => session.close());
  return session;
}

/** A server of another kind, until the test is over. */
export async function serve(server: Server): Promise<{ port: number }> {
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

/** A push to its end; `onStep` sees each step. */
export async function push(
  session: GatewaySession,
  options: SessionPushOptions = {},
  onStep: (step: PushStep) => unknown = () => undefined,
  what = pkg,
): Promise<{ steps: PushStep[]; result: PushResult }> {
  const steps: PushStep[] = [];
  const result = await runOut(session.push(what, options), async (step) => {
    steps.push(step);
    await onStep(step);
  });
  return { steps, result };
}

export const names = (steps: PushStep[]): string[] => steps.map(({ step }) => step);
