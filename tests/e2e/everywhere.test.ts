/**
 * The tools behave the same whatever is between them and the board: one story of all verbs on a simulated board, over a
 * serial port and through a gateway, with the same words, exit codes and JSON.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { serializePackage, writeKeyPair, type AgentPackage } from "edgeplug";
import { beforeAll, describe, expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  OPERATOR,
  padded,
  PUBLISHER,
  REQUEST,
  requestAgent,
} from "@edgeplug/test-support/agents";

import "./fixture.js";
import { maskedLine, maskedLines, shapeOf } from "./support/masks.js";
import { EDGEPLUG, EDGEPLUG_PUSH, runTool, type Outcome } from "./support/tool.js";
import { GATEWAY, SERIAL, SIM, type Way } from "./support/ways.js";

const WAYS: readonly Way[] = [SIM, SERIAL, GATEWAY];
const SHORT = { healthyScans: 300 };
/** A trial that is over long after anything here. */
const LONG = { healthyScans: 1_000_000, deadlineScans: 2_000_000 };

/** A power, and a count that is handed over: of two in a row it is alike. */
const FILL = {
  name: "fill",
  stateId: 5,
  securityVersion: 1,
  trial: SHORT,
  channels: [{ name: "power", unit: "kW" }, { name: "count" }],
};
const fill = (release: number, value: number): AgentPackage =>
  makePackage(controlAgent({ value }), { ...FILL, release, version: `${release}` });

const PACKAGES = {
  first: makePackage(controlAgent({ value: 1 }), { name: "first", trial: SHORT }),
  large: makePackage(padded(controlAgent({ value: 2 }), 13_000), { name: "large", trial: SHORT }),
  trapping: makePackage(failingAgent(3, 20, DEEDS.trap), { name: "trapping", trial: SHORT }),
  foreign: makePackage(`(module (import "wasi" "fd_write" (func)) (func (export "scan")))`),
  asker: makePackage(requestAgent(0x2a), {
    ...REQUEST,
    name: "asker",
    trial: { minRequests: 2 },
    vectors: [{ request: Uint8Array.of(1, 2), reply: Uint8Array.of(0x2a, 1, 2) }],
  }),
  patient: makePackage(controlAgent({ value: 5 }), { name: "patient", trial: LONG }),
  unsigned: makePackage(controlAgent({ value: 6 }), { key: null }),
  secure: makePackage(controlAgent({ value: 7 }), { name: "secure", securityVersion: 1 }),
  hosted: makePackage(controlAgent({ value: 8 }), {
    name: "hosted",
    securityVersion: 1,
    trial: { confirmByHost: true },
  }),
  beside: fill(1, 12.5),
  near: fill(2, 12.75),
  far: fill(3, 13.5),
  broken: makePackage(failingAgent(13.5, 30, DEEDS.trap), { ...FILL, stateId: 0, release: 4, version: "4" }),
};

interface Step {
  name: string;
  tool: string;
  args: string[];
  /** Exit code. */
  code: number;
  /** Something that it must say, on stdout or stderr. */
  says: RegExp;
  /** SIGINT at the first line that this finds. */
  stopAt?: RegExp;
}

const step = (name: string, args: string, code: number, says: RegExp, stopAt?: RegExp): Step => {
  const [first = "", ...rest] = args.split(" ");
  const tool = first === "board" ? EDGEPLUG : EDGEPLUG_PUSH;
  return { name, tool, args: [first, ...rest], code, says, ...(stopAt === undefined ? {} : { stopAt }) };
};

