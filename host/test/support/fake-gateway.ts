/**
 * A gateway that does as a test says: real TLS, real gRPC, no boards behind it. One deployment is a list of events; whoever
 * watches gets those behind the one that was seen last, and new ones as they come.
 */
import * as grpc from "@grpc/grpc-js";

import { EdgePlugError } from "../../src/errors.js";
import { edgeplug } from "../../src/generated/messages.js";
import {
  gatewayService,
  MAX_REQUEST,
  toServiceError,
  type EventBody,
  type GatewayHandlers,
  type Received,
} from "../../src/gateway/wire.js";
import type { Leaf } from "./authority.js";

import v1 = edgeplug.gateway.v1;
type DeployEvent = v1.DeployEvent.$Properties;
type Watcher = grpc.ServerWritableStream<unknown, DeployEvent>;

export const BOARD_ID = Uint8Array.from({ length: 12 }, (_, at) => 0xa0 + at);
export const BOARD = Buffer.from(BOARD_ID).toString("hex");
export const DEPLOYMENT = "d-1";
export const TOKEN = "test-token";

export class FakeGateway {
  readonly calls: string[] = [];
  readonly tokens = new Set<string>();
  readonly deployRequests: Received<v1.DeployRequest.$Properties>[] = [];
  readonly watchedAfter: number[] = [];
  readonly signatures: Received<v1.ProvideSignatureRequest.$Properties>[] = [];
  readonly events: DeployEvent[] = [];
  /** What the deployment's first caller gets as its first event, already while it calls. */
  onDeploy: () => void = () => undefined;
  onCancel: () => v1.DeploymentState = () => v1.DeploymentState.DEPLOYMENT_STATE_FAILED;
  onSignature: () => void = () => undefined;
  /** Answers of single calls that differ. */
  handlers: Partial<GatewayHandlers> = {};
  locked = false;
  devices: v1.Device.$Properties[] = [{ id: BOARD, port: "sim:", state: v1.DeviceState.DEVICE_STATE_READY }];
  port = 0;
  private readonly watchers = new Set<Watcher>();
  private server: grpc.Server | undefined;

  constructor(private readonly leaf: Leaf) {}

  /** On the port of before, if there was one. */
  async start(): Promise<void> {
    const server = new grpc.Server({ "grpc.max_receive_message_length": MAX_REQUEST });
    server.addService(gatewayService, this.all() as unknown as grpc.UntypedServiceImplementation);
    const keys = [{ private_key: this.leaf.key, cert_chain: this.leaf.chain }];
    const credentials = grpc.ServerCredentials.createSsl(null, keys, false);
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    this.server = server;
  }

  /** As kill -9 does it. */
  stop(): void {
    this.watchers.clear();
    this.server?.forceShutdown();
    this.server = undefined;
  }

  emit(body: EventBody): void {
    const event = { deployment: DEPLOYMENT, sequence: this.events.length + 1, timeMs: 1, ...body };
    this.events.push(event);
    for (const watcher of this.watchers) {
      watcher.write(event);
      if (body.result ?? body.failure) watcher.end();
    }
  }

  private watch(call: Watcher, after: number): void {
    this.watchers.add(call);
    call.on("cancelled", () => this.watchers.delete(call));
    for (const event of this.events.slice(after)) {
      call.write(event);
      if (event.result ?? event.failure) call.end();
    }
  }

  private all(): GatewayHandlers {
    const unary =
      <Request, Reply>(
        name: string,
        answer: (request: Request) => Reply,
      ): grpc.handleUnaryCall<Request, Reply> =>
      (call, callback) => {
        this.note(name, call.metadata);
        try {
          callback(null, answer(call.request));
        } catch (error) {
          callback(toServiceError(EdgePlugError.from(error)));
        }
      };
    const others = Object.keys(gatewayService).map((name) => name.charAt(0).toLowerCase() + name.slice(1));
    const handlers = {
      ...Object.fromEntries(others.map((name) => [name, unary(name, () => ({ status: {} }))])),
      getGateway: unary("getGateway", () => ({
        version: "0.1.0",
        login: "test",
        role: v1.Role.ROLE_ADMIN,
        shadowRuns: true,
      })),
      listDevices: unary("listDevices", () => ({ devices: this.devices })),
      getInfo: unary("getInfo", () => ({
        hello: { boardId: BOARD_ID, protocol: 1, locked: this.locked, maxChunk: 512, pageSize: 2048 },
        status: { locked: this.locked },
        slots: [{}, {}],
        port: "sim:",
      })),
      deploy: (call: grpc.ServerWritableStream<Received<v1.DeployRequest.$Properties>, DeployEvent>) => {
        this.note("deploy", call.metadata);
        this.deployRequests.push(call.request);
        this.onDeploy();
        this.watch(call as Watcher, 0);
      },
      watchDeployment: (
        call: grpc.ServerWritableStream<Received<v1.WatchDeploymentRequest.$Properties>, DeployEvent>,
      ) => {
        this.note("watchDeployment", call.metadata);
        this.watchedAfter.push(call.request.after);
        this.watch(call as Watcher, call.request.after);
      },
      cancelDeployment: unary("cancelDeployment", () => ({
        deployment: { id: DEPLOYMENT, state: this.onCancel() },
      })),
      provideSignature: unary(
        "provideSignature",
        (request: Received<v1.ProvideSignatureRequest.$Properties>) => {
          this.signatures.push(request);
          this.onSignature();
          return {};
        },
      ),
      ...this.handlers,
    };
    return handlers as unknown as GatewayHandlers;
  }

  private note(name: string, metadata: grpc.Metadata): void {
    this.calls.push(name);
    for (const value of metadata.get("authorization")) this.tokens.add(String(value));
  }
}
