/** A verified, logged-in connection to one gateway: every call with a deadline, every failure with its cause. */
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";

import * as grpc from "@grpc/grpc-js";

import { EdgePlugError } from "../../errors.js";
import { interrupted } from "../../session/connection.js";
import {
  createGatewayClient,
  fromServiceError,
  type GatewayClient as Channel,
  type Received,
  type ReplyOf,
  type RequestOf,
  type StreamName,
  type UnaryName,
} from "../wire.js";
import type { GatewayAddress } from "./address.js";
import { loginMeans, type LoginMeans } from "./login.js";
import { checkGatewayOptions, type GatewayOptions } from "./options.js";
import { establishTrust, type Trust } from "./trust.js";

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds until TIMEOUT. Default 15,000. */
  timeoutMs?: number | undefined;
}

const CALL_MS = 15_000;
/** HTTP/2 pings find out about a peer that vanished without a word. */
const PING_EACH_MS = 10_000;
const PONG_MS = 5_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2_000;
/** Stands where TLS wants a name and the gateway was named by an address; nobody checks it. */
const NO_NAME = "edgeplug-gateway.invalid";

export class GatewayClient {
  private constructor(
    readonly address: GatewayAddress,
    private readonly channel: Channel,
    private readonly metadata: grpc.Metadata,
  ) {}

  /** Establishes whom to trust; the first call logs in. Throws what establishTrust() and loginMeans() throw. */
  static async connect(address: GatewayAddress, options: GatewayOptions = {}): Promise<GatewayClient> {
    checkGatewayOptions(options);
    const trust = await establishTrust(address, options);
    return GatewayClient.over(address, trust, loginMeans(address.gateway, options));
  }

  /** With trust and login in hand. */
  static over(address: GatewayAddress, trust: Trust, means: LoginMeans): GatewayClient {
    const metadata = new grpc.Metadata();
    if (means.token !== undefined) metadata.set("authorization", `Bearer ${means.token}`);
    const channel = createGatewayClient(`dns:${address.gateway}`, credentials(address, trust, means), {
      "grpc.ssl_target_name_override": isIP(address.host) === 0 ? address.host : NO_NAME,
      "grpc.enable_http_proxy": 0, // a gateway is called directly, as the look at its certificates was
      "grpc.use_local_subchannel_pool": 1,
      "grpc.keepalive_time_ms": PING_EACH_MS,
      "grpc.keepalive_timeout_ms": PONG_MS,
      "grpc.initial_reconnect_backoff_ms": FIRST_RETRY_MS,
      "grpc.min_reconnect_backoff_ms": FIRST_RETRY_MS,
      "grpc.max_reconnect_backoff_ms": LONGEST_RETRY_MS,
    });
    return new GatewayClient(address, channel, metadata);
  }

  get gateway(): string {
    return this.address.gateway;
  }

  /** One request, one answer. Throws the gateway's error, GATEWAY_UNREACHABLE, TIMEOUT or INTERRUPTED. */
  call<M extends UnaryName>(
    method: M,
    request: RequestOf<M>,
    options: CallOptions = {},
  ): Promise<Received<ReplyOf<M>>> {
    const { signal, timeoutMs = CALL_MS } = options;
    if (isAborted(signal)) return Promise.reject(interrupted(signal));
    return new Promise((resolve, reject) => {
      const invoke = this.channel[method] as (
        request: RequestOf<M>,
        metadata: grpc.Metadata,
        options: grpc.CallOptions,
        callback: (error: grpc.ServiceError | null, reply?: Received<ReplyOf<M>>) => void,
      ) => grpc.ClientUnaryCall;
      const call = invoke.call(
        this.channel,
        request,
        this.metadata,
        { deadline: Date.now() + timeoutMs },
        (error, reply) => {
          signal?.removeEventListener("abort", abort);
          if (reply !== undefined && error === null) resolve(reply);
          else if (isAborted(signal)) reject(interrupted(signal));
          else reject(this.explain(error, timeoutMs));
        },
      );
      const abort = (): void => call.cancel();
      signal?.addEventListener("abort", abort);
    });
  }

