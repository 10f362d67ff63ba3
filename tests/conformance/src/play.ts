/** Plays one script through a conformance image, one module at a time, and judges each assertion. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ImageError } from "./image.js";
import { importedModules } from "./imports.js";
import { Excuses, showCall, showValues, type Difference, type LeftOut } from "./left-out.js";
import { invokeRequest, moduleRequest, outcomeOf, type Outcome } from "./requests.js";
import {
  ScriptError,
  type Action,
  type Command,
  type ModuleFile,
  type Refusal,
  type Script,
  type Value,
} from "./script.js";
import { sameTrap } from "./traps.js";
import { bitsOf, matches, showBits } from "./values.js";

/** Whoever answers requests: an image. */
export interface Answering {
  /** Throws ImageError if it ended over it; whoever answers then has no module. */
  request(request: Uint8Array): Promise<string>;
}

export interface Failure {
  /** Of the .wast source. */
  readonly line: number;
  /** What the command was. */
  readonly command: string;
  /** What didn't hold. */
  readonly what: string;
}

export interface ScriptResult {
  readonly name: string;
  /** Assertions that held. */
  readonly passed: number;
  /** Assertions that can't be played, by the id of the entry in the list. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Assertions, and whatever else in the script, that didn't hold. */
  readonly failures: readonly Failure[];
}

/** What came of a command: it held; it was left out, by the entry of that id; or it failed. */
type Verdict = { readonly leftOut: string } | { readonly failed: string } | "held";

const HELD = "held";

/** A module of the script. */
interface Instance {
  readonly bytes: Uint8Array;
  /** What became of it when it was loaded. */
  readonly verdict: Verdict;
  /** Calls so far: they are played again if it has to be loaded again. */
  readonly calls: Uint8Array[];
  /** A module that can't be played imports from it and may have changed it. */
  shared: boolean;
}

export async function playScript(
  script: Script,
  image: Answering,
  leftOut: readonly LeftOut[],
): Promise<ScriptResult> {
  const player = new Player(script, image, new Excuses(leftOut));
  for (const command of script.commands) await player.play(command);
  return player.result;
}

class Player {
  readonly #named = new Map<string, Instance>();
  readonly #registered = new Map<string, Instance>();
  #last: Instance | undefined;
  /** The one that is in the image now. */
  #loaded: Instance | undefined;
  #passed = 0;
  readonly #leftOut: Record<string, number> = {};
  readonly #failures: Failure[] = [];

  constructor(
    private readonly script: Script,
    private readonly image: Answering,
    private readonly excuses: Excuses,
  ) {}

  get result(): ScriptResult {
    return {
      name: this.script.name,
      passed: this.#passed,
      leftOut: this.#leftOut,
      failures: this.#failures,
    };
  }

