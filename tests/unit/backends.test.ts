// Which boards a run of the suites has.
import { EVERY_BACKEND, parseBackends, whySkipped } from "@edgeplug/test-support/backends";
import { RENODE_MISSING } from "renode-test-harness";
import { afterEach, describe, expect, it, vi } from "vitest";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("EDGEPLUG_BOARDS", () => {
  it("names the boards of a run; without it a run has all", () => {
    expect(parseBackends(undefined)).toEqual(EVERY_BACKEND);
    expect(parseBackends(" ")).toEqual(EVERY_BACKEND);
    expect(parseBackends("renode, sim")).toEqual(["sim", "renode"]);
    expect(parseBackends("qemu")).toEqual(["qemu"]);
  });

  it.each(["qemu,mars", ",", "Sim"])("that names a board which there isn't is an error: %s", (names) => {
    expect(() => parseBackends(names)).toThrow(/EDGEPLUG_BOARDS/);
  });
});

describe("a board that can't be had", () => {
  it("is Renode's alone, and the reason is the harness's one line", () => {
    vi.stubEnv("RENODE", "/nowhere");
    expect(whySkipped("sim")).toBeUndefined();
    expect(whySkipped("qemu", { long: true })).toBeUndefined();
    expect(whySkipped("renode")).toBe(RENODE_MISSING);
  });

  it("is one whose long suites nobody asked for", () => {
    vi.stubEnv("RENODE", "/nowhere");
    vi.stubEnv("EDGEPLUG_BOARDS", undefined);
    expect(whySkipped("renode", { long: true })).toBe("skipped: npm run renode has them");
    vi.stubEnv("EDGEPLUG_BOARDS", "renode");
    expect(whySkipped("renode", { long: true })).toBe(RENODE_MISSING);
  });
});
