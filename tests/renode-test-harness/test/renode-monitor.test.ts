// The monitor's client against a server that misbehaves.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, describe, expect, it } from "vitest";

import { pathOf, quoted, RenodeMonitor } from "../src/renode-monitor.js";

let server: Server | undefined;
let monitor: RenodeMonitor | undefined;

afterEach(() => {
  monitor?.close();
  server?.closeAllConnections();
  server?.close();
});

/** `serve` gets the number of the request, from 1. */
async function connect(
  serve: (number: number, to: ServerResponse, from: IncomingMessage) => void,
): Promise<RenodeMonitor> {
  let requests = 0;
  server = createServer((from, to) => {
    serve(++requests, to, from);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  monitor = new RenodeMonitor((server.address() as AddressInfo).port);
  return monitor;
}

function struct(...members: readonly [string, string][]): string {
  const parts = members.map(
    ([name, text]) => `<member><name>${name}</name><value><string>${text}</string></value></member>`,
  );
  return `<methodResponse><params><param><value><struct>${parts.join("")}</struct></value></param></params></methodResponse>`;
}

const done = (text: string): string => struct(["status", "PASS"], ["return", text]);

describe("Renode's monitor", () => {
  it("gives what a command prints, with line ends as they are here", async () => {
    const client = await connect((_, to) => to.end(done("one\r\r\ntwo&#13;\n\r\n")));
    expect(await client.execute("x")).toBe("one\ntwo");
  });

  it("asks again when the server has closed a connection that was idle, and only then", async () => {
    const client = await connect((number, to, from) => {
      if (number === 2) from.socket.destroy();
      else to.end(done(String(number)));
    });
    expect(await client.execute("first")).toBe("1");
    expect(await client.execute("second")).toBe("3");
    const fresh = await connect((_, __, from) => from.socket.destroy());
    await expect(fresh.execute("x")).rejects.toMatchObject({
      code: "EMULATOR_ENDED",
      message: expect.stringContaining("Renode did not answer to: x") as string,
    });
  });

  it("says what is no answer, or no good one", async () => {
    const answers = [
      (to: ServerResponse) => to.writeHead(500).end(),
      (to: ServerResponse) => to.end("<html></html>"),
      (to: ServerResponse) =>
        to.end("<methodResponse><params><param><value>plain</value></param></params></methodResponse>"),
      (to: ServerResponse) =>
        to.end(struct(["status", "FAIL"], ["error", "RecoverableException: It was &lt;bad&gt;"])),
    ];
    const client = await connect((number, to) => answers[number - 1]?.(to));
    await expect(client.execute("a")).rejects.toThrow("its robot server answered 500");
    await expect(client.execute("b")).rejects.toThrow(SyntaxError);
    await expect(client.execute("c")).rejects.toMatchObject({ code: "EMULATOR_REFUSED" });
    await expect(client.execute(`d ${"x".repeat(500)}`)).rejects.toThrow(
      /^Renode refused: d x{118}…\nIt was <bad>$/,
    );
  });

  it("waits for an answer as long as it is told", async () => {
    const client = await connect(() => undefined);
    await expect(client.execute("never", 50)).rejects.toMatchObject({
      code: "TIMEOUT",
      message: "Renode did not come back within 50 ms from: never",
    });
  });

  it("takes paths and texts that its language can hold", () => {
    expect(quoted("/a b/c")).toBe('"/a b/c"');
    expect(pathOf("@platforms/x.repl")).toBe("@platforms/x.repl");
    expect(pathOf("/x.repl")).toBe('"/x.repl"');
    expect(pathOf("x.repl")).toBe(`"${process.cwd()}/x.repl"`);
    expect(() => quoted('a"b')).toThrow(TypeError);
    expect(() => quoted("a\nb")).toThrow(TypeError);
  });
});
