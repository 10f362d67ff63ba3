/** `edgeplug board keys` and `edgeplug board lock`, as their users run them, on a simulated board kept in a file. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EDGEPLUG = join(ROOT, "host/dist/cli/main.js");
const PUSH = join(ROOT, "tools/edgeplug-push/dist/main.js");

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

describe("keys and lock by command", () => {
  let folder = "";
  const device = (): string => `sim:${join(folder, "board.flash")}`;

  const command = async (script: string, ...args: string[]): Promise<Outcome> => {
    try {
      return { code: 0, ...(await run(process.execPath, [script, ...args], { cwd: folder })) };
    } catch (error) {
      return error as Outcome;
    }
  };
  const edgeplug = (...args: string[]): Promise<Outcome> => command(EDGEPLUG, ...args);
  const board = (...args: string[]): Promise<Outcome> => edgeplug("board", ...args, "--device", device());

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edgeplug-board-"));
    for (const [name, role] of [
      ["publisher", "publisher"],
      ["operator", "operator"],
      ["other", "publisher"],
    ] as const) {
      expect((await edgeplug("keygen", "--out", name, "--role", role)).code).toBe(0);
    }
    const built = join(ROOT, "build/agents/bad-trap");
    for (const name of ["publisher", "other"]) {
      expect((await edgeplug("pack", built, "--key", name, "--out", `${name}.epk`)).code).toBe(0);
    }
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("a board without keys is not locked, and says what is missing", async () => {
    const refused = await board("lock");
    expect(refused.code).toBe(34);
    expect(refused.stderr).toContain("EP3009");
    expect(refused.stderr).toContain("try:");
  });

  it("added keys are listed with their roles, and then the board locks", async () => {
    expect((await board("keys", "add", "publisher.pub")).code).toBe(0);
    expect((await board("keys", "add", "operator.pub")).code).toBe(0);
    const { stdout } = await board("keys", "list");
    expect(stdout.match(/^publisher\s+[0-9a-f]{16}  the only \S+ key$/gm)).toHaveLength(1);
    expect(stdout.match(/^operator\s+[0-9a-f]{16}  the only \S+ key$/gm)).toHaveLength(1);
    expect((await board("lock")).code).toBe(0);
    expect((await command(PUSH, "--device", device(), "--info")).stdout).toContain("locked");
  });

  it("a locked board takes no further key, and no package of an unknown publisher", async () => {
    expect((await board("keys", "add", "other.pub")).stderr).toContain("EP3007");
    const push = await command(PUSH, "--device", device(), "other.epk");
    expect([push.code, push.stderr.includes("EP2008")]).toEqual([22, true]);
    expect((await board("keys", "list")).stdout.match(/^publisher/gm)).toHaveLength(1);
  });

  it("a locked board runs the package of its publisher, and judges it in its trial as ever", async () => {
    const push = await command(PUSH, "--device", device(), "publisher.epk");
    expect(push.stdout).toContain("activated");
    // it traps in its trial, and there is nothing to go back to
    expect([push.code, push.stderr.includes("EP6002")]).toEqual([61, true]);
  });
});

describe("a board under Renode where there is none", () => {
  const withoutRenode = { ...process.env, RENODE: "/nowhere" };
  const command = (script: string, ...args: string[]): Promise<Outcome> =>
    run(process.execPath, [script, ...args], { env: withoutRenode }).then(
      (told) => ({ code: 0, ...told }),
      (error: unknown) => error as Outcome,
    );

  it.each([
    ["edgeplug board run", EDGEPLUG, "board", "run", "--ephemeral"],
    ["npm start", join(ROOT, "demo/dist/main.js")],
    ["npm run stress", join(ROOT, "tests/stress/dist/main.js"), "--swaps", "26"],
    ["npm run chaos", join(ROOT, "tests/chaos/dist/main.js"), "--packages", "1"],
    ["npm run qemu", join(ROOT, "tests/arm/dist/main.js"), "--kills", "1"],
  ])("%s says so by its own code and exit code, and what to do", async (_, script, ...args) => {
    const { code, stderr } = await command(script, ...args, "--board", "renode");
    expect(stderr).toContain("EP7010");
    expect(stderr).toMatch(/\n {2}try: .*RENODE/);
    expect(code).toBe(14);
  });
});
