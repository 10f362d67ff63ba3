import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { SaxesParser } from "saxes";
import { describe, expect, it, vi } from "vitest";

import { buildAgent } from "../src/agent/build.js";
import { svgPlot } from "../src/plot/svg.js";
import { eventRow, range, short, terminalPlot } from "../src/plot/terminal.js";
import { agentFolder } from "./support/files.js";
import { edgeplug } from "./support/run-cli.js";

/** Follows its input; says so above 5, traps at 9. */
const FOLLOWER = `import { input, log, output } from "@edgeplug/sdk";
let above = false;
export function scan(): void {
  const x = input(0);
  if (x == 9) unreachable();
  if (x > 5 && !above) log("above <5>");
  above = x > 5;
  output(0, 2 * x);
}
`;

// commands are processes of their own, and wait for cores that others use
vi.setConfig({ testTimeout: 120_000 });

/** Built, so that no command has to compile it again. */
async function follower(rows: readonly number[]): Promise<string> {
  const folder = agentFolder(FOLLOWER, {
    inputs: [{ name: "in", unit: "V", min: -10, max: 8 }],
    outputs: [{ name: "out", min: -100, max: 14 }],
    limits: { fuel: 1000 },
  });
  writeFileSync(join(folder, "data.csv"), `time,in\n${rows.map((value, at) => `${at},${value}\n`).join("")}`);
  await buildAgent(folder);
  return folder;
}

/** Names of all elements with their attributes; throws if it is no well-formed XML. */
function elements(xml: string): { name: string; attributes: Record<string, string> }[] {
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) =>
    found.push({ name, attributes: attributes as Record<string, string> }),
  );
  parser.write(xml).close();
  return found;
}

describe("edgeplug run", () => {
  it("runs a scan for each row, and gives outputs as a table, as JSON, as a drawing and as a picture", async () => {
    const cwd = await follower([1, 2, 3, 6, 8, 8, 4]);
    const args = ["run", "build", "--inputs", "data.csv"];
    const drawn = edgeplug([...args, "--plot", "--svg", "run.svg", "--out", "out.csv", "--width", "60"], {
      cwd,
    });
    expect(drawn).toMatchObject({ code: 0, stderr: "" });
    for (const part of [
      /^ +input in \(V\)$/m,
      /^ +output out$/m,
      /^ +14 ┤[\u2800-\u28ff]{48}$/m,
      /^ +events │ +l +g +g$/m,
      /^scan 4 +log +above <5>$/m,
      /^scan 5 +guard +out held at 14, wanted 16$/m,
      /^sample 1: 7 scans, 0 traps, 2 outputs held by guards$/m,
      /^wrote: run\.svg\nwrote: out\.csv$/m,
    ])
      expect(drawn.stdout).toMatch(part);
    const table = readFileSync(join(cwd, "out.csv"), "utf8").trimEnd().split("\n");
    expect(table[0]).toBe('scan,"out",fuel');
    expect(table.slice(1).map((row) => row.split(",").slice(0, 2).map(Number))).toEqual(
      [2, 4, 6, 12, 14, 14, 8].map((value, at) => [at + 1, value]),
    );
    const picture = elements(readFileSync(join(cwd, "run.svg"), "utf8"));
    expect(picture.filter(({ name }) => name === "polyline")).toHaveLength(2);
    const marks = picture.flatMap(({ name, attributes }) => (name === "line" ? [attributes["class"]] : []));
    expect(marks).toEqual(["log", "guard"]);
    const json = JSON.parse(edgeplug([...args, "--json", "--scans", "9"], { cwd }).stdout) as object;
    expect(json).toMatchObject({
      scans: 9,
      inputs: [{ name: "in", values: [1, 2, 3, 6, 8, 8, 4, 4, 4] }],
      outputs: [{ name: "out", values: [2, 4, 6, 12, 14, 14, 8, 8, 8] }],
      traps: 0,
      guardHits: 2,
    });
  });

  it("goes on after a trap as a board does, names its line, and ends with exit code 52", async () => {
    const cwd = await follower([1, 9, 2]);
    const { code, stdout } = edgeplug(["run", "build", "--inputs", "data.csv", "--json"], { cwd });
    expect(code).toBe(52);
    expect(JSON.parse(stdout)).toMatchObject({
      traps: 1,
      outputs: [{ values: [2, 2, 4] }],
      events: [{ kind: "trap", scan: 2, place: { file: "assembly/index.ts", line: 5 } }],
    });
  });

  it("refuses what it can't run on, and says why", async () => {
    const cwd = await follower([1]);
    const refusal = (...args: string[]): string => {
      const { code, stderr } = edgeplug(["run", ...args], { cwd });
      return `${code}: ${stderr}`;
    };
    expect(refusal("build", "--inputs", "none.csv")).toMatch(/^10: error EP1002/);
    writeFileSync(join(cwd, "other.csv"), "time,out\n1,2\n");
    expect(refusal("build", "--inputs", "other.csv")).toMatch(
      /^12: error EP1015: other\.csv has no column "in"/,
    );
    expect(refusal("build", "--scans", "0")).toMatch(/^2: error EP1001/);
    expect(refusal("build", "--svg", "none/run.svg")).toMatch(/^10: error EP1002/);
    const request = agentFolder(
      'export { io_buffer } from "@edgeplug/sdk";\nexport function handle(size: i32): i32 { return size; }\n',
      { kind: "request", inputs: [], outputs: [] },
    );
    expect(refusal(request)).toMatch(/^32: error EP3004: sample is a request agent/);
  });
});

