/** Reads an audit log from end to end and says what was done to it. */
import { closeSync, openSync, readSync } from "node:fs";

import { fileError } from "../files.js";
import { GENESIS, readEntry, RECOVERED, sha256, type AuditEntry, type AuditLink } from "./audit-entry.js";

export type AuditProblemKind =
  | "changed" // a line that is no entry, or not the one that was written
  | "missing" // entries are gone before this line
  | "order" // an entry that stood here before, or belongs elsewhere
  | "chain" // a whole entry that doesn't follow the one before: something was put in, or replaced
  | "torn" // the last line ends in the middle: a crash, or a cut
  | "end" // entries that the gateway wrote are gone at the end
  | "added"; // entries that the gateway didn't write stand at the end

export interface AuditProblem {
  /** Counts from 1; the last line + 1 if something is missing at the end. */
  readonly line: number;
  readonly kind: AuditProblemKind;
  readonly message: string;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly lines: number;
  readonly entries: number;
  /** The last entry that is whole. */
  readonly head: AuditLink;
  readonly problems: readonly AuditProblem[];
  /** Lines that a crash tore and the gateway closed. */
  readonly recovered: number;
  /** How often the clock went back from one entry to the next. */
  readonly clockSteps: number;
  /** Whether anything told where the log must end. */
  readonly endKnown: boolean;
}

export interface VerifyOptions {
  /** The last entry as the gateway's database has it. */
  head?: AuditLink | undefined;
  /** Whether entries after `head` may stand there, because the gateway is still writing. */
  grows?: boolean;
  /** A hash that somebody noted down: an entry with it must be there. */
  expectHead?: string | undefined;
  /** Gets each whole entry, in the file's order. */
  onEntry?: (entry: AuditEntry, line: LogLine) => void;
}

const CHUNK = 1 << 16;
const PROBLEMS_MAX = 100;
/** A crash tears one line, another one while that is being closed one more. */
const TORN_LINES_MAX = 100;
const NEWLINE = 0x0a;

export interface LogLine {
  readonly number: number;
  readonly bytes: Buffer;
  /** Where it begins in the file. */
  readonly offset: number;
  /** Whether its end is there. */
  readonly complete: boolean;
}

/** Throws FILE_NOT_FOUND, FILE_UNREADABLE. */
export function verifyAudit(path: string, options: VerifyOptions = {}): AuditReport {
  return verifyLines(splitLines(chunksOf(path)), options);
}

export function verifyLines(lines: Iterable<LogLine>, options: VerifyOptions = {}): AuditReport {
  const check = new Check(options);
  for (const line of lines) check.line(line);
  return check.report();
}

/** The lines of a text in pieces, without their ends; an unfinished one comes last. */
export function* splitLines(chunks: Iterable<Buffer>): Generator<LogLine> {
  let number = 1;
  let offset = 0;
  let rest: Buffer = Buffer.alloc(0);
  for (const chunk of chunks) {
    const data = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      yield { number: number++, bytes: data.subarray(start, end), offset: offset + start, complete: true };
      start = end + 1;
    }
    rest = data.subarray(start);
    offset += start;
  }
  if (rest.length > 0) yield { number, bytes: rest, offset, complete: false };
}

