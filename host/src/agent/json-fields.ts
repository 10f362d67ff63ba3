/** Reads fields out of parsed JSON by name, kind and range, and refuses what is left over. */
import { EdgePlugError } from "../errors.js";

export interface NumberRange {
  min?: number;
  max?: number;
  /** Only whole numbers. */
  integer?: boolean;
}

/**
 * One JSON object. Each field is asked for once; done() refuses fields that nobody asked for, so that a misspelt
 * one doesn't silently do nothing.
 */
export class JsonFields {
  readonly #object: Record<string, unknown>;
  readonly #path: string;
  readonly #asked = new Set<string>();

  /** `path` is how messages name the object: "" for the file itself, `limits`, `outputs[1]`. */
  constructor(value: unknown, path: string) {
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw wrong(path === "" ? "the file" : path, "an object", value);
    this.#object = value as Record<string, unknown>;
  }

  name(field: string): string {
    return this.#path === "" ? field : `${this.#path}.${field}`;
  }

  #take(field: string): unknown {
    this.#asked.add(field);
    return this.#object[field];
  }

  string(field: string, options: { default?: string; maxBytes?: number; nonEmpty?: boolean } = {}): string {
    const value = this.#take(field) ?? options.default;
    if (typeof value !== "string") throw wrong(this.name(field), "a text", value);
    if (options.nonEmpty === true && value === "")
      throw wrong(this.name(field), "a text that is not empty", value);
    const size = Buffer.byteLength(value);
    if (options.maxBytes !== undefined && size > options.maxBytes)
      throw wrong(this.name(field), `at most ${options.maxBytes} bytes of text`, `${size} bytes`);
    return value;
  }

  number(field: string, range: NumberRange & { default?: number } = {}): number {
    const value = this.#take(field) ?? range.default;
    return checkNumber(value, this.name(field), range);
  }

  optionalNumber(field: string, range: NumberRange = {}): number | undefined {
    const value = this.#take(field);
    return value === undefined ? undefined : checkNumber(value, this.name(field), range);
  }

  boolean(field: string, standard: boolean): boolean {
    const value = this.#take(field) ?? standard;
    if (typeof value !== "boolean") throw wrong(this.name(field), "true or false", value);
    return value;
  }

  choice<T extends string>(field: string, choices: readonly T[], standard?: T): T {
    const value = this.#take(field) ?? standard;
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined)
      throw wrong(this.name(field), `one of ${choices.map((text) => `"${text}"`).join(", ")}`, value);
    return choice;
  }

  /** An absent object counts as an empty one. */
  object(field: string): JsonFields {
    return new JsonFields(this.#take(field) ?? {}, this.name(field));
  }

  /** An absent list counts as an empty one. */
  list<T>(field: string, max: number, read: (item: unknown, path: string) => T): T[] {
    const value = this.#take(field) ?? [];
    if (!Array.isArray(value)) throw wrong(this.name(field), "a list", value);
    if (value.length > max)
      throw wrong(this.name(field), `at most ${max} entries`, `${value.length} entries`);
    return value.map((item, index) => read(item, `${this.name(field)}[${index}]`));
  }

  numbers(field: string, max: number): number[] {
    return this.list(field, max, (item, path) => checkNumber(item, path, {}));
  }

  done(): void {
    for (const field of Object.keys(this.#object))
      if (!this.#asked.has(field))
        throw new EdgePlugError(
          "AGENT_CONFIG",
          `agent.json: ${this.name(field)} is no field that EdgePlug knows.`,
          {
            action: `Remove it, or correct its name; known here: ${[...this.#asked].join(", ")}.`,
          },
        );
  }
}

function checkNumber(value: unknown, path: string, range: NumberRange): number {
  const kind = range.integer === true ? "a whole number" : "a number";
  const { min = -Infinity, max = Infinity } = range;
  const bounds =
    min > -Infinity && max < Infinity
      ? ` from ${min} to ${max}`
      : min > -Infinity
        ? ` of at least ${min}`
        : max < Infinity
          ? ` of at most ${max}`
          : "";
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(path, kind + bounds, value);
  if ((range.integer === true && !Number.isInteger(value)) || value < min || value > max)
    throw wrong(path, kind + bounds, value);
  return value;
}

function wrong(path: string, expected: string, value: unknown): EdgePlugError {
  const found = value === undefined ? "it is missing" : `found ${shown(value)}`;
  return new EdgePlugError("AGENT_CONFIG", `agent.json: ${path}: expected ${expected}, ${found}.`);
}

function shown(value: unknown): string {
  const text =
    typeof value === "string" && /^\d+ (bytes|entries)$/.test(value) ? value : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
