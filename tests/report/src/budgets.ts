/** Flash and RAM against their budgets, as the size check measures them. */
import { count, markup, type Markup } from "./html.js";

export interface PartSize {
  readonly name: string;
  readonly bytes: number;
  readonly target?: number;
  /** What a part that misses its target may take at most. */
  readonly ceiling?: number;
}

/** `node scripts/check-size.mjs --json`, one image. */
export interface ImageSizes {
  readonly image: string;
  readonly parts: readonly PartSize[];
}

const WIDTH = 1040;
const LABELS = 250;
const ROW = 18;
const GAP = 10;

export function budgetsSection(images: readonly ImageSizes[]): Markup {
  return markup`<h2>Flash and RAM</h2>
<p>Bytes of the linked images; the upright line is the target.</p>
${images.map(
  ({ image, parts }) => markup`<figure class="wide"><figcaption>${image}</figcaption>${bars(parts)}</figure>`,
)}`;
}

function bars(parts: readonly PartSize[]): Markup {
  const most = Math.max(1, ...parts.flatMap(({ bytes, target = 0 }) => [bytes, target]));
  const x = (bytes: number): number => LABELS + (bytes / most) * (WIDTH - LABELS - 190);
  const rows = parts.map(({ name, bytes, target }, at) => {
    const y = at * (ROW + GAP);
    const over = target !== undefined && bytes > target;
    const told = target === undefined ? count(bytes) : `${count(bytes)} of ${count(target)}`;
    const line =
      target !== undefined &&
      markup`<line class="mark" x1="${x(target).toFixed(1)}" x2="${x(target).toFixed(1)}" y1="${y - 2}" y2="${y + ROW + 2}"/>`;
    return markup`<text x="0" y="${y + 14}" class="strong">${name}</text>
<rect x="${LABELS}" y="${y}" width="${(x(bytes) - LABELS).toFixed(1)}" height="${ROW}" fill="var(--${over ? "trial" : "c0"})"/>
${line}<text x="${(Math.max(x(bytes), x(target ?? 0)) + 8).toFixed(1)}" y="${y + 14}">${told}${over ? ", missed" : ""}</text>`;
  });
  return markup`<svg class="drawn" viewBox="0 -3 ${WIDTH} ${parts.length * (ROW + GAP) + 6}" role="img"
aria-label="Sizes against targets">${rows}</svg>`;
}
