// Ed25519, SHA-512 and CRC-32 of the firmware against @noble/ed25519, openssl (through node:crypto) and npm crc-32, on
// the Arm core and natively under the sanitizers.
//
// Where the three verifiers part, the link page ("Authority") decides, and ours follows it:
// - a key of small order: openssl takes it, RFC 8032 leaves it open, the link page refuses it; with such a key anybody
//   can sign. @noble/ed25519 refuses it too.
// - an equation that holds only after multiplying by the cofactor 8 (keys or R of mixed order): @noble/ed25519 takes
//   it even with zip215: false; the link page asks for the cofactorless equation, as openssl computes it.
// An R of small order is no reason to refuse by itself: the page names keys only, and all three agree there.
import { createHash } from "node:crypto";
import crc32 from "crc-32";
import { afterAll, describe, expect, test } from "vitest";
import { ConformanceImage } from "./src/image.js";
import { ed25519Request, hashRequest } from "./src/requests.js";
import {
  type SignatureCase,
  edgeCases,
  noble,
  openssl,
  randomCases,
  Source,
  strict,
} from "./ed25519-cases.js";

const SEED = process.env["EDGEPLUG_SEED"] ?? "crypto conformance 1";

interface Place {
  readonly name: string;
  readonly start: () => ConformanceImage;
  readonly signatures: number;
  readonly hashes: number;
}

const PLACES: Place[] = [
  { name: "natively", start: () => ConformanceImage.native(), signatures: 2000, hashes: 400 },
  { name: "on the Arm core", start: () => ConformanceImage.qemu(), signatures: 150, hashes: 60 },
];

async function accepts(image: ConformanceImage, one: SignatureCase): Promise<boolean> {
  const line = await image.request(ed25519Request(one.key, one.signature, one.message));
  if (line !== "ok") expect(line, one.name).toBe("err bad signature");
  return line === "ok";
}

/** What each case came to, as text, so that a failure shows all that differ and not just the first. */
function verdicts(cases: SignatureCase[], of: (one: SignatureCase, index: number) => boolean): string[] {
  return cases.map((one, index) => `${one.name}: ${of(one, index) ? "good" : "bad"}`);
}

describe("the edge cases of Ed25519", () => {
  const cases = edgeCases();

  test("there are cases of every kind, and both verdicts occur", () => {
    expect(cases.length).toBeGreaterThan(130);
    expect(new Set(cases.map(({ opinion }) => opinion)).size).toBe(3);
    expect(cases.filter(strict).length).toBeGreaterThan(20);
    expect(cases.filter((one) => !strict(one)).length).toBeGreaterThan(80);
  });

  test("@noble/ed25519 agrees with the link page, but takes what is right only times the cofactor", () => {
    expect(verdicts(cases, noble)).toEqual(
      verdicts(cases, (one) => strict(one) || cases.some((c) => c === one && c.opinion === "noble takes it")),
    );
  });

  test("openssl agrees with the link page, but takes keys of small order", () => {
    expect(verdicts(cases, openssl)).toEqual(
      verdicts(
        cases,
        (one) => strict(one) || cases.some((c) => c === one && c.opinion === "openssl takes it"),
      ),
    );
  });

  for (const { name, start } of PLACES) {
    test(`the firmware follows the link page in each of them, ${name}`, async () => {
      const image = start();
      const answers = await Promise.all(cases.map((one) => accepts(image, one)));
      expect(verdicts(cases, (_, index) => answers[index] === true)).toEqual(verdicts(cases, strict));
      expect(await image.quit()).toBe(0);
    });
  }
});

for (const { name, start, signatures, hashes } of PLACES) {
  describe(`at random (seed "${SEED}"), ${name}`, () => {
    const image = start();
    afterAll(() => {
      image.kill();
    });

    test(`firmware, @noble/ed25519 and openssl agree on ${String(signatures)} signatures, most of them spoilt`, async () => {
      const cases = randomCases(new Source(`${SEED} ${name}`), signatures);
      const answers = await Promise.all(cases.map((one) => accepts(image, one)));
      const expected = verdicts(cases, openssl);
      expect(verdicts(cases, (_, index) => answers[index] === true)).toEqual(expected);
      expect(verdicts(cases, noble)).toEqual(expected);
      expect(answers.filter(Boolean).length).toBeGreaterThan(signatures / 10);
    }, 90_000);

    test(`SHA-512 equals openssl's on ${String(hashes)} messages, those of 0 to 260 bytes first`, async () => {
      const source = new Source(`${SEED} ${name} hashes`);
      const messages = Array.from({ length: hashes }, (_, n) =>
        source.bytes(n <= 260 ? Math.floor((n * 260) / Math.min(hashes - 1, 260)) : source.below(5000)),
      );
      messages.push(source.bytes(13_824));
      const answers = await Promise.all(messages.map((message) => image.request(hashRequest("H", message))));
      expect(answers).toEqual(
        messages.map((message) => `r ${createHash("sha512").update(message).digest("hex")}`),
      );
    });

    test(`CRC-32 equals npm crc-32's on ${String(hashes)} messages`, async () => {
      const source = new Source(`${SEED} ${name} crc`);
      const messages = Array.from({ length: hashes }, (_, n) =>
        source.bytes(n < 40 ? n : source.below(3000)),
      );
      messages.push(Buffer.from("123456789"));
      const answers = await Promise.all(messages.map((message) => image.request(hashRequest("C", message))));
      expect(answers).toEqual(
        messages.map((message) => `r ${(crc32.buf(message) >>> 0).toString(16).padStart(8, "0")}`),
      );
      expect(answers.at(-1)).toBe("r cbf43926");
    });

    test("after Q the program is gone with exit code 0", async () => {
      expect(await image.quit()).toBe(0);
    });
  });
}

test("an unknown request and a message over the limit are said to be so, and leave the stream in step", async () => {
  const image = ConformanceImage.native();
  expect(await image.request(Buffer.from("?"))).toBe("err unknown request");
  const long = ed25519Request(Buffer.alloc(32), Buffer.alloc(64), Buffer.alloc(65_537));
  expect(await image.request(long)).toMatch(/^err limit/);
  expect(await image.request(hashRequest("C", Buffer.from("123456789")))).toBe("r cbf43926");
  expect(await image.quit()).toBe(0);
});

test("requests sent before the Arm image has started are all answered, ten starts in a row", async () => {
  for (let n = 0; n < 10; n++) {
    const image = ConformanceImage.qemu();
    const first = image.request(hashRequest("C", Buffer.from("123456789")));
    const second = image.request(hashRequest("C", Buffer.from("")));
    expect(await first).toBe("r cbf43926");
    expect(await second).toBe("r 00000000");
    expect(await image.quit()).toBe(0);
  }
});
