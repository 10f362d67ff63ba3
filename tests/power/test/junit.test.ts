import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { junitXml } from "@edgeplug/report/junit";
import { expect, it, onTestFinished } from "vitest";

import { readJunit } from "../../report/test/junit-schema.js";
import type { SweepReport } from "../src/index.js";
import { junitRun } from "../src/result.js";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));

it("the sweep tells CI of each scenario and geometry, and of a violation the point that shows it", () => {
  const scenario = { points: 9, endStates: 2, operations: [] };
  const report: SweepReport = {
    ...{ points: 27, singles: 27, pairs: 0, endStates: 6, seconds: 12, lawChecks: {} },
    violations: [
      { law: "2", id: "update-b/l5@3t1", message: "nobody runs" },
      { law: "3", id: "update-b/l5@4a", message: "the push fails" },
    ],
    scenarios: [
      { ...scenario, name: "update", geometry: "l5" },
      { ...scenario, name: "update-b", geometry: "l5" },
      { ...scenario, name: "update-b", geometry: "nor" },
    ],
  };
  const { cases, failures } = readJunit(junitXml(junitRun(report, "2030-01-02T03:04:05Z", ["--all"])));
  expect(cases.map(({ attributes }) => attributes["name"])).toEqual([
    "update on l5",
    "update-b on l5",
    "update-b on nor",
  ]);
  expect(failures).toEqual({
    "update-b on l5": {
      message:
        "update-b/l5@3t1: law 2: nobody runs (and 1 more); again: npm run power -- --point update-b/l5@3t1",
      text: "update-b/l5@3t1: law 2: nobody runs\nupdate-b/l5@4a: law 3: the push fails\nagain: npm run power -- --point update-b/l5@3t1",
    },
  });
});

it("npm run power -- --reporter junit writes it", { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-power-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const args = "--scenario clear --geometry l5 --pairs 0 --reporter junit --output power.xml".split(" ");
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    env: { ...process.env, INIT_CWD: folder },
  });
  expect(status, stderr).toBe(0);
  const { cases, properties } = readJunit(readFileSync(join(folder, "power.xml"), "utf8"));
  expect(cases.map(({ attributes }) => attributes["name"])).toEqual(["clear on l5"]);
  expect(properties["command"]).toMatch(/^npm run power -- --scenario clear --geometry l5 /);
});
