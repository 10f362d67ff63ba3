// One list of what is left out on purpose: the runner's, the page's and the engine's are the same.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { Excuses, readLeftOut } from "../src/left-out.js";

const ROOT = join(import.meta.dirname, "../../..");
const LIST = readLeftOut();
const PAGE = readFileSync(join(ROOT, "docs/wasm.md"), "utf8");

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

test("the page shows each entry with its reason and its assertions, and no other", () => {
  const at = PAGE.indexOf("| left out | why | assertions |");
  const rows = (PAGE.slice(at).split("\n\n")[0] ?? "").split("\n").slice(2);
  expect(rows).toEqual(
    LIST.leftOut.map(({ what, why, assertions }) => `| ${what} | ${why} | ${grouped(assertions)} |`),
  );
});

test("the page says how many assertions there are, hold, and are left out", () => {
  const { assertions, passed, commit } = LIST.suite;
  const leftOut = LIST.leftOut.reduce((sum, entry) => sum + entry.assertions, 0);
  expect(passed + leftOut, "nothing is left to fail").toBe(assertions);
  expect(PAGE).toContain(commit.slice(0, 7));
  expect(PAGE.replaceAll("\n", " ")).toContain(
    `Of its ${grouped(assertions)} assertions ${grouped(passed)} hold, on the Arm image and on \`sim\` alike, ${grouped(leftOut)} are left out, and none fails`,
  );
});

test("each feature that the engine refuses as unsupported is excused by exactly one entry", () => {
  const refusals = readFileSync(join(ROOT, "firmware/runtime/wasm/refusals.def"), "utf8");
  const [, unsupported = ""] =
    /^EP_WASM_NEXT_RESULT\(EP_WASM_UNSUPPORTED\)\n([^]*?)(?:^EP_WASM_NEXT_RESULT|(?![^]))/m.exec(refusals) ??
    [];
  const features = [...unsupported.matchAll(/^EP_WASM_REFUSAL\((\w+),/gm)];
  const names = features.map(([, id = ""]) => id.replaceAll("_", " "));
  expect(names.length).toBeGreaterThan(5);
  const excusing = (reply: string): string[] =>
    LIST.leftOut.flatMap((entry) => (new Excuses([entry]).refused(reply) === undefined ? [] : [entry.id]));
  expect(names.filter((name) => excusing(`err unsupported ${name}`).length !== 1)).toEqual([]);
});

test("no entry excuses a module that is invalid, malformed or unlinkable, or a limit that is not of the list", () => {
  const replies = [
    ...["err invalid type mismatch", "err malformed magic", "err unlinkable a.b", "err trap unreachable"],
    ...[
      "err limit arena",
      "err limit side table",
      "err limit locals",
      "err limit module size",
      "err unsupported",
    ],
  ];
  const excuses = new Excuses(LIST.leftOut);
  expect(replies.filter((reply) => excuses.refused(reply) !== undefined)).toEqual([]);
});

test("an assertion is excused with the outcome that the list names, and with no other", () => {
  const excuses = new Excuses(LIST.leftOut);
  const difference = {
    script: "memory_grow",
    call: "grow(i32 0x00000320)",
    expected: "i32 0x00000003",
    actual: "i32 0xffffffff",
  };
  expect(excuses.differing(difference)).toBe("more-pages");
  expect(excuses.differing({ ...difference, actual: "i32 0x00000002" })).toBeUndefined();
  expect(excuses.differing({ ...difference, expected: "i32 0x00000002" })).toBeUndefined();
  expect(excuses.differing({ ...difference, script: "memory_size" })).toBeUndefined();
  expect(excuses.differing({ ...difference, call: "grow(i32 0x00000999)" })).toBeUndefined();
});

test("entries have names of their own", () => {
  const ids = LIST.leftOut.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
