/** What of a tool's words differs from run to run, and from board to board, taken out. */

/** Lines of counters, limits and speeds. */
const VOLATILE = /^(runtime|limits|scans|health|swaps|link|flash|sent)( +).*$/;
/** Whether, and how often, these are told depends on the speed of line and machine. */
const PROGRESS = /^(sending|verifying|trial|shadow +\d+ %,) /;
/** How wide a column of scans is depends on them. */
const SCAN_COLUMN = /^( {10}(?:\d{1,3}(?:,\d{3})*|scan|request +scan)) +/;
/** A simulated board in a file boots for each tool, and a boot forgets these. */
const BOOT = /^(\d+ +boot|refused )/;

export function maskedLines(lines: readonly string[]): string[] {
  return lines.filter((line) => !PROGRESS.test(line) && !BOOT.test(line)).map(maskedLine);
}

export function maskedLine(line: string): string {
  return line
    .replace(VOLATILE, "$1$2…")
    .replace(/^\d+ +(?=[a-z]+ swap|[a-z ]+$)/, "N ")
    .replace(/^(board +)\w+ [0-9a-f]{24}$/, "$1CLASS ID")
    .replace(/^(last end .*, [a-z]+): .*/, "$1")
    .replace(/\b[0-9a-f]{24}\b/g, "ID")
    .replace(/\b[0-9a-f]{16}\b/g, "KEY")
    .replace(SCAN_COLUMN, (head) => (/\d/.test(head) ? "          N " : `${head.trimEnd()} `))
    .replace(/\bscan [\d,]+/g, "scan N")
    .replace(/\bbyte [1-9][\d,]*/g, "byte N");
}

/** `event`, and each field's path with its type: what a script can rely on. */
export function shapeOf(record: unknown, path = ""): string[] {
  if (Array.isArray(record)) return [...new Set(record.flatMap((item) => shapeOf(item, `${path}[]`)))];
  if (typeof record === "object" && record !== null) {
    return Object.entries(record).flatMap(([key, value]) =>
      shapeOf(value, path === "" ? key : `${path}.${key}`),
    );
  }
  return [`${path}: ${record === null ? "null" : typeof record}`];
}
