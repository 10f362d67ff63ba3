/** A run's result, and the table that people read. */
import type { JunitCase } from "@edgeplug/report/junit";
import { shellWord } from "@edgeplug/report/results";

import type { ImageBoard } from "./image.js";
import type { LeftOut } from "./left-out.js";
import type { Failure, ScriptResult } from "./play.js";

export interface ConformanceResult {
  readonly suite: "conformance";
  readonly board: ImageBoard;
  /** The folder, as it was given. */
  readonly spec: string;
  /** When the run began, ISO 8601. */
  readonly when: string;
  /** How to do the same again. */
  readonly command: string;
  /** Wall time of the run. */
  readonly seconds: number;
  /** True only if nothing failed. */
  readonly passed: boolean;
  readonly totals: {
    readonly passed: number;
    readonly leftOut: number;
    readonly failed: number;
    /** Of those left out, by the id of the entry in left-out.json. */
    readonly byReason: Readonly<Record<string, number>>;
  };
  readonly files: readonly ScriptResult[];
}

type RunInfo = Pick<ConformanceResult, "board" | "spec" | "when" | "command" | "seconds">;

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

export function toResult(files: readonly ScriptResult[], info: RunInfo): ConformanceResult {
  const byReason: Record<string, number> = {};
  for (const { leftOut } of files)
    for (const [id, count] of Object.entries(leftOut)) byReason[id] = (byReason[id] ?? 0) + count;
  const failed = sum(files.map(({ failures }) => failures.length));
  return {
    suite: "conformance",
    ...info,
    passed: failed === 0,
    totals: {
      passed: sum(files.map((file) => file.passed)),
      leftOut: sum(Object.values(byReason)),
      failed,
      byReason,
    },
    files,
  };
}

/** So many failures are told in words; --json has them all. */
const TOLD = 50;

/** The table by file, the totals by reason, and what failed. */
export function table({ files, totals }: ConformanceResult, leftOut: readonly LeftOut[]): string[] {
  const width = Math.max(4, ...files.map(({ name }) => name.length));
  const row = (name: string, cells: readonly (string | number)[], reasons = ""): string =>
    `${name.padEnd(width)}${cells.map((cell) => String(cell).padStart(10)).join("")}  ${reasons}`.trimEnd();
  const what = (id: string): string => leftOut.find((each) => each.id === id)?.what ?? id;
  const reasons = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([id, count]) => `${id} ${String(count)}`)
      .join(", ");
  const failures = files.flatMap((file) => file.failures.map((failure) => showFailure(file.name, failure)));
  return [
    row("file", ["passed", "left out", "failed"]),
    ...files.map((file) =>
      row(
        file.name,
        [file.passed, sum(Object.values(file.leftOut)), file.failures.length],
        reasons(file.leftOut),
      ),
    ),
    row("all", [totals.passed, totals.leftOut, totals.failed]),
    ...(totals.leftOut === 0 ? [] : ["", "left out:"]),
    ...Object.entries(totals.byReason)
      .sort(([, a], [, b]) => b - a)
      .map(([id, count]) => `${String(count).padStart(7)}  ${id}: ${what(id)}`),
    ...(failures.length === 0 ? [] : ["", "failed:"]),
    ...failures.slice(0, TOLD).map((line) => `  ${line}`),
    ...(failures.length <= TOLD ? [] : [`  and ${String(failures.length - TOLD)} more; --json has them all`]),
  ];
}

function showFailure(script: string, { line, command, what }: Failure): string {
  return `${script}.wast:${String(line)}: ${command}: ${what}`;
}

/** A case for each file. */
export function junitCases({ files, board, spec }: ConformanceResult): JunitCase[] {
  return files.map(({ name, failures }) => ({
    name,
    failures: failures.map((failure) => showFailure(name, failure)),
    again: `npm run conformance -- --spec ${shellWord(spec)} --board ${board} --filter ${name}`,
  }));
}
