/** What users install: the packed tools in an empty folder, with nothing of a C toolchain in sight. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startGateway } from "./support/ways.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGES = [
  "firmware/boards/sim",
  "firmware/sdk",
  "tests/renode-test-harness",
  "host",
  "tools/edgeplug-push",
  "tools/testing",
];
const INSTALL_MS = 180_000;

const AGENT_JSON = {
  name: "doubler",
  version: "1.0.0",
  release: 1,
  kind: "control",
  inputs: [{ name: "level", unit: "%", min: -500, max: 500 }],
  outputs: [{ name: "valve", unit: "%", min: -1000, max: 1000, failSafe: 0 }],
  limits: { memory: 1024, stackSlots: 32, callDepth: 4 },
  trial: { healthyScans: 100 },
  vectors: [{ inputs: [21], outputs: [42] }],
};
const SOURCE = `import { input, output } from "@edgeplug/sdk";
export function scan(): void { output(0, 2 * input(0)); }
`;

describe("the packed tools in an empty folder", () => {
  let folder = "";
  /** Runs an installed command with a PATH on which there is node and nothing else. */
  const tool = async (name: string, ...args: string[]): Promise<string> => {
    const { stdout } = await run(join(folder, "node_modules/.bin", name), args, {
      cwd: folder,
      env: { PATH: join(folder, "path"), HOME: folder, XDG_CONFIG_HOME: folder },
    });
    return stdout;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edgeplug-install-"));
    await mkdir(join(folder, "path"));
    await symlink(process.execPath, join(folder, "path/node"));
    await symlink("/usr/bin/env", join(folder, "path/env"));
    const tarballs = join(folder, "tarballs");
    await mkdir(tarballs);
    for (const name of PACKAGES)
      await run("npm", ["pack", "--pack-destination", tarballs], { cwd: join(ROOT, name) });
    const files = (await readdir(tarballs)).map((name) => join(tarballs, name));
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "user", private: true }));
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...files], { cwd: folder });
  }, INSTALL_MS);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("hold the simulated board, and no source of the firmware", () => {
    expect(existsSync(join(folder, "node_modules/@edgeplug/sim/dist/sim.wasm"))).toBe(true);
    expect(existsSync(join(folder, "node_modules/@edgeplug/sim/board.c"))).toBe(false);
  });

  it(
    "build, sign, verify and push an agent",
    async () => {
      await mkdir(join(folder, "agent/assembly"), { recursive: true });
      await writeFile(join(folder, "agent/agent.json"), JSON.stringify(AGENT_JSON));
      await writeFile(join(folder, "agent/assembly/index.ts"), SOURCE);
      expect(await tool("edgeplug", "build", "agent")).toContain("V8 and the board's engine agree");
      await tool("edgeplug", "keygen", "--out", "publisher");
      await tool("edgeplug", "pack", "agent", "--key", "publisher", "--out", "agent.epk");
      expect(await tool("edgeplug", "verify", "agent.epk", "--key", "publisher.pub")).toContain(
        "signature holds",
      );
      expect(await tool("edgeplug-push", "--device", "sim:board.flash", "agent.epk")).toContain("stays");
      expect(await tool("edgeplug-push", "--device", "sim:board.flash", "--status")).toContain(
        "doubler 1.0.0",
      );
    },
    INSTALL_MS,
  );

  it("begin an agent, which finds the tools where they are, and has to fetch only what tests it", async () => {
    const made = JSON.parse(await tool("edgeplug", "new", "fresh", "--json")) as Record<string, unknown>;
    expect(made).toMatchObject({ name: "fresh", ready: false });
    expect(made["next"]).toContain("npm install");
    expect(made["files"]).toContain(".gitignore");
    const { devDependencies } = JSON.parse(await readFile(join(folder, "fresh/package.json"), "utf8")) as {
      devDependencies: object;
    };
    expect(Object.keys(devDependencies)).toEqual(["vitest", "typescript", "@types/node"]);
    expect(await tool("edgeplug", "build", "fresh")).toContain("V8 and the board's engine agree");
  });

  it("serve a board over a gateway, and push through it", async () => {
    const edgeplug = join(folder, "node_modules/edgeplug/dist/cli/main.js");
    const gateway = await startGateway(folder, ["sim:"], { edgeplug });
    try {
      expect(await tool("edgeplug", "devices", "--device", gateway.address)).toContain("sim");
      expect(await tool("edgeplug-push", "--device", gateway.address, "agent.epk")).toContain("stays");
    } finally {
      await gateway.close();
    }
  });
});
