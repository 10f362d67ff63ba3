/** What was corrupted, and what caught it. */
import { count, counted, duration, markup, type Markup } from "./html.js";
import type { ChaosClass, ChaosResult } from "./results.js";

const WIDTH = 1040;
const LABELS = 270;
const ROW = 20;
const GAP = 8;
const PLACES = ["before sending", "in transit", "at rest"] as const;

export function corruptionSection(results: readonly ChaosResult[]): Markup {
  return markup`<h2>Corruption, and what caught it</h2>${results.map(chaosBlock)}`;
}

function chaosBlock(result: ChaosResult): Markup {
  const { cleanRetries } = result;
  const catchers = catchersOf(result.classes);
  const most = Math.max(...result.classes.map(({ cases }) => cases));
  return markup`
<h3>On ${result.board}: ${counted(result.packages, "package")}</h3>
<p class="note">Slipped through: ${count(result.classes.reduce((sum, { slipped }) => sum + slipped, 0))}. Crashes:
${result.crashes}. Lock-outs: ${result.lockOuts}. The active agent was disturbed: ${counted(result.disturbed, "time")}.
Clean retries with ${(result.rate * 100).toFixed(1)} % of all bytes corrupted: ${count(cleanRetries.succeeded)} of
${count(cleanRetries.tried)}. ${duration(result.seconds)}. Again: <code>${result.command}</code></p>
<figure class="wide"><div class="legend">${catchers.map(
    (catcher, at) => markup`<span><i style="background:var(--c${at % 10})"></i>${catcher}</span>`,
  )}</div>${PLACES.map((place) =>
    bars(
      place,
      result.classes.filter(({ where }) => where === place),
      catchers,
      most,
    ),
  )}</figure>`;
}

/** The most frequent first, so that they get the first colours. */
function catchersOf(classes: readonly ChaosClass[]): string[] {
  const times = new Map<string, number>();
  for (const { caughtBy } of classes)
    for (const [catcher, cases] of Object.entries(caughtBy))
      times.set(catcher, (times.get(catcher) ?? 0) + cases);
  return [...times].sort(([, a], [, b]) => b - a).map(([catcher]) => catcher);
}

function bars(
  place: string,
  classes: readonly ChaosClass[],
  catchers: readonly string[],
  most: number,
): Markup | undefined {
  if (classes.length === 0) return undefined;
  const scale = (WIDTH - LABELS - 160) / Math.max(1, most);
  const rows = classes.map(({ name, cases, caughtBy, slipped }, row) => {
    const y = row * (ROW + GAP) + 24;
    let x = LABELS;
    const parts = catchers.map((catcher, at) => {
      const width = (caughtBy[catcher] ?? 0) * scale;
      if (width === 0) return undefined;
      const from = x;
      x += width;
      return markup`<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(0.8, width - 0.8).toFixed(1)}" height="${ROW}"
fill="var(--c${at % 10})"><title>${`${name}: ${count(caughtBy[catcher] ?? 0)} by ${catcher}`}</title></rect>`;
    });
    const told = slipped === 0 ? count(cases) : `${count(cases)}, ${count(slipped)} slipped through`;
    return markup`<text x="0" y="${y + 15}" class="strong">${name}</text>${parts}
<text x="${(x + 8).toFixed(1)}" y="${y + 15}">${told}</text>`;
  });
  return markup`<svg class="drawn" viewBox="0 0 ${WIDTH} ${classes.length * (ROW + GAP) + 34}" role="img"
aria-label="Corruption ${place} by what caught it"><text x="0" y="12">${place}</text>${rows}</svg>`;
}
