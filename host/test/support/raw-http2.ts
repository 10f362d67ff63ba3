/** A gateway's caller below gRPC: what is sent and what comes back are HTTP/2's own. */
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from "node:http2";

import { status, Metadata } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";

import { DETAILS_TRAILER, fromServiceError } from "../../src/gateway/wire.js";
import type { TestGateway } from "./test-gateway.js";

export interface Ending {
  status: string;
  /** Name of our error, "" if there is none. */
  name: string;
}

export class RawCaller {
  readonly session: ClientHttp2Session;

  constructor(
    gateway: TestGateway,
    private readonly token: string,
  ) {
    this.session = connect(`https://localhost:${gateway.running.port}`, { ca: gateway.running.caPem });
    this.session.on("error", () => undefined);
    onTestFinished(() => void this.session.destroy());
  }

  /** The gateway has said how many calls may be open; more would be refused by HTTP/2 itself. */
  async ready(): Promise<this> {
    await new Promise((resolve) => this.session.once("remoteSettings", resolve));
    return this;
  }

  /** A call whose request is still to be written. */
  open(method: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    return this.session.request({
      ":method": "POST",
      ":path": `/edgeplug.gateway.v1.Gateway/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${this.token}`,
      ...headers,
    });
  }

  /** How it ends, with gRPC's status or HTTP's. */
  static ending(stream: ClientHttp2Stream): Promise<Ending> {
    return new Promise((resolve) => {
      let ending: Ending | undefined;
      const note = (headers: Record<string, unknown>): void => {
        if (headers["grpc-status"] !== undefined) resolve((ending = endingOf(headers)));
        else if (headers[":status"] !== 200 && headers[":status"] !== undefined)
          ending = { status: `HTTP ${String(headers[":status"])}`, name: "" };
      };
      stream.on("response", note);
      stream.on("trailers", note);
      stream.on("error", () => undefined);
      stream.on("close", () => resolve(ending ?? { status: `RST ${stream.rstCode}`, name: "" }));
      stream.resume();
    });
  }
}

function endingOf(headers: Record<string, unknown>): Ending {
  const code = Number(headers["grpc-status"]) as status;
  if (code === status.OK) return { status: "OK", name: "" };
  const metadata = new Metadata();
  const details = headers[DETAILS_TRAILER];
  if (typeof details === "string") metadata.set(DETAILS_TRAILER, Buffer.from(details, "base64"));
  const known = fromServiceError(Object.assign(new Error(), { code, details: "", metadata }));
  return { status: status[code], name: typeof details === "string" ? known.code : "" };
}

/** A message as gRPC frames it; `length` other than its own is a lie. */
export function framed(message: Uint8Array, length = message.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}
