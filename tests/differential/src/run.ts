/** Many cases, one after the other: modules in both engines, mutants before both judges. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { ImageError } from "@edgeplug/conformance-suite/dist/image.js";
import { moduleRequest } from "@edgeplug/conformance-suite/dist/requests.js";

import { Binaryen } from "./binaryen.js";
import { writeModule } from "./binary.js";
import { countInstructions, makeCase, type Case } from "./cases.js";
import { compare, type Comparison, type Image } from "./compare.js";
import { disagreement, verdict } from "./judge.js";
import { minimise } from "./minimise.js";
import { mutate } from "./mutate.js";
import { Random } from "./random.js";
import { smallModule } from "./small.js";

/** What differed is kept here. */
export const FOLDER = fileURLToPath(new URL("../../../build/differential/", import.meta.url));

export interface Finding {
  /** What --replay takes. */
  readonly id: string;
  readonly what: string;
  /** The same in the module made smaller. */
  readonly smaller?: string;
  readonly files: readonly string[];
}

export interface ModulesReport {
  readonly modules: number;
  /** Over one of the engine's limits, so that nothing was compared. */
  readonly overLimit: number;
  /** Trapped in both while they were made. */
  readonly trappedAtStart: number;
  /** Compared up to a call for which the engine's stack was too small. */
  readonly exhausted: number;
  /** Of a feature that the rewriting doesn't know. */
  readonly skipped: number;
  readonly calls: number;
  readonly traps: number;
  readonly instructions: number;
  /** By opcode, those behind the prefix with 0xfc00 added. */
  readonly opcodes: ReadonlyMap<number, number>;
  readonly findings: readonly Finding[];
}

export interface MutantsReport {
  readonly mutants: number;
  readonly valid: number;
  readonly refused: number;
  readonly overLimit: number;
  /** How often the engine gave each answer. */
  readonly replies: ReadonlyMap<string, number>;
  readonly findings: readonly Finding[];
}

/** A conformance image, or what stands for one. */
export interface KillableImage extends Image {
  kill(): void;
}

export interface RunOptions {
  readonly start: () => KillableImage;
  readonly seed: number;
  /** Numbers of the cases: from `first` on, `count` of them. */
  readonly first?: number;
  readonly count: number;
  /** For what differs. */
  readonly folder?: string;
  /** Modules: the first difference ends the run. */
  readonly stopAtFirst?: boolean;
  readonly onProgress?: (done: number, findings: number) => void;
}

/** An image that is started anew when it has ended. */
class Restarting {
  #image: KillableImage | undefined;

  constructor(readonly start: () => KillableImage) {
    // QEMU wouldn't notice that nobody is left
    process.once("exit", this.#end);
  }

  requests(bytes: Uint8Array, answers: number): Promise<string[]> {
    this.#image ??= this.start();
    return this.#image.requests(bytes, answers).catch((error: unknown) => {
      this.#end();
      throw error;
    });
  }

  close(): void {
    process.off("exit", this.#end);
    this.#end();
  }

  readonly #end = (): void => {
    this.#image?.kill();
    this.#image = undefined;
  };
}

function keep(id: string, folder: string, files: Readonly<Record<string, string | Uint8Array>>): string[] {
  mkdirSync(folder, { recursive: true });
  return Object.entries(files).map(([ending, contents]) => {
    const path = join(folder, `${id.replaceAll(":", "-")}${ending}`);
    writeFileSync(path, contents);
    return path;
  });
}

function describe({ difference }: Comparison): string {
  if (difference === undefined) return "no difference";
  const { call, engine, v8 } = difference;
  const what =
    call === undefined ? "loading" : `${call.name}(${call.args.map((bits) => bits.toString(16)).join(", ")})`;
  return `${what}: the engine says "${engine}", V8 "${v8}"`;
}

