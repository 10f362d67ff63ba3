/** How commands speak: short lines for people, or one JSON object a line for scripts. Errors go to stderr, two lines. */
import { CompileError } from "../agent/compile.js";
import { EdgePlugError } from "../errors.js";

export { count, plural } from "../numbers.js";

const reader = new AbortController();

/** Aborted when whoever reads the output has seen enough (`| head -1`): no failure, but no reason to go on for ever. */
export const readerLeft: AbortSignal = reader.signal;

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    reader.abort();
  });
}

export interface OutputOptions {
  json?: boolean;
}

export class Output {
  readonly json: boolean;

  constructor(options: OutputOptions = {}) {
    this.json = options.json ?? false;
  }

  /** A result: `lines` for people, `record` for scripts. */
  result(lines: readonly string[], record: object): void {
    process.stdout.write(
      this.json ? `${JSON.stringify(record)}\n` : lines.map((line) => `${line}\n`).join(""),
    );
  }

  /** Something beside the result; scripts don't see it. */
  note(line: string): void {
    if (!this.json) process.stderr.write(`${line}\n`);
  }
}

/** Prints the error and gives the exit code. */
export function printError(thrown: unknown, options: { json: boolean; debug: boolean }): number {
  const error = EdgePlugError.from(thrown);
  if (error instanceof CompileError) process.stderr.write(error.diagnostics);
  if (options.json) process.stdout.write(`${JSON.stringify({ event: "error", ...error.toJSON() })}\n`);
  process.stderr.write(`error ${error.id}: ${oneLine(error.message)}\n  try: ${oneLine(error.action)}\n`);
  if (options.debug) process.stderr.write(`${error.stack ?? ""}\n${causeStack(error)}`);
  return error.exit;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

function causeStack(error: Error): string {
  return error.cause instanceof Error ? `caused by ${error.cause.stack ?? error.cause.message}\n` : "";
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
