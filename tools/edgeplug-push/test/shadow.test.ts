/** What may be said of a shadow run on the command line, and how one is told. */
import { controlAgent, makePackage, requestAgent, REQUEST } from "@edgeplug/test-support/agents";
import { shadowView, toShadowReport, type ShadowOptions, type ShadowReport } from "edgeplug/device";
import { EdgePlugError } from "edgeplug/errors";
import { describe, expect, it } from "vitest";

import { parseArguments } from "../src/options.js";
import { Report } from "../src/report.js";
import { shadowOf } from "../src/shadow-options.js";
import { shadowLine, ShadowTeller } from "../src/shadow-teller.js";

const channels = [{ name: "power", unit: "kW" }, { name: "flow", unit: "l/min" }, { name: "3" }];
const control = makePackage(controlAgent({ value: 1 }), { name: "fill", outputs: 3, channels });
const nameless = makePackage(controlAgent({ value: 1 }), { name: "plain" });
const asker = makePackage(requestAgent(1), { ...REQUEST, name: "asker" });

/** What a command line asks for, of a package. */
async function asked(options: string, pkg = control): Promise<ShadowOptions | undefined> {
  const settings = parseArguments(["-d", "x", "agent.epk", ...options.split(" ")], "1");
  return settings?.shadow === undefined ? undefined : shadowOf(settings.shadow, pkg);
}

describe("the options of a shadow run", () => {
  it.each<[string, ShadowOptions]>([
    ["--shadow 5000", { scans: 5_000, allowed: 0 }],
    ["--shadow 1 --allow-differences 4294967295", { scans: 1, allowed: 4_294_967_295 }],
    ["--shadow 5 --tolerance 0.01", { scans: 5, allowed: 0, tolerance: [0.01] }],
    ["--shadow 5 --tolerance 0", { scans: 5, allowed: 0, tolerance: [0] }],
    ["--shadow 5 --tolerance flow=2", { scans: 5, allowed: 0, tolerance: [0, 2, 0] }],
    ["--shadow 5 --tolerance 1e-3,power=.5", { scans: 5, allowed: 0, tolerance: [0.5, 0.001] }],
    ["--shadow 5 --tolerance power=.5,1e-3", { scans: 5, allowed: 0, tolerance: [0.5, 0.001] }],
    ["--shadow 5 --tolerance 0=1,2=2", { scans: 5, allowed: 0, tolerance: [1, 0, 2, 0] }],
    // a name goes before a number
    ["--shadow 5 --tolerance 3=7", { scans: 5, allowed: 0, tolerance: [0, 0, 7, 0] }],
  ])("%s mean what they say", async (options, shadow) => {
    expect(await asked(options)).toEqual(shadow);
  });

  it("are none unless they are given", async () => {
    expect(await asked("--debug")).toBeUndefined();
  });

  it.each<[string, string]>([
    ["--shadow 0", "Expected a whole number from 1 to 4294967295"],
    ["--shadow -1", "Expected a whole number"],
    ["--shadow 1.5", "Expected a whole number"],
    ["--shadow NaN", "Expected a whole number"],
    ["--shadow 0x10", "Expected a whole number"],
    ["--shadow 4294967296", "Expected a whole number"],
    ["--shadow", "argument missing"],
    ["--tolerance 0.1", "--tolerance is about a shadow run, and none was asked for"],
    ["--allow-differences 1", "--allow-differences is about a shadow run, and none was asked for"],
    ["--shadow 5 --allow-differences -1", "Expected a whole number from 0"],
    ["--shadow 5 --allow-differences x", "Expected a whole number from 0"],
    ["--shadow 5 --tolerance -0.1", "Expected a number of 0 or more"],
    ["--shadow 5 --tolerance NaN", "Expected a number of 0 or more"],
    ["--shadow 5 --tolerance Infinity", "Expected a number of 0 or more"],
    ["--shadow 5 --tolerance 1e39", "Expected a number of 0 or more"],
    ["--shadow 5 --tolerance power=", 'got ""'],
    ["--shadow 5 --tolerance =0.1", "no output before"],
    ["--shadow 5 --tolerance 0.1,0.2", "Two numbers for all outputs"],
    ["--shadow 5 --tolerance flow=0.1,flow=0.2", "flow is there twice"],
    ["--shadow 5 --tolerance folw=0.1", 'fill 1 has no output "folw"; it has power, flow, 3.'],
    ["--shadow 5 --tolerance 4=0.1", 'fill 1 has no output "4"; it has power, flow, 3.'],
    ["--shadow 5 --tolerance power=0.1,0=0.2", '"power" and "0" are the same output'],
  ])("%s are refused in words", async (options, words) => {
    const error = await asked(options).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EdgePlugError);
    expect(error).toMatchObject({ code: "USAGE", exit: 2 });
    expect((error as EdgePlugError).message).toContain(words);
    expect((error as EdgePlugError).action).not.toBe("");
  });

  it("have no names where the package has none, and no tolerance for replies", async () => {
    await expect(asked("--shadow 5 --tolerance a=1", nameless)).rejects.toThrow(
      'plain 1 has no output "a"; it has 2, without names.',
    );
    await expect(asked("--shadow 5 --tolerance 2=1", nameless)).rejects.toMatchObject({
      message: 'plain 1 has no output "2"; it has 2, without names.',
      action: "Name one of these, or a number from 0 to 1.",
    });
    expect(await asked("--shadow 5 --tolerance 1=3", nameless)).toMatchObject({ tolerance: [0, 3, 0] });
    await expect(asked("--shadow 5 --tolerance 1", asker)).rejects.toThrow("asker 1 is a request agent");
    expect(await asked("--shadow 5 --allow-differences 1", asker)).toEqual({ scans: 5, allowed: 1 });
  });

  it("go with packages only", () => {
    expect(() => parseArguments(["-d", "x", "--info", "--shadow", "5"], "1")).toThrow(
      "--shadow needs a package.",
    );
  });
});

