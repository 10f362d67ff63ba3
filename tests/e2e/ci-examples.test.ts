/** The examples of docs/ci.md run as they stand there: each step of each job, in order, on the example agent's repository. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { PUBLISHER } from "@edgeplug/test-support/agents";
import { encodeKeyPair } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { readJunit } from "../report/test/junit-schema.js";
import {
  copyOf,
  makeRepository,
  runGithub,
  runGitlab,
  toldBy,
  type JobEnd,
  type Surroundings,
} from "./support/ci-job.js";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EXAMPLES = join(ROOT, "docs/examples");
const KEYS = encodeKeyPair(PUBLISHER, "publisher");
const [GITHUB, GITLAB] = ["github.yml", "gitlab.yml"].map((name) =>
  readFileSync(join(EXAMPLES, "ci", name), "utf8"),
);
const SMALL = { SWAPS: "14", PACKAGES: "2", FULL: "0" };
/** Whoever runs tests here has it set up and built; a clone of it would only build the same again. */
const NOT_CLONED = new Set([".git"]);

let folder: string;
let repositories: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-ci-"));
  const agent = copyOf(join(EXAMPLES, "agent"), join(folder, "agent"), { "publisher.pub": KEYS.publicPem });
  const edgeplug = join(folder, "edgeplug");
  mkdirSync(edgeplug);
  for (const name of readdirSync(ROOT))
    if (!NOT_CLONED.has(name)) symlinkSync(join(ROOT, name), join(edgeplug, name));
  const [ofAgent, ofEdgeplug] = [await makeRepository(agent), await makeRepository(edgeplug, "v0.1.0")];
  repositories = { "": ofAgent, "OWNER/REPO": ofEdgeplug, "https://GIT-HOST/OWNER/REPO.git": ofEdgeplug };
});
afterAll(() => rmSync(folder, { recursive: true }));

function surroundings(
  name: string,
  variables: Record<string, string>,
  secrets: Record<string, string> = { EDGEPLUG_PUBLISHER_KEY: KEYS.privatePem },
): Surroundings {
  const own = join(folder, name);
  mkdirSync(own);
  return { folder: own, repositories, secrets, variables: { ...SMALL, ...variables } };
}

/** The job has done all that it says, and CI can show it. */
function expectAllOf(end: JobEnd, board: string): void {
  expect(end.passed, toldBy(end)).toBe(true);
  expect(
    end.steps.filter(({ code }) => code !== 0),
    toldBy(end),
  ).toEqual([]);
  for (const path of end.kept) expect(existsSync(join(end.folder, path)), path).toBe(true);
  console.log(end.steps.map(({ step, seconds }) => `${step}: ${seconds.toFixed(1)} s`).join(", "));
  const report = (name: string): string => readFileSync(join(end.folder, "reports", name), "utf8");
  for (const suite of ["stress", "chaos"]) {
    const { cases, failures, properties } = readJunit(report(`${suite}-${board}.xml`));
    expect(failures).toEqual({});
    expect(cases[0]?.attributes["name"]).toBe(`agent.epk can run on ${board}`);
    expect(properties["command"]).toContain("--agent agent.epk");
  }
  expect(report("report.html")).toContain(`On ${board}: 14 of 14 swaps`);
  const told = toldBy(end);
  expect(told).toMatch(/tank-pump 1\.0\.0.*confirmed/);
  for (const line of KEYS.privatePem
    .split("\n")
    .filter((text) => text.length > 20 && !text.startsWith("---")))
    if (!line.startsWith("EdgePlug")) expect(told).not.toContain(line);
}

describe("docs/examples/ci", () => {
  it("github.yml does on the Arm image what it says, with the key from the secrets", async () => {
    expectAllOf(await runGithub(GITHUB ?? "", surroundings("github", {})), "qemu");
  });

  it("gitlab.yml does so, too", async () => {
    expectAllOf(await runGitlab(GITLAB ?? "", surroundings("gitlab", { BOARD: "sim" })), "sim");
  });

  it("without secrets, as in a pull request from a fork, the package is signed for the run only", async () => {
    const until = GITHUB?.slice(0, GITHUB.indexOf("      - name: Stress")) ?? "";
    const end = await runGithub(until, surroundings("fork", { BOARD: "sim" }, {}));
    expect(end.passed, toldBy(end)).toBe(true);
    expect(toldBy(end)).toContain("signature holds");
  });

  it("a step that fails fails the job, and what it found so far is kept", async () => {
    const broken = GITHUB?.replace("edgeplug pack . --key", "edgeplug pack . --kee") ?? "";
    const end = await runGithub(broken, surroundings("broken", { BOARD: "sim" }));
    expect(end.passed).toBe(false);
    const codes = end.steps.map(({ step, code }) => `${step}: ${code}`);
    expect(codes.slice(4)).toEqual(["Build and sign: 2", "Report: 1", "Keep package and reports: 0"]);
  });

  it("name the same version, the same sizes and the same steps", () => {
    const commands = (text = ""): string[] =>
      [
        ...text.matchAll(/(edgeplug (?:build|pack|verify|board \w+)|edgeplug-push \S+|run --silent \w+)/g),
      ].map(([, command = ""]) => command);
    expect(commands(GITHUB)).toEqual(commands(GITLAB));
    for (const line of ["EDGEPLUG_VERSION: v0.1.0", 'SWAPS: "100"', 'PACKAGES: "47"', 'FULL: "1"'])
      for (const text of [GITHUB, GITLAB]) expect(text).toContain(line);
  });
});
