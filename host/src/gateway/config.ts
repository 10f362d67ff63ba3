/**
 * The gateway's settings. Each may come from a flag, from the environment or from a TOML file, in this order; what is not
 * known in any of them is refused, so that no misspelt setting is silently without effect.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { parse as parseToml, TomlError } from "smol-toml";

import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import { DEFAULT_QUEUE_LIMIT } from "./deployments.js";
import { DEFAULT_GATEWAY_PORT } from "./wire.js";

export interface HostPort {
  host: string;
  port: number;
}

export interface GatewayConfig {
  /** Where gRPC is served; port 0 takes a free one. */
  listen: HostPort;
  /** Folder of certificates, database and audit log. */
  state: string;
  /** Ports of boards. */
  devices: readonly string[];
  /** Also ports that are plugged in meanwhile. */
  auto: boolean;
  /** Bits per second of serial ports. */
  baud: number;
  /** Deployments that may wait for one board. */
  queue: number;
  /** How long running deployments may go on when the gateway is stopped, milliseconds. */
  graceMs: number;
  /** How long a board may be absent in the middle of a deployment, milliseconds. */
  absenceMs: number;
  /** Where Prometheus finds metrics; undefined: nowhere. */
  metrics: HostPort | undefined;
  /** PEM files of an own certificate; undefined: the gateway makes one. */
  tlsCert: string | undefined;
  tlsKey: string | undefined;
  /** PEM file of a CA whose client certificates are taken, beside the gateway's own. */
  clientCa: string | undefined;
  /** Names and addresses that clients call this gateway by, for its certificate. */
  names: readonly string[];
  /** Connections at a time. */
  connections: number;
}

type Value = string | number | boolean | readonly string[] | HostPort | undefined;

interface Setting {
  key: keyof GatewayConfig;
  /** As in files; flags have hyphens, the environment capitals. */
  name: string;
  argument: string;
  help: string;
  read: (value: unknown) => Value;
  fallback: (environment: NodeJS.ProcessEnv) => Value;
}

const PREFIX = "EDGEPLUG_GATEWAY_";
/** What container platforms set by themselves for a service of that name. */
const FOREIGN = /^EDGEPLUG_GATEWAY_(SERVICE_|PORT(_|$))/;
const MOST_SECONDS = 86_400;

export const SETTINGS: readonly Setting[] = [
  {
    key: "listen",
    name: "listen",
    argument: "<host:port>",
    help: `address to serve (default 0.0.0.0:${DEFAULT_GATEWAY_PORT}; port 0 takes a free one)`,
    read: hostPort,
    fallback: () => ({ host: "0.0.0.0", port: DEFAULT_GATEWAY_PORT }),
  },
  {
    key: "state",
    name: "state",
    argument: "<folder>",
    help: "where certificates, database and audit log are (default ~/.local/state/edgeplug-gateway)",
    read: text,
    fallback: defaultStateFolder,
  },
  {
    key: "devices",
    name: "device",
    argument: "<port>",
    help: "serial port, sim: or sim:FILE; may be given more than once",
    read: list,
    fallback: () => [],
  },
  {
    key: "auto",
    name: "auto",
    argument: "",
    help: "also serve boards that are plugged in, by their USB ids",
    read: flag,
    fallback: () => false,
  },
  {
    key: "baud",
    name: "baud",
    argument: "<rate>",
    help: "speed of the serial ports (default 115200)",
    read: (value) => number(value, 300, 4_000_000),
    fallback: () => 115_200,
  },
  {
    key: "queue",
    name: "queue",
    argument: "<count>",
    help: `deployments that may wait for one board (default ${DEFAULT_QUEUE_LIMIT})`,
    read: (value) => number(value, 1, 1_000),
    fallback: () => DEFAULT_QUEUE_LIMIT,
  },
  {
    key: "graceMs",
    name: "grace",
    argument: "<seconds>",
    help: "how long running deployments may go on after a stop signal (default 10)",
    read: (value) => 1_000 * number(value, 0, MOST_SECONDS),
    fallback: () => 10_000,
  },
  {
    key: "absenceMs",
    name: "absence",
    argument: "<seconds>",
    help: "how long a board may be absent in the middle of a deployment (default 300)",
    read: (value) => 1_000 * number(value, 0, MOST_SECONDS),
    fallback: () => 300_000,
  },
  {
    key: "metrics",
    name: "metrics",
    argument: "<host:port>",
    help: "where Prometheus finds metrics, or off (default 127.0.0.1:9464)",
    read: (value) => (value === "off" ? undefined : hostPort(value)),
    fallback: () => ({ host: "127.0.0.1", port: 9464 }),
  },
  {
    key: "tlsCert",
    name: "tls_cert",
    argument: "<file>",
    help: "own certificate chain, PEM (default: the gateway makes one)",
    read: text,
    fallback: () => undefined,
  },
  {
    key: "tlsKey",
    name: "tls_key",
    argument: "<file>",
    help: "private key of --tls-cert, PEM",
    read: text,
    fallback: () => undefined,
  },
  {
    key: "clientCa",
    name: "client_ca",
    argument: "<file>",
    help: "CA of client certificates that were made elsewhere, PEM",
    read: text,
    fallback: () => undefined,
  },
  {
    key: "names",
    name: "name",
    argument: "<host>",
    help: "name or address that clients use, for the certificate; may be given more than once",
    read: list,
    fallback: () => [],
  },
  {
    key: "connections",
    name: "connections",
    argument: "<count>",
    help: "connections at a time (default 256)",
    read: (value) => number(value, 1, 65_536),
    fallback: () => 256,
  },
];

