/** A thousand swaps as a timeline: how long each took, and which agent it led to. */
import { count, counted, duration, markup, type Markup } from "./html.js";
import type { StressResult, StressSwap } from "./results.js";

const WIDTH = 1040;
const HEIGHT = 240;
const LEFT = 60;
const BOTTOM = 30;

export function swapsSection(results: readonly StressResult[]): Markup {
  return markup`<h2>Swaps beside a running machine</h2>${results.map(stressBlock)}`;
}

function stressBlock(result: StressResult): Markup {
  const { board, swaps, swapScans, memory, seconds, command } = result;
  return markup`
<h3>On ${board}: ${count(swaps.length)} of ${count(result.swapsWanted)} swaps</h3>
<p class="note">${counted(result.scansRun, "scan")}; missed ${result.scansMissedByBoard} by the board's count and
${result.scansMissedByObserver} by the observer of its outputs. ${counted(result.requests, "request")}, lost
${result.requestsLost}. ${counted(result.bytesCorrupted, "byte")} of the line were corrupted meanwhile.
${duration(seconds)}. Again: <code>${command}</code></p>
<figure class="wide"><figcaption>Scans from Begin to confirmation, swap by swap: half take at most ${count(swapScans.p50)},
95 % at most ${count(swapScans.p95)}, the longest ${count(swapScans.max)}.</figcaption>${agentLegend(swaps)}${timeline(result)}</figure>
<table><tr><th>memory with the same agent idle, first and last time</th><th></th></tr>
<tr><td>bytes compared, ${counted(memory.listedCounters.length, "listed counter")} aside</td><td class="number">${count(memory.comparedBytes)}</td></tr>
<tr><td>that differ</td><td class="number ${memory.differences.length === 0 ? "good" : "bad"}">${count(memory.differences.length)}</td></tr>
<tr><td>deepest stack, bytes</td><td class="number">${memory.stackHighWaterBytes.map(count).join(" and ")}</td></tr>
${Object.entries(result.wear).map(
  ([area, { erases, mostWornPage }]) =>
    markup`<tr><td>erases of ${area} (most worn page)</td><td class="number">${count(erases)} (${count(mostWornPage)})</td></tr>`,
)}</table>`;
}

function agentsOf(swaps: readonly StressSwap[]): string[] {
  return [...new Set(swaps.map(({ agent }) => agent))];
}

function agentLegend(swaps: readonly StressSwap[]): Markup {
  return markup`<div class="legend">${agentsOf(swaps).map(
    (agent, at) => markup`<span><i style="background:var(--c${at % 10})"></i>${agent}</span>`,
  )}</div>`;
}

function timeline({ swaps, swapScans }: StressResult): Markup {
  const agents = agentsOf(swaps);
  const end = Math.max(1, ...swaps.map(({ atMs }) => atMs));
  const top = Math.max(1, swapScans.max) * 1.08;
  const x = (ms: number): string => (LEFT + (ms / end) * (WIDTH - LEFT - 8)).toFixed(1);
  const y = (scans: number): number => (1 - scans / top) * (HEIGHT - BOTTOM - 8) + 8;
  const dots = swaps.map(
    ({ number, agent, scans, atMs }) =>
      markup`<circle cx="${x(atMs)}" cy="${y(scans).toFixed(1)}" r="2.4" fill="var(--c${agents.indexOf(agent) % 10})"><title>${`swap ${number} to ${agent}: ${scans} scans`}</title></circle>`,
  );
  const levels = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const scans = share * swapScans.max;
    return markup`<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${y(scans)}" y2="${y(scans)}"/>
<text x="${LEFT - 8}" y="${y(scans) + 4}" text-anchor="end">${count(Math.round(scans))}</text>`;
  });
  const seconds = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      markup`<text x="${x(share * end)}" y="${HEIGHT - 8}" text-anchor="${share === 1 ? "end" : "start"}">${((share * end) / 1000).toFixed(0)} s</text>`,
  );
  return markup`<svg class="drawn" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"
aria-label="Scans that each swap took, over the board's time">${levels}${dots}${seconds}</svg>`;
}
