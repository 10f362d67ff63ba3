/**
 * What the suites leave behind for the report: one JSON file per suite and board under build/results (or where EDGEPLUG_RESULTS says), of its last run. A
 * run that stops half-way leaves the file of the run before.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Where whoever typed a path means it from: npm runs its scripts in another folder than it was called in. */
export const CALLED_FROM = process.env["INIT_CWD"] ?? process.cwd();

const ELSEWHERE = process.env["EDGEPLUG_RESULTS"];

/** Where the files lie: in EDGEPLUG_RESULTS, if that is set. */
export const RESULTS_FOLDER = ELSEWHERE
  ? resolve(CALLED_FROM, ELSEWHERE)
  : fileURLToPath(new URL("../../../build/results/", import.meta.url));

/** A path or name as a shell reads it, for commands that people are to repeat. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What every result begins with. */
export interface ResultBase {
  readonly suite: string;
  /** "sim", "qemu", "renode"; "native" for what runs on none. */
  readonly board: string;
  /** When the run began, ISO 8601. */
  readonly when: string;
  /** How to do the same again. */
  readonly command: string;
  readonly seed: number;
  /** Wall time of the run. */
  readonly seconds: number;
  /** True only if every check held. */
  readonly passed: boolean;
}

/** How a board stood once it had come to rest after a cut. */
export type CutOutcome = "old" | "new" | "trial" | "safe-mode" | "violation";

/** One flash operation of a scenario, and what came of cutting it. */
export interface CutOperation {
  /** Virtual milliseconds since the scenario began. */
  readonly atMs: number;
  readonly kind: "erase" | "program";
  readonly address: number;
  readonly size: number;
  /** Where it lies, in words: "slot A payload", "slot B marks", "journal half 1". */
  readonly area: string;
  /** Points by outcome, of single cuts and of pairs that begin here. */
  readonly outcomes: Partial<Record<CutOutcome, number>>;
}

export interface CutScenario {
  readonly name: string;
  /** "l5", "nor" or "qemu". */
  readonly geometry: string;
  readonly points: number;
  readonly endStates: number;
  readonly operations: readonly CutOperation[];
}

/** tests/power on sim, and the cuts of tests/arm. */
export interface PowerResult extends ResultBase {
  readonly suite: "power";
  readonly points: number;
  readonly endStates: number;
  /** Points at which each law was checked. */
  readonly lawChecks: Readonly<Record<string, number>>;
  readonly scenarios: readonly CutScenario[];
}

/** Deliberately broken engines under the sweep of tests/power. */
export interface OracleResult extends ResultBase {
  readonly suite: "oracle";
  /** The law that caught each, undefined if none did, and after how many points. */
  readonly engines: readonly { readonly name: string; readonly law?: string; readonly points: number }[];
}

/** One swap of a stress run. */
export interface StressSwap {
  readonly number: number;
  /** Agent name and kind that it led to. */
  readonly agent: string;
  readonly kind: "control" | "request";
  /** Scans from the Begin to CONFIRMED. */
  readonly scans: number;
  /** Board time at the end, milliseconds since the run began. */
  readonly atMs: number;
}

export interface StressResult extends ResultBase {
  readonly suite: "stress";
  readonly swaps: readonly StressSwap[];
  readonly swapsWanted: number;
  readonly scansRun: number;
  readonly scansMissedByBoard: number;
  readonly scansMissedByObserver: number;
  readonly requests: number;
  readonly requestsLost: number;
  /** Scans a swap took. */
  readonly swapScans: { readonly p50: number; readonly p95: number; readonly max: number };
  /** Erases so far, by area: "slot A", "slot B", "journal". */
  readonly wear: Readonly<Record<string, { readonly erases: number; readonly mostWornPage: number }>>;
  readonly memory: {
    readonly comparedBytes: number;
    /** Bytes outside the listed counters that differ between swap 1 and the last; empty if Law 9 holds. */
    readonly differences: readonly string[];
    readonly listedCounters: readonly string[];
    readonly stackHighWaterBytes: readonly [first: number, last: number];
  };
  readonly bytesCorrupted: number;
}

export interface ChaosClass {
  readonly name: string;
  readonly where: "before sending" | "in transit" | "at rest";
  readonly cases: number;
  /** Cases by what caught it: an error code, "frame CRC", "retry", "scrub", "boot", "harmless". */
  readonly caughtBy: Readonly<Record<string, number>>;
  readonly slipped: number;
}

export interface ChaosResult extends ResultBase {
  readonly suite: "chaos";
  readonly packages: number;
  /** Per-byte probability on the line. */
  readonly rate: number;
  readonly classes: readonly ChaosClass[];
  readonly crashes: number;
  readonly lockOuts: number;
  readonly disturbed: number;
  readonly cleanRetries: { readonly tried: number; readonly succeeded: number };
}

export interface FuzzResult extends ResultBase {
  readonly suite: "fuzz";
  readonly targets: readonly {
    readonly name: string;
    readonly executions: number;
    readonly seconds: number;
    readonly corpusFiles: number;
    readonly coveredEdges: number;
    readonly findings: number;
  }[];
}

export type SuiteResult = PowerResult | OracleResult | StressResult | ChaosResult | FuzzResult;

/** Replaces the file of this suite and board at once. */
export function writeResult(result: SuiteResult, folder = RESULTS_FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${result.suite}-${result.board}.json`);
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(result)}\n`);
  renameSync(unfinished, file);
  return file;
}

/** All that the last runs left, by suite and then by board; none at all if nothing has run yet. */
export function readResults(folder = RESULTS_FOLDER): SuiteResult[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as SuiteResult);
}