async function finding(image: Restarting, one: Case, what: string, folder: string): Promise<Finding> {
  let smaller: { module: Case["module"]; calls: Case["calls"] } = one;
  let small = what;
  try {
    smaller = await minimise(image, one.module, one.calls);
    small = describe(await compare(image, smaller.module, smaller.calls));
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
  const calls = smaller.calls.map(
    ({ name, args }) => `${name} ${args.map((bits) => bits.toString(16)).join(" ")}`,
  );
  const files = keep(one.id, folder, {
    ".wasm": writeModule(one.module),
    ".min.wasm": writeModule(smaller.module),
    ".txt": [what, "", `smaller: ${small}`, ...calls, ""].join("\n"),
  });
  return { id: one.id, what, smaller: small, files };
}

/** Random modules, each in the engine and in V8. */
export async function runModules({
  start,
  seed,
  first = 0,
  count,
  folder = FOLDER,
  stopAtFirst = false,
  onProgress,
}: RunOptions): Promise<ModulesReport> {
  const binaryen = await Binaryen.create();
  const image = new Restarting(start);
  const opcodes = new Map<number, number>();
  const findings: Finding[] = [];
  const totals = {
    overLimit: 0,
    trappedAtStart: 0,
    exhausted: 0,
    skipped: 0,
    calls: 0,
    traps: 0,
    instructions: 0,
  };

  const settle = async (one: Case, result: Promise<Comparison>): Promise<void> => {
    let comparison: Comparison;
    try {
      comparison = await result;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      findings.push(await finding(image, one, error.message, folder));
      return;
    }
    const { end, calls, traps, exhausted, difference } = comparison;
    if (end === "limit") totals.overLimit++;
    if (end === "start") totals.trappedAtStart++;
    if (exhausted) totals.exhausted++;
    totals.calls += calls;
    totals.traps += traps;
    if (difference !== undefined) findings.push(await finding(image, one, describe(comparison), folder));
  };

  try {
    // while the image works on one module, the next is made
    let under: Promise<void> = Promise.resolve();
    for (let number = first; number < first + count; number++) {
      let one: Case | undefined;
      try {
        one = makeCase(binaryen, seed, number);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        totals.skipped++;
      }
      await under;
      if (stopAtFirst && findings.length > 0) break;
      if (one !== undefined) {
        totals.instructions += countInstructions(one.module, opcodes);
        under = settle(one, compare(image, one.module, one.calls));
      }
      onProgress?.(number - first + 1, findings.length);
    }
    await under;
  } finally {
    image.close();
    binaryen.close();
  }
  return { modules: count, ...totals, opcodes, findings };
}

/** Mutants that differ are kept, but not thousands of them. */
const MOST_KEPT = 50;

/** Mutants of one small module are tried together. */
const BATCH = 50;

/** Damaged modules of a number: each number has a small module of its own. */
export function mutantOf(seed: number, number: number): Uint8Array {
  const family = Math.floor(number / BATCH);
  const original = smallModule(new Random(`small ${seed}:${family}`));
  return number % BATCH === 0 ? original : mutate(new Random(`mutant ${seed}:${number}`), original);
}

/** Damaged modules, each before the engine and wasm-validate. */
export async function runMutants({
  start,
  seed,
  first = 0,
  count,
  folder = FOLDER,
  onProgress,
}: RunOptions): Promise<MutantsReport> {
  const image = new Restarting(start);
  const ask = async (bytes: Uint8Array): Promise<string> =>
    (await image.requests(moduleRequest(bytes), 1))[0] ?? "";
  const findings: Finding[] = [];
  const totals = { valid: 0, refused: 0, overLimit: 0 };
  const replies = new Map<string, number>();
  try {
    for (let from = first; from < first + count; from += BATCH) {
      const size = Math.min(BATCH, first + count - from);
      const mutants = Array.from({ length: size }, (_, i) => mutantOf(seed, from + i));
      for (const [i, reply] of (await repliesTo(image, mutants)).entries()) {
        const bytes = mutants[i] as Uint8Array;
        const is = verdict(reply);
        replies.set(reply, (replies.get(reply) ?? 0) + 1);
        totals[is === "limit" ? "overLimit" : is]++;
        const found =
          reply === "" ? { reply: "the image ended", judge: "" } : await disagreement(reply, bytes, ask);
        if (found === undefined) continue;
        const id = `${seed}:m${from + i}`;
        const what = `the engine says "${found.reply}", wasm-validate "${found.judge.trim()}"`;
        const files = { ".wasm": bytes, ".txt": `${what}\n` };
        findings.push({ id, what, files: findings.length < MOST_KEPT ? keep(id, folder, files) : [] });
      }
      onProgress?.(from + size - first, findings.length);
    }
  } finally {
    image.close();
  }
  return { mutants: count, ...totals, replies, findings };
}

/** All at once; if the image ends over them, one by one, and "" for those that end it. */
async function repliesTo(image: Restarting, modules: readonly Uint8Array[]): Promise<string[]> {
  try {
    return await image.requests(Buffer.concat(modules.map(moduleRequest)), modules.length);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
  const replies: string[] = [];
  for (const bytes of modules)
    try {
      replies.push(...(await image.requests(moduleRequest(bytes), 1)));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      replies.push("");
    }
  return replies;
}
