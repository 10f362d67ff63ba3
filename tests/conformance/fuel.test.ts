// Fuel is the same on every board: a run that fits here fits there, and one that is cut off is cut off at the same place.
import { afterAll, beforeAll, expect, test } from "vitest";

import { assemble, moduleRequest, Random, type ValueType } from "./module.js";
import { OPCODES, type Opcode } from "./opcodes.js";
import { PROGRAMS } from "./programs.js";
import { ConformanceImage } from "./src/image.js";
import { invokeRequest } from "./src/requests.js";

const PLACES = {
  natively: () => ConformanceImage.native(),
  "on sim": () => ConformanceImage.sim(),
  "on the Arm core": () => ConformanceImage.qemu(),
};
const FUEL = Buffer.from("F");
const ROUNDS = 4;

let images: { place: string; image: ConformanceImage }[] = [];
beforeAll(() => {
  images = Object.entries(PLACES).map(([place, start]) => ({ place, image: start() }));
});
afterAll(() => {
  for (const { image } of images) image.kill();
});

interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

interface Told {
  readonly call: string;
  readonly outcome: string;
  readonly fuel: string;
}

async function play(image: ConformanceImage, module: Uint8Array, calls: readonly Call[]): Promise<Told[]> {
  expect(await image.request(moduleRequest(module))).toBe("ok");
  return Promise.all(
    calls.map(async ({ name, args }) => {
      const answers = [image.request(invokeRequest(name, args)), image.request(FUEL)] as const;
      const [outcome, fuel] = await Promise.all(answers);
      return { call: `${name}(${args.join()})`, outcome, fuel };
    }),
  );
}

/** What all places tell alike; fails where one tells something else. */
async function sameEverywhere(text: string, calls: readonly Call[]): Promise<Told[]> {
  const module = assemble(text);
  const [first, ...others] = await Promise.all(
    images.map(async ({ place, image }) => ({ place, told: await play(image, module, calls) })),
  );
  for (const { place, told } of others) expect(told, place).toEqual(first?.told);
  const told = first?.told ?? [];
  for (const { call, fuel } of told) expect(fuel, call).toMatch(/^r (?!0{16})[0-9a-f]{16}$/);
  return told;
}

test.each(PROGRAMS)(
  "takes the same fuel natively, on sim and on the Arm core: $law",
  async ({ text, calls }) => {
    await sameEverywhere(text, calls);
  },
);

const isNumeric = ({ kind }: Opcode): boolean => kind === "UNARY" || kind === "BINARY";
const integer = (type: ValueType): "i32" | "i64" => (type.endsWith("64") ? "i64" : "i32");

/** One function an instruction; floats go in and out as integers. */
function functionOf({ name, kind, type = "i32", second = "i32" }: Opcode): string {
  const count = kind === "BINARY" ? 2 : 1;
  const into = type.startsWith("f") ? `${type}.reinterpret_${integer(type)}` : "";
  const operands = Array.from({ length: count }, (_, at) =>
    into === "" ? `(local.get ${at})` : `(${into} (local.get ${at}))`,
  );
  const result = second as ValueType;
  const body = `(${name} ${operands.join(" ")})`;
  const out = result.startsWith("f") ? `(${integer(result)}.reinterpret_${result} ${body})` : body;
  const params = Array.from({ length: count }, () => integer(type)).join(" ");
  return `(func (export "${name}") (param ${params}) (result ${integer(result)}) ${out})`;
}

test("takes the same fuel natively, on sim and on the Arm core: each numeric instruction, trapped or not", async () => {
  const numeric = OPCODES.filter(isNumeric);
  const random = new Random("fuel");
  const awkward = [
    0n,
    1n,
    0x8000_0000n,
    0xffff_ffffn,
    0x7fc0_0000n,
    0x7ff8_0000_0000_0000n,
    0xffff_ffff_ffff_ffffn,
  ];
  const calls = numeric.flatMap(({ name, kind, type = "i32" }) =>
    Array.from({ length: ROUNDS }, (): Call => {
      const bits = integer(type) === "i64" ? 64 : 32;
      const value = (): bigint =>
        BigInt.asUintN(bits, random.below(2) === 0 ? random.pick(awkward) : random.u64());
      return { name, args: Array.from({ length: kind === "BINARY" ? 2 : 1 }, value) };
    }),
  );
  const told = await sameEverywhere(`(module ${numeric.map(functionOf).join("\n")})`, calls);
  expect(told.length).toBeGreaterThan(400);
  expect(told.some(({ outcome }) => outcome.startsWith("t "))).toBe(true);
});
