/** The same as a picture: one panel a channel, over one axis of time, with events as marks. Needs nothing from elsewhere. */
import { range, short, type PlotLine } from "./terminal.js";

export interface SvgEvent {
  /** Seconds. */
  at: number;
  kind: "log" | "guard" | "trap";
  text: string;
}

export interface SvgPlot {
  title: string;
  /** Seconds between two values. */
  step: number;
  lines: readonly (PlotLine & { kind: "input" | "output" })[];
  events: readonly SvgEvent[];
}

const WIDTH = 900;
const LEFT = 90;
const RIGHT = 20;
const TOP = 52;
const PANEL = 110;
const GAP = 32;
const AXIS = 32;
/** Marks along the axes, about. */
const TIME_TICKS = 8;
const VALUE_TICKS = 4;
/** Points of a line; more can't be told apart, so each pair of columns shows its smallest and largest value. */
const POINTS = 1_500;
const COLOURS = { input: "#2563a8", output: "#b45309" } as const;
const EVENT_COLOURS = { log: "#4b5563", guard: "#ca8a04", trap: "#b91c1c" } as const;

export function svgPlot({ title, step, lines, events }: SvgPlot): string {
  const height = TOP + lines.length * (PANEL + GAP) + AXIS;
  const seconds = Math.max(step, ...lines.map(({ values }) => values.length * step));
  const x = (time: number): number => LEFT + (time / seconds) * (WIDTH - LEFT - RIGHT);
  const bottom = height - AXIS;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${LEFT}" y="20" font-size="15" fill="#111827">${escaped(title)}</text>
${lines.map((line, at) => panel(line, TOP + at * (PANEL + GAP), x, step)).join("\n")}
${events.map((event) => mark(event, x(event.at), bottom)).join("\n")}
${axis(seconds, x, bottom)}
</svg>
`;
}

function panel(
  line: SvgPlot["lines"][number],
  top: number,
  x: (time: number) => number,
  step: number,
): string {
  const [low, high] = range(line.values);
  const y = (value: number): number => top + PANEL - ((value - low) / (high - low)) * PANEL;
  const name = `${line.name}${line.unit === "" ? "" : ` (${line.unit})`}`;
  const ticks = roundValues(low, high, VALUE_TICKS).map(
    (value) =>
      `<path d="M${LEFT} ${fixed(y(value))}H${WIDTH - RIGHT}" stroke="#e5e7eb"/>` +
      `<text x="${LEFT - 6}" y="${fixed(y(value) + 4)}" text-anchor="end" fill="#4b5563">${short(value)}</text>`,
  );
  const paths = pieces(line.values).map(
    (piece) =>
      `<polyline fill="none" stroke="${COLOURS[line.kind]}" stroke-width="1.4" points="${piece
        .map(([at, value]) => `${fixed(x(at * step))},${fixed(y(value))}`)
        .join(" ")}"/>`,
  );
  return `<g><rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL}" fill="#f9fafb" stroke="#d1d5db"/>
<text x="${LEFT}" y="${top - 7}" fill="${COLOURS[line.kind]}">${line.kind} ${escaped(name)}</text>
${[...ticks, ...paths].join("\n")}</g>`;
}

/** Runs of finite values, as places and values; long ones thinned to what a picture can show. */
function pieces(values: readonly number[]): [at: number, value: number][][] {
  const found: [number, number][][] = [[]];
  for (const [at, value] of thinned(values))
    if (Number.isFinite(value)) found.at(-1)?.push([at, value]);
    else if ((found.at(-1)?.length ?? 0) > 0) found.push([]);
  return found.filter((piece) => piece.length > 0);
}

function thinned(values: readonly number[]): [number, number][] {
  const all = values.map((value, at): [number, number] => [at + 1, value]);
  if (all.length <= POINTS) return all;
  const size = Math.ceil((2 * all.length) / POINTS);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
    all.slice(at * size, (at + 1) * size),
  ).flatMap((part) => {
    const finite = part.filter(([, value]) => Number.isFinite(value)).sort((a, b) => a[1] - b[1]);
    const [low, high] = [finite[0], finite.at(-1)];
    if (low === undefined || high === undefined) return part.slice(0, 1);
    return low[0] < high[0] ? [low, high] : [high, low];
  });
}

function mark({ kind, text }: SvgEvent, x: number, bottom: number): string {
  return `<line x1="${fixed(x)}" x2="${fixed(x)}" y1="${TOP}" y2="${bottom - GAP}" stroke="${EVENT_COLOURS[kind]}" stroke-opacity="0.45" stroke-dasharray="3 3" class="${kind}"><title>${escaped(text)}</title></line>`;
}

function axis(seconds: number, x: (time: number) => number, bottom: number): string {
  const marks = roundValues(0, seconds, TIME_TICKS).map(
    (time) =>
      `<text x="${fixed(x(time))}" y="${bottom}" text-anchor="middle" fill="#4b5563">${short(time)}</text>`,
  );
  return `${marks.join("\n")}\n<text x="${WIDTH - RIGHT}" y="${bottom + 18}" text-anchor="end" fill="#4b5563">seconds</text>`;
}

/** Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, about `count` of them. */
function roundValues(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, at) => (first + at) * step);
}

function fixed(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
