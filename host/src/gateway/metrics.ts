/** What Prometheus sees of a gateway, and the small HTTP server that shows it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { Counter, Gauge, Histogram, Registry } from "prom-client";

import { EdgePlugError } from "../errors.js";

/** What is read at the moment when somebody asks. */
export interface MetricsSources {
  /** Boards by state: `{ ready: 3, busy: 1, absent: 0 }`. */
  boards?: () => Readonly<Record<string, number>>;
  /** Deployments that wait. */
  queued?: () => number;
}

const CALL_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const DEPLOYMENT_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900];
const P = "edgeplug_gateway_";
const REQUEST_MS = 5_000;
const CONNECTIONS = 16;

export class Metrics {
  readonly registry = new Registry();
  private sources: MetricsSources = {};
  private server: Server | undefined;

  private readonly calls = new Histogram({
    name: `${P}call_seconds`,
    help: "Calls by method and gRPC status code; a stream counts from its first to its last message.",
    labelNames: ["method", "code"],
    buckets: CALL_BUCKETS,
    registers: [this.registry],
  });
  private readonly deployments = new Histogram({
    name: `${P}deployment_seconds`,
    help: "Deployments by outcome (ok or an error's name), from their turn to their end.",
    labelNames: ["outcome"],
    buckets: DEPLOYMENT_BUCKETS,
    registers: [this.registry],
  });
  private readonly logins = new Counter({
    name: `${P}logins_total`,
    help: "Logins by outcome: token, certificate, failed, limited. Each call is one.",
    labelNames: ["outcome"],
    registers: [this.registry],
  });
  private readonly packageBytes = new Counter({
    name: `${P}package_bytes_total`,
    help: "Bytes of payload that were sent to boards, repeated ones included.",
    registers: [this.registry],
  });
  private readonly auditEntries = new Counter({
    name: `${P}audit_entries_total`,
    help: "Entries written to the audit log since the start.",
    registers: [this.registry],
  });
  private readonly stateErrors = new Counter({
    name: `${P}state_errors_total`,
    help: "Failures to store something: look at the disk.",
    registers: [this.registry],
  });

  constructor(version: string) {
    new Gauge({
      name: `${P}info`,
      help: "1, with the version as a label.",
      labelNames: ["version"],
      registers: [this.registry],
    }).set({ version }, 1);
    this.addSources();
    this.addProcess();
  }

  /** Where figures come from that are asked for; they may come later than the metrics. */
  connect(sources: MetricsSources): void {
    this.sources = sources;
  }

  call(method: string, code: number, milliseconds: number): void {
    this.calls.observe({ method, code: String(code) }, milliseconds / 1_000);
  }

  deployment(outcome: string, milliseconds: number): void {
    this.deployments.observe({ outcome }, milliseconds / 1_000);
  }

  login(outcome: "token" | "certificate" | "failed" | "limited"): void {
    this.logins.inc({ outcome });
  }

  sent(bytes: number): void {
    this.packageBytes.inc(bytes);
  }

  audited(): void {
    this.auditEntries.inc();
  }

  stateError(): void {
    this.stateErrors.inc();
  }

  /** Serves `GET /metrics`. Gives the port. Throws GATEWAY_CONFIG if the address can't be had. */
  async listen(host: string, port: number): Promise<number> {
    const server = createServer(
      { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
      (request, response) => {
        if (request.method !== "GET" || request.url !== "/metrics") {
          response.writeHead(404).end();
          return;
        }
        this.registry.metrics().then(
          (text) => response.writeHead(200, { "content-type": this.registry.contentType }).end(text),
          () => response.writeHead(500).end(),
        );
      },
    );
    server.maxConnections = CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(
          new EdgePlugError(
            "GATEWAY_CONFIG",
            `Metrics can't be served at ${host}:${port}: ${error.message}.`,
            {
              action: "Name another address with --metrics HOST:PORT, or --metrics off.",
              cause: error,
            },
          ),
        ),
      );
      server.listen(port, host, resolve);
    });
    this.server = server;
    server.unref();
    return (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  private addSources(): void {
    const sources = (): MetricsSources => this.sources;
    new Gauge({
      name: `${P}boards`,
      help: "Boards by state: ready, busy, absent.",
      labelNames: ["state"],
      registers: [this.registry],
      collect() {
        for (const [state, count] of Object.entries(sources().boards?.() ?? {})) this.set({ state }, count);
      },
    });
    new Gauge({
      name: `${P}deployments_queued`,
      help: "Deployments that wait for their turn.",
      registers: [this.registry],
      collect() {
        this.set(sources().queued?.() ?? 0);
      },
    });
  }

  private addProcess(): void {
    new Counter({
      name: "process_cpu_seconds_total",
      help: "Processor time, user and system.",
      registers: [this.registry],
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    });
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Memory in use.",
      registers: [this.registry],
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Gauge({
      name: "process_start_time_seconds",
      help: "Start, Unix seconds.",
      registers: [this.registry],
    }).set(Math.round(performance.timeOrigin / 1_000));
  }
}