/** Each piece holds only until the next one is asked for. */
function* chunksOf(path: string): Generator<Buffer> {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk))
      yield chunk.subarray(0, size);
  } catch (error) {
    throw fileError(path, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

class Check {
  private readonly problems: AuditProblem[] = [];
  private last: AuditLink = GENESIS;
  private lastTime = "";
  private lines = 0;
  private entries = 0;
  private recovered = 0;
  private clockSteps = 0;
  private headMet: "no" | "yes" | "passed" = "no";
  private expectedMet = false;
  /** Lines that are no entries: forgiven if the next entry is the gateway's word about them. */
  private broken: LogLine[] = [];

  constructor(private readonly options: VerifyOptions) {
    if (options.head?.seq === 0) this.headMet = "yes";
  }

  line(line: LogLine): void {
    this.lines = line.number;
    const entry = line.complete ? readEntry(line.bytes) : undefined;
    if (entry === undefined) {
      this.broken.push(line);
      if (this.broken.length > TORN_LINES_MAX) this.unforgiven();
      return;
    }
    this.settleBroken(entry);
    this.place(entry, line.number);
    this.entries++;
    this.noteClock(entry);
    this.noteHead(entry, line.number);
    this.last = { seq: entry.seq, hash: entry.hash };
    this.options.onEntry?.(entry, line);
  }

  report(): AuditReport {
    this.unforgiven();
    this.checkEnd();
    const { head, expectHead } = this.options;
    return {
      ok: this.problems.length === 0,
      lines: this.lines,
      entries: this.entries,
      head: this.last,
      problems: this.problems,
      recovered: this.recovered,
      clockSteps: this.clockSteps,
      endKnown: head !== undefined || expectHead !== undefined,
    };
  }

  private settleBroken(entry: AuditEntry): void {
    if (entry.what === RECOVERED && entry.torn !== undefined) {
      if (entry.torn.sha256 === sha256(joinLines(this.broken))) {
        this.broken = [];
        this.recovered++;
      } else {
        this.add(this.lines, "changed", `what entry ${entry.seq} says of the line before it is not so`);
      }
    }
    this.unforgiven();
  }

  private unforgiven(): void {
    for (const { number, complete } of this.broken) {
      if (complete) this.add(number, "changed", "this line is not as it was written");
      else
        this.add(
          number,
          "torn",
          "the last line ends in the middle: after a crash the gateway closes it when it starts",
        );
    }
    this.broken = [];
  }

  private place(entry: AuditEntry, line: number): void {
    const expected = this.last.seq + 1;
    const follows = entry.prev === this.last.hash;
    if (entry.seq > expected)
      this.add(line, "missing", `${range(expected, entry.seq - 1)} missing before this line`);
    else if (entry.seq < expected)
      this.add(line, "order", `entry ${entry.seq} stands where entry ${expected} belongs`);
    else if (!follows)
      this.add(
        line,
        "chain",
        `entry ${entry.seq} does not follow the entry before it: one of them was replaced`,
      );
  }

  private noteClock({ time }: AuditEntry): void {
    if (time < this.lastTime) this.clockSteps++;
    this.lastTime = time;
  }

  private noteHead({ seq, hash }: AuditEntry, line: number): void {
    const { head, grows = false, expectHead } = this.options;
    if (hash === expectHead) this.expectedMet = true;
    if (head === undefined) return;
    if (this.headMet === "yes" && !grows) {
      this.add(line, "added", `entry ${seq} stands after the last one that the gateway wrote`);
      this.headMet = "passed"; // said once
    }
    if (seq === head.seq && hash === head.hash) this.headMet = "yes";
  }

  private checkEnd(): void {
    const { head, expectHead } = this.options;
    if (head !== undefined && this.headMet === "no") {
      const text =
        this.last.seq < head.seq
          ? `${range(this.last.seq + 1, head.seq)} missing at the end: cut off, or a crash that the gateway recovers when it starts`
          : `entry ${head.seq} is not the one that the gateway wrote`;
      this.add(this.lines + 1, "end", text);
    }
    if (expectHead !== undefined && !this.expectedMet)
      this.add(this.lines + 1, "end", `no entry has the hash ${expectHead}`);
  }

  private add(line: number, kind: AuditProblemKind, message: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ line, kind, message });
  }
}

/** The bytes as they stand in the file. */
function joinLines(lines: readonly LogLine[]): Buffer {
  const parts = lines.flatMap(({ bytes }, index) => (index === 0 ? [bytes] : [Buffer.from("\n"), bytes]));
  return Buffer.concat(parts);
}

function range(first: number, last: number): string {
  return first === last ? `entry ${first} is` : `entries ${first} to ${last} are`;
}
