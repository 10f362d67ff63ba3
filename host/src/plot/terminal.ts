/** Lines over scans, drawn with braille dots: two columns and four rows of dots a character. */

export interface PlotLine {
  name: string;
  unit: string;
  values: readonly number[];
}

export interface TerminalPlotOptions {
  /** Characters, labels included. Default: 80. */
  width?: number;
  /** Characters of each drawing. Default: 6. */
  height?: number;
}

const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const BRAILLE = 0x2800;
const AXIS_WIDTH = 11;
const MIN_COLUMNS = 10;

/** One drawing a line, with its range at the left. */
export function terminalPlot(lines: readonly PlotLine[], options: TerminalPlotOptions = {}): string[] {
  const columns = Math.max(MIN_COLUMNS, (options.width ?? 80) - AXIS_WIDTH - 1);
  const rows = options.height ?? 6;
  return lines.flatMap(({ name, unit, values }) => {
    const [low, high] = range(values);
    const drawn = draw(values, { columns, rows, low, high });
    const title = `${" ".repeat(AXIS_WIDTH)} ${name}${unit === "" ? "" : ` (${unit})`}`;
    return [title, ...drawn.map((row, at) => `${label(at, rows, low, high)}${row}`)];
  });
}

/** A line with a mark in each column in which an event lies: the letter of its kind, the most severe one wins. */
export function eventRow(
  events: readonly { scan: number; mark: string }[],
  scans: number,
  width = 80,
): string {
  const columns = Math.max(MIN_COLUMNS, width - AXIS_WIDTH - 1);
  const row = new Array<string>(columns).fill(" ");
  for (const { scan, mark } of events) {
    const at = Math.min(columns - 1, Math.floor(((scan - 1) / Math.max(1, scans)) * columns));
    const before = row[at] ?? " ";
    row[at] = SEVERITY.indexOf(mark) >= SEVERITY.indexOf(before) ? mark : before;
  }
  return `${"events".padStart(AXIS_WIDTH - 1)} │${row.join("")}`.trimEnd();
}

/** From the least to the most severe. */
const SEVERITY = [" ", "l", "g", "T"];

function label(row: number, rows: number, low: number, high: number): string {
  const text = row === 0 ? short(high) : row === rows - 1 ? short(low) : "";
  return `${text.padStart(AXIS_WIDTH - 1)} ${text === "" ? "│" : "┤"}`;
}

/** At most nine characters. */
export function short(value: number): string {
  const text = String(Number(value.toPrecision(6)));
  return text.length <= AXIS_WIDTH - 2 ? text : value.toExponential(2);
}

/** Smallest and largest of the numbers that are finite; a range of nothing is widened, so that a flat line is in its middle. */
export function range(values: readonly number[]): [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const half = low === high ? Math.max(1, Math.abs(low)) / 2 : 0;
  return [low - half, high + half];
}

/** Each column shows all values that fall into it, from the smallest to the largest, joined to the column before. */
function draw(
  values: readonly number[],
  { columns, rows, low, high }: { columns: number; rows: number; low: number; high: number },
): string[] {
  const [width, height] = [2 * columns, 4 * rows];
  const cells = Array.from({ length: rows }, () => new Uint8Array(columns));
  const put = (x: number, y: number): void => {
    const cell = cells[y >> 2];
    if (cell !== undefined) cell[x >> 1] = (cell[x >> 1] ?? 0) | (DOTS[x & 1]?.[y & 3] ?? 0);
  };
  const level = (value: number): number =>
    Math.min(height - 1, Math.max(0, Math.round(((high - value) / (high - low)) * (height - 1))));
  let last: number | undefined;
  for (let x = 0; x < width; x++) {
    const levels = columnOf(values, x, width).filter(Number.isFinite).map(level);
    if (levels.length === 0) {
      last = undefined;
      continue;
    }
    if (last !== undefined)
      levels.push(last > (levels[0] ?? last) ? last - 1 : Math.min(last + 1, levels[0] ?? last));
    const [top, bottom] = [Math.min(...levels), Math.max(...levels)];
    for (let y = top; y <= bottom; y++) put(x, y);
    last = level(columnOf(values, x, width).filter(Number.isFinite).at(-1) ?? low);
  }
  return cells.map((row) => [...row].map((dots) => String.fromCodePoint(BRAILLE + dots)).join(""));
}

/** The values of column `x` of `width`; where there are fewer values than columns, the one that holds there. */
function columnOf(values: readonly number[], x: number, width: number): readonly number[] {
  const from = Math.floor((x * values.length) / width);
  return values.slice(from, Math.max(from + 1, Math.floor(((x + 1) * values.length) / width)));
}
