/**
 * How commands reach the state of a running gateway, which alone has its database open: HTTP on a loopback port. Port and a secret
 * are in a file of the state folder, so that who may read the folder may use it, and nobody else on the machine.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { EdgePlugError, type ErrorName } from "../errors.js";
import { ERRORS } from "../generated/errors.js";
import type { Administration, OperationName } from "./administration.js";
import { FolderLock } from "./folder-lock.js";
import { writePrivateFile } from "./private-files.js";

interface ControlFile {
  pid: number;
  port: number;
  secret: string;
}

interface ControlRequest {
  operation: OperationName;
  input: Record<string, unknown>;
  who: string;
}

type ControlReply = { output: object } | { error: { name: string; message: string; action: string } };

const FILE = "control.json";
const BODY_MAX = 65_536;
const REQUEST_MS = 10_000;
const CONNECTIONS = 8;
const WAIT_STEPS = 50;
const WAIT_STEP_MS = 100;

export class ControlServer {
  private constructor(
    private readonly file: string,
    private readonly server: Server,
  ) {}

  static async start(folder: string, administration: Administration): Promise<ControlServer> {
    const secret = randomBytes(32).toString("hex");
    const server = createServer(
      { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
      (incoming, response) => {
        void serve(administration, secret, incoming, response);
      },
    );
    server.maxConnections = CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(
          new EdgePlugError("GATEWAY_CONFIG", `No loopback port can be had: ${error.message}.`, {
            cause: error,
          }),
        ),
      );
      server.listen(0, "127.0.0.1", resolve);
    });
    server.unref();
    const file = join(folder, FILE);
    const contents: ControlFile = { pid: process.pid, port: (server.address() as AddressInfo).port, secret };
    writePrivateFile(file, `${JSON.stringify(contents)}\n`);
    return new ControlServer(file, server);
  }

  async close(): Promise<void> {
    rmSync(this.file, { force: true });
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function serve(
  administration: Administration,
  secret: string,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (incoming.method !== "POST" || !isSecret(incoming.headers.authorization, secret)) {
    response.writeHead(403, { connection: "close" }).end();
    return;
  }
  let reply: ControlReply;
  try {
    const { operation, input, who } = JSON.parse(await body(incoming)) as ControlRequest;
    reply = { output: await administration.perform(operation, input, String(who)) };
  } catch (error) {
    const { code, message, action } = EdgePlugError.from(error);
    reply = { error: { name: code, message, action } };
  }
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
}

function isSecret(authorization: string | undefined, secret: string): boolean {
  const shown = Buffer.from(authorization ?? "");
  const wanted = Buffer.from(`Bearer ${secret}`);
  return shown.length === wanted.length && timingSafeEqual(shown, wanted);
}

async function body(incoming: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size > BODY_MAX) throw new EdgePlugError("GATEWAY_CONFIG", "The request is too large.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Asks the gateway, process `pid`, that works in `folder`. Throws what it answers; GATEWAY_STATE if it doesn't. */
export async function askGateway(folder: string, pid: number, ask: ControlRequest): Promise<object> {
  const control = await findControl(folder, pid);
  const reply = JSON.parse(await post(control, JSON.stringify(ask))) as ControlReply;
  if ("output" in reply) return reply.output;
  const { name, message, action } = reply.error;
  throw new EdgePlugError(name in ERRORS ? (name as ErrorName) : "GATEWAY_STATE", message, { action });
}

/** A gateway that starts has the folder before it listens. */
async function findControl(folder: string, pid: number): Promise<ControlFile> {
  for (let step = 0; step < WAIT_STEPS && FolderLock.ownerOf(folder)?.pid === pid; step++) {
    const control = readControl(join(folder, FILE));
    if (control?.pid === pid) return control;
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS));
  }
  throw silent(pid);
}

function readControl(file: string): ControlFile | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ControlFile;
  } catch {
    return undefined;
  }
}

function post({ port, secret }: ControlFile, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error?: Error): void => reject(silent(undefined, error));
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        method: "POST",
        headers: { authorization: `Bearer ${secret}` },
        timeout: REQUEST_MS,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () =>
          response.statusCode === 200 ? resolve(Buffer.concat(chunks).toString("utf8")) : fail(),
        );
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error("timed out")));
    outgoing.on("error", fail);
    outgoing.end(text);
  });
}

function silent(pid?: number, cause?: Error): EdgePlugError {
  const which = pid === undefined ? "The gateway" : `The gateway, process ${pid},`;
  return new EdgePlugError("GATEWAY_STATE", `${which} runs but doesn't answer this command.`, {
    action: "Try again in a moment; or stop the gateway, and run the command alone.",
    ...(cause === undefined ? {} : { cause }),
  });
}
