import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { junitXml, reporterFault, reportJunit, type JunitRun } from "../src/junit.js";
import { parseXml, readJunit } from "./junit-schema.js";

const RUN: JunitRun = {
  suite: "chaos",
  board: "qemu",
  when: "2030-01-02T03:04:05.678Z",
  command: "npm run chaos -- --board qemu --seed 7",
  seed: 7,
  seconds: 61.25,
  cases: [
    { name: "in transit: bursts", seconds: 1.5, failures: [] },
    {
      name: "at rest: payload",
      failures: ["swap 9 runs, not old"],
      again: "npm run chaos -- --board qemu --seed 7 --case 47",
    },
    { name: "before sending: signature", failures: ["one", "two"] },
  ],
};

function withFailure(text: string): JunitRun {
  return { ...RUN, cases: [{ name: text, failures: [text], again: text }] };
}

describe("JUnit XML", () => {
  it("has the structure that the schemas ask for, a case for each thing that had to hold", () => {
    const { suite, properties, cases, failures } = readJunit(junitXml(RUN));
    expect(suite.attributes).toMatchObject({
      name: "chaos on qemu",
      timestamp: "2030-01-02T03:04:05",
      tests: "3",
      failures: "2",
      time: "61.250",
    });
    expect(cases[0]?.attributes).toEqual({
      classname: "edgeplug.chaos.qemu",
      name: "in transit: bursts",
      time: "1.500",
    });
    expect(properties).toEqual({ board: "qemu", seed: "7", command: RUN.command });
    expect(Object.keys(failures)).toEqual(["at rest: payload", "before sending: signature"]);
  });

  it("says with each failure how to see it again", () => {
    const { failures } = readJunit(junitXml(RUN));
    const again = "again: npm run chaos -- --board qemu --seed 7 --case 47";
    expect(failures["at rest: payload"]).toEqual({
      message: `swap 9 runs, not old; ${again}`,
      text: `swap 9 runs, not old\n${again}`,
    });
    expect(failures["before sending: signature"]?.message).toBe(`one (and 1 more); again: ${RUN.command}`);
  });

  it("tells twenty failures of a case, and how many more there are", () => {
    const failures = Array.from({ length: 25 }, (_, at) => `fault ${at}`);
    const read = readJunit(junitXml({ ...RUN, cases: [{ name: "one", failures }] }));
    const lines = read.failures["one"]?.text.split("\n") ?? [];
    expect(lines.slice(19)).toEqual(["fault 19", "and 5 more", `again: ${RUN.command}`]);
  });

  it.each([
    ["markup", `<b>"it's" & ]]> --></testcase>`],
    ["line ends and tabs", "one\ntwo\r\nthree\tfour"],
    ["letters of any script", "Größe ≠ 大小 🔥"],
  ])("gives %s back as it was", (_, text) => {
    const read = readJunit(junitXml(withFailure(text)));
    expect(read.cases[0]?.attributes["name"]).toBe(text);
    expect(read.failures[text]?.text).toBe(`${text}\nagain: ${text}`);
  });

  it("tells by its number what XML can't say", () => {
    const every = String.fromCharCode(...Array.from({ length: 0x20 }, (_, code) => code), 0xfffe, 0xd83d);
    const read = readJunit(junitXml(withFailure(`x${every}x`)));
    const name = read.cases[0]?.attributes["name"] ?? "";
    expect(name).toMatch(/^x\\u0000\\u0001.*\\u001f\\ufffe\\ud83dx$/s);
    expect(name).toContain("\\u0008\t\n\\u000b\\u000c\r\\u000e");
  });

  it("is looked at by a parser that minds", () => {
    expect(() => parseXml("<a>\u001b</a>")).toThrow();
    expect(() => parseXml("<a><b></a>")).toThrow();
    expect(() => readJunit(junitXml(RUN).replace(' tests="3"', ""))).toThrow();
    expect(() => readJunit(junitXml(RUN).replaceAll("failure", "fault"))).toThrow();
  });
});

describe("--reporter and --output", () => {
  it("say what is wrong with them", () => {
    expect(reporterFault({})).toBeUndefined();
    expect(reporterFault({ reporter: "junit", output: "a.xml" })).toBeUndefined();
    expect(reporterFault({ reporter: "tap" })).toMatch(/expected junit, got tap/);
    expect(reporterFault({ output: "a.xml" })).toMatch(/--reporter junit/);
  });

  it("put the file where they say, and nothing anywhere without being asked", () => {
    const folder = mkdtempSync(join(tmpdir(), "edgeplug-junit-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const output = join(folder, "deep/er/chaos.xml");
    expect(reportJunit({}, RUN)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    expect(reportJunit({ reporter: "junit", output }, RUN)).toBe(output);
    expect(readFileSync(output, "utf8")).toBe(junitXml(RUN));
    expect(readdirSync(join(folder, "deep/er"))).toEqual(["chaos.xml"]);
  });
});
