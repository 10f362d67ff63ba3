/** Deployments as the gateway's database keeps them: what has to be known again after a crash, and the latest that ended. */
import protobuf from "protobufjs/minimal.js";

import { edgeplug } from "../generated/messages.js";
import type { ShadowOptions } from "../session/push-steps.js";
import { shadowMessage } from "../session/shadow.js";
import type { GatewayState } from "./state.js";

export type DeployEvent = edgeplug.gateway.v1.DeployEvent.$Properties;
export type ErrorDetail = edgeplug.gateway.v1.ErrorDetail.$Properties;
const { DeploymentState } = edgeplug.gateway.v1;
export { DeploymentState };

/** What was asked for; never changes. */
export interface DeploymentOrder {
  readonly id: string;
  /** Board id in hex. */
  readonly device: string;
  /** Who asked. */
  readonly login: string;
  readonly name: string;
  readonly version: string;
  readonly allowDowngrade: boolean;
  /** 0 = by default. */
  readonly timeoutMs: number;
  readonly maySign: boolean;
  /** Undefined: none. */
  readonly shadow: ShadowOptions | undefined;
  readonly createdMs: number;
}

/** How it stands. */
export interface DeploymentRecord {
  readonly order: DeploymentOrder;
  state: edgeplug.gateway.v1.DeploymentState;
  /** The swap that the board promised, 0 before Begin. */
  swapNumber: number;
  slot: number;
  /** Who cancelled it; empty: nobody. */
  cancelledBy: string;
  /** No event has a sequence above this. */
  sequenceLimit: number;
  endedMs: number;
  error: ErrorDetail | null;
  events: readonly DeployEvent[];
}

const TABLE = `CREATE TABLE deployments (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL,
  login TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  allow_downgrade INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  may_sign INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  package BLOB,
  state INTEGER NOT NULL,
  swap_number INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  cancelled_by TEXT NOT NULL,
  sequence_limit INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  error BLOB,
  events BLOB NOT NULL
)`;
/** An encoded Shadow; NULL: no shadow run. */
const SHADOW = "ALTER TABLE deployments ADD COLUMN shadow BLOB";
const INDEX = "CREATE INDEX deployments_device ON deployments (device, number)";

/** Without packages, which are large. */
const COLUMNS =
  "id, device, login, name, version, allow_downgrade, timeout_ms, may_sign, created_ms, state, swap_number, slot, " +
  "cancelled_by, sequence_limit, ended_ms, error, events, shadow";
const ENDED = `(${DeploymentState.DEPLOYMENT_STATE_DONE}, ${DeploymentState.DEPLOYMENT_STATE_FAILED})`;
/** Trimming looks through the table; it isn't done for each that ends. */
const TRIM_EVERY = 50;

type Row = Record<string, unknown>;

export class DeploymentsStore {
  private sinceTrim = 0;

  /** `keepEnded`: how many deployments that are over are remembered. */
  constructor(
    private readonly state: GatewayState,
    private readonly keepEnded = 1_000,
  ) {
    state.migrate("deployments", [TABLE, INDEX, SHADOW]);
    this.trim();
  }

  /** On disk when it returns. Throws GATEWAY_STATE. */
  add(record: DeploymentRecord, packageBytes: Uint8Array): void {
    const { order } = record;
    this.state.run(`INSERT INTO deployments (${COLUMNS}, package) VALUES (${"?, ".repeat(18)}?)`, [
      order.id,
      order.device,
      order.login,
      order.name,
      order.version,
      Number(order.allowDowngrade),
      order.timeoutMs,
      Number(order.maySign),
      order.createdMs,
      ...progress(record),
      packShadow(order.shadow),
      packageBytes,
    ]);
  }

  /** On disk when it returns; the package of one that is over is given up. Throws GATEWAY_STATE. */
  save(record: DeploymentRecord): void {
    const over = isOver(record);
    this.state.run(
      "UPDATE deployments SET state = ?, swap_number = ?, slot = ?, cancelled_by = ?, sequence_limit = ?, ended_ms = ?, " +
        `error = ?, events = ?${over ? ", package = NULL" : ""} WHERE id = ?`,
      [...progress(record), record.order.id],
    );
    if (over && ++this.sinceTrim >= TRIM_EVERY) this.trim();
  }

