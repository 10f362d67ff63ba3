/** A gateway in this process with real TLS on a free port, and callers with tokens of each role. */
import { join } from "node:path";

import { credentials, Metadata, type CallOptions, type ServiceError } from "@grpc/grpc-js";

import { readConfig, type GatewayConfig } from "../../src/gateway/config.js";
import { newToken, tokenHash } from "../../src/gateway/logins.js";
import { startGateway, type RunningGateway, type StartOptions } from "../../src/gateway/server.js";
import type { RoleName } from "../../src/gateway/calls.js";
import {
  createGatewayClient,
  fromServiceError,
  type GatewayClient,
  type Received,
  type ReplyOf,
  type RequestOf,
  type StreamName,
  type UnaryName,
} from "../../src/gateway/wire.js";
import { folderWith } from "./files.js";

export interface TestGatewayOptions extends Partial<GatewayConfig> {
  /** Boards in memory. Default 1; ignored where `devices` are named. */
  boards?: number;
  start?: StartOptions;
}

export class TestGateway {
  readonly reports: Parameters<NonNullable<StartOptions["report"]>>[0][] = [];
  running!: RunningGateway;
  private readonly callers: Caller[] = [];
  private tokens = 0;

  private constructor(readonly config: GatewayConfig) {}

  static async start({ boards = 1, start = {}, ...changes }: TestGatewayOptions = {}): Promise<TestGateway> {
    const defaults = readConfig({
      environment: {},
      flags: {
        listen: "127.0.0.1:0",
        state: join(folderWith(), "state"),
        device: Array<string>(boards).fill("sim:"),
        metrics: "off",
      },
    });
    const gateway = new TestGateway({ ...defaults, ...changes });
    gateway.running = await startGateway(gateway.config, {
      ...start,
      report: (event) => gateway.reports.push(event),
    });
    return gateway;
  }

  get address(): string {
    return `127.0.0.1:${this.running.port}`;
  }

  /** Somebody with this role, or with any other token. */
  caller(role: RoleName, token = this.token(role)): Caller {
    const caller = new Caller(this.address, this.running.caPem, token);
    this.callers.push(caller);
    return caller;
  }

  /** Ids of the boards as soon as so many are there, in the order of their ports. */
  async boards(count = this.config.devices.length): Promise<string[]> {
    const { devices } = this.running.gateway;
    while (devices.present < count) await new Promise((resolve) => setTimeout(resolve, 5));
    const list = devices.list(false);
    return list
      .sort((a, b) => String(a.port).localeCompare(String(b.port), "en", { numeric: true }))
      .map(({ id }) => id ?? "");
  }

  /** A new one, for somebody with this role. */
  token(role: RoleName): string {
    const token = newToken();
    const name = `${role}${this.tokens++}`;
    this.running.logins.store.addToken({ name, role, hash: tokenHash(token), expires: 0 }, new Date());
    return token;
  }

  async stop(graceMs = 0): Promise<void> {
    for (const caller of this.callers) caller.close();
    await this.running.stop(graceMs);
  }
}

export class Caller {
  readonly client: GatewayClient;
  readonly metadata = new Metadata();

  constructor(address: string, ca: string, token: string | undefined) {
    this.client = createGatewayClient(address, credentials.createSsl(Buffer.from(ca)), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.ssl_target_name_override": "localhost",
    });
    if (token !== undefined) this.metadata.set("authorization", `Bearer ${token}`);
  }

  call<M extends UnaryName>(
    method: M,
    request: RequestOf<M>,
    options: CallOptions = {},
  ): Promise<Received<ReplyOf<M>>> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply?: Received<ReplyOf<M>>): void => {
        if (error === null && reply !== undefined) resolve(reply);
        else reject(fromServiceError(error));
      };
      const invoke = this.client[method] as (...args: unknown[]) => unknown;
      invoke.call(this.client, request, this.metadata, options, done);
    });
  }

  /** Messages until the gateway ends the stream, or the reader leaves. */
  async *stream<M extends StreamName>(
    method: M,
    request: RequestOf<M>,
    options: CallOptions = {},
  ): AsyncGenerator<Received<ReplyOf<M>>, void, void> {
    const invoke = this.client[method] as (...args: unknown[]) => AsyncIterable<Received<ReplyOf<M>>> & {
      cancel(): void;
      on(event: "error", listener: () => void): void;
    };
    const call = invoke.call(this.client, request, this.metadata, options);
    try {
      for await (const message of call) yield message;
    } catch (error) {
      throw fromServiceError(error);
    } finally {
      call.on("error", () => undefined);
      call.cancel();
    }
  }

  close(): void {
    this.client.close();
  }
}
