import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { beforeAll, describe, expect, it, vi } from "vitest";

import { agentFolder, ECHO, folderWith } from "./support/files.js";
import { edgeplug } from "./support/run-cli.js";

// commands are processes of their own, and wait for cores that others use
vi.setConfig({ testTimeout: 120_000 });

const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

/** The error's two lines, its exit code, and nothing on stdout. */
function expectError(args: string[], id: string, exit: number, cwd: string): string {
  const run = edgeplug(args, { cwd });
  const lines = run.stderr.trimEnd().split("\n");
  expect(run.stdout, args.join(" ")).toBe("");
  expect(lines.at(-2), args.join(" ")).toMatch(new RegExp(`^error ${id}: \\S.*$`));
  expect(lines.at(-1)).toMatch(/^ {2}try: \S.*$/);
  expect(run.code).toBe(exit);
  return run.stderr;
}

describe("edgeplug", () => {
  let folder = "";

  beforeAll(() => {
    folder = agentFolder(ECHO, { vectors: [{ inputs: [1], outputs: [1] }] });
    for (const args of [["keygen"], ["keygen", "--role", "operator"], ["keygen", "--out", "other.key"]])
      expect(edgeplug(args, { cwd: folder }).code).toBe(0);
    expect(edgeplug(["pack", "--key", "publisher.key", "--split"], { cwd: folder }).code).toBe(0);
  }, 120_000);

  it("tells its commands, and starts within a blink without loading them", () => {
    const help = edgeplug(["--help"]);
    expect(help.code).toBe(0);
    for (const name of ["keygen", "build", "pack", "verify", "inspect"])
      expect(help.stdout).toContain(`  ${name}`);
    expect(edgeplug(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const name of ["keygen", "build", "pack", "verify", "inspect"])
      expect(edgeplug([name, "--help"]).stdout).toContain(`Usage: edgeplug ${name}`);
  });

  it.each([
    [[], "No command"],
    [["frobnicate"], "frobnicate"],
    [["build", "--frobnicate"], "--frobnicate"],
    [["verify"], "file"],
    [["keygen", "--role", "king"], "publisher, operator"],
    [["verify", "a", "b"], "Too many arguments"],
  ])("refuses %j as wrong usage", (args, words) => {
    expect(expectError(args, "EP1001", 2, folder)).toContain(words);
  });

  it("goes from keys to a verified package, and each step says what it did", () => {
    expect(statSync(join(folder, "publisher.key")).mode & 0o777).toBe(0o600);
    const verify = edgeplug(["verify", "build/agent.epk", "--key", "publisher.key.pub"], { cwd: folder });
    expect(verify).toMatchObject({ code: 0, stderr: "" });
    expect(verify.stdout).toMatch(
      /^sample 1, release 1: \d+ bytes, digests hold\nkey [0-9a-f]{16}: signature holds\n\ncompatibility  ABI /,
    );
    const inspect = edgeplug(["inspect", "build/agent.epk"], { cwd: folder });
    expect(inspect.stdout).toContain("output    0 out: -100 to 100");
    expect(inspect.stdout).toContain(
      "trial     1,000 healthy scans within 60,000 scans; 3 attempts, 100 guard hits",
    );
  });

  it("speaks JSON, one object a line", () => {
    const verify = edgeplug(["verify", "build/agent.epk", "--json"], { cwd: folder });
    expect(json(verify.stdout)).toMatchObject({ name: "sample", signature: "unverified" });
    const inspect = json(edgeplug(["inspect", "build/agent.epk", "--json"], { cwd: folder }).stdout);
    expect(inspect).toMatchObject({ name: "sample", board: "any", details: { vectors: 1 } });
    const build = json(edgeplug(["build", "--skip-unchanged", "--json"], { cwd: folder }).stdout);
    expect(build).toMatchObject({ unchanged: true, vectors: 1, runs: 200 });
    const failed = edgeplug(["verify", "none", "--json"], { cwd: folder });
    expect(json(failed.stdout)).toMatchObject({ error: "EP1002", name: "FILE_NOT_FOUND", exit: 10 });
    expect(failed.code).toBe(10);
  });

  it("writes loose files that openssl verifies and that verify as a pair", () => {
    const build = join(folder, "build");
    const openssl = execFileSync(
      "openssl",
      // prettier-ignore
      ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "../publisher.key.pub", "-sigfile", "manifest.sig", "-in", "manifest.raw"],
      { cwd: build },
    );
    expect(openssl.toString()).toContain("Verified Successfully");
    execFileSync("wasm-validate", ["agent.bin"], { cwd: build });
    const args = ["verify", "manifest.pb", "--agent", "agent.bin", "--key", "../publisher.key.pub"];
    expect(edgeplug(args, { cwd: build }).code).toBe(0);
    const split = folderWith({
      "manifest.pb": readFileSync(join(build, "manifest.pb")),
      "agent.bin": "short",
    });
    expectError(["verify", "manifest.pb", "--agent", "agent.bin"], "EP2003", 20, split);
  });

  it("packs an agent.wasm, a build folder or an agent's folder to the same bytes", () => {
    const packs = ["build/agent.wasm", "build", "."].map((path, at) => {
      expect(
        edgeplug(["pack", path, "--key", "publisher.key", "--out", `p${at}.epk`], { cwd: folder }).code,
      ).toBe(0);
      return readFileSync(join(folder, `p${at}.epk`));
    });
    expect(packs[1]).toEqual(packs[0]);
    expect(packs[2]).toEqual(packs[0]);
    expect(readFileSync(join(folder, "build/agent.epk"))).toEqual(packs[0]);
  });

  it("keeps a key closed by a passphrase closed", () => {
    const env = { EDGEPLUG_PASSPHRASE: "correct horse" };
    expect(edgeplug(["keygen", "--passphrase", "--out", "closed.key"], { cwd: folder, env }).code).toBe(0);
    const pack = ["pack", "build", "--key", "closed.key", "--out", "closed.epk"];
    expectError(pack, "EP1006", 11, folder);
    expect(edgeplug(pack, { cwd: folder, env: { EDGEPLUG_PASSPHRASE: "wrong" } }).code).toBe(11);
    expect(edgeplug(pack, { cwd: folder, env }).code).toBe(0);
  });

  it("refuses keys that are wrong for the job", () => {
    expectError(["keygen"], "EP1004", 10, folder);
    expect(expectError(["pack", "build", "--key", "operator.key"], "EP3018", 34, folder)).toContain(
      "an operator key",
    );
    expectError(["pack", "build", "--key", "publisher.key.pub"], "EP1005", 11, folder);
    expectError(["pack", "build", "--key", "none.key"], "EP1002", 10, folder);
    expectError(["verify", "build/agent.epk", "--key", "other.key.pub"], "EP2008", 22, folder);
    expectError(["verify", "build/agent.epk", "--key", "agent.json"], "EP1005", 11, folder);
    copyFileSync(join(folder, "publisher.key"), join(folder, "open.key"));
    chmodSync(join(folder, "open.key"), 0o644);
    expect(expectError(["pack", "build", "--key", "open.key"], "EP1005", 11, folder)).toContain("chmod 600");
  });

  it("tells a bad package by its code: empty, cut, flipped, foreign, too large, a folder, missing, unsigned", () => {
    const epk = readFileSync(join(folder, "build/agent.epk"));
    const bad = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes);
      return name;
    };
    const flipped = (at: number): Uint8Array => epk.map((byte, index) => (index === at ? byte ^ 1 : byte));
    for (const verb of ["verify", "inspect"]) {
      expectError([verb, bad("empty.epk", Buffer.alloc(0))], "EP2002", 20, folder);
      expectError([verb, bad("cut.epk", epk.subarray(0, 200))], "EP2003", 20, folder);
      expectError([verb, bad("flip.epk", flipped(epk.length - 1))], "EP2005", 21, folder);
      expectError([verb, bad("magic.epk", flipped(2))], "EP2001", 20, folder);
      expectError([verb, bad("large.epk", Buffer.concat([epk, Buffer.alloc(20_000)]))], "EP2004", 20, folder);
      expect(expectError([verb, "publisher.key.pub"], "EP2001", 20, folder)).toContain("not");
      expectError([verb, "none.epk"], "EP1002", 10, folder);
    }
    expect(expectError(["verify", "build/agent.wasm"], "EP2001", 20, folder)).toContain("not packed yet");
    expect(expectError(["verify", "build"], "EP1003", 10, folder)).toContain("directory");
    const unsigned = edgeplug(["pack", "build", "--out", "unsigned.epk"], { cwd: folder });
    expect(unsigned.stdout).toContain("unsigned");
    expectError(["verify", "unsigned.epk", "--key", "publisher.key.pub"], "EP2009", 22, folder);
    const signature = epk.indexOf(readFileSync(join(folder, "build/manifest.sig")));
    const forged = bad("forged.epk", flipped(signature + 3));
    expectError(["verify", forged, "--key", "publisher.key.pub"], "EP2007", 22, folder);
  });

  it("shows the compiler's words above a failed build's error", () => {
    const broken = agentFolder("export function scan(): void { outptu(0); }\n");
    const stderr = expectError(["build"], "EP1008", 12, broken);
    expect(stderr).toContain("in assembly/index.ts(1,32)");
    expect(existsSync(join(broken, "build"))).toBe(false);
    expectError(["build", folderWith()], "EP1002", 10, folder);
    expectError(["build", agentFolder(ECHO, { name: 7 })], "EP1007", 12, folder);
  });
});
