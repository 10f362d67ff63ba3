/** Each check of `edgeplug verify` on both sides of its bound, without a process or an engine around it. */
import { MEMORY_MAPS } from "@edgeplug/sim";
import { controlAgent, makePackage, type PackageOptions } from "@edgeplug/test-support/agents";
import { describe, expect, it } from "vitest";

import type { AgentPackage } from "../src/package.js";
import { stagingChecks, type Situation, type StagingCheck } from "../src/verify/checks.js";

/** What 70 % of a tick is worth on the board class of the cases. */
const FUEL_OF_A_SCAN = Math.floor((0.7 * 1e6) / MEMORY_MAPS.qemu.nanosPerFuel);
const FITS = controlAgent({ value: 1 });

function checked(pkg: AgentPackage, more: Partial<Situation> = {}): (name: string) => StagingCheck {
  const correctness = { engines: [], cached: false };
  const checks = stagingChecks({ pkg, signature: "verified", correctness, ...more });
  return (name) => {
    const [one, another] = checks.filter((check) => check.name === name);
    if (one === undefined || another !== undefined) throw new Error(`not one check called ${name}`);
    return one;
  };
}

const pkg = (options: PackageOptions = {}): AgentPackage => makePackage(FITS, options);
const verdict = ({ verdict: said, error }: StagingCheck): string =>
  error === undefined ? said : `${said} ${error.code}`;

describe("a staging check", () => {
  it.each<[name: string, check: string, package_: PackageOptions, expected: string]>([
    ["the ABI of this version", "ABI", {}, "ok"],
    ["another ABI", "ABI", { abi: 2 }, "failed ABI"],
    ["the most memory", "memory", { limits: { memory: 16_384 } }, "ok"],
    ["more memory than there is", "memory", { limits: { memory: 16_392 } }, "failed MEMORY"],
    ["the deepest stack", "memory", { limits: { stackSlots: 1024, callDepth: 64 } }, "ok"],
    ["more stack than there is", "memory", { limits: { stackSlots: 1025 } }, "failed MEMORY"],
    ["more calls than there may be", "memory", { limits: { callDepth: 65 } }, "failed MEMORY"],
    ["a buffer too long", "memory", { limits: { ioBuffer: 513 } }, "failed MEMORY"],
    ["70 % of a scan", "scan time", { boardClass: 2, limits: { fuel: FUEL_OF_A_SCAN } }, "ok"],
    ["a little more", "scan time", { boardClass: 2, limits: { fuel: FUEL_OF_A_SCAN + 1 } }, "failed FUEL"],
    [
      "a start that takes more than any call may",
      "scan time",
      { limits: { initFuel: 20_000_001 } },
      "failed FUEL",
    ],
  ])("on %s", (_, check, options, expected) => {
    expect(verdict(checked(pkg(options))(check))).toBe(expected);
  });

  it("of the board class asks the board, if there is one", () => {
    const forQemu = pkg({ boardClass: 2 });
    const hello = (boardClass: number): Partial<Situation> => ({
      hello: { boardClass, maxMemory: 16_384, nanosPerFuel: 96, tickUs: 1000 } as Situation["hello"],
    });
    expect(verdict(checked(forQemu)("board class"))).toBe("ok");
    expect(verdict(checked(forQemu, hello(2))("board class"))).toBe("ok");
    expect(verdict(checked(forQemu, hello(3))("board class"))).toBe("failed BOARD_CLASS");
    expect(verdict(checked(pkg(), hello(3))("board class"))).toBe("ok");
  });

  it("of the fuel's growth warns above one and a half times the present agent's, and only among agents of a kind", () => {
    const present = pkg({ limits: { fuel: 1000 } });
    const growth = (fuel: number): string =>
      verdict(checked(pkg({ limits: { fuel } }), { present })("growth"));
    expect([growth(900), growth(1500), growth(1501)]).toEqual(["ok", "ok", "warning"]);
    const request = makePackage(FITS, { kind: "request", limits: { fuel: 9000 } });
    expect(() => checked(request, { present })("growth")).toThrow("not one check");
  });

  it("of the worst scan warns where the margin is below a tenth", () => {
    const worst = (worstFuel: number): string => {
      const figures = { worstFuel, runs: 10_000 } as Situation["correctness"]["figures"];
      const correctness = { engines: [], figures, cached: false };
      return verdict(checked(pkg({ limits: { fuel: 1000 } }), { correctness })("worst scan"));
    };
    expect([worst(899), worst(901), worst(1000)]).toEqual(["ok", "warning", "warning"]);
    expect(verdict(checked(pkg())("worst scan"))).toBe("open");
  });

  it("of imports lets in what boards offer and nothing else", () => {
    expect(verdict(checked(pkg())("imports"))).toBe("ok");
    const foreign = makePackage('(module (import "wasi" "clock" (func)) (memory 1) (func (export "scan")))');
    expect(verdict(checked(foreign)("imports"))).toMatch(/^failed (AGENT_CHECK|MODULE_IMPORT)$/);
  });

  it("of the signature tells one that holds from one of an unknown key and from none", () => {
    const by = (signature: Situation["signature"]): string =>
      verdict(checked(pkg(), { signature })("signature"));
    expect([by("verified"), by("unverified"), by("unsigned")]).toEqual(["ok", "open", "warning"]);
  });

  it("of versions compares releases by name, and security versions whatever the name", () => {
    const present = pkg({ release: 5, securityVersion: 2 });
    const against = (options: PackageOptions): string[] => {
      const of = checked(pkg(options), { present });
      return [verdict(of("release")), verdict(of("security version"))];
    };
    expect(against({ release: 5, securityVersion: 2 })).toEqual(["ok", "ok"]);
    expect(against({ release: 4, securityVersion: 2 })).toEqual(["failed RELEASE", "ok"]);
    expect(against({ name: "other", release: 4, securityVersion: 2 })).toEqual(["ok", "ok"]);
    expect(against({ name: "other", release: 9, securityVersion: 1 })).toEqual([
      "ok",
      "failed SECURITY_VERSION",
    ]);
  });
});