  /** Assertions are counted; of everything else only what fails. */
  async play(command: Command): Promise<void> {
    const verdict = await this.#judge(command).catch((error: unknown): Verdict => {
      if (!(error instanceof ImageError || error instanceof RangeError)) throw error;
      this.#loaded = undefined;
      return { failed: error.message };
    });
    const counts = command.type.startsWith("assert_");
    if (verdict === HELD) this.#passed += counts ? 1 : 0;
    else if ("failed" in verdict)
      this.#failures.push({ line: command.line, command: showCommand(command), what: verdict.failed });
    else if (counts) this.#leftOut[verdict.leftOut] = (this.#leftOut[verdict.leftOut] ?? 0) + 1;
  }

  async #judge(command: Command): Promise<Verdict> {
    switch (command.type) {
      case "module":
        return this.#define(command.name, command.file);
      case "register":
        return this.#register(command.name, command.as);
      case "action":
        return this.#act(command.action, (outcome) => judgeTrap(outcome));
      case "assert_return":
        return this.#assertReturn(command);
      case "assert_trap":
        return this.#act(command.action, (outcome) => judgeTrap(outcome, command.text));
      case "assert_exhaustion":
        return this.#act(command.action, (outcome) => judgeTrap(outcome, command.text));
      default:
        return this.#assertRefused(command.type, command.file, command.text);
    }
  }

  // ---- modules --------------------------------------------------------------------------------------------------

  /** A module that fails to load fails once; what is then asked of it fails too. */
  async #define(name: string | undefined, file: ModuleFile): Promise<Verdict> {
    const bytes = this.#read(file);
    const verdict = await this.#load(bytes);
    const instance: Instance = { bytes, verdict, calls: [], shared: false };
    this.#last = instance;
    if (verdict === HELD) this.#loaded = instance;
    if (name !== undefined) this.#named.set(name, instance);
    return verdict;
  }

  async #load(bytes: Uint8Array): Promise<Verdict> {
    const { reply, linked } = await this.#offer(bytes);
    if (linked) return this.#without("linking", `it imports from another module: ${reply}`);
    return reply === "ok" ? HELD : this.#refusal(reply, `the module is refused: ${reply}`);
  }

  #refusal(reply: string, failed: string): Verdict {
    const leftOut = this.excuses.refused(reply);
    return leftOut === undefined ? { failed } : { leftOut };
  }

  /**
   * The image's answer to a module. `linked`: it imports from others of the script, and the image, which has room for one,
   * found nothing else to refuse.
   */
  async #offer(bytes: Uint8Array): Promise<{ readonly reply: string; readonly linked: boolean }> {
    const from = importedModules(bytes).flatMap((name) => this.#registered.get(name) ?? []);
    for (const instance of from) instance.shared = true;
    const reply = await this.#send(bytes);
    return { reply, linked: from.length > 0 && reply.startsWith("err unlinkable ") };
  }

  /** The image then has it, or none. */
  async #send(bytes: Uint8Array): Promise<string> {
    this.#loaded = undefined;
    return this.image.request(moduleRequest(bytes));
  }

  #read({ filename }: ModuleFile): Uint8Array {
    const { name, folder } = this.script;
    try {
      return readFileSync(join(folder, filename));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new ScriptError(`${name}.json: ${filename} is not in ${folder}`);
    }
  }

  #without(need: "text" | "linking" | "globals", failed: string): Verdict {
    const leftOut = this.excuses.needing(need);
    return leftOut === undefined ? { failed } : { leftOut };
  }

  #register(name: string | undefined, as: string): Verdict {
    const instance = this.#instance(name);
    if (instance === undefined) return { failed: "there is no such module" };
    this.#registered.set(as, instance);
    return instance.verdict === HELD ? HELD : followUp(instance.verdict);
  }

  #instance(name: string | undefined): Instance | undefined {
    return name === undefined ? this.#last : this.#named.get(name);
  }

  async #assertRefused(type: Refusal, file: ModuleFile, text: string): Promise<Verdict> {
    if (file.text) return this.#without("text", "the module is text");
    const { reply, linked } = await this.#offer(this.#read(file));
    const stage = type.replace("assert_", "");
    if (linked) return this.#without("linking", `expected ${stage}: ${text}; it imports from another module`);
    if (refusedAs(type, text, reply)) return HELD;
    return (
      this.#differing({ call: type, expected: text, actual: reply }) ??
      this.#refusal(reply, `expected ${stage}: ${text}; got: ${reply}`)
    );
  }

  // ---- calls ----------------------------------------------------------------------------------------------------

  async #assertReturn(command: Command & { readonly type: "assert_return" }): Promise<Verdict> {
    const { action, expected } = command;
    return this.#act(action, (outcome) => {
      if (returned(outcome, expected)) return HELD;
      const difference = {
        call: showCall(action),
        expected: showValues(expected),
        actual: showOutcome(outcome, expected),
      };
      const failed = `expected ${difference.expected}; got ${difference.actual}`;
      return this.#differing(difference) ?? { failed };
    });
  }

  #differing(difference: Omit<Difference, "script">): Verdict | undefined {
    const leftOut = this.excuses.differing({ script: this.script.name, ...difference });
    return leftOut === undefined ? undefined : { leftOut };
  }

  async #act(action: Action, judge: (outcome: Outcome) => Verdict): Promise<Verdict> {
    const instance = this.#instance(action.module);
    if (instance === undefined) return { failed: "there is no such module" };
    if (instance.verdict !== HELD) return followUp(instance.verdict);
    if (instance.shared)
      return this.#without("linking", "another module, which can't be played, imports from it");
    if (action.kind === "get") return this.#without("globals", "no request reads a global");
    const again = await this.#makePresent(instance);
    if (again !== undefined) return { failed: again };
    const request = invokeRequest(action.field, action.args.map(bitsOf));
    instance.calls.push(request);
    const reply = await this.image.request(request);
    const outcome = outcomeOf(reply);
    return outcome === undefined ? { failed: `no answer to a call: ${reply}` } : judge(outcome);
  }

  /** Loads it again if another one took its place, and repeats its calls; says what went wrong. */
  async #makePresent(instance: Instance): Promise<string | undefined> {
    if (this.#loaded === instance) return undefined;
    const reply = await this.#send(instance.bytes);
    if (reply !== "ok") return `the module that was taken before is refused: ${reply}`;
    this.#loaded = instance;
    for (const call of instance.calls) await this.image.request(call);
    return undefined;
  }
}

/** What the failure of its module makes of a command. */
function followUp(verdict: Exclude<Verdict, "held">): Verdict {
  return "failed" in verdict ? { failed: `its module failed: ${verdict.failed}` } : verdict;
}

function returned({ results }: Outcome, expected: readonly Value[]): boolean {
  return (
    results?.length === expected.length && expected.every((value, at) => matches(value, results[at] ?? 0n))
  );
}

function showOutcome({ results, trap }: Outcome, expected: readonly Value[]): string {
  if (results === undefined) return `a trap: ${trap ?? ""}`;
  if (results.length === 0) return "nothing";
  return results.map((bits, at) => showBits(expected[at]?.type ?? "i64", bits)).join(", ");
}

/** Whether a call came back, or trapped for the `expected` reason if there is one. */
function judgeTrap({ trap, results }: Outcome, expected?: string): Verdict {
  if (expected === undefined) return trap === undefined ? HELD : { failed: `a trap: ${trap}` };
  if (trap === undefined)
    return { failed: `expected a trap: ${expected}; got ${String(results?.length ?? 0)} results` };
  return sameTrap(expected, trap) ? HELD : { failed: `expected a trap: ${expected}; got: ${trap}` };
}

/** Whether the engine's reply to a module is a refusal at the right stage. */
function refusedAs(type: Refusal, text: string, reply: string): boolean {
  switch (type) {
    case "assert_malformed":
      return reply.startsWith("err malformed ");
    case "assert_invalid":
      return reply.startsWith("err invalid ");
    case "assert_unlinkable":
      // the engine says whether what it found doesn't fit
      return (
        reply.startsWith("err unlinkable ") && reply.endsWith(": type") === text.startsWith("incompatible")
      );
    case "assert_uninstantiable":
      return reply.startsWith("err trap ") && sameTrap(text, reply.slice(9).replace(/: .*$/, ""));
  }
}

function showCommand(command: Command): string {
  switch (command.type) {
    case "module":
    case "register":
      return command.type;
    case "action":
    case "assert_return":
    case "assert_trap":
    case "assert_exhaustion":
      return `${command.type} ${showCall(command.action)}`;
    default:
      return `${command.type} ${command.file.filename}`;
  }
}
