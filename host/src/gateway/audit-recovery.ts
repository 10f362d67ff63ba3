/** What a crash left of an audit log, told apart from what somebody did to it. */
import { closeSync, openSync, readSync, statSync } from "node:fs";

import { EdgePlugError } from "../errors.js";
import { GENESIS, readEntry, RECOVERED, sha256, type AuditLink } from "./audit-entry.js";
import { verifyAudit } from "./audit-verify.js";
import { storageError } from "./private-files.js";

export interface FoundLog {
  /** The last whole entry. */
  readonly last: AuditLink;
  /** Its line, "" in an empty log. */
  readonly lastLine: string;
  /** Its time, Unix milliseconds; 0 in an empty log. */
  readonly lastTime: number;
  /** Bytes up to its end. */
  readonly size: number;
  /** What stands behind it. */
  readonly tail: Buffer;
  /** Why the log needs a `recovered` entry; undefined if it is as it should be. */
  readonly recovery: string | undefined;
}

const NEWLINE = 0x0a;

/**
 * Reads the log at `path`. `known` is the last line that was begun, "" for none; undefined if nobody knows, and `expected` tells
 * whether somebody should. Throws AUDIT_BROKEN if no crash explains what is there.
 */
export function findLog(path: string, known: string | undefined, expected: boolean): FoundLog {
  let size = 0;
  let lastTime = 0;
  let lastLine = "";
  const report = verifyAudit(path, {
    onEntry: ({ time }, { offset, bytes }) => {
      lastTime = Date.parse(time);
      lastLine = bytes.toString("utf8");
      size = offset + bytes.length + 1;
    },
  });
  const tail = readTail(path, size);
  // problems before the tail can't come from a crash; in the tail each line is one
  const problem = report.problems.find(({ line }) => line <= report.lines - countLines(tail));
  if (problem !== undefined) throw broken(path, `line ${problem.line}: ${problem.message}`);
  const recovery = why(path, report.head, tail, known, expected);
  return { last: report.head, lastLine, lastTime, size, tail, recovery };
}

function why(
  path: string,
  last: AuditLink,
  tail: Buffer,
  known: string | undefined,
  expected: boolean,
): string | undefined {
  if (known === undefined) {
    if (tail.includes(NEWLINE)) throw broken(path, "its last lines are not as they were written");
    if (tail.length > 0) return "the last line was not written to its end";
    return expected && last.seq > 0 ? "the database did not know this log" : undefined;
  }
  const head = known === "" ? undefined : readEntry(Buffer.from(known));
  if (tail.length === 0 && last.hash === (head ?? GENESIS).hash) return undefined;
  if (head === undefined || head.prev !== last.hash || head.seq !== last.seq + 1)
    throw broken(path, `it ends with entry ${last.seq}, which is not where the gateway ended it`);
  if (!couldBeTorn(tail, known)) throw broken(path, "its last line is not as it was written");
  return `entry ${head.seq} was not written to its end; it was to be ${known}`;
}

/** A line is torn before its end. Only the writing of a `recovered` entry, which ends a torn line first, leaves more. */
function couldBeTorn(tail: Buffer, line: string): boolean {
  const end = tail.lastIndexOf(NEWLINE);
  if (tail.length - end - 1 > Buffer.byteLength(line)) return false;
  if (end < 0) return true;
  const head = readEntry(Buffer.from(line));
  return head?.what === RECOVERED && head.torn?.sha256 === sha256(tail.subarray(0, end));
}

function countLines(tail: Buffer): number {
  if (tail.length === 0) return 0;
  let lines = tail.at(-1) === NEWLINE ? 0 : 1;
  for (const byte of tail) if (byte === NEWLINE) lines++;
  return lines;
}

function readTail(path: string, from: number): Buffer {
  try {
    const tail = Buffer.alloc(statSync(path).size - from);
    const file = openSync(path, "r");
    try {
      return tail.subarray(0, readSync(file, tail, 0, tail.length, from));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw storageError(path, error);
  }
}

function broken(path: string, how: string): EdgePlugError {
  return new EdgePlugError("AUDIT_BROKEN", `The audit log ${path} is not what the gateway wrote: ${how}.`, {
    action:
      "Look at it with `edgeplug audit verify`; `edgeplug audit rotate` keeps it as evidence and begins a new one.",
  });
}
