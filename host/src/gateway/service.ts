/**
 * The service as gRPC calls it: who calls, whether they may, what goes on record, and how it ends. Every failure leaves
 * with a status code and an error of errors.json.
 */
import {
  status as codes,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";

import { EdgePlugError } from "../errors.js";
import type { AuditInput } from "./audit.js";
import {
  streamCalls,
  unaryCalls,
  type CallContext,
  type Caller,
  type CallsOptions,
  type Deed,
  type RoleName,
} from "./calls.js";
import {
  fromServiceError,
  toServiceError,
  type GatewayHandlers,
  type MethodName,
  type Received,
  type ReplyOf,
  type RequestOf,
  type StreamName,
  type UnaryName,
} from "./wire.js";

/** What is asked of every caller. */
export const ROLE_OF: Readonly<Record<MethodName, RoleName>> = {
  getGateway: "viewer",
  listDevices: "viewer",
  getInfo: "viewer",
  getStatus: "viewer",
  getHistory: "viewer",
  listSpent: "viewer",
  listKeys: "viewer",
  watchEvents: "viewer",
  listDeployments: "viewer",
  watchDeployment: "viewer",
  deploy: "operator",
  cancelDeployment: "operator",
  provideSignature: "operator",
  readPackage: "operator",
  call: "operator",
  getChallenge: "operator",
  confirm: "operator",
  rollback: "operator",
  abort: "operator",
  clearSpent: "operator",
  addKey: "admin",
  removeKey: "admin",
  replaceKey: "admin",
  lock: "admin",
  unlock: "admin",
};

export interface ServiceOptions extends CallsOptions {
  /** Throws GATEWAY_LOGIN or GATEWAY_LIMIT. */
  identify: (call: AnyCall) => Caller;
  /** Throws GATEWAY_ROLE. */
  requireRole: (caller: Caller, role: RoleName) => void;
  /** On disk when it returns. Throws GATEWAY_STATE. */
  audit: (entry: AuditInput) => void;
  /** Told when it is done and what came of it can't be written down. */
  onStateError?: ((error: EdgePlugError) => void) | undefined;
  /** Told of every call that is over. */
  onCall?: ((method: MethodName, code: number, milliseconds: number) => void) | undefined;
  /** Aborted when no new calls are taken. */
  stopping: AbortSignal;
  /** Aborted when streams have to end. */
  ending: AbortSignal;
}

/** The part of a call that is the same in all kinds. */
export type AnyCall = Pick<
  ServerUnaryCall<unknown, unknown>,
  "metadata" | "getPeer" | "getAuthContext" | "getDeadline" | "on" | "off" | "cancelled"
>;

export function gatewayHandlers(options: ServiceOptions): GatewayHandlers {
  const unary = unaryCalls(options);
  const streams = streamCalls(options);
  const handlers: Partial<Record<MethodName, unknown>> = {};
  for (const method of Object.keys(unary) as UnaryName[]) {
    handlers[method] = unaryHandler(method, unary[method] as AnyUnary, options);
  }
  for (const method of Object.keys(streams) as StreamName[]) {
    handlers[method] = streamHandler(method, streams[method] as AnyStream, options);
  }
  return handlers as GatewayHandlers;
}

type AnyUnary = (
  request: Received<RequestOf<UnaryName>>,
  context: CallContext,
) => Promise<ReplyOf<UnaryName>>;
type AnyStream = (
  request: Received<RequestOf<StreamName>>,
  context: CallContext,
) => AsyncIterable<ReplyOf<StreamName>>;

function unaryHandler(method: UnaryName, act: AnyUnary, options: ServiceOptions) {
  return (
    call: ServerUnaryCall<Received<RequestOf<UnaryName>>, ReplyOf<UnaryName>>,
    callback: sendUnaryData<ReplyOf<UnaryName>>,
  ): void => {
    const record = new CallRecord(method, call, options);
    void record
      .run((context) => act(decoded(call.request), context))
      .then(
        (reply) => callback(null, reply),
        (error: unknown) => callback(toServiceError(EdgePlugError.from(error))),
      );
  };
}

function streamHandler(method: StreamName, act: AnyStream, options: ServiceOptions) {
  return (call: ServerWritableStream<Received<RequestOf<StreamName>>, ReplyOf<StreamName>>): void => {
    const record = new CallRecord(method, call, options);
    call.on("error", () => undefined); // what is written to a caller who has gone
    void record
      .run(async (context) => {
        await pump(call, act(decoded(call.request), context), context.signal);
        if (options.ending.aborted) throw new EdgePlugError("GATEWAY_STOPPING");
      })
      .then(
        () => call.end(),
        (error: unknown) => call.emit("error", toServiceError(EdgePlugError.from(error))),
      );
  };
}

/** The decoder puts an error in the place of a request that makes no sense. */
function decoded<T>(request: T): T {
  if (request instanceof EdgePlugError) throw request;
  return request;
}

/** Writes as fast as the caller reads, and no faster. */
async function pump<T>(
  call: ServerWritableStream<unknown, T>,
  items: AsyncIterable<T>,
  signal: AbortSignal,
): Promise<void> {
  for await (const item of items) {
    if (signal.aborted) return;
    if (call.write(item)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        call.off("drain", go);
        signal.removeEventListener("abort", go);
        resolve();
      };
      call.on("drain", go);
      signal.addEventListener("abort", go);
      if (signal.aborted) go();
    });
  }
}

