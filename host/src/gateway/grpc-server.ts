/** The gRPC server around the service: health, reflection, limits on what a connection may do, and a clean end. */
import type { Http2SecureServer } from "node:http2";
import { createServer, type Server as NetServer } from "node:net";

import {
  Server,
  type ConnectionInjector,
  type ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, service as healthService } from "grpc-health-check";

import { EdgePlugError } from "../errors.js";
import type { HostPort } from "./config.js";
import { Connections } from "./connections.js";
import { FrontGate } from "./front-gate.js";
import { settledWithin } from "../pause.js";
import type { AnyCall } from "./service.js";
import {
  gatewayService,
  MAX_REQUEST,
  packageDefinition,
  SERVICE_NAME,
  toServiceError,
  type GatewayHandlers,
} from "./wire.js";

export interface GrpcServerOptions {
  listen: HostPort;
  credentials: ServerCredentials;
  handlers: GatewayHandlers;
  /** Connections at a time. */
  connections: number;
  /** Throws what refuses a login; asked before reflection answers. */
  admit: (call: AnyCall) => void;
  /** What speaks against a caller, before gRPC has any work with the call. */
  refuse: FrontCheck;
}

export type FrontCheck = ConstructorParameters<typeof FrontGate>[0];

const STREAMS_PER_CONNECTION = 64;
/** A connection that answers no ping for so long is half-open, and dropped. */
const PING_AFTER_MS = 20_000;
const PING_PATIENCE_MS = 10_000;
const IDLE_MS = 300_000;
const TCP_PROBE_MS = 30_000;
const SHUTDOWN_PATIENCE_MS = 2_000;

export class GrpcServer {
  private constructor(
    private readonly server: Server,
    private readonly injector: ConnectionInjector,
    private readonly listener: NetServer,
    private readonly health: HealthImplementation,
    private readonly connections: Connections,
  ) {}

  /** Throws GATEWAY_CONFIG if the address can't be served. */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const server = new Server({
      "grpc.max_receive_message_length": 2 * MAX_REQUEST, // what is little too large gets a better answer
      "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION,
      "grpc.keepalive_time_ms": PING_AFTER_MS,
      "grpc.keepalive_timeout_ms": PING_PATIENCE_MS,
      "grpc.max_connection_idle_ms": IDLE_MS,
      "grpc-node.max_session_memory": 10,
      "grpc.enable_channelz": 0, // statistics that nobody asks for
    });
    server.addService(judged(gatewayService), options.handlers as unknown as UntypedServiceImplementation);
    const health = new HealthImplementation({ "": "SERVING", [SERVICE_NAME]: "SERVING" });
    health.addToServer({ addService: (service, handlers) => addHealth(server, service, handlers) });
    addReflection(server, options.admit);
    const injector = server.createConnectionInjector(options.credentials);
    const connections = new Connections(options.connections);
    const gate = new FrontGate(options.refuse, (remote) => connections.admit(remote));
    for (const http2 of http2Servers(server)) gate.guard(http2);
    const listener = createServer((socket) => {
      socket.on("error", () => undefined); // its session tells
      if (!connections.take(socket)) return;
      socket.setKeepAlive(true, TCP_PROBE_MS);
      socket.setNoDelay(true);
      injector.injectConnection(socket);
    });
    try {
      await listen(listener, options.listen);
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
    return new GrpcServer(server, injector, listener, health, connections);
  }

  get port(): number {
    const address = this.listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Load balancers and service managers look at this. */
  notServing(): void {
    this.health.setStatus("", "NOT_SERVING");
    this.health.setStatus(SERVICE_NAME, "NOT_SERVING");
  }

  /** Takes no more connections, lets the calls that are ending end, and cuts the rest. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.listener.close(() => resolve()));
    this.injector.drain(SHUTDOWN_PATIENCE_MS);
    const quiet = new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    await settledWithin(quiet, SHUTDOWN_PATIENCE_MS);
    this.server.forceShutdown();
    this.connections.destroy();
    await closed;
  }
}

/** grpc-js keeps them to itself. In a version that names them otherwise calls are only refused later, and cost more. */
function http2Servers(server: Server): Http2SecureServer[] {
  const { http2Servers: known } = server as unknown as { http2Servers?: Map<Http2SecureServer, unknown> };
  return known === undefined ? [] : [...known.keys()];
}

async function listen(listener: NetServer, { host, port }: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    listener.once("error", (error: NodeJS.ErrnoException) => reject(explainListen(host, port, error)));
    listener.listen({ host, port }, resolve);
  });
}

function explainListen(host: string, port: number, error: NodeJS.ErrnoException): EdgePlugError {
  const reasons: Record<string, string> = {
    EADDRINUSE: "another program serves it already",
    EACCES: "ports below 1024 need the system's permission",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "no such host is known",
  };
  const why = reasons[error.code ?? ""] ?? error.message;
  return new EdgePlugError("GATEWAY_CONFIG", `${host}:${port} can't be served: ${why}.`, {
    cause: error,
    action: "Name another address with --listen, or end the other program.",
  });
}

/**
 * gRPC's own answer to a request that it can't decode says only that. So the decoder gives the error to the handler in
 * place of the request.
 */
function judged(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        if (bytes.length > MAX_REQUEST)
          throw new Error(`it has ${bytes.length} bytes, not up to ${MAX_REQUEST}`);
        return method.requestDeserialize(bytes);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        return new EdgePlugError("GATEWAY_REQUEST", `The request can't be decoded: ${why}.`, {
          cause: error,
        });
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

type AddService = (service: ServiceDefinition, handlers: UntypedServiceImplementation) => void;

/** Whoever asks for a service that there isn't is not remembered: that takes no login, and would fill the memory. */
function addHealth(server: Server, service: unknown, handlers: UntypedServiceImplementation): void {
  const watch = handlers["watch"] as (call: HealthCall) => void;
  server.addService((service ?? healthService) as ServiceDefinition, {
    ...handlers,
    watch: (call: HealthCall) => {
      const known = call.request.service === "" || call.request.service === SERVICE_NAME;
      if (known) watch(call);
      else call.end();
    },
  });
}

interface HealthCall {
  request: { service: string };
  end(): void;
}

interface ReflectionCall extends AnyCall {
  emit(event: "error", error: Error): boolean;
}

function addReflection(server: Server, admit: (call: AnyCall) => void): void {
  const guarded: AddService = (service, handlers) => {
    const entries = Object.entries(handlers).map(([name, handler]) => {
      const guardedHandler = (call: ReflectionCall): void => {
        try {
          admit(call);
        } catch (error) {
          call.emit("error", toServiceError(EdgePlugError.from(error)));
          return;
        }
        (handler as (call: ReflectionCall) => void)(call);
      };
      return [name, guardedHandler];
    });
    server.addService(service, Object.fromEntries(entries) as UntypedServiceImplementation);
  };
  const reflection = new ReflectionService(packageDefinition, { services: [SERVICE_NAME] });
  reflection.addToServer({ addService: guarded });
}