export interface ConfigSources {
  /** By name as in files; undefined where a flag was not given. */
  flags?: Readonly<Record<string, unknown>>;
  /** Default: the process's. */
  environment?: NodeJS.ProcessEnv;
  /** TOML file; default: EDGEPLUG_GATEWAY_CONFIG, or none. */
  file?: string | undefined;
}

/** `--tls-cert` */
export function flagOf({ name }: Setting): string {
  return `--${name.replaceAll("_", "-")}`;
}

/** `EDGEPLUG_GATEWAY_TLS_CERT` */
export function variableOf({ name }: Setting): string {
  return PREFIX + name.toUpperCase();
}

/** Throws GATEWAY_CONFIG naming the setting and where it stands, FILE_NOT_FOUND or FILE_UNREADABLE. */
export function readConfig(sources: ConfigSources = {}): GatewayConfig {
  const environment = sources.environment ?? process.env;
  const file = sources.file ?? (environment[`${PREFIX}CONFIG`] || undefined);
  const table = file === undefined ? {} : readTable(file);
  refuseUnknown(Object.keys(table), (name) => `${name} in ${file ?? ""}`);
  refuseUnknown(variables(environment), (name) => PREFIX + name.toUpperCase());
  const config: Partial<Record<keyof GatewayConfig, Value>> = {};
  for (const setting of SETTINGS) {
    const { name } = setting;
    const given: [unknown, string][] = [
      [sources.flags?.[name], flagOf(setting)],
      [environment[variableOf(setting)] || undefined, variableOf(setting)],
      [table[name], `${name} in ${file ?? ""}`],
    ];
    const [first] = given.filter(([value]) => value !== undefined);
    config[setting.key] =
      first === undefined ? setting.fallback(environment) : attempt(() => setting.read(first[0]), first[1]);
  }
  return checked(config as unknown as GatewayConfig);
}

function checked(config: GatewayConfig): GatewayConfig {
  const { tlsCert, tlsKey } = config;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const missing = tlsCert === undefined ? "tls_cert" : "tls_key";
    throw new EdgePlugError("GATEWAY_CONFIG", `${missing} is missing: certificate and key belong together.`);
  }
  return config;
}

function readTable(file: string): Record<string, unknown> {
  let contents: string;
  try {
    contents = readFileSync(file, "utf8");
  } catch (error) {
    throw fileError(file, error);
  }
  try {
    return parseToml(contents);
  } catch (error) {
    const where = error instanceof TomlError ? `, line ${error.line}` : "";
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new EdgePlugError("GATEWAY_CONFIG", `${file}${where}: ${why}`, { cause: error });
  }
}

/** Names of the settings in the environment, as in files. */
function variables(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && !FOREIGN.test(name) && name !== `${PREFIX}CONFIG`)
    .map((name) => name.slice(PREFIX.length).toLowerCase());
}

function refuseUnknown(names: readonly string[], describe: (name: string) => string): void {
  for (const name of names) {
    if (SETTINGS.some((setting) => setting.name === name)) continue;
    const known = SETTINGS.map((setting) => setting.name).join(", ");
    throw new EdgePlugError("GATEWAY_CONFIG", `${describe(name)} is no setting; there are: ${known}.`);
  }
}

function attempt<T>(read: () => T, where: string): T {
  try {
    return read();
  } catch (error) {
    throw new EdgePlugError(
      "GATEWAY_CONFIG",
      `${where} ${error instanceof Error ? error.message : "is wrong"}.`,
      {
        cause: error,
      },
    );
  }
}

/** XDG_STATE_HOME/edgeplug-gateway, or the system's place for such folders. */
function defaultStateFolder(environment: NodeJS.ProcessEnv): string {
  const { XDG_STATE_HOME: xdg, LOCALAPPDATA: windows } = environment;
  if (xdg) return join(xdg, "edgeplug-gateway");
  if (process.platform === "win32" && windows) return join(windows, "edgeplug-gateway");
  return join(environment["HOME"] || homedir(), ".local", "state", "edgeplug-gateway");
}

// ---- values; each function throws what is wrong with one ------------------------------------------

function text(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new TypeError("is no text");
  return value;
}

function list(value: unknown): readonly string[] {
  const items = typeof value === "string" ? value.split(",").map((item) => item.trim()) : value;
  if (!Array.isArray(items)) throw new TypeError("is no list of texts");
  return items.filter((item) => item !== "").map(text);
}

function flag(value: unknown): boolean {
  if (typeof value === "boolean") return value;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw new TypeError("is neither true nor false");
}

function number(value: unknown, least: number, most: number): number {
  const result = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof result === "number" && Number.isInteger(result) && result >= least && result <= most)
    return result;
  throw new TypeError(`is no whole number from ${least} to ${most}`);
}

/** `HOST:PORT`, `[::1]:PORT` or just a port on this machine. */
export function hostPort(value: unknown): HostPort {
  const parts = typeof value === "string" ? /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(value) : null;
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) throw new TypeError("is no HOST:PORT");
  return { host: parts[1] ?? (parts[2] || "0.0.0.0"), port };
}
