/** One file of `wast2json` output: its commands, checked for shape as they are read. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";

/** A value as wast2json writes it: the bits as a decimal number, or a NaN pattern. */
export interface Value {
  readonly type: string;
  readonly value: string;
}

export interface Action {
  readonly kind: "invoke" | "get";
  /** A module by its name in the script; undefined: the last one. */
  readonly module: string | undefined;
  readonly field: string;
  readonly args: readonly Value[];
}

/** Where a command's module lies: bytes, or text that only a reader of the text format could refuse. */
export interface ModuleFile {
  readonly filename: string;
  readonly text: boolean;
}

interface At {
  /** Of the .wast source. */
  readonly line: number;
}

export type Command = At &
  (
    | { readonly type: "module"; readonly name: string | undefined; readonly file: ModuleFile }
    | { readonly type: "register"; readonly name: string | undefined; readonly as: string }
    | { readonly type: "action"; readonly action: Action }
    | { readonly type: "assert_return"; readonly action: Action; readonly expected: readonly Value[] }
    | { readonly type: "assert_trap" | "assert_exhaustion"; readonly action: Action; readonly text: string }
    | { readonly type: Refusal; readonly file: ModuleFile; readonly text: string }
  );

/** Assertions that a module is refused, and at which stage. */
export const REFUSALS = [
  "assert_malformed",
  "assert_invalid",
  "assert_unlinkable",
  "assert_uninstantiable",
] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface Script {
  /** The file without its suffix: "i32", "memory_grow". */
  readonly name: string;
  /** Where its modules lie. */
  readonly folder: string;
  readonly commands: readonly Command[];
}

/** The folder, or a file in it, is not what the suite can play. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

const HOW =
  "It takes a folder of what wast2json makes of the WebAssembly specification's .wast files, such as\n" +
  "  wast2json test/core/i32.wast -o DIR/i32.json";

export interface SpecFolder {
  readonly scripts: readonly Script[];
  /** JSON files that are something else. */
  readonly others: readonly string[];
}

/** Every script in `folder`, by name. Throws ScriptError if there is no such folder, or nothing in it to play. */
export function readSpecFolder(folder: string): SpecFolder {
  const info = statSync(folder, { throwIfNoEntry: false });
  if (info === undefined) throw new ScriptError(`there is no ${folder}. ${HOW}`);
  if (!info.isDirectory()) throw new ScriptError(`${folder} is no folder. ${HOW}`);
  const names = readdirSync(folder).sort();
  const files = names.filter((name) => name.endsWith(".json"));
  const scripts: Script[] = [];
  const others: string[] = [];
  for (const name of files) {
    const script = readScript(folder, name);
    if (script === undefined) others.push(name);
    else scripts.push(script);
  }
  if (scripts.length === 0) {
    const sources = names.some((name) => name.endsWith(".wast")) ? ", only the .wast sources" : "";
    throw new ScriptError(`there is no wast2json output in ${folder}${sources}. ${HOW}`);
  }
  return { scripts, others };
}

/** Undefined: it is JSON, but not of wast2json. */
function readScript(folder: string, name: string): Script | undefined {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(join(folder, name), "utf8"));
  } catch (error) {
    throw new ScriptError(`${join(folder, name)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const commands = isRecord(json) ? json["commands"] : undefined;
  if (!Array.isArray(commands)) return undefined;
  return {
    name: basename(name, ".json"),
    folder,
    commands: commands.map((each: unknown, at) => {
      try {
        return parseCommand(each);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        throw new ScriptError(`${join(folder, name)}: command ${String(at + 1)}: ${error.message}`);
      }
    }),
  };
}

type Json = Record<string, unknown>;

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown, what: string): Json {
  if (!isRecord(value)) throw new TypeError(`expected ${what}`);
  return value;
}

function text(json: Json, field: string): string {
  const value = json[field];
  if (typeof value !== "string") throw new TypeError(`expected a text as "${field}"`);
  return value;
}

function optionalText(json: Json, field: string): string | undefined {
  return json[field] === undefined ? undefined : text(json, field);
}

function values(json: Json, field: string): Value[] {
  const list = json[field];
  if (!Array.isArray(list)) throw new TypeError(`expected a list as "${field}"`);
  return list.map((each: unknown) => {
    const value = record(each, `values in "${field}"`);
    // vectors have a list of lanes; no module that takes or gives one is played
    const bits = Array.isArray(value["value"]) ? value["value"].join(" ") : text(value, "value");
    return { type: text(value, "type"), value: bits };
  });
}

function actionOf(json: Json): Action {
  const action = record(json["action"], 'an object as "action"');
  const kind = text(action, "type");
  if (kind !== "invoke" && kind !== "get") throw new TypeError(`no action is called "${kind}"`);
  return {
    kind,
    module: optionalText(action, "module"),
    field: text(action, "field"),
    args: kind === "invoke" ? values(action, "args") : [],
  };
}

function fileOf(json: Json): ModuleFile {
  return { filename: text(json, "filename"), text: json["module_type"] === "text" };
}

function parseCommand(value: unknown): Command {
  const json = record(value, "an object");
  const type = text(json, "type");
  const line = json["line"];
  if (typeof line !== "number") throw new TypeError('expected a number as "line"');
  switch (type) {
    case "module":
      return { type, line, name: optionalText(json, "name"), file: fileOf(json) };
    case "register":
      return { type, line, name: optionalText(json, "name"), as: text(json, "as") };
    case "action":
      return { type, line, action: actionOf(json) };
    case "assert_return":
      return { type, line, action: actionOf(json), expected: values(json, "expected") };
    case "assert_trap":
    case "assert_exhaustion":
      return { type, line, action: actionOf(json), text: text(json, "text") };
  }
  const refusal = REFUSALS.find((name) => name === type);
  if (refusal === undefined) throw new TypeError(`no command is called "${type}"`);
  return { type: refusal, line, file: fileOf(json), text: text(json, "text") };
}
