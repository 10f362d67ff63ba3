/** What the fuzzers tried. */
import { count, markup, type Markup } from "./html.js";
import type { FuzzResult } from "./results.js";

export function fuzzingSection(results: readonly FuzzResult[]): Markup {
  const rows = results.flatMap(({ targets }) =>
    targets.map(
      ({ name, executions, coveredEdges, corpusFiles, findings }) => markup`<tr><td>${name}</td>
<td class="number">${count(executions)}</td><td class="number">${count(coveredEdges)}</td>
<td class="number">${count(corpusFiles)}</td>
<td class="number ${findings === 0 ? "good" : "bad"}">${count(findings)}</td></tr>`,
    ),
  );
  return markup`<h2>Fuzzing</h2>
<p>Under the address and undefined-behaviour sanitizers, against the very sources of the firmware.</p>
<table><tr><th>target</th><th class="number">executions</th><th class="number">edges covered</th>
<th class="number">inputs kept</th><th class="number">findings</th></tr>${rows}</table>`;
}
