/** The picture of a slot's life: every flash operation of a scenario, coloured by what came of cutting power there. */
import { count, counted, duration, markup, type Markup } from "./html.js";
import type { CutOperation, CutOutcome, CutScenario, OracleResult, PowerResult } from "./results.js";

export const OUTCOMES: readonly { readonly outcome: CutOutcome; readonly words: string }[] = [
  { outcome: "old", words: "the old agent runs" },
  { outcome: "new", words: "the new agent runs, confirmed" },
  { outcome: "trial", words: "the new agent is on trial" },
  { outcome: "safe-mode", words: "safe mode: there was nothing to go back to" },
  { outcome: "violation", words: "a law was broken" },
];

const WIDTH = 1040;
const LABELS = 150;
const LANE = 30;
const GAP = 6;

export function cutsSection(results: readonly PowerResult[], oracle: OracleResult | undefined): Markup {
  return markup`
<h2>Power, cut at every flash operation</h2>
<p>Each column is one operation of the flash, in the order in which the board does them; its lane says where it lies. Power
was cut before it, in the middle of it in several ways, and after it, and in most scenarios once more during the recovery. The colour
says what ran once the board had come to rest.</p>
${legend()}
${results.map(powerBlock)}
${oracle === undefined ? undefined : brokenEngines(oracle)}`;
}

function legend(): Markup {
  const entries = OUTCOMES.map(
    ({ outcome, words }) => markup`<span><i style="background:var(--${outcome})"></i>${words}</span>`,
  );
  return markup`<div class="legend">${entries}</div>`;
}

function powerBlock(result: PowerResult): Markup {
  const first = result.scenarios.findIndex(({ name }) => name === "update");
  return markup`
<h3>${result.board === "qemu" ? "The Arm image under QEMU" : "The runtime on simulated boards"}</h3>
<p class="note">${counted(result.points, "distinct point")}, ${counted(result.endStates, "distinct end state")},
${duration(result.seconds)}. Again: <code>${result.command}</code></p>
${result.scenarios.map((scenario, at) => scenarioBlock(scenario, at === Math.max(0, first)))}
${lawTable(result.lawChecks)}`;
}

function scenarioBlock(scenario: CutScenario, open: boolean): Markup {
  const { name, geometry, points, endStates, operations } = scenario;
  return markup`<details${open ? markup` open` : undefined}><summary>${name}
<span class="soft">on ${geometry}: ${counted(operations.length, "operation")}, ${counted(points, "point")},
${counted(endStates, "end state")}</span></summary>
<figure class="wide">${slotLife(operations)}</figure></details>`;
}

/** One lane for each area that the scenario touches, one column for each operation. */
export function slotLife(operations: readonly CutOperation[]): Markup {
  const areas = [...new Set(operations.map(({ area }) => area))].sort();
  const step = (WIDTH - LABELS) / Math.max(1, operations.length);
  const height = areas.length * (LANE + GAP) + 22;
  const lanes = areas.map((area, at) => {
    const y = at * (LANE + GAP);
    return markup`<text x="0" y="${y + LANE / 2 + 4}" class="strong">${area}</text>
<rect class="lane" x="${LABELS}" y="${y}" width="${WIDTH - LABELS}" height="${LANE}"/>`;
  });
  const columns = operations.map((operation, at) =>
    column(operation, LABELS + at * step, areas.indexOf(operation.area) * (LANE + GAP), step),
  );
  return markup`<svg class="drawn" viewBox="0 0 ${WIDTH} ${height}" role="img"
aria-label="Outcomes of power cuts by flash operation">${lanes}${columns}${ticks(operations, step, height)}</svg>`;
}

function column(operation: CutOperation, x: number, y: number, step: number): Markup {
  const { kind, size, address, area, atMs, outcomes } = operation;
  const total = sum(outcomes);
  const width = Math.max(0.6, step - (step > 4 ? 1 : 0));
  let top = y;
  const parts = OUTCOMES.map(({ outcome }) => {
    const part = ((outcomes[outcome] ?? 0) / Math.max(1, total)) * LANE;
    if (part === 0) return undefined;
    const from = top;
    top += part;
    return markup`<rect x="${x.toFixed(2)}" y="${from.toFixed(2)}" width="${width.toFixed(2)}"
height="${part.toFixed(2)}" fill="var(--${outcome})"/>`;
  });
  const told = OUTCOMES.filter(({ outcome }) => (outcomes[outcome] ?? 0) > 0)
    .map(({ outcome, words }) => `${count(outcomes[outcome] ?? 0)}: ${words}`)
    .join("\n");
  const place = `0x${address.toString(16).padStart(8, "0")}`;
  return markup`<g><title>${`${kind} ${size} bytes at ${place}, ${area}, ${atMs.toFixed(1)} ms\n${told}`}</title>${parts}</g>`;
}

/** The board's time below some of the columns. */
function ticks(operations: readonly CutOperation[], step: number, height: number): readonly Markup[] {
  const every = Math.max(1, Math.ceil(operations.length / 8));
  return operations.flatMap(({ atMs }, at) =>
    at % every === 0
      ? [markup`<text x="${(LABELS + at * step).toFixed(1)}" y="${height - 5}">${Math.round(atMs)} ms</text>`]
      : [],
  );
}

function sum(outcomes: CutOperation["outcomes"]): number {
  return Object.values(outcomes).reduce((total, value) => total + value, 0);
}

function lawTable(checks: PowerResult["lawChecks"]): Markup | undefined {
  const laws = Object.entries(checks);
  if (laws.length === 0) return undefined;
  return markup`<details><summary>How often each law was checked</summary><table>
${laws.map(([law, times]) => markup`<tr><td>${law}</td><td class="number">${count(times)}</td></tr>`)}</table></details>`;
}

function brokenEngines({ engines }: OracleResult): Markup {
  const rows = engines.map(
    ({ name, law, points }) => markup`<tr><td>${name}</td>
<td class="${law === undefined ? "bad" : "good"}">${law ?? "not caught"}</td><td class="number">${points === 0 ? "the uncut run" : count(points)}</td></tr>`,
  );
  return markup`
<h3>Engines broken on purpose</h3>
<p>A check that can't fail proves nothing. Each of these engines has one defect, compiled in for this test alone, and the sweep
has to find it.</p>
<table><tr><th>defect</th><th>caught by</th><th class="number">points needed</th></tr>${rows}</table>`;
}
