import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it, onTestFinished } from "vitest";

import { readJunit } from "../../report/test/junit-schema.js";
import { Cases } from "../src/junit-cases.js";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));

it("npm run qemu -- --reporter junit tells CI of each part that it ran", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-arm-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { status, stderr } = spawnSync(
    process.execPath,
    [MAIN, ..."--kills 1 --seed 5 --reporter junit".split(" ")],
    { encoding: "utf8", env: { ...process.env, INIT_CWD: folder, EDGEPLUG_RESULTS: "." } },
  );
  expect(status, stderr).toBe(0);
  const { cases, failures, suite } = readJunit(readFileSync(join(folder, "power-qemu.xml"), "utf8"));
  expect(failures).toEqual({});
  expect(cases.map(({ attributes }) => attributes["name"])).toEqual(["careless kills during pushes"]);
  expect(Number(cases[0]?.attributes["time"])).toBeGreaterThan(0);
  expect(suite.attributes["name"]).toBe("power on qemu");
});

it("each part has its time, and the options that run just it", () => {
  const cases = new Cases("npm run qemu -- --board qemu --seed 5");
  cases.add("lost core: masked, in a trial", ["nothing came back"], "--watchdog");
  expect(cases.all).toEqual([
    {
      name: "lost core: masked, in a trial",
      seconds: expect.any(Number) as number,
      failures: ["nothing came back"],
      again: "npm run qemu -- --board qemu --seed 5 --watchdog",
    },
  ]);
});