const SIGNED = "--key operator";
const STORY: readonly Step[] = [
  step("a push", "first.epk", 0, /running +first 1 \(swap 1\) stays/),
  step("a module that imports what no board has", "foreign.epk", 50, /EP5004.*wasi/),
  step(
    "a push that is stopped",
    "large.epk --json",
    130,
    /Stopped by the user/,
    /"acknowledged":[4-7]\d{3},/,
  ),
  step("a push that goes on where that ended", "large.epk --json", 0, /"ok":true.*"resumed":true/),
  step("a push that is rolled back", "trapping.epk", 60, /EP6001.*trap.*; large 1 \(swap 3\) runs again/),
  step("the same package again", "trapping.epk", 25, /EP2017/),
  step("info", "--info", 0, /slot A +trapping 1.*rejected \(trap\)/),
  step("status", "--status --json", 0, /"event":"status".*"lastReasonSwap":4/),
  step("history", "--history", 0, /rejected swap 4 in slot A, trap/),
  step("a push of a request agent", "asker.epk --json", 0, /"ok":true,"swapNumber":5/),
  step("a request", "--request 616263", 0, /^2a616263$/),
  step("save", "--save saved.epk --json", 0, /"ok":true.*"name":"asker"/),
  step("rollback", "--rollback", 0, /large 1 \(swap 3\) runs again/),
  step("abort with nothing under way", "--abort", 31, /EP3002/),
  step(
    "a push that is stopped in its trial",
    "patient.epk",
    130,
    /goes on by itself.*\n.*--rollback/,
    /^activated/,
  ),
  step("abort of the trial", "--abort --json", 0, /"phase":"idle".*"name":"large"/),
  step("a push that raises the security version", "secure.epk", 0, /secure 1 \(swap 7\) stays/),
  step("a downgrade", "first.epk", 24, /EP2016/),
  step("a downgrade that is allowed", "first.epk --allow-downgrade", 0, /first 1 \(swap 8\) stays/),
  step("a key for publishers", "board keys add publisher.pub", 0, /publisher/),
  step("a key for operators", "board keys add operator.pub --json", 0, /"role":"operator"/),
  step("locking", "board lock", 0, /is locked/),
  step("an unsigned package on a locked board", "unsigned.epk", 22, /EP2009/),
  step("rollback of a locked board without a key", "--rollback", 34, /EP3007/),
  step("rollback of a locked board", `--rollback ${SIGNED}`, 0, /secure 1 \(swap 7\) runs again/),
  step("a downgrade of a locked board without a key", "first.epk --allow-downgrade", 34, /EP3007/),
  step("a downgrade of a locked board", `first.epk --allow-downgrade ${SIGNED}`, 0, /first 1 .* stays/),
  step(
    "a trial that an operator has to confirm",
    `hosted.epk ${SIGNED} --json`,
    0,
    /"ok":true.*"name":"hosted"/,
  ),
  step("unlocking", `board unlock ${SIGNED}`, 0, /is open/),
  step("a shadow run beside an agent of another kind", "asker.epk --shadow 9", 32, /EP3020.*a control agent/),
  step("a push to run something beside", "beside.epk", 0, /fill 1 .* stays/),
  step("a dry run of a shadow run", "near.epk --shadow 300 --dry-run", 0, /shadow +300 scans beside fill 1/),
  step(
    "a shadow run that agrees within its tolerance",
    "near.epk --shadow 300 --tolerance power=0.25",
    0,
    /agreed +in all 300 scans\n(.*\n)* +power +100 % +0\.25 kW +0\.25 kW\n(.*\n)*running +fill 2/,
  ),
  step(
    "a shadow run that is stopped",
    "far.epk --shadow 90000000 --tolerance 1 --json",
    130,
    /of 90,000,000 scans of the shadow run; the new agent was not activated/,
    /"event":"shadow"/,
  ),
  step(
    "a shadow run that differs",
    "far.epk --shadow 300 --tolerance 0.5",
    55,
    /differed +8 differ, none may(.*\n)*.*EP5013: fill 3 \(swap \d+\) differs from fill 2 .* runs on\./,
  ),
  step("the package that differed again", "far.epk --shadow 300 --json", 25, /EP2017/),
  step(
    "a shadow run in which the new agent traps",
    "broken.epk --shadow 300 --allow-differences 300 --json",
    52,
    /"shadow":\{"state":"rejected".*"reason":"trap"/,
  ),
  step(
    "a shadow run that agrees, for scripts",
    "beside.epk --allow-downgrade --shadow 300 --tolerance 1 --json",
    0,
    /"ok":true.*"shadow":\{"state":"agreed"/,
  ),
];

/** The whole story of three ways: no measure of anything, as the limit of each test. */
const HANGS_MS = 900_000;

/** What came of the story on one way, or why it could not be told. */
type Told = { outcomes: Map<string, Outcome>; saved: Uint8Array } | { error: unknown };
const told = new Map<string, Told>();

beforeAll(async () => {
  await Promise.all(
    WAYS.map(async (way) => told.set(way.name, await tell(way).catch((error: unknown) => ({ error })))),
  );
}, HANGS_MS);

async function tell(way: Way): Promise<Told> {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-everywhere-"));
  const outcomes = new Map<string, Outcome>();
  try {
    await writeFiles(folder);
    const board = await way.open(folder);
    try {
      for (const { name, tool, args, stopAt } of STORY) {
        const outcome = await runTool(tool, [...args, "--device", board.device], {
          folder,
          env: board.env,
          stopAt,
        });
        outcomes.set(name, outcome);
      }
    } finally {
      await board.close();
    }
    return { outcomes, saved: readFileSync(join(folder, "saved.epk")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeFiles(folder: string): Promise<void> {
  for (const [name, pkg] of Object.entries(PACKAGES))
    writeFileSync(join(folder, `${name}.epk`), serializePackage(pkg));
  await writeKeyPair(join(folder, "publisher"), PUBLISHER, "publisher");
  await writeKeyPair(join(folder, "operator"), OPERATOR, "operator");
}

function outcomeOf(way: Way, { name }: Step): Outcome {
  const story = told.get(way.name);
  if (story === undefined || "error" in story)
    throw new Error(`no story over ${way.name}`, { cause: story?.error });
  const outcome = story.outcomes.get(name);
  if (outcome === undefined) throw new Error(`${name} was not tried`);
  return outcome;
}

/** Events of a kind are as many as the line's speed makes them: each kind's fields count, once. */
function jsonShapes({ stdout }: Outcome): Record<string, string[]> {
  const shapes: Record<string, string[]> = {};
  for (const line of stdout) {
    const record = JSON.parse(line) as { event?: string };
    const { event = "" } = record;
    if (event !== "verifying" && event !== "trial") shapes[event] = shapeOf(record).sort();
  }
  return shapes;
}

describe.each(WAYS.map((way) => [way.name, way] as const))("over %s", (_name, way) => {
  it.each(STORY.map((each) => [each.name, each] as const))(
    "%s ends as it should, and says so",
    (_step, each) => {
      const { code, stdout, stderr } = outcomeOf(way, each);
      expect([...stdout, ...stderr].join("\n")).toMatch(each.says);
      expect(code).toBe(each.code);
      if (code === 0 || each.args.includes("--json")) expect(stderr).toEqual([]);
      else
        expect(stderr).toEqual([
          expect.stringMatching(/^error EP\d{4}: ./),
          expect.stringMatching(/^ {2}try: ./),
        ]);
    },
  );

  it("the saved package is byte for byte what was pushed", () => {
    const story = told.get(way.name);
    const saved = story !== undefined && "saved" in story ? story.saved : new Uint8Array();
    expect(Buffer.compare(saved, serializePackage(PACKAGES.asker))).toBe(0);
  });

  // The simulated board is what the others are held against.
  it.each(way === SIM ? [] : STORY.map((each) => [each.name, each] as const))(
    "%s reads as on a simulated board, word by word and field by field",
    (_step, each) => {
      const here = outcomeOf(way, each);
      const there = outcomeOf(SIM, each);
      expect(here.stderr.map(maskedLine)).toEqual(there.stderr.map(maskedLine));
      if (each.args.includes("--json")) expect(jsonShapes(here)).toEqual(jsonShapes(there));
      else expect(maskedLines(here.stdout)).toEqual(maskedLines(there.stdout));
    },
  );
});
