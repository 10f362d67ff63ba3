/** edgeplug explain: what an error code means, how bad it is, and what to do. */
import { Command } from "commander";

import { EdgePlugError, errorId, type ErrorInfo } from "../errors.js";
import { ERRORS } from "../generated/errors.js";
import { Output } from "./output.js";

const SHADOW_PAGE = "docs/agents.md#trying-beside-the-running-agent-shadow-mode";

/** Where the documentation says more, by the thousands of the code; single codes first. */
const PAGES: readonly [from: number, to: number, page: string][] = [
  [1014, 1014, "docs/cli.md#keys-and-signatures"],
  [2007, 2009, "docs/threats.md"],
  [3007, 3009, "docs/cli.md#keys-and-signatures"],
  [3016, 3019, "docs/threats.md"],
  [3020, 3020, SHADOW_PAGE],
  [4000, 4999, "docs/recovery.md"],
  [5013, 5013, SHADOW_PAGE],
  [5000, 5999, "docs/wasm.md"],
  [6000, 6999, "docs/cli.md#after-a-push"],
  [7000, 7999, "docs/cli.md#ports-and-boards"],
  [8006, 8007, "docs/cli.md#ports-and-boards"],
  [8000, 8999, "docs/gateway.md"],
  [0, 9999, "docs/cli.md#exit-codes"],
];

/** Letters that a word may be off and still be meant. */
const NEAR = 3;
const MOST_SUGGESTIONS = 5;

export interface Explanation {
  /** `EP3001` */
  error: string;
  name: string;
  severity: string;
  exit: number;
  cause: string;
  action: string;
  docs: string;
}

export function explainCommand(): Command {
  return new Command("explain")
    .summary("say what an error code means and what to do about it")
    .description(
      "Says what an error code means, how bad it is, and what to do. Without a code, lists them all.",
    )
    .argument("[code]", "EP3001, 3001 or BUSY")
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug explain EP7003\n  edgeplug explain port_busy\n  edgeplug explain --json",
    )
    .action((code: string | undefined, options: { json?: boolean }) => {
      const output = new Output(options);
      const all = Object.values<ErrorInfo>(ERRORS).map(explanation);
      if (code !== undefined) {
        const found = find(code, all);
        output.result(lines(found), found);
      } else {
        for (const one of all) output.result([`${one.error}  ${one.name.padEnd(20)} ${one.cause}`], one);
      }
    });
}

function explanation(info: ErrorInfo): Explanation {
  const { code, name, severity, exit, cause, action } = info;
  const docs = PAGES.find(([from, to]) => code >= from && code <= to)?.[2] ?? "";
  return { error: errorId(code), name, severity, exit, cause, action, docs };
}

function lines(one: Explanation): string[] {
  return [
    `${one.error} ${one.name}`,
    `  cause     ${one.cause}`,
    `  severity  ${one.severity}, exit code ${one.exit}`,
    `  action    ${one.action}`,
    `  see       ${one.docs}`,
  ];
}

function find(code: string, all: readonly Explanation[]): Explanation {
  const wanted = normal(code);
  const found = all.find(({ error, name }) => error === wanted || name === wanted);
  if (found !== undefined) return found;
  const near = all
    .map((one) => ({ one, distance: Math.min(distance(wanted, one.error), distance(wanted, one.name)) }))
    .filter(({ one, distance: off }) => off <= NEAR || one.name.includes(wanted))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_SUGGESTIONS)
    .map(({ one }) => `${one.error} ${one.name}`);
  throw new EdgePlugError("USAGE", `There is no error ${JSON.stringify(code)}.`, {
    action:
      near.length === 0
        ? "`edgeplug explain` lists all errors."
        : `Did you mean ${near.join(", ")}? \`edgeplug explain\` lists all.`,
  });
}

/** `3001`, `ep3001`, `port-busy` and `Port busy` as the list has them. */
function normal(code: string): string {
  const word = code
    .trim()
    .toUpperCase()
    .replace(/[\s-]+/g, "_");
  return /^\d{1,4}$/.test(word) ? errorId(Number(word)) : word;
}

/** How many letters have to be put in, left out or changed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
