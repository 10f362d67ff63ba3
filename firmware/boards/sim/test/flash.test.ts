import { describe, expect, it } from "vitest";

import {
  decodeFlashFile,
  encodeFlashFile,
  Flash,
  FLASH_ECC,
  FLASH_FAILED,
  FLASH_OK,
  FlashFileError,
  FlashViolation,
  geometryOf,
  PowerCut,
  TEAR_SHAPES,
  type CutMoment,
  type GeometryName,
  type TearShape,
} from "../src/index.js";

const noTime = (): void => undefined;
const DATA = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const BLANK = new Uint8Array(8).fill(0xff);

function blank(name: GeometryName, seed = 1): { flash: Flash; base: number } {
  const flash = new Flash(geometryOf(name), { seed });
  return { flash, base: flash.geometry.base };
}

function read(flash: Flash, address: number, size = 8): Uint8Array {
  const bytes = new Uint8Array(size);
  expect(flash.read(address, bytes)).toBe(FLASH_OK);
  return bytes;
}

function cutAt(flash: Flash, moment: CutMoment, shape: TearShape, operate: () => void): void {
  flash.planCut({ operation: 1, moment, shape });
  expect(operate).toThrow(PowerCut);
}

describe.each<GeometryName>(["l5", "nor"])("flash in geometry %s", (name) => {
  it("is blank at first and reads what was programmed", () => {
    const { flash, base } = blank(name);
    expect(read(flash, base)).toEqual(BLANK);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_OK);
    expect(read(flash, base)).toEqual(DATA);
    expect(read(flash, base + 3, 2)).toEqual(Uint8Array.of(4, 5));
  });

  it("refuses a unit programmed twice without an erase, even with the same bytes", () => {
    const { flash, base } = blank(name);
    flash.program(base, DATA, noTime);
    expect(() => flash.program(base, DATA, noTime)).toThrow(FlashViolation);
    expect(() => flash.program(base, new Uint8Array(8), noTime)).toThrow(/already programmed/);
  });

  it("takes a unit again after the erase of its page, and erases no other page", () => {
    const { flash, base } = blank(name);
    const other = base + flash.geometry.eraseSize;
    flash.program(base, DATA, noTime);
    flash.program(other, DATA, noTime);
    expect(flash.erase(base, noTime)).toBe(FLASH_OK);
    expect(read(flash, base)).toEqual(BLANK);
    expect(read(flash, other)).toEqual(DATA);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_OK);
  });

  it("refuses misaligned, oversized, empty and outside operations", () => {
    const { flash, base } = blank(name);
    const { eraseSize, programMax, size } = flash.geometry;
    expect(() => flash.program(base + 4, DATA, noTime)).toThrow(/aligned/);
    expect(() => flash.program(base, DATA.subarray(0, 4), noTime)).toThrow(/aligned/);
    expect(() => flash.program(base, new Uint8Array(0), noTime)).toThrow(/aligned/);
    expect(() => flash.program(base, new Uint8Array(programMax + 8), noTime)).toThrow(/crosses/);
    expect(() => flash.erase(base + 8, noTime)).toThrow(/no page starts there/);
    expect(() => flash.erase(base + size, noTime)).toThrow(/outside/);
    expect(() => flash.program(base + size, DATA, noTime)).toThrow(/outside/);
    expect(() => flash.read(base + size - 4, new Uint8Array(8))).toThrow(/outside/);
    expect(() => flash.read(base - 1, new Uint8Array(1))).toThrow(/outside/);
    expect(flash.operations).toBe(0);
    expect(eraseSize % programMax).toBe(0);
  });

  it("refuses reads, programs and erases while an operation is under way", () => {
    const { flash, base } = blank(name);
    const refused: string[] = [];
    const attempt = (operate: () => void): void => {
      try {
        operate();
      } catch (error) {
        refused.push(error instanceof FlashViolation ? "refused" : "other");
      }
    };
    flash.erase(base, () => {
      attempt(() => flash.read(base + flash.geometry.eraseSize, new Uint8Array(8)));
      attempt(() => flash.program(base, DATA, noTime));
      attempt(() => flash.erase(base, noTime));
    });
    expect(refused).toEqual(["refused", "refused", "refused"]);
    expect(read(flash, base)).toEqual(BLANK);
  });

  it("answers violations like silicon when asked to, and keeps them", () => {
    const flash = new Flash(geometryOf(name), { onViolation: "error" });
    const { base } = flash.geometry;
    flash.program(base, DATA, noTime);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_FAILED);
    expect(flash.violations.map((violation) => violation.message)).toEqual([
      expect.stringContaining("already programmed"),
    ]);
  });

  it("takes the time that the datasheet says", () => {
    const { flash, base } = blank(name);
    const times: number[] = [];
    const note = (micros: number): void => void times.push(micros);
    flash.erase(base, note);
    flash.program(base, DATA, note);
    expect(times).toEqual(name === "l5" ? [22_000, 82] : [30_000, 48]);
  });

  it("cuts the n-th operation before it, after it, and no other", () => {
    const { flash, base } = blank(name);
    flash.planCut({ operation: 2, moment: "before" });
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_OK);
    expect(() => flash.program(base + 8, DATA, noTime)).toThrow(PowerCut);
    expect(read(flash, base + 8)).toEqual(BLANK);
    expect(flash.program(base + 8, DATA, noTime)).toBe(FLASH_OK);
    cutAt(flash, "after", "random", () => flash.program(base + 16, DATA, noTime));
    expect(read(flash, base + 16)).toEqual(DATA);
  });

  it.each(TEAR_SHAPES)("a torn program (%s) clears no bit that it should leave", (shape) => {
    for (let seed = 1; seed <= 20; seed++) {
      const { flash, base } = blank(name, seed);
      cutAt(flash, "torn", shape, () => flash.program(base, DATA, noTime));
      const left = flash.peek(base, 8);
      left.forEach((byte, i) => {
        expect(byte & (DATA[i] ?? 0)).toBe(DATA[i]);
      });
      expect(flash.peek(base + 8, 8)).toEqual(BLANK);
    }
  });

  it.each(TEAR_SHAPES)("a torn erase (%s) leaves a page that a whole erase makes good", (shape) => {
    const { flash, base } = blank(name);
    for (let offset = 0; offset < flash.geometry.eraseSize; offset += 8)
      flash.program(base + offset, DATA, noTime);
    cutAt(flash, "torn", shape, () => flash.erase(base, noTime));
    expect(flash.peek(base, flash.geometry.eraseSize).every((byte) => byte === 0xff)).toBe(false);
    flash.erase(base, noTime);
    expect(read(flash, base)).toEqual(BLANK);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_OK);
  });

  it("half an erase blanks the first half and keeps the second", () => {
    const { flash, base } = blank(name);
    const last = base + flash.geometry.eraseSize - 8;
    flash.program(base, DATA, noTime);
    flash.program(last, DATA, noTime);
    cutAt(flash, "torn", "half", () => flash.erase(base, noTime));
    expect(flash.peek(base, 8)).toEqual(BLANK);
    expect(flash.peek(last, 8)).toEqual(DATA);
  });

  it("half a program does the first half of its bytes", () => {
    const { flash, base } = blank(name);
    cutAt(flash, "torn", "half", () => flash.program(base, DATA, noTime));
    expect(flash.peek(base, 8)).toEqual(Uint8Array.of(1, 2, 3, 4, 255, 255, 255, 255));
  });

  it("unstable bits read differently from one read to the next, and equally for equal seeds", () => {
    const sequence = (seed: number): string => {
      const { flash, base } = blank(name, seed);
      cutAt(flash, "torn", "unstable", () => flash.program(base, new Uint8Array(8), noTime));
      return Array.from({ length: 10 }, () => Buffer.from(read(flash, base)).toString("hex")).join();
    };
    expect(new Set(sequence(7).split(",")).size).toBeGreaterThan(1);
    expect(sequence(7)).toBe(sequence(7));
    expect(sequence(7)).not.toBe(sequence(8));
  });

  it("a unit torn with an ECC error can't be read until its page is erased; its neighbours can", () => {
    const { flash, base } = blank(name);
    cutAt(flash, "torn", "ecc", () => flash.program(base, DATA, noTime));
    expect(flash.read(base, new Uint8Array(8))).toBe(FLASH_ECC);
    expect(flash.read(base + 8, new Uint8Array(8))).toBe(FLASH_OK);
    flash.erase(base, noTime);
    expect(read(flash, base)).toEqual(BLANK);
  });

  it("a torn unit that doesn't read blank answers an error when it is programmed again, no violation", () => {
    const { flash, base } = blank(name);
    cutAt(flash, "torn", "half", () => flash.program(base, DATA, noTime));
    expect(flash.program(base, new Uint8Array(8), noTime)).toBe(FLASH_FAILED);
  });

  it("whatever ends an operation early tears it", () => {
    const { flash, base } = blank(name);
    flash.program(base, new Uint8Array(8), noTime);
    const before = flash.fingerprint();
    const reset = new Error("reset");
    expect(() =>
      flash.erase(base, () => {
        throw reset;
      }),
    ).toThrow(reset);
    expect(flash.busy).toBe(false);
    expect(flash.fingerprint()).not.toBe(before);
  });

  it("injected ECC errors, flipped and unstable bits lie where they were put", () => {
    const { flash, base } = blank(name);
    flash.program(base, DATA, noTime);
    flash.flip(base + 1, 0x80);
    expect(read(flash, base)[1]).toBe(0x82);
    flash.injectEcc(base + 8);
    expect(flash.read(base, new Uint8Array(16))).toBe(FLASH_ECC);
    expect(flash.read(base, new Uint8Array(8))).toBe(FLASH_OK);
    flash.destabilize(base + 17, 0x01);
    const seen = new Set(Array.from({ length: 64 }, () => read(flash, base + 16)[1]));
    expect([...seen].sort()).toEqual([0xfe, 0xff]);
  });

  it("refuses so many operations as it is told to, and changes nothing by them", () => {
    const { flash, base } = blank(name);
    flash.failNext(2);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_FAILED);
    expect(flash.erase(base, noTime)).toBe(FLASH_FAILED);
    expect(flash.program(base, DATA, noTime)).toBe(FLASH_OK);
  });

  it("a fork goes its own way, and so does the flash that it came from", () => {
    const { flash, base } = blank(name);
    flash.program(base, DATA, noTime);
    const fork = flash.fork();
    flash.erase(base, noTime);
    fork.program(base + 8, DATA, noTime);
    expect(read(flash, base)).toEqual(BLANK);
    expect(read(flash, base + 8)).toEqual(BLANK);
    expect(read(fork, base)).toEqual(DATA);
    expect(fork.operations).toBe(2);
  });

  it("an operation's hook sees the state before it, from which a fork can be torn or completed", () => {
    const { flash, base } = blank(name);
    const left: Uint8Array[] = [];
    flash.onOperation = (operation, before) => {
      for (const leave of [
        (fork: Flash) => {
          fork.tear(operation, "half");
        },
        (fork: Flash) => {
          fork.complete(operation);
        },
      ]) {
        const fork = before.fork();
        leave(fork);
        left.push(fork.peek(base, 8));
      }
    };
    flash.program(base, DATA, noTime);
    expect(left).toEqual([Uint8Array.of(1, 2, 3, 4, 255, 255, 255, 255), DATA]);
  });

  it("fingerprints tell equal states from different ones", () => {
    const { flash, base } = blank(name);
    const empty = flash.fingerprint();
    flash.program(base, DATA, noTime);
    const programmed = flash.fingerprint();
    expect(programmed).not.toBe(empty);
    expect(flash.fork().fingerprint()).toBe(programmed);
    flash.erase(base, noTime);
    expect(flash.fingerprint()).toBe(empty);
  });

  it("counts erases by page and logs operations in order", () => {
    const { flash, base } = blank(name);
    flash.erase(base, noTime);
    flash.erase(base, noTime);
    flash.program(base, DATA, noTime);
    expect([...flash.wear.subarray(0, 2)]).toEqual([2, 0]);
    expect(flash.log.map(({ number, kind }) => `${number} ${kind}`)).toEqual([
      "1 erase",
      "2 erase",
      "3 program",
    ]);
  });

  it("a fork counts its erases for itself, and so does the flash that it came from", () => {
    const { flash, base } = blank(name);
    flash.erase(base, noTime);
    const fork = flash.fork();
    fork.erase(base, noTime);
    expect([flash.wear[0], fork.wear[0]]).toEqual([1, 2]);
    flash.erase(base, noTime);
    flash.erase(base, noTime);
    expect([flash.wear[0], fork.wear[0]]).toEqual([3, 2]);
  });

  it("survives a file with contents, unit states, unstable bits and wear", () => {
    const { flash, base } = blank(name, 3);
    flash.erase(base, noTime);
    flash.program(base, DATA, noTime);
    cutAt(flash, "torn", "unstable", () => flash.program(base + 16, DATA, noTime));
    const boardId = Uint8Array.from({ length: 12 }, (_, i) => i);
    const again = decodeFlashFile(encodeFlashFile({ flash, boardId }));
    expect(again.boardId).toEqual(boardId);
    expect(again.flash.fingerprint()).toBe(flash.fingerprint());
    expect(again.flash.wear).toEqual(flash.wear);
    expect(() => again.flash.program(base, DATA, noTime)).toThrow(FlashViolation);
  });
});