describe("a shadow run that is told", () => {
  const view = shadowView(control.manifest, control.payload, { tolerance: [0.01] });
  const run = (fields: object): ShadowReport =>
    toShadowReport({ state: 1, needed: 5_000, allowed: 5, channels: [{}, {}, {}, {}], ...fields });
  const half = run({
    compared: 2_500,
    differing: 3,
    channels: [{ differing: 3, largest: 0.52 }, { largest: 0.004 }, {}, {}],
  });

  /** Everything that was written, and whether it was to a terminal. */
  function told(reports: readonly ShadowReport[], { tty = false, json = false, kind = view } = {}): string[] {
    const written: string[] = [];
    const stream = (isTTY: boolean): NodeJS.WriteStream =>
      ({ isTTY, columns: 100, write: (text: string) => written.push(text) }) as never;
    const report = new Report({ json, debug: false }, stream(false), stream(tty));
    let now = 0;
    const teller = new ShadowTeller(kind, report, () => (now += 1_000));
    for (const one of reports) teller.tell(one);
    report.error(new EdgePlugError("SHADOW"));
    return written.join("").split("\n");
  }

  it("is as much of a line as there is room for", () => {
    const line = (columns: number): string => shadowLine(view, half, "0:03 left", columns);
    const head = "shadow    50 %, 2,500 of 5,000 scans";
    expect(line(200)).toBe(`${head}  power 99.88 % (0.52 kW)  flow 100 % (0.004 l/min)  3 100 %  0:03 left`);
    expect(line(96)).toBe(`${head}  power 99.88 % (0.52 kW)  flow 100 % (0.004 l/min)  3 100 %`);
    expect(line(83)).toBe(`${head}  power 99.88 %  flow 100 %  3 100 %  0:03 left`);
    expect(line(72)).toBe(`${head}  power 99.88 %  flow 100 %  3 100 %`);
    expect(line(64)).toBe(`${head}  3 differ, 5 may  0:03 left`);
    expect(line(53)).toBe(`${head}  3 differ, 5 may`);
    expect(line(40)).toBe(head);
    const requests = shadowLine({ ...view, kind: "request" }, run({ compared: 7, channels: [] }), "", 80);
    expect(requests).toBe("shadow    0 %, 7 of 5,000 requests  all agree");
  });

  it("is told at each quarter where there is no terminal, and in the end as a table", () => {
    const first = [{ scan: 81_201, number: 17, channel: 0, active: 12.5, candidate: Math.fround(13.02) }];
    const parts = [0, 100, 1_300, 1_400, 2_500, 4_999].map((compared) => run({ compared }));
    const end = { ...half, state: 2, compared: 5_000, first: toShadowReport({ first }).first };
    expect(told([...parts, end]).slice(0, -3)).toEqual([
      "shadow    5,000 scans beside the running agent, outputs compared and not applied",
      "shadow    26 %, 1,300 of 5,000 scans, all agree",
      "shadow    50 %, 2,500 of 5,000 scans, all agree",
      "shadow    99 %, 4,999 of 5,000 scans, all agree",
      "agreed    99.94 % of 5,000 scans agree, 3 differ, 5 may",
      "          output  agrees   largest difference  tolerance",
      "          power   99.94 %  0.52 kW             0.01 kW",
      "          flow    100 %    0.004 l/min         0.01 l/min",
      "          3       100 %    0                   0.01",
      "          scan    output  running agent  new agent",
      "          81,201  power   12.5 kW        13.02 kW",
    ]);
  });

  it("draws one line over on a terminal, and takes it away before the next", () => {
    const [first, second = ""] = told([run({ compared: 0 }), half, { ...half, state: 2 }], { tty: true });
    expect(first).toMatch(/^shadow {4}5,000 scans beside/);
    expect(
      second
        .split("\r")
        .map((part) => part.replaceAll("\x1b[K", ""))
        .filter(Boolean),
    ).toEqual([
      "shadow    0 %, 0 of 5,000 scans  power –  flow –  3 –",
      "agreed    99.88 % of 2,500 scans agree, 3 differ, 5 may",
    ]);
  });

  it("says in one word how it ended", () => {
    const end = (fields: object): string => told([run({ state: 3, ...fields })])[1] ?? "";
    const differs = { reason: 14, allowed: 0 };
    expect(end({ ...differs, compared: 5_000, differing: 1 })).toBe(
      "differed  99.98 % of 5,000 scans agree, 1 differs, none may",
    );
    expect(end({ ...differs, compared: 8, differing: 8 })).toBe(
      "differed  8 differ, none may: ended after 8 scans",
    );
    expect(end({ reason: 1, compared: 1 })).toBe("rejected  after 1 scan: trap");
  });

  it("is one object a second in JSON, and the last one at once", () => {
    const written: string[] = [];
    const stream = { write: (text: string) => written.push(text) } as never;
    const report = new Report({ json: true, debug: false }, stream, stream);
    let now = 0;
    const teller = new ShadowTeller(view, report, () => now);
    for (const at of [0, 120, 999, 1_000, 1_120, 2_100]) {
      now = at;
      teller.tell(run({ compared: at }));
    }
    now = 2_120;
    teller.tell(run({ compared: 2_120, state: 2 }));
    const compared = written.map((line) => (JSON.parse(line) as { compared: number }).compared);
    expect(compared).toEqual([0, 1_000, 2_100, 2_120]);
  });

  it("keeps a label apart that is as wide as its column", () => {
    const written: string[] = [];
    const stream = { write: (text: string) => written.push(text) } as never;
    const report = new Report({ json: false, debug: false }, stream, stream);
    report.line("spent list", "not this package: ok");
    report.line("release", "2: ok");
    expect(written).toEqual(["spent list not this package: ok\n", "release   2: ok\n"]);
  });

  it("is in the error's object, whole, whatever the push failed at", () => {
    const last = told([half], { json: true }).at(-2) ?? "";
    expect(JSON.parse(last)).toMatchObject({
      event: "error",
      name: "SHADOW",
      shadow: { state: "running", compared: 2_500, channels: [{ name: "power", largest: 0.52 }, {}, {}, {}] },
    });
  });
});