/** One call, from the login to its last word. */
class CallRecord {
  private readonly start = performance.now();
  private readonly gone = new AbortController();
  private caller: Caller | undefined;
  private deed: Deed | undefined;

  constructor(
    private readonly method: MethodName,
    private readonly call: AnyCall,
    private readonly options: ServiceOptions,
  ) {}

  async run<T>(act: (context: CallContext) => Promise<T>): Promise<T> {
    const leave = (): void => this.gone.abort(new EdgePlugError("INTERRUPTED", "The caller has gone."));
    const end = (): void => this.gone.abort(new EdgePlugError("GATEWAY_STOPPING"));
    this.call.on("cancelled", leave);
    this.options.ending.addEventListener("abort", end);
    try {
      const result = await act(this.admit());
      this.finish("ok");
      this.options.onCall?.(this.method, codes.OK, this.elapsed());
      return result;
    } catch (error) {
      const known = this.known(error);
      this.options.onCall?.(this.method, toServiceError(known).code, this.elapsed());
      throw known;
    } finally {
      this.call.off("cancelled", leave);
      this.options.ending.removeEventListener("abort", end);
    }
  }

  /** Throws GATEWAY_STOPPING, GATEWAY_LOGIN, GATEWAY_LIMIT or GATEWAY_ROLE. */
  private admit(): CallContext {
    const { options, method } = this;
    if (options.stopping.aborted) throw new EdgePlugError("GATEWAY_STOPPING");
    const caller = options.identify(this.call);
    this.caller = caller;
    try {
      options.requireRole(caller, ROLE_OF[method]);
    } catch (error) {
      this.write({}, EdgePlugError.from(error).code);
      throw error;
    }
    return {
      caller,
      signal: this.gone.signal,
      timeLeft: () => Number(this.call.getDeadline()) - Date.now(),
      begin: (deed) => {
        this.write(deed, "begun");
        this.deed = deed;
      },
      settle: (outcome) => this.finish(outcome),
    };
  }

  private known(error: unknown): EdgePlugError {
    const known = fromServiceError(error);
    this.finish(known.code);
    return known;
  }

  /**
   * That it was begun is on record. It is done now, or has failed: an outcome that can't be written changes nothing of that,
   * and a caller who was told so would do it twice. The next state-changing call is refused anyway.
   */
  private finish(outcome: string): void {
    if (this.deed === undefined) return;
    const { deed } = this;
    this.deed = undefined;
    try {
      this.write(deed, outcome);
    } catch (error) {
      this.options.onStateError?.(EdgePlugError.from(error));
    }
  }

  private write(deed: Deed, outcome: string): void {
    const who = this.caller?.name ?? "";
    const address = addressOf(this.call.getPeer());
    this.options.audit({ who, address, what: this.method, ...deed, outcome });
  }

  private elapsed(): number {
    return performance.now() - this.start;
  }
}

/** `192.0.2.7:51324` → `192.0.2.7`; the port changes with each connection. */
export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