  /** What the gateway tells until it ends the stream, the signal does, or the reader leaves. */
  async *stream<M extends StreamName>(
    method: M,
    request: RequestOf<M>,
    signal?: AbortSignal,
  ): AsyncGenerator<Received<ReplyOf<M>>, void, void> {
    if (isAborted(signal)) throw interrupted(signal);
    const invoke = this.channel[method] as unknown as (
      request: RequestOf<M>,
      metadata: grpc.Metadata,
    ) => grpc.ClientReadableStream<Received<ReplyOf<M>>>;
    const call = invoke.call(this.channel, request, this.metadata);
    const abort = (): void => call.cancel();
    signal?.addEventListener("abort", abort);
    try {
      for await (const message of call) yield message as Received<ReplyOf<M>>;
    } catch (error) {
      throw isAborted(signal) ? interrupted(signal) : this.explain(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      call.on("error", () => undefined); // the end of a call that nobody reads any more
      call.cancel();
    }
    if (isAborted(signal)) throw interrupted(signal);
  }

  /** Whether the gateway can be called within so many milliseconds. */
  isReachable(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.channel.waitForReady(Date.now() + timeoutMs, (error) => resolve(error === undefined));
    });
  }

  close(): void {
    this.channel.close();
  }

  private explain(error: unknown, timeoutMs?: number): EdgePlugError {
    const known = fromServiceError(error);
    if (!isBare(error)) return known;
    const { gateway } = this.address;
    switch (error.code) {
      case grpc.status.UNAVAILABLE:
        return known.code === "GATEWAY_CERTIFICATE" ? known : this.unreachable(error);
      case grpc.status.DEADLINE_EXCEEDED: {
        const seconds = ((timeoutMs ?? 0) / 1000).toFixed(0);
        return new EdgePlugError("TIMEOUT", `The gateway ${gateway} has not answered within ${seconds} s.`, {
          cause: error,
          action: "Check the gateway's log, and the way to it; then try again.",
        });
      }
      case grpc.status.CANCELLED:
        return this.unreachable(error); // by the other side or the line: our own cancels are told apart before
      case grpc.status.INTERNAL:
      case grpc.status.UNKNOWN:
        // A connection that breaks inside a stream ends so too; whatever else does is no answer of a gateway.
        return /RST_STREAM|ECONNRESET|socket/i.test(error.details)
          ? this.unreachable(error)
          : nonsense(this.address.gateway, error);
      default:
        return known;
    }
  }

  private unreachable(cause: grpc.ServiceError): EdgePlugError {
    const { gateway } = this.address;
    const why = /ECONNREFUSED/.test(cause.details) ? "nothing listens there" : "the connection was lost";
    return new EdgePlugError("GATEWAY_UNREACHABLE", `${gateway} can't be reached: ${why}.`, { cause });
  }
}

/** Asked anew each time: it changes while others work. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** An end without a word of the gateway's own. */
function isBare(error: unknown): error is grpc.ServiceError {
  if (!(error instanceof Error) || !("metadata" in error)) return false;
  const { metadata } = error as grpc.ServiceError;
  return metadata.get("grpc-status-details-bin").length === 0;
}

function nonsense(gateway: string, cause: grpc.ServiceError): EdgePlugError {
  return new EdgePlugError(
    "GATEWAY_REQUEST",
    `${gateway} answers with what makes no sense: ${cause.details.trim() || grpc.status[cause.code]}.`,
    { cause, action: "Check that a gateway runs there, and that tool and gateway have the same version." },
  );
}

function credentials(
  address: GatewayAddress,
  trust: Trust,
  { certificate }: LoginMeans,
): grpc.ChannelCredentials {
  try {
    return grpc.credentials.createSsl(
      Buffer.from(trust.authorities),
      certificate?.key ?? null,
      certificate?.cert ?? null,
      { checkServerIdentity: (_name, peer) => checkServerIdentity(trust.name, peer) },
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EdgePlugError(
      "FILE_UNREADABLE",
      `The certificates for ${address.gateway} can't be used: ${why}.`,
      {
        cause: error,
        action: "Check that --client-cert and --client-key are a pair in PEM, the key without a passphrase.",
      },
    );
  }
}
