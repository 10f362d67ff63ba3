// Everything that isn't arithmetic, against V8: same results bit for bit, same traps, same state afterwards.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import {
  agree,
  assemble,
  callEngine,
  callV8,
  moduleRequest,
  type Signature,
  type ValueType,
} from "./module.js";
import { OPCODES } from "./opcodes.js";
import { PROGRAMS, type Program } from "./programs.js";

const PLACES = [
  { name: "natively", start: () => ConformanceImage.native() },
  { name: "on the Arm core", start: () => ConformanceImage.qemu() },
];

/** The types of an exported function, read from the text, where every export stands with its own. */
function signatureOf(text: string, name: string): Signature {
  const at = text.indexOf(`(export "${name}")`);
  const head =
    /^((?:\s*\((?:param|result)[^()]*\))*)/.exec(text.slice(at + `(export "${name}")`.length))?.[1] ?? "";
  const types = (kind: string): ValueType[] =>
    [...head.matchAll(new RegExp(`\\(${kind}([^()]*)\\)`, "g"))].flatMap(
      ([, list]) => (list ?? "").trim().split(/\s+/) as ValueType[],
    );
  return { params: types("param"), results: types("result") };
}

async function differences(image: ConformanceImage, { text, calls }: Program): Promise<unknown[]> {
  const bytes = assemble(text);
  const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  expect(await image.request(moduleRequest(bytes))).toBe("ok");
  const outcomes = await Promise.all(calls.map(({ name, args }) => callEngine(image, name, args)));
  return outcomes.flatMap((engine, i) => {
    const { name = "", args = [] } = calls[i] ?? {};
    const expected = callV8(v8, name, args, signatureOf(text, name));
    return agree(engine, expected) ? [] : [{ call: `${name}(${args.join()})`, engine, expected }];
  });
}

test("every instruction that isn't arithmetic is in one of the programs", () => {
  const all = PROGRAMS.map(({ text }) => text).join("\n");
  // folded text never spells these
  const implied = new Set(["end"]);
  const special = OPCODES.filter(({ kind }) => kind === "SPECIAL" || kind === "LOAD" || kind === "STORE");
  const missing = special.filter(
    ({ name }) => !implied.has(name) && !all.includes(`(${name} `) && !all.includes(`(${name})`),
  );
  expect(missing.map(({ name }) => name)).toEqual([]);
});

describe.each(PLACES)("programs $name", ({ start }) => {
  let image: ConformanceImage;
  beforeAll(() => {
    image = start();
  });
  afterAll(() => image.kill());

  test.each(PROGRAMS)("$law", async (program) => {
    expect(await differences(image, program)).toEqual([]);
  });
});