describe("what the two geometries differ in", () => {
  it("l5: a double word programmed with ones counts as programmed", () => {
    const { flash, base } = blank("l5");
    flash.program(base, BLANK, noTime);
    expect(() => flash.program(base, DATA, noTime)).toThrow(/already programmed/);
  });

  it("l5: one operation programs one double word", () => {
    const { flash, base } = blank("l5");
    expect(() => flash.program(base, new Uint8Array(16), noTime)).toThrow(/crosses/);
  });

  it("nor: bytes left blank inside a programmed page can be programmed later", () => {
    const { flash, base } = blank("nor");
    const first = Uint8Array.of(1, 2, 3, 4, 255, 255, 255, 255);
    const second = Uint8Array.of(255, 255, 255, 255, 5, 6, 7, 8);
    flash.program(base, first, noTime);
    flash.program(base, second, noTime);
    expect(read(flash, base)).toEqual(DATA);
  });

  it("nor: a program never crosses a 256-byte page", () => {
    const { flash, base } = blank("nor");
    expect(flash.program(base, new Uint8Array(256), noTime)).toBe(FLASH_OK);
    expect(() => flash.program(base + 504, new Uint8Array(16), noTime)).toThrow(/crosses/);
  });
});

describe("flash files", () => {
  it("another product's file, an empty one and a cut one are refused", () => {
    const { flash } = blank("l5");
    const whole = encodeFlashFile({ flash, boardId: new Uint8Array(12) });
    expect(() => decodeFlashFile(new Uint8Array(0))).toThrow(FlashFileError);
    expect(() => decodeFlashFile(new Uint8Array(1 << 20))).toThrow(FlashFileError);
    expect(() => decodeFlashFile(whole.subarray(100))).toThrow(FlashFileError);
    const damaged = whole.slice();
    damaged[damaged.length - 20] = (damaged[damaged.length - 20] ?? 0) ^ 0xff;
    expect(() => decodeFlashFile(damaged)).toThrow(FlashFileError);
  });
});
