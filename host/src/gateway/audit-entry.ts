/** One line of the audit log: JSON whose last field is the SHA-256 over all before it, and which names the hash of the line before. */
import { createHash } from "node:crypto";

/** What somebody writes down. Texts are cut at 300 characters, `detail` at 2,000. */
export interface AuditInput {
  /** The login's name, or `gateway`. */
  who: string;
  /** Where the caller is. */
  address?: string;
  /** The action: `deploy`, `rollback`, `token-add`. */
  what: string;
  /** Board id in hex. */
  device?: string;
  detail?: string;
  /** `ok`, or an error's name. */
  outcome: string;
}

export interface AuditEntry extends AuditInput {
  /** Counts from 1. */
  readonly seq: number;
  /** ISO 8601, UTC, by the gateway's clock. */
  readonly time: string;
  /** In a `recovered` entry: what a crash had left of the line before. */
  readonly torn?: TornBytes;
  /** Hash of the entry before, zeros in the first. */
  readonly prev: string;
  readonly hash: string;
}

export interface TornBytes {
  readonly bytes: number;
  readonly sha256: string;
}

export interface AuditLink {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first entry. */
export const GENESIS: AuditLink = { seq: 0, hash: "0".repeat(64) };

/** The action of an entry that tells what a crash had left. */
export const RECOVERED = "recovered";

const TEXT_MAX = 300;
const DETAIL_MAX = 2_000;
/** The gateway's own words hold a whole line. */
const RECOVERED_MAX = 10 * DETAIL_MAX;
const TAIL = /,"hash":"([0-9a-f]{64})"\}$/;
const TAIL_BYTES = `,"hash":"${GENESIS.hash}"}`.length;

/** The line without its end, and its place in the chain. */
export function writeEntry(
  input: AuditInput,
  before: AuditLink,
  time: Date,
  torn?: TornBytes,
): { line: string; link: AuditLink } {
  const seq = before.seq + 1;
  const body = JSON.stringify({
    seq,
    time: time.toISOString(),
    who: short(input.who),
    address: short(input.address),
    what: short(input.what),
    device: short(input.device),
    detail: short(input.detail, input.what === RECOVERED ? RECOVERED_MAX : DETAIL_MAX),
    outcome: short(input.outcome),
    torn,
    prev: before.hash,
  }).slice(0, -1);
  const hash = sha256(Buffer.from(body));
  return { line: `${body},"hash":"${hash}"}`, link: { seq, hash } };
}

/** The entry in a line, or undefined if the line is none or its hash doesn't fit. Every byte counts. */
export function readEntry(line: Buffer): AuditEntry | undefined {
  const tail = TAIL.exec(line.toString("latin1", Math.max(0, line.length - TAIL_BYTES)));
  if (tail === null || sha256(line.subarray(0, line.length - TAIL_BYTES)) !== tail[1]) return undefined;
  try {
    const entry = JSON.parse(line.toString("utf8")) as AuditEntry;
    return Number.isSafeInteger(entry.seq) && typeof entry.prev === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function short(text: string | undefined, max = TEXT_MAX): string | undefined {
  return text === undefined || text.length <= max ? text : `${text.slice(0, max)}…`;
}