  find(id: string): DeploymentRecord | undefined {
    const [row] = this.state.all(`SELECT ${COLUMNS} FROM deployments WHERE id = ?`, [id]);
    return row === undefined ? undefined : recordOf(row);
  }

  /** Newest first; of all boards if `device` is empty. */
  list(device: string, limit: number): DeploymentRecord[] {
    const where = device === "" ? "" : "WHERE device = ? ";
    const rows = this.state.all(
      `SELECT ${COLUMNS} FROM deployments ${where}ORDER BY number DESC LIMIT ?`,
      device === "" ? [limit] : [device, limit],
    );
    return rows.map(recordOf);
  }

  /** Those that are not over, in the order in which they were accepted. */
  unfinished(): { record: DeploymentRecord; packageBytes: Uint8Array }[] {
    const rows = this.state.all(
      `SELECT ${COLUMNS}, package FROM deployments WHERE state NOT IN ${ENDED} ORDER BY number`,
      [],
    );
    return rows.map((row) => ({ record: recordOf(row), packageBytes: bytes(row["package"]) }));
  }

  private trim(): void {
    this.sinceTrim = 0;
    this.state.run(
      `DELETE FROM deployments WHERE state IN ${ENDED} AND number NOT IN ` +
        `(SELECT number FROM deployments WHERE state IN ${ENDED} ORDER BY number DESC LIMIT ?)`,
      [this.keepEnded],
    );
  }
}

export function isOver({ state }: Pick<DeploymentRecord, "state">): boolean {
  return state === DeploymentState.DEPLOYMENT_STATE_DONE || state === DeploymentState.DEPLOYMENT_STATE_FAILED;
}

function progress(record: DeploymentRecord): (string | number | Uint8Array | null)[] {
  const { ErrorDetail } = edgeplug.gateway.v1;
  return [
    record.state,
    record.swapNumber,
    record.slot,
    record.cancelledBy,
    record.sequenceLimit,
    record.endedMs,
    record.error === null ? null : ErrorDetail.encode(record.error).finish(),
    packEvents(record.events),
  ];
}

function recordOf(row: Row): DeploymentRecord {
  const error = row["error"];
  return {
    order: {
      id: String(row["id"]),
      device: String(row["device"]),
      login: String(row["login"]),
      name: String(row["name"]),
      version: String(row["version"]),
      allowDowngrade: row["allow_downgrade"] === 1,
      timeoutMs: Number(row["timeout_ms"]),
      maySign: row["may_sign"] === 1,
      shadow: unpackShadow(row["shadow"]),
      createdMs: Number(row["created_ms"]),
    },
    state: Number(row["state"]),
    swapNumber: Number(row["swap_number"]),
    slot: Number(row["slot"]),
    cancelledBy: String(row["cancelled_by"]),
    sequenceLimit: Number(row["sequence_limit"]),
    endedMs: Number(row["ended_ms"]),
    error: error instanceof Uint8Array ? edgeplug.gateway.v1.ErrorDetail.decode(error) : null,
    events: unpackEvents(bytes(row["events"])),
  };
}

function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function packShadow(shadow: ShadowOptions | undefined): Uint8Array | null {
  return shadow === undefined ? null : edgeplug.Shadow.encode(shadowMessage(shadow)).finish();
}

function unpackShadow(packed: unknown): ShadowOptions | undefined {
  if (!(packed instanceof Uint8Array)) return undefined;
  const { scans, tolerance, allowed } = edgeplug.Shadow.decode(packed);
  return { scans, tolerance, allowed };
}

/** Messages one behind the other, each with its length. */
function packEvents(events: readonly DeployEvent[]): Uint8Array {
  const { DeployEvent } = edgeplug.gateway.v1;
  return Buffer.concat(events.map((event) => DeployEvent.encodeDelimited(event).finish()));
}

function unpackEvents(packed: Uint8Array): DeployEvent[] {
  const { DeployEvent } = edgeplug.gateway.v1;
  const reader = protobuf.Reader.create(packed);
  const events: DeployEvent[] = [];
  while (reader.pos < reader.len) events.push(DeployEvent.decodeDelimited(reader));
  return events;
}
