/**
 * JUnit XML, which CI systems show: one file for one run of a suite, one test case for each thing that had to hold. Written
 * so that both schemas in use take it, the one of Ant's reports and the one of Jenkins.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { CALLED_FROM, RESULTS_FOLDER } from "./results.js";

/** One thing that had to hold. */
export interface JunitCase {
  readonly name: string;
  /** Wall time, where it was measured for this case alone. */
  readonly seconds?: number;
  /** What did not hold, in words; none if it did. */
  readonly failures: readonly string[];
  /** The command that shows the failure again. Default: that of the whole run. */
  readonly again?: string;
}

/** One run of a suite. */
export interface JunitRun {
  readonly suite: string;
  readonly board: string;
  /** When it began, ISO 8601. */
  readonly when: string;
  /** How to do the same again. */
  readonly command: string;
  readonly seed: number;
  readonly seconds: number;
  readonly cases: readonly JunitCase[];
}

/** What a command line says about it. */
export interface ReporterOptions {
  readonly reporter?: string | undefined;
  readonly output?: string | undefined;
}

/** What is wrong with these options, in words; undefined if nothing is. */
export function reporterFault({ reporter, output }: ReporterOptions): string | undefined {
  if (reporter !== undefined && reporter !== "junit") return `--reporter: expected junit, got ${reporter}`;
  if (reporter === undefined && output !== undefined)
    return "--output: it is where --reporter junit writes, which is missing";
  return undefined;
}

/** Writes the run's file, if the options ask for it; gives its path. */
export function reportJunit({ reporter, output }: ReporterOptions, run: JunitRun): string | undefined {
  if (reporter !== "junit") return undefined;
  const file =
    output === undefined
      ? join(RESULTS_FOLDER, `${run.suite}-${run.board}.xml`)
      : resolve(CALLED_FROM, output);
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, junitXml(run));
  renameSync(unfinished, file);
  return file;
}

/** So many failures of one case are told in words. */
const TOLD = 20;

export function junitXml(run: JunitRun): string {
  const { suite, board, when, command, seed, seconds, cases } = run;
  const failed = cases.filter(({ failures }) => failures.length > 0).length;
  const counts = attributes({
    tests: cases.length,
    failures: failed,
    errors: 0,
    time: seconds.toFixed(3),
  });
  // the schemas know no fractions of a second here, and no zone
  const timestamp = new Date(when).toISOString().slice(0, 19);
  const about = attributes({ id: 0, name: `${suite} on ${board}`, package: "edgeplug", timestamp });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: "edgeplug" })}${counts}>`,
    `  <testsuite${about}${attributes({ hostname: "localhost" })}${counts}${attributes({ skipped: 0 })}>`,
    "    <properties>",
    ...Object.entries({ board, seed, command }).map(
      ([name, value]) => `      <property${attributes({ name, value })}/>`,
    ),
    "    </properties>",
    ...cases.flatMap((each) => testCase(each, run)),
    "    <system-out></system-out>",
    "    <system-err></system-err>",
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function testCase(
  { name, seconds = 0, failures, again }: JunitCase,
  { suite, board, command }: JunitRun,
): string[] {
  const head = attributes({ classname: `edgeplug.${suite}.${board}`, name, time: seconds.toFixed(3) });
  const [first] = failures;
  if (first === undefined) return [`    <testcase${head}/>`];
  const repeat = `again: ${again ?? command}`;
  const more = failures.length > TOLD ? [`and ${failures.length - TOLD} more`] : [];
  const message = `${first}${failures.length > 1 ? ` (and ${failures.length - 1} more)` : ""}; ${repeat}`;
  const body = [...failures.slice(0, TOLD), ...more, repeat].join("\n");
  return [
    `    <testcase${head}>`,
    `      <failure${attributes({ message, type: "violation" })}>${escaped(body)}</failure>`,
    "    </testcase>",
  ];
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replace(/[\t\n\r]/g, reference)}"`)
    .join("");
}

const NAMES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** What XML 1.0 has no way to say (control characters, halves of a pair) is told by its number. */
const UNSPEAKABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

function escaped(text: string): string {
  return text
    .replace(UNSPEAKABLE, (each) => `\\u${(each.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`)
    .replace(/[&<>"]/g, (each) => NAMES[each] ?? each)
    .replace(/\r/g, reference);
}

/** A parser would make a space, or another line end, of the character itself. */
function reference(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}
