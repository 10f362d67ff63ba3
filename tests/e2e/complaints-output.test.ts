// What users of such tools complain about, done to these ones: what is printed, and what scripts get.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { serializePackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  controlAgent,
  failingAgent,
  DEEDS,
  makePackage,
  REQUEST,
  requestAgent,
} from "@edgeplug/test-support/agents";
import { Desk, PUSH, records, type Outcome } from "./support/desk.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const AGENT = join(ROOT, "firmware/agents/voltage-event");
const ESCAPE = String.fromCharCode(27);

let desk: Desk;
let file: (name: string) => string;
beforeAll(async () => {
  desk = new Desk();
  file = (name) => desk.file(name);
  await desk.board();
  const agents = {
    "first.epk": makePackage(controlAgent({ value: 1 })),
    "second.epk": makePackage(controlAgent({ value: 2 }), { release: 2 }),
    "bad.epk": makePackage(failingAgent(3, 5, DEEDS.trap), { release: 3, trial: { healthyScans: 5_000 } }),
    "beside.epk": makePackage(controlAgent({ value: 1 }), { name: "beside" }),
    "apart.epk": makePackage(requestAgent(8), {
      ...REQUEST,
      vectors: [{ request: Uint8Array.of(1), reply: Uint8Array.of(8, 1) }],
    }),
    "class.epk": makePackage(controlAgent({ value: 1 }), { boardClass: 3 }),
    "request.epk": makePackage(requestAgent(7), {
      ...REQUEST,
      name: "echo",
      vectors: [{ request: Uint8Array.of(1), reply: Uint8Array.of(7, 1) }],
    }),
  };
  for (const [name, pkg] of Object.entries(agents)) desk.file(name, serializePackage(pkg));
});
afterAll(() => desk.close());

const onBoard = (...args: string[]): Promise<Outcome> => desk.push(["--device", "auto", ...args]);

// ---- can't script, JSON mixed with prose -----------------------------------------------------------------------

const ajv = new Ajv2020({ strict: false });
const compiled = new Map<string, ValidateFunction>();

function schema(name: string): ValidateFunction {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const text = readFileSync(join(ROOT, "docs/schemas", name), "utf8");
  const validate = ajv.compile(JSON.parse(text) as object);
  compiled.set(name, validate);
  return validate;
}

/** Each line is an object that the documented schema describes, to the last field; nothing is on stderr. */
function holds(validate: ValidateFunction, { stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe("");
  const all = records(stdout);
  for (const record of all) expect(validate(record), JSON.stringify(record)).toBe(true);
  return [...new Set(all.map(({ event }) => String(event)))];
}

describe("can't script, JSON mixed with prose", () => {
  const push = schema("edgeplug-push.schema.json");

  it("every verb of edgeplug-push prints objects that its schema describes, success or failure, and nothing else", async () => {
    const monitor = desk.edgeplug(["monitor", "--device", "auto", "--json", "--until", "connected"]);
    expect(holds(schema("monitor.schema.json"), await monitor)).toContain("connected");
    const dry = await onBoard("--dry-run", file("first.epk"), "--json");
    expect(holds(push, dry)).toEqual(expect.arrayContaining(["package", "check", "result"]));
    const first = await onBoard(file("first.epk"), "--json");
    expect(holds(push, first)).toEqual(expect.arrayContaining(["device", "begin", "sending", "result"]));
    for (const args of [["--info"], ["--status"], ["--history"], [file("second.epk")], ["--rollback"]])
      holds(push, await onBoard(...args, "--json"));
    const beside = [file("beside.epk"), "--shadow", "150", "--allow-differences", "150"];
    expect(holds(push, await onBoard("--dry-run", ...beside, "--json"))).toContain("check");
    const agreed = await onBoard(...beside, "--json");
    expect(holds(push, agreed)).toContain("shadow");
    expect(records(agreed.stdout).at(-1)).toMatchObject({ shadow: { compared: 150, differing: 150 } });
    holds(push, await onBoard(file("request.epk"), "--json"));
    expect(holds(push, await onBoard("--request", "0102", "--json"))).toEqual(["reply"]);
    expect(holds(push, await onBoard("--save", file("saved.epk"), "--json"))).toEqual(["result"]);
    const failures: [string[], number][] = [
      [[file("apart.epk"), "--shadow", "15"], 55],
      [[file("second.epk"), "--shadow", "15"], 32],
      [["--abort"], 31],
      [[file("class.epk")], 23],
      [["--dry-run", file("class.epk")], 23],
      [["--save", file("saved.epk")], 10],
      [["--request", "xyz"], 2],
      [[file("bad.epk")], 60],
      [[file("bad.epk")], 25],
    ];
    for (const [args, exit] of failures) {
      const failed = await onBoard(...args, "--json");
      expect(failed.code, args.join(" ")).toBe(exit);
      expect(holds(push, failed)).toContain("error");
    }
  });

  it("every verb of edgeplug that looks at boards prints objects that its schema describes", async () => {
    const devices = await desk.edgeplug(["devices", "--all", "--json"]);
    expect(holds(schema("devices.schema.json"), devices)).toContain("board");
    const watch = await desk.edgeplug(["devices", "--watch", "--json"], {
      onOutput: (child, stdout) => {
        if (stdout.includes('"board"')) child.kill("SIGINT");
      },
    });
    expect(watch.code).toBe(0);
    expect(holds(schema("devices.schema.json"), watch)).toEqual(["board"]);
    const history = await desk.edgeplug(["history", "--device", "auto", "--json"]);
    expect(holds(schema("history.schema.json"), history)).toEqual(["history"]);
    expect(records(history.stdout).at(-1)).toMatchObject({ kind: "boot", slot: null });
    const explain = await desk.edgeplug(["explain", "--json"]);
    holds(schema("explain.schema.json"), explain);
  });

  it("the commands around packages print one object that the schema describes", async () => {
    const results = JSON.parse(readFileSync(join(ROOT, "docs/schemas/results.schema.json"), "utf8")) as {
      $defs: Record<string, object>;
    };
    const verbs: [string, string[]][] = [
      ["keygen", ["keygen", "--role", "publisher", "--out", file("key")]],
      ["build", ["build", AGENT, "--out", file("built")]],
      ["pack", ["pack", file("built"), "--key", file("key"), "--out", file("built.epk")]],
      ["verify", ["verify", file("built.epk"), "--key", file("key.pub")]],
      ["inspect", ["inspect", file("built.epk")]],
      ["run", ["run", file("built.epk"), "--scans", "50"]],
      ["new", ["new", file("fresh")]],
    ];
    for (const [name, args] of verbs) {
      const { code, stdout, stderr } = await desk.edgeplug([...args, "--json"]);
      expect(code, stderr).toBe(0);
      const validate = ajv.compile(results.$defs[name] ?? false);
      expect(records(stdout).map((record) => validate(record) || ajv.errorsText(validate.errors))).toEqual([
        true,
      ]);
    }
  });
});

// ---- colours, bars, stack traces -------------------------------------------------------------------------------

/** What a terminal gets: `script` gives the command a pseudo-terminal. */
function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const line = [process.execPath, PUSH, "--device", "auto", ...args].map((word) => `'${word}'`).join(" ");
  return desk.run("script", ["-qec", line, "/dev/null"], { env: { TERM: "xterm", ...env } });
}

