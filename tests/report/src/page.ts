/** The report: one page that needs nothing but itself. */
import { budgetsSection, type ImageSizes } from "./budgets.js";
import { claimsSection, ofSuite } from "./claims.js";
import { corruptionSection } from "./corruption.js";
import { cutsSection } from "./cuts.js";
import { fuzzingSection } from "./fuzzing.js";
import { count, Markup, markup } from "./html.js";
import type { SuiteResult } from "./results.js";
import { STYLE } from "./style.js";
import { swapsSection } from "./swaps.js";

/** The commands whose results the page shows, in the order of its sections. */
const SUITES: readonly {
  readonly suite: SuiteResult["suite"];
  readonly board: string;
  readonly by: string;
}[] = [
  { suite: "power", board: "sim", by: "npm run power" },
  { suite: "power", board: "qemu", by: "npm run qemu" },
  { suite: "power", board: "renode", by: "npm run qemu -- --board renode" },
  { suite: "oracle", board: "sim", by: "npm test" },
  { suite: "stress", board: "sim", by: "npm run stress" },
  { suite: "stress", board: "qemu", by: "npm run stress -- --board qemu" },
  { suite: "stress", board: "renode", by: "npm run stress -- --board renode" },
  { suite: "chaos", board: "sim", by: "npm run chaos" },
  { suite: "chaos", board: "qemu", by: "npm run chaos -- --board qemu" },
  { suite: "chaos", board: "renode", by: "npm run chaos -- --board renode" },
  { suite: "fuzz", board: "native", by: "npm run fuzz" },
];

/** The whole page as text. `sizes`: empty if nothing has been built. */
export function reportPage(results: readonly SuiteResult[], sizes: readonly ImageSizes[]): string {
  const power = ofSuite(results, "power");
  const stress = ofSuite(results, "stress");
  const chaos = ofSuite(results, "chaos");
  const fuzz = ofSuite(results, "fuzz");
  const body = [
    head(results),
    claimsSection(results),
    power.length > 0 && cutsSection(power, ofSuite(results, "oracle")[0]),
    stress.length > 0 && swapsSection(stress),
    chaos.length > 0 && corruptionSection(chaos),
    sizes.length > 0 && budgetsSection(sizes),
    fuzz.length > 0 && fuzzingSection(fuzz),
    runsSection(results),
  ];
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>EdgePlug: what the suites found</title><style>${new Markup(STYLE)}</style></head><body><main>${body}</main></body></html>
`.text;
}

function head(results: readonly SuiteResult[]): Markup {
  const failed = results.filter(({ passed }) => !passed);
  const verdict =
    results.length === 0
      ? markup`<p>Nothing has run yet.</p>`
      : failed.length === 0
        ? markup`<p class="good">Every check of ${results.length === 1 ? "the one suite" : `all ${results.length} suites`} that ran held.</p>`
        : markup`<p class="bad">Broken: ${failed.map(({ suite, board }) => `${suite} on ${board}`).join(", ")}.</p>`;
  return markup`<h1>A board never loses the best agent it had</h1>
<p class="soft">What the last runs of EdgePlug's suites found. Only what was measured stands here.</p>
${verdict}<div class="cards">${cards(results).map(
    ([figure, words]) => markup`<div class="card"><b>${figure}</b><span>${words}</span></div>`,
  )}</div>`;
}

function cards(results: readonly SuiteResult[]): [figure: string, words: string][] {
  const total = (figures: readonly number[]): string => count(figures.reduce((sum, value) => sum + value, 0));
  const power = ofSuite(results, "power");
  const stress = ofSuite(results, "stress");
  const chaos = ofSuite(results, "chaos");
  const fuzz = ofSuite(results, "fuzz").flatMap(({ targets }) => targets);
  const all: [boolean, string, string][] = [
    [power.length > 0, total(power.map(({ points }) => points)), "power cuts, each examined"],
    [stress.length > 0, total(stress.map(({ swaps }) => swaps.length)), "swaps beside a running machine"],
    [
      stress.length > 0,
      total(stress.map((run) => Math.max(run.scansMissedByBoard, run.scansMissedByObserver))),
      "scans missed meanwhile",
    ],
    [chaos.length > 0, total(chaos.map(({ packages }) => packages)), "corrupted packages"],
    [fuzz.length > 0, total(fuzz.map(({ executions }) => executions)), "inputs made by fuzzers"],
  ];
  return all.filter(([there]) => there).map(([, figure, words]) => [figure, words]);
}

/** Where each section comes from, and what is missing. */
function runsSection(results: readonly SuiteResult[]): Markup {
  const rows = SUITES.map(({ suite, board, by }) => {
    const run = results.find((result) => result.suite === suite && result.board === board);
    if (run === undefined)
      return markup`<tr><td>${suite}</td><td>${board}</td><td class="soft" colspan="3">not run yet: <code>${by}</code></td></tr>`;
    return markup`<tr><td>${suite}</td><td>${board}</td><td>${run.when}</td><td>seed ${run.seed}</td>
<td class="${run.passed ? "good" : "bad"}">${run.passed ? "held" : "broken"}</td></tr>`;
  });
  return markup`<h2>The runs</h2><table><tr><th>suite</th><th>board</th><th>begun</th><th></th><th></th></tr>${rows}</table>`;
}
