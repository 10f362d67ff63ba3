/**
 * The gateway's service as both sides see it: definition, typed client and handlers, errors, and the steps of a push.
 * Both proto/gateway.proto and this file are all that client and server share.
 */
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";

import { edgeplug } from "../generated/messages.js";

export {
  DETAILS_TRAILER,
  fromErrorDetail,
  fromServiceError,
  toErrorDetail,
  toServiceError,
} from "./wire-errors.js";
export { eventOfStep, fromDeployResult, stepOfEvent, toDeployResult, type EventBody } from "./wire-steps.js";

import v1 = edgeplug.gateway.v1;

// gRPC's library prints what it doesn't like, among that what callers have sent: tokens with a slip in them, or anything else.
if (process.env["GRPC_VERBOSITY"] === undefined) grpc.setLogVerbosity(grpc.logVerbosity.NONE);

export const SERVICE_NAME = "edgeplug.gateway.v1.Gateway";
export const DEFAULT_GATEWAY_PORT = 50051;
/** The largest request that a gateway takes, and the largest answer that a client does, bytes. */
export const MAX_REQUEST = 64 * 1024;
export const MAX_ANSWER = 1024 * 1024;

/**
 * How messages come off the wire: every field there, 64-bit counters as numbers, an absent message as null. Of a oneof only
 * the member that was sent is there, whatever the type says; its name is in the field of the oneof's: ask by truth, not by null.
 */
export type Received<T> = { [K in Exclude<keyof T, "$unknowns">]-?: ReceivedField<NonNullable<T[K]>> };
type ReceivedField<F> = F extends Uint8Array
  ? Buffer
  : F extends readonly (infer E)[]
    ? ReceivedElement<NonNullable<E>>[]
    : F extends object
      ? Received<F> | null
      : F;
type ReceivedElement<E> = E extends Uint8Array ? Buffer : E extends object ? Received<E> : E;

interface Unary<Request, Reply> {
  kind: "unary";
  request: Request;
  reply: Reply;
}

interface Stream<Request, Reply> {
  kind: "stream";
  request: Request;
  reply: Reply;
}

/** Every call with its messages, as they are sent. */
export interface GatewayMethods {
  getGateway: Unary<v1.GetGatewayRequest.$Properties, v1.GatewayInfo.$Properties>;
  listDevices: Unary<v1.ListDevicesRequest.$Properties, v1.ListDevicesReply.$Properties>;
  getInfo: Unary<v1.DeviceRequest.$Properties, v1.DeviceInfo.$Properties>;
  getStatus: Unary<v1.DeviceRequest.$Properties, edgeplug.Status.$Properties>;
  getHistory: Unary<v1.GetHistoryRequest.$Properties, v1.HistoryReply.$Properties>;
  listSpent: Unary<v1.DeviceRequest.$Properties, v1.SpentReply.$Properties>;
  listKeys: Unary<v1.DeviceRequest.$Properties, v1.KeysReply.$Properties>;
  watchEvents: Stream<v1.WatchEventsRequest.$Properties, v1.WatchedEvent.$Properties>;
  listDeployments: Unary<v1.ListDeploymentsRequest.$Properties, v1.ListDeploymentsReply.$Properties>;
  watchDeployment: Stream<v1.WatchDeploymentRequest.$Properties, v1.DeployEvent.$Properties>;
  deploy: Stream<v1.DeployRequest.$Properties, v1.DeployEvent.$Properties>;
  cancelDeployment: Unary<v1.DeploymentRequest.$Properties, v1.CancelDeploymentReply.$Properties>;
  provideSignature: Unary<v1.ProvideSignatureRequest.$Properties, v1.ProvideSignatureReply.$Properties>;
  readPackage: Unary<v1.DeviceRequest.$Properties, v1.PackageReply.$Properties>;
  call: Unary<v1.CallRequest.$Properties, edgeplug.CallReply.$Properties>;
  getChallenge: Unary<v1.DeviceRequest.$Properties, v1.ChallengeReply.$Properties>;
  confirm: CommandMethod;
  rollback: CommandMethod;
  abort: CommandMethod;
  clearSpent: CommandMethod;
  addKey: CommandMethod;
  removeKey: CommandMethod;
  replaceKey: CommandMethod;
  lock: CommandMethod;
  unlock: CommandMethod;
}

type CommandMethod = Unary<v1.CommandRequest.$Properties, v1.CommandReply.$Properties>;

export type MethodName = keyof GatewayMethods;
export type UnaryName = {
  [M in MethodName]: GatewayMethods[M]["kind"] extends "unary" ? M : never;
}[MethodName];
export type StreamName = Exclude<MethodName, UnaryName>;
export type RequestOf<M extends MethodName> = GatewayMethods[M]["request"];
export type ReplyOf<M extends MethodName> = GatewayMethods[M]["reply"];

export type ReceivedEvent = Received<v1.DeployEvent.$Properties>;

type ClientUnary<M extends UnaryName> = (
  request: RequestOf<M>,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, reply?: Received<ReplyOf<M>>) => void,
) => grpc.ClientUnaryCall;

type ClientStream<M extends StreamName> = (
  request: RequestOf<M>,
  metadata?: grpc.Metadata,
  options?: grpc.CallOptions,
) => grpc.ClientReadableStream<Received<ReplyOf<M>>>;

export type GatewayClient = grpc.Client & { [M in UnaryName]: ClientUnary<M> } & {
  [M in StreamName]: ClientStream<M>;
};

export type UnaryHandler<M extends UnaryName> = grpc.handleUnaryCall<Received<RequestOf<M>>, ReplyOf<M>>;
export type StreamHandler<M extends StreamName> = grpc.handleServerStreamingCall<
  Received<RequestOf<M>>,
  ReplyOf<M>
>;
export type GatewayHandlers = { [M in UnaryName]: UnaryHandler<M> } & { [M in StreamName]: StreamHandler<M> };

const PROTO = new URL("../generated/proto/gateway.proto", import.meta.url);

/** What proto/gateway.proto says, for servers, clients and reflection. */
export const packageDefinition: PackageDefinition = loadSync(fileURLToPath(PROTO), {
  keepCase: false,
  longs: Number,
  enums: Number,
  bytes: Buffer,
  defaults: true,
  oneofs: true,
  includeDirs: [fileURLToPath(new URL(".", PROTO))],
});

export const gatewayService = packageDefinition[SERVICE_NAME] as grpc.ServiceDefinition;

/** A client of the gateway at `address` (HOST:PORT); nothing is sent before the first call. */
export function createGatewayClient(
  address: string,
  credentials: grpc.ChannelCredentials,
  options: grpc.ClientOptions = {},
): GatewayClient {
  const Client = grpc.makeClientConstructor(gatewayService, SERVICE_NAME);
  return new Client(address, credentials, {
    "grpc.max_receive_message_length": MAX_ANSWER,
    ...options,
  }) as unknown as GatewayClient;
}
