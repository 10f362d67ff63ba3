// Modules that try the engine's limits: on the Arm image with the limits of boards, where the C stack is measured; and with
// those of the conformance image, under the sanitizers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConformanceImage } from "@edgeplug/conformance-suite/dist/image.js";
import { invokeRequest, moduleRequest } from "@edgeplug/conformance-suite/dist/requests.js";
import { beforeAll, describe, expect, test } from "vitest";
import { Job, type HostileResult } from "../../../scripts/bench/board.mjs";
import { atTheEdge, hostileModules, type EngineLimits, type Hostile } from "../dist/hostile.js";
import { disagreement, verdict } from "../dist/judge.js";
import { Random } from "../dist/random.js";
import { smallModule } from "../dist/small.js";

const LIMITS = readFileSync(join(import.meta.dirname, "../../../firmware/runtime/wasm/limits.h"), "utf8");
const HEADER = readFileSync(join(import.meta.dirname, "../../../firmware/runtime/wasm/wasm.h"), "utf8");

/** The engine's limits: the first of each name is the conformance image's, the second a board's. */
function limitsOf(place: 0 | 1): EngineLimits {
  const limit = (name: string): number =>
    Number([...LIMITS.matchAll(new RegExp(`#define EP_WASM_MAX_${name} +(\\d+)u`, "g"))][place]?.[1]);
  return {
    module: limit("MODULE"),
    branches: limit("BRANCHES"),
    nesting: limit("NESTING"),
    locals: limit("LOCALS"),
  };
}

const RESULTS = [...HEADER.matchAll(/^ {2}EP_WASM_([A-Z_]+)(?: = 0)?,?(?= |$)/gm)].map(
  ([, name = ""]) => name,
);

/** What the bench's numbers mean, as Hostile.answer spells it. */
function answerOf({ loaded, called, detail }: HostileResult): string {
  const name = RESULTS[called] ?? "";
  if (name === "OK") return "ok";
  if (loaded === 0) return `trap ${detail}`;
  const segments: Record<string, string> = { TRAP_MEMORY: "memory", TRAP_TABLE: "table" };
  const segment = segments[name];
  return segment === undefined ? `${name.toLowerCase()} ${detail}` : `trap out of bounds ${segment} access`;
}

/** Stack that a board's engine may take, bytes: a little more than it was measured to take (docs/measurements.md). */
const MOST_LOAD_STACK = 560;
const MOST_CALL_STACK = 300;

function run(modules: readonly Hostile[], memory = 4096): HostileResult[] {
  const results: HostileResult[] = [];
  let job = new Job();
  for (const { bytes } of modules) {
    if (!job.hasRoomFor(bytes.length + 64)) {
      results.push(...job.run());
      job = new Job();
    }
    job.hostile(bytes, { memory, stackSlots: 2200 });
  }
  return [...results, ...job.run()];
}

describe("hostile modules on the Arm image", () => {
  const modules = hostileModules(limitsOf(1));
  let results: HostileResult[];
  beforeAll(() => {
    results = run(modules);
  });

  test.each(modules.map(({ what, answer }, i) => [what, answer, i] as const))("%s: %s", (_, answer, i) => {
    expect(answerOf(results[i] as HostileResult)).toBe(answer);
  });

  test("no memory limit, whatever its alignment, lets an access reach beyond it", () => {
    const sizes = [16384, 16383, 16382, 16381, 16380, 16379, 16378, 16377, 4097, 24];
    for (const size of sizes) {
      const edge = atTheEdge(size);
      expect(run(edge, size).map(answerOf)).toEqual(edge.map(({ answer }) => answer));
    }
  });

  test("loading takes a bounded stack, and so do calls, however deep they nest and recurse", () => {
    const stack = (key: "loadStack" | "callStack"): number => Math.max(...results.map((each) => each[key]));
    if (process.env["EDGEPLUG_FIGURES"] !== undefined)
      console.log({ load: stack("loadStack"), call: stack("callStack") });
    expect(stack("loadStack")).toBeLessThanOrEqual(MOST_LOAD_STACK);
    expect(stack("callStack")).toBeLessThanOrEqual(MOST_CALL_STACK);
    // the paint was looked at
    expect(stack("loadStack")).toBeGreaterThan(100);
    expect(stack("callStack")).toBeGreaterThan(20);
  });
});

describe("hostile modules in the conformance image", () => {
  test("each has the same answer there, under the sanitizers", async () => {
    const limits = limitsOf(0);
    const image = ConformanceImage.native();
    // a full side table has more branches than a module has bytes there
    const modules = [...hostileModules(limits), ...atTheEdge(65536)].filter(
      ({ bytes, answer }) => bytes.length <= limits.module || answer === "limit module size",
    );
    const answers: string[] = [];
    for (const { bytes } of modules) {
      const loaded = await image.request(moduleRequest(bytes));
      const called = loaded === "ok" ? await image.request(invokeRequest("f", [])) : loaded;
      answers.push(called.replace(/^err /, "").replace(/^t /, "trap ").replace(/^r.*/, "ok"));
    }
    image.kill();
    // where a segment doesn't fit, it is said of which kind
    expect(answers.map((answer) => answer.replace(/^(trap .*): .*/, "$1"))).toEqual(
      modules.map(({ answer }) => answer),
    );
  });

  test(
    "every beginning of a module is taken or refused as wasm-validate says",
    { timeout: 120_000 },
    async () => {
      const image = ConformanceImage.sim();
      const ask = (bytes: Uint8Array): Promise<string> => image.request(moduleRequest(bytes));
      const random = new Random("beginnings");
      const counts = { valid: 0, refused: 0, limit: 0 };
      for (let i = 0; i < 12; i++) {
        const bytes = smallModule(random);
        const beginnings = Array.from(bytes, (_, size) => bytes.slice(0, size));
        const replies = await Promise.all(beginnings.map(ask));
        for (const [size, reply] of replies.entries()) {
          counts[verdict(reply)]++;
          expect(await disagreement(reply, beginnings[size] as Uint8Array, ask)).toBeUndefined();
        }
      }
      image.kill();
      expect(counts.refused).toBeGreaterThan(1500);
      expect(counts.valid).toBeGreaterThan(12); // between two sections, without functions yet
    },
  );
});
