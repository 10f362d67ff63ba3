import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeEach, expect, it, onTestFinished } from "vitest";

import { SourceWatch, type SourceWatchOptions } from "../src/dev/sources.js";

let folder = "";
const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
const never = new AbortController().signal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-sources-"));
  mkdirSync(join(folder, "assembly/parts"), { recursive: true });
  put("agent.json", "{}");
  put("assembly/index.ts", "one");
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

/** With looks that come seldom, notifications have to do it; with none of these, the looks. */
async function open(options: SourceWatchOptions = {}): Promise<SourceWatch> {
  const sources = await SourceWatch.open(folder, { lookMs: 60_000, ...options });
  onTestFinished(() => sources.close());
  return sources;
}

async function nextFiles(sources: SourceWatch): Promise<string[] | undefined> {
  return (await sources.next(never))?.files;
}

it("tells a file that was written, replaced, made or removed, in each folder of the sources", async () => {
  const sources = await open();
  put("assembly/index.ts", "two");
  expect(await nextFiles(sources)).toEqual(["assembly/index.ts"]);
  put("assembly/index.ts.tmp", "three");
  renameSync(join(folder, "assembly/index.ts.tmp"), join(folder, "assembly/index.ts"));
  expect(await nextFiles(sources)).toEqual(["assembly/index.ts"]);
  put("assembly/parts/new.ts", "four");
  expect(await nextFiles(sources)).toEqual(["assembly/parts/new.ts"]);
  put("agent.json", "{ }");
  expect(await nextFiles(sources)).toEqual(["agent.json"]);
  rmSync(join(folder, "assembly/parts/new.ts"));
  expect(await nextFiles(sources)).toEqual(["assembly/parts/new.ts"]);
});

it("takes what is saved together as one, and nothing else as a save", async () => {
  const sources = await open();
  put("notes.txt", "not a source");
  put("assembly/.index.ts.swp", "an editor's own");
  mkdirSync(join(folder, "build"));
  put("build/agent.wasm", "a build");
  put("assembly/index.ts", "two");
  put("agent.json", "{ }");
  expect(await nextFiles(sources)).toEqual(["agent.json", "assembly/index.ts"]);
});

it("waits for a needed file that is away for a moment, and tells when it doesn't come back", async () => {
  const sources = await open({ absenceMs: 60_000 });
  renameSync(join(folder, "assembly"), join(folder, "away"));
  let told = false;
  const next = sources.next(never);
  void next.then(() => (told = true));
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(told).toBe(false);
  mkdirSync(join(folder, "assembly"));
  put("assembly/index.ts", "another");
  expect((await next)?.files).toEqual(["assembly/index.ts"]);
  put("assembly/index.ts", "in a folder that is another one now");
  expect(await nextFiles(sources)).toEqual(["assembly/index.ts"]);
  const hasty = await open({ absenceMs: 0 });
  rmSync(join(folder, "agent.json"));
  expect(await nextFiles(hasty)).toEqual(["agent.json"]);
});

it("watches a folder that has come in another one's place", async () => {
  const sources = await open();
  renameSync(join(folder, "assembly"), join(folder, "away"));
  mkdirSync(join(folder, "assembly"));
  put("assembly/index.ts", "two");
  expect(await nextFiles(sources)).toEqual(["assembly/index.ts"]);
  // what the first changes have stirred up goes by first
  const next = nextFiles(sources);
  await new Promise((resolve) => setTimeout(resolve, 100));
  put("assembly/index.ts", "three");
  expect(await next).toEqual(["assembly/index.ts"]);
});

it("finds changes without any notification, by looking now and then", async () => {
  const sources = await open({ lookMs: 5, notified: false });
  put("assembly/index.ts", "two");
  expect(await nextFiles(sources)).toEqual(["assembly/index.ts"]);
});

it("watches what a build has read besides, from then on and without a save of its own", async () => {
  const sources = await open();
  put("table.mjs", "1");
  await sources.watchAlso([join(folder, "table.mjs"), join(folder, "assembly/index.ts")]);
  put("agent.json", "{ }");
  expect(await nextFiles(sources)).toEqual(["agent.json"]);
  put("table.mjs", "22");
  expect(await nextFiles(sources)).toEqual(["table.mjs"]);
});

it("ends at the signal", async () => {
  const sources = await open();
  const stop = new AbortController();
  const next = sources.next(stop.signal);
  stop.abort();
  expect(await next).toBeUndefined();
});
