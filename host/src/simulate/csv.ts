/** Tables of numbers as spreadsheets and loggers write them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";

/** One list of numbers a column, all of them `rows` long. */
export class CsvTable {
  constructor(
    /** Where it comes from, for messages. */
    readonly name: string,
    /** Names in the order of the file; undefined if it has no line of names. */
    readonly names: readonly string[] | undefined,
    readonly columns: readonly (readonly number[])[],
  ) {}

  get rows(): number {
    return this.columns[0]?.length ?? 0;
  }
}

const SEPARATORS = [";", "\t", ","] as const;

/** Reads a CSV file. Throws FILE_NOT_FOUND, FILE_UNREADABLE, or what parseCsv() throws. */
export function readCsv(file: string | URL): CsvTable {
  const path = typeof file === "string" ? file : fileURLToPath(file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(path, error);
  }
  return parseCsv(text, path);
}

/**
 * Columns between commas, semicolons or tabs, whichever the first line has; with semicolons and tabs a number may have a
 * decimal comma. The first line may hold names. Empty lines and lines that begin with # are left out. Throws INPUT_DATA
 * with the line's number.
 */
export function parseCsv(text: string, name = "the table"): CsvTable {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line, at) => ({ line: line.trim(), number: at + 1 }))
    .filter(({ line }) => line !== "" && !line.startsWith("#"));
  const first = lines[0];
  if (first === undefined) throw bad(`${name} is empty.`);
  const separator = SEPARATORS.find((one) => first.line.includes(one)) ?? ",";
  const cells = first.line.split(separator).map(unquoted);
  const named = cells.some((cell) => Number.isNaN(numberOf(cell, separator)));
  const columns = cells.map((): number[] => []);
  for (const { line, number } of named ? lines.slice(1) : lines) {
    const row = line.split(separator).map(unquoted);
    if (row.length !== columns.length)
      throw bad(`${name}, line ${number}: expected ${columns.length} columns, found ${row.length}.`);
    row.forEach((cell, at) => {
      const value = numberOf(cell, separator);
      if (Number.isNaN(value)) throw bad(`${name}, line ${number}: "${cell}" is no number.`);
      columns[at]?.push(value);
    });
  }
  if (columns[0]?.length === 0) throw bad(`${name} has names, and not one row of numbers.`);
  return new CsvTable(name, named ? cells : undefined, columns);
}

function unquoted(cell: string): string {
  return cell.trim().replace(/^"(.*)"$/, "$1");
}

/** NaN for what is none, the empty text included. */
function numberOf(cell: string, separator: string): number {
  if (cell === "") return NaN;
  return Number(separator === "," ? cell : cell.replace(",", "."));
}

function bad(message: string): EdgePlugError {
  return new EdgePlugError("INPUT_DATA", message);
}
