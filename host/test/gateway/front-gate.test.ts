/** What stands before gRPC: a call that meets a defect is that call's trouble. */
import { once } from "node:events";
import { connect, createSecureServer, type ClientHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import { FrontGate } from "../../src/gateway/front-gate.js";
import { authority } from "../support/gateway-caller.js";

/** How a call of `path` ends: its status, or the code that its stream was closed with. */
async function outcome(session: ClientHttp2Session, path: string): Promise<number | undefined> {
  const stream = session.request({ ":path": path });
  let status: number | undefined;
  stream.on("response", (headers) => (status = headers[":status"]));
  stream.on("error", () => undefined);
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  return status ?? -(stream.rstCode ?? 0);
}

describe("a call that something throws at", () => {
  it("ends alone: the next one on the same connection is served", async () => {
    const { key, chain } = await authority.issue();
    const server = createSecureServer({ key, cert: chain });
    server.on("stream", (stream, headers) => {
      if (headers[":path"] === "/throws") throw new Error("a defect behind the gate");
      stream.respond({ ":status": 200 });
      stream.end();
    });
    new FrontGate(
      () => undefined,
      () => undefined,
    ).guard(server);
    const warnings: unknown[] = [];
    const warned = (warning: unknown): number => warnings.push(warning);
    process.on("warning", warned);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    onTestFinished(() => {
      process.off("warning", warned);
      session.destroy();
      server.close();
    });

    expect(await outcome(session, "/throws")).toBe(-2); // INTERNAL_ERROR of RFC 9113 section 7
    expect(await outcome(session, "/serves")).toBe(200);
    expect(warnings).toEqual([expect.objectContaining({ message: "a defect behind the gate" })]);
  });
});