describe("no colour switch, progress bars in log files", () => {
  it("a terminal gets colours unless NO_COLOR or --color never; a pipe only by --color always", async () => {
    const refused = file("class.epk");
    expect((await onTerminal([refused])).stdout).toContain(`${ESCAPE}[31m`);
    expect((await onTerminal([refused], { NO_COLOR: "1" })).stdout).not.toContain(`${ESCAPE}[3`);
    expect((await onTerminal([refused, "--color", "never"])).stdout).not.toContain(`${ESCAPE}[3`);
    expect((await onBoard(refused)).stderr).not.toContain(ESCAPE);
    expect((await onBoard(refused, "--color", "always")).stderr).toContain(`${ESCAPE}[31merror EP2011:`);
  });

  it("a terminal gets a bar that is drawn over; a log file gets lines, each whole", async () => {
    const bar = await onTerminal([file("second.epk"), "--allow-downgrade"]);
    expect(bar.stdout).toMatch(/\r[█░]{20}/);
    const log = await onBoard(file("second.epk"), "--allow-downgrade");
    expect(log.code, log.stderr).toBe(0);
    expect(`${log.stdout}${log.stderr}`).not.toMatch(/[\r█░]/);
    expect(log.stdout).toMatch(/\nrunning {3}agent 1 \(swap \d+\) stays\n$/);
  });
});

describe("long stack traces to users", () => {
  it("failures are two lines, cause and remedy, with a code; --debug shows where they came from", async () => {
    const commands = [
      desk.push(["--device", "/dev/ttyNONE", "--info"]),
      desk.push(["--device", "auto", "/"]),
      desk.push(["--bogus"]),
      desk.edgeplug(["inspect", join(ROOT, "README.md")]),
      desk.edgeplug(["history", "--device", "/dev/null"]),
      desk.edgeplug(["monitor", "--device", "id:xyz"]),
      desk.edgeplug(["devices", "--baud", "fast"]),
      desk.edgeplug(["devices"], { env: { EDGEPLUG_USB_IDS: "nonsense" } }),
      desk.edgeplug(["explain", "EP0000"]),
      desk.edgeplug(["bogus"]),
    ];
    for (const { code, stdout, stderr } of await Promise.all(commands)) {
      expect(stderr).toMatch(/^error EP\d{4}: [^\n]+\n {2}try: [^\n]+\n$/);
      expect(stdout).toBe("");
      expect(code).not.toBe(0);
    }
    const debug = await desk.push(["--device", "/dev/ttyNONE", "--info", "--debug"]);
    expect(debug.stderr).toMatch(/\n {4}at /);
  });

  it("a reader that leaves early ends a command without a word", async () => {
    const node = `'${process.execPath}' '${fileURLToPath(new URL("../../host/dist/cli/main.js", import.meta.url))}'`;
    const { stdout, stderr } = await desk.run("sh", ["-c", `${node} explain | head -1`]);
    expect({ stdout, stderr }).toEqual({
      stdout: expect.stringMatching(/^EP1001 .+\n$/) as string,
      stderr: "",
    });
  });
});
