/**
 * How the tool speaks: lines for people on stdout, a progress bar on a terminal's stderr, errors in two lines on
 * stderr; with --json one object a line on stdout and nothing else.
 */
import type { EdgePlugError } from "edgeplug/errors";

import { LiveLine } from "./live-line.js";
import { ProgressBar, type Gauge } from "./progress.js";

export interface ReportOptions {
  json: boolean;
  /** Also print where an error came from. */
  debug: boolean;
  /** Default: on a terminal, unless NO_COLOR is set (no-color.org). */
  color?: "auto" | "always" | "never";
}

export const LABEL_WIDTH = 10;
const RED = "\x1b[31m";
const GREEN = "\x1b[32m";
const RESET = "\x1b[0m";

export class Report {
  private bar: ProgressBar | undefined;
  private readonly liveLine: LiveLine;
  private attached: object = {};

  constructor(
    readonly options: ReportOptions,
    private readonly out: NodeJS.WriteStream = process.stdout,
    private readonly err: NodeJS.WriteStream = process.stderr,
  ) {
    this.liveLine = new LiveLine(err, () => performance.now());
  }

  get interactive(): boolean {
    return !this.options.json && this.err.isTTY === true;
  }

  /** One fact: `label     text` for people, an object for scripts. */
  line(label: string, text: string, record?: object): void {
    this.put(labelled(label), text, record);
  }

  /** Something good that ends the work. */
  success(label: string, text: string, record: object): void {
    this.put(this.colour(this.out, GREEN, labelled(label)), text, record);
  }

  private put(label: string, text: string, record?: object): void {
    this.clearBar();
    if (!this.options.json) this.out.write(`${label}${text}\n`);
    else if (record !== undefined) this.record(record);
  }

  /** For scripts only. */
  record(record: object): void {
    if (this.options.json) this.out.write(`${JSON.stringify(record)}\n`);
  }

  /** Lines without a label, for people only. */
  text(lines: readonly string[]): void {
    this.clearBar();
    if (!this.options.json) this.out.write(lines.map((line) => `${line}\n`).join(""));
  }

  startBar(gauge: Gauge, now: () => number): void {
    if (this.interactive) this.bar = new ProgressBar(this.err, gauge, now);
  }

  updateBar(done: number): void {
    this.bar?.update(done);
  }

  /** What changes all the time, on a terminal only, until the next line. */
  live(text: (columns: number) => string): void {
    if (this.interactive) this.liveLine.draw(text);
  }

  clearBar(): void {
    this.bar?.clear();
    this.liveLine.clear();
  }

  /** Further fields of the error's object, if there comes one. */
  attach(fields: object): void {
    this.attached = { ...this.attached, ...fields };
  }

  error(error: EdgePlugError): void {
    this.clearBar();
    if (this.options.json) {
      this.record({ event: "error", ...error.toJSON(), ...this.attached });
    } else {
      const head = this.colour(this.err, RED, `error ${error.id}:`);
      this.err.write(`${head} ${oneLine(error.message)}\n  try: ${oneLine(error.action)}\n`);
    }
    if (this.options.debug) this.err.write(`${stackOf(error)}\n`);
  }

  private colour(stream: NodeJS.WriteStream, code: string, text: string): string {
    const { color = "auto", json } = this.options;
    const { NO_COLOR: refused } = process.env;
    const suits = stream.isTTY === true && (refused === undefined || refused === "");
    const wanted = color === "always" || (color === "auto" && suits);
    return wanted && !json ? `${code}${text}${RESET}` : text;
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}

/** A column of its own: one that is as wide as the column is kept apart all the same. */
function labelled(label: string): string {
  return `${label} `.padEnd(LABEL_WIDTH);
}