describe("a drawing in the terminal", () => {
  const plot = (values: number[], width = 30, height = 2): string[] =>
    terminalPlot([{ name: "x", unit: "", values }], { width, height })
      .slice(1)
      .map((row) => row.slice(12));

  it("shows a ramp from the lowest dot at the left to the highest at the right", () => {
    const [top = "", bottom = ""] = plot(Array.from({ length: 36 }, (_, at) => at));
    expect([...bottom][0]).toMatch(/[⡀⣀⢀⡠⣠]/);
    expect([...top].at(-1)).toMatch(/[⠈⠉⠊⠋⠒⠚]/);
    expect([...top].slice(0, 7).join("")).toBe("⠀".repeat(7));
    expect([...bottom].slice(-7).join("")).toBe("⠀".repeat(7));
  });

  it("loses no peak of a single scan among thousands, and joins what lies apart", () => {
    const [top = "", bottom = ""] = plot(Array.from({ length: 10_000 }, (_, at) => (at === 5_100 ? 1 : 0)));
    expect([...top].filter((cell) => cell !== "⠀")).toHaveLength(1);
    expect([...bottom].every((cell) => cell !== "⠀")).toBe(true);
  });

  it("puts a flat line into the middle, and leaves out what is no number", () => {
    expect(range([5, 5])).toEqual([2.5, 7.5]);
    expect(range([NaN, Infinity])).toEqual([0, 1]);
    const [top = "", bottom = ""] = plot([1, 1, NaN, NaN], 34);
    const drawn = (row: string, from: number, to: number): string =>
      [...row]
        .slice(from, to)
        .filter((cell) => cell !== "⠀")
        .join("");
    expect(drawn(top, 0, 11) + drawn(bottom, 0, 11)).not.toBe("");
    expect(drawn(top, 11, 22) + drawn(bottom, 11, 22)).toBe("");
  });

  it("keeps its labels short and its events in their columns, the worst one on top", () => {
    for (const value of [123456789012, -0.000001234567, 1 / 3, -1e30])
      expect(short(value).length, `${value}`).toBeLessThanOrEqual(9);
    const row = eventRow(
      [
        { scan: 1, mark: "l" },
        { scan: 50, mark: "T" },
        { scan: 50, mark: "g" },
        { scan: 100, mark: "g" },
      ],
      100,
      112,
    );
    expect([row.charAt(12), row.charAt(61), row.charAt(111)]).toEqual(["l", "T", "g"]);
  });
});

describe("a picture", () => {
  it("is thinned to what can be seen, keeps its extremes, and breaks where there is no number", () => {
    const values = Array.from({ length: 20_000 }, (_, at) => (at === 777 ? 50 : Math.sin(at / 500)));
    const one = { kind: "input", name: 'a <&> "b"', unit: "", values } as const;
    const svg = svgPlot({ title: "t", step: 0.001, lines: [one], events: [] });
    const lines = elements(svg).filter(({ name }) => name === "polyline");
    expect(lines).toHaveLength(1);
    const points =
      lines[0]?.attributes["points"]?.split(" ").map((point) => point.split(",").map(Number)) ?? [];
    expect(points.length).toBeLessThanOrEqual(1600);
    const [highest] = [...points].sort((a, b) => (a[1] ?? 0) - (b[1] ?? 0));
    expect(highest?.[0]).toBeCloseTo(90 + (778 / 20_000) * 790, 1);
    const broken = svgPlot({ title: "t", step: 1, lines: [{ ...one, values: [1, 2, NaN, 3] }], events: [] });
    expect(elements(broken).filter(({ name }) => name === "polyline")).toHaveLength(2);
  });
});
