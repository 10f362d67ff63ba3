/** The figures that the seed documents claim, and what the last runs measured. */
import { count, markup, type Markup } from "./html.js";
import type { SuiteResult } from "./results.js";

interface Claim {
  readonly what: string;
  readonly seed: string;
  /** Undefined as long as the suite has not run. */
  readonly measured: (results: readonly SuiteResult[]) => string | undefined;
  /** The command that measures it. */
  readonly by: string;
}

type Suite<Name extends SuiteResult["suite"]> = Extract<SuiteResult, { suite: Name }>;

const BOARDS: readonly string[] = ["sim", "qemu", "renode"];

/** Results of one suite, in the order of BOARDS. */
export function ofSuite<Name extends SuiteResult["suite"]>(
  results: readonly SuiteResult[],
  suite: Name,
): Suite<Name>[] {
  const found = results.filter((result): result is Suite<Name> => result.suite === suite);
  return found.sort((a, b) => BOARDS.indexOf(a.board) - BOARDS.indexOf(b.board));
}

/** One sentence for each board that the suite ran on. */
function onEach<Name extends SuiteResult["suite"]>(
  suite: Name,
  told: (result: Suite<Name>) => string,
): Claim["measured"] {
  return (results) => {
    const found = ofSuite(results, suite).map((result) => `${result.board}: ${told(result)}`);
    return found.length === 0 ? undefined : found.join("; ");
  };
}

const CLAIMS: readonly Claim[] = [
  {
    what: "swaps in a row",
    seed: "987 of 1,000",
    measured: onEach("stress", ({ swaps, swapsWanted }) => `${count(swaps.length)} of ${count(swapsWanted)}`),
    by: "npm run stress",
  },
  {
    what: "scans missed meanwhile",
    seed: "“zero downtime”",
    measured: onEach(
      "stress",
      ({ scansMissedByBoard, scansMissedByObserver, scansRun }) =>
        `${count(Math.max(scansMissedByBoard, scansMissedByObserver))} of ${count(scansRun)}`,
    ),
    by: "npm run stress",
  },
  {
    what: "memory after the last swap",
    seed: "0.2 % fragmentation events",
    measured: onEach("stress", ({ memory }) =>
      memory.differences.length === 0
        ? `the same ${count(memory.comparedBytes)} bytes`
        : `${count(memory.differences.length)} differences`,
    ),
    by: "npm run stress",
  },
  {
    what: "corrupted packages noticed",
    seed: "98 %",
    measured: onEach("chaos", ({ packages, classes }) => {
      const slipped = classes.reduce((sum, entry) => sum + entry.slipped, 0);
      return `${(100 * (1 - slipped / Math.max(1, packages))).toFixed(slipped === 0 ? 0 : 2)} % of ${count(packages)}`;
    }),
    by: "npm run chaos",
  },
  {
    what: "crashes under corruption",
    seed: "2 %",
    measured: onEach("chaos", ({ crashes }) => count(crashes)),
    by: "npm run chaos",
  },
  {
    what: "power cuts survived",
    seed: "not claimed",
    measured: onEach(
      "power",
      ({ points, passed }) => `${passed ? "all" : "not all"} of ${count(points)} points`,
    ),
    by: "npm run power",
  },
];

export function claimsSection(results: readonly SuiteResult[]): Markup {
  const rows = CLAIMS.map(({ what, seed, measured, by }) => {
    const figure = measured(results) ?? markup`<span class="soft">not run yet: <code>${by}</code></span>`;
    return markup`<tr><td>${what}</td><td>${seed}</td><td>${figure}</td></tr>`;
  });
  return markup`<h2>Claims and figures</h2>
<table><tr><th>what</th><th>the seed's claim</th><th>measured in the last run</th></tr>${rows}</table>`;
}
