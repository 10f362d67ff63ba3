// `edgeplug dev` as its users run it: a process of its own, an editor that saves, and boards of every kind.
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Ajv2020 } from "ajv/dist/2020.js";
import { newSecretKey, publicKeyOf, writeKeyPair } from "edgeplug";
import { openDevice } from "edgeplug/device";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import "./fixture.js";
import { COUNTER, COUNTER_JSON, Developing, Sources } from "./support/developer.js";
import { EDGEPLUG, EDGEPLUG_PUSH, runTool } from "./support/tool.js";
import { boardOnPort, startGateway } from "./support/ways.js";

const SOURCE = "assembly/index.ts";
/** In the agent that takes over, but not in the checks: there nobody scans after a restore. */
const TRAP_AFTER_RESTORE = COUNTER.replace(
  "let total: i32 = 0;",
  "let total: i32 = 0;\nlet restored = false;",
)
  .replace("  total++;\n", "  total++;\n  if (restored) unreachable();\n")
  .replace("  total = takeI32();\n", "  total = takeI32();\n  restored = true;\n");
const TRAP_LINE = TRAP_AFTER_RESTORE.split("\n").findIndex((line) => line.includes("unreachable")) + 1;

const schema = new URL("../../docs/schemas/dev.schema.json", import.meta.url);
const validate = new Ajv2020({ strict: false }).compile(JSON.parse(readFileSync(schema, "utf8")) as object);

let home = "";
let sources: Sources;
let running: Developing[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "edgeplug-dev-"));
  mkdirSync(join(home, "counter"));
  sources = new Sources(join(home, "counter"));
});
afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill("SIGKILL");
    await ended;
  }
  running = [];
  rmSync(home, { recursive: true, force: true });
});

function develop(...args: string[]): Developing {
  const started = new Developing(home, ["counter", ...args]);
  running.push(started);
  return started;
}

/** Ends it, and holds all that it printed against the documented schema. */
async function leave(dev: Developing): Promise<void> {
  expect(await dev.stop(), dev.all()).toBe(0);
  expect(dev.stderr).toBe("");
  for (const line of dev.printed) expect(validate(line), JSON.stringify([line, validate.errors])).toBe(true);
}

const tool = (script: string, ...args: string[]) => runTool(script, args, { folder: home });

describe("edgeplug dev", () => {
  it("swaps each save in with its state, and runs on with the old agent where a save is no good", async () => {
    const before = sources.read("agent.json");
    const dev = develop();
    expect(await dev.next("board")).toMatchObject({ boardClass: "sim", locked: false, agent: null });
    const first = await dev.next("swapped");
    expect(first).toMatchObject({
      name: "counter~dev",
      swapNumber: 1,
      handedOver: 0,
      noState: "no agent ran before",
    });
    const [, count] = await dev.log(/^one (\d+)$/);

    // a save: the count goes on
    sources.edit(SOURCE, '"one "', '"two "');
    const second = await dev.next("swapped");
    expect(second).toMatchObject({ swapNumber: 2, handedOver: 4, noState: null, runs: 1000 });
    const parts = Object.values(second["parts"] as Record<string, number>);
    expect(second["totalMs"]).toBe(parts.reduce((sum, part) => sum + part, 0));
    const [, more] = await dev.log(/^two (\d+)$/);
    expect(Number(more)).toBeGreaterThan(Number(count));

    // what does not compile is told with its line, and the next good save works
    sources.edit(SOURCE, "output(0,", "outptu(0,");
    const line = COUNTER.split("\n").findIndex((text) => text.includes("output(0,")) + 1;
    const refused = await dev.next("refused", "swapped");
    expect(refused).toMatchObject({ event: "refused", name: "COMPILE", agent: { swapNumber: 2 } });
    expect(refused["message"]).toContain(`(assembly/index.ts(${line},3))`);
    expect(refused["diagnostics"]).toContain("outptu(0, <f32>total)");
    await dev.log(/^two/);
    sources.edit(SOURCE, "outptu(0,", "output(0,");
    expect(await dev.next("same", "swapped")).toMatchObject({ event: "same" });

    // a trap in the first scan: taken back, with file and line, and the count goes on in the agent of before
    sources.write(SOURCE, TRAP_AFTER_RESTORE);
    const failed = await dev.next("failed", "stayed");
    expect(failed).toMatchObject({ event: "failed", name: "ROLLED_BACK", agent: { swapNumber: 2 } });
    expect(failed["message"]).toContain(`assembly/index.ts:${TRAP_LINE}:`);
    expect(Number((await dev.log(/^two (\d+)$/))[1])).toBeGreaterThan(Number(more));

    // agent.json is a source too: a fault in it, then another agent in it
    sources.write("agent.json", before.replace('"stateId": 7', '"stateId": seven'));
    expect(await dev.next("refused", "swapped")).toMatchObject({ event: "refused", name: "AGENT_CONFIG" });
    sources.write(SOURCE, COUNTER.replace('"one "', '"three "'));
    sources.write("agent.json", before.replace('"stateId": 7', '"stateId": 8'));
    const noState = "the agent before it had stateId 7, this one has 8";
    expect(await dev.next("swapped")).toMatchObject({ handedOver: 0, noState });
    sources.write("agent.json", before);
    expect(await dev.next("swapped")).toMatchObject({ handedOver: 0 });
    await leave(dev);
    expect(dev.printed.at(-1)).toMatchObject({ event: "ended", reached: true, state: "confirmed" });
    expect(sources.read("agent.json")).toBe(before);
  });

  it("of saves in quick succession runs the last, whatever way editors put files in place", async () => {
    const dev = develop();
    await dev.next("swapped");
    for (const word of ["two", "three", "four", "five"])
      sources.replace(SOURCE, COUNTER.replace("one", word));
    await dev.log(/^five /);
    // a folder that goes and comes back with something else in it, as a change of branches does
    renameSync(join(sources.folder, "assembly"), join(sources.folder, "away"));
    mkdirSync(join(sources.folder, "assembly"));
    sources.write("assembly/other.ts", "export const SIX: i32 = 6;\n");
    sources.write(
      SOURCE,
      `import { SIX } from "./other";\n${COUNTER.replace("one", "six").replace("<f32>total", "<f32>(total * SIX)")}`,
    );
    await dev.log(/^six /);
    sources.write("assembly/other.ts", "export const SIX: i32 = 7;\n");
    expect(await dev.next("swapped")).toMatchObject({ handedOver: 4 });
    // gone for good: said, and no more than that
    rmSync(join(sources.folder, "agent.json"));
    expect(await dev.next("refused")).toMatchObject({ name: "FILE_NOT_FOUND" });
    sources.write("agent.json", JSON.stringify(COUNTER_JSON));
    expect(await dev.next("same", "swapped")).toMatchObject({ event: "same" });
    await leave(dev);
    const swapped = dev.printed
      .filter(({ event }) => event === "swapped")
      .map(({ release }) => Number(release));
    expect(swapped).toEqual([...swapped].sort((a, b) => a - b));
  });

  it("works through a real serial port, which it holds, and stays through a reset of the board", async () => {
    const { board, port } = await boardOnPort();
    try {
      const dev = develop("--device", port);
      expect(await dev.next("board")).toMatchObject({ device: port, boardClass: "qemu" });
      await dev.next("stayed");
      const busy = await tool(EDGEPLUG, "dev", "counter", "--device", port);
      expect(busy.code, busy.stderr.join("\n")).toBe(73);
      expect(busy.stderr[0]).toMatch(/^error EP7003: /);
      await board.reset();
      await dev.next("boot", "reset");
      sources.edit(SOURCE, '"one "', '"two "');
      expect(await dev.next("swapped")).toMatchObject({ swapNumber: 2, handedOver: 4 });
      await dev.log(/^two /);
      await leave(dev);
      const status = await tool(EDGEPLUG_PUSH, "--device", port, "--status", "--json");
      expect(JSON.parse(status.stdout[0] ?? "")).toMatchObject({ phase: "idle", active: { swapNumber: 2 } });
    } finally {
      await board.close();
    }
  });

  it("works through a gateway, and leaves the way free for the package that stays", async () => {
    const device = `sim:${join(home, "board.flash")}`;
    const gateway = await startGateway(home, [device]);
    try {
      expect((await tool(EDGEPLUG, "pack", "counter", "--out", "counter.epk")).code).toBe(0);
      const push = ["--device", gateway.address, "counter.epk", "--json"];
      expect((await tool(EDGEPLUG_PUSH, ...push)).code).toBe(0);
      const dev = develop("--device", gateway.address);
      expect(await dev.next("board")).toMatchObject({ agent: { name: "counter", swapNumber: 1 } });
      expect(await dev.next("swapped")).toMatchObject({ handedOver: 4, name: "counter~dev" });
      sources.edit(SOURCE, '"one "', '"two "');
      expect(await dev.next("swapped")).toMatchObject({ handedOver: 4, release: 2 });
      await dev.log(/^two /);
      await leave(dev);
      // release 1 of agent.json, as it was: neither older nor another one under the same number
      const stays = await tool(EDGEPLUG_PUSH, ...push);
      expect(stays.code, stays.stderr.join("\n")).toBe(0);
      expect(stays.stdout.at(-1)).toContain('"name":"counter"');
    } finally {
      await gateway.close();
    }
  });

  it("takes a publisher's key for a locked board, and says so where there is none", async () => {
    const device = `sim:${join(home, "board.flash")}`;
    const [publisher, operator] = [newSecretKey(), newSecretKey()];
    await writeKeyPair(join(home, "publisher"), publisher, "publisher");
    const session = await openDevice(device);
    for (const [role, key] of [
      ["publisher", publisher],
      ["operator", operator],
    ] as const)
      await session.execute({ kind: "addKey", role, publicKey: publicKeyOf(key) });
    await session.execute({ kind: "lock" });
    await session.close();
    const bare = await tool(EDGEPLUG, "dev", "counter", "--device", device);
    expect(bare.code).toBe(22);
    expect(bare.stderr.join("\n")).toMatch(/^error EP2009: The board is locked.*\n {2}try: Pass --key/);
    const dev = develop("--device", device, "--key", "publisher");
    expect(await dev.next("swapped", "failed")).toMatchObject({ event: "swapped", swapNumber: 1 });
    sources.edit(SOURCE, '"one "', '"two "');
    expect(await dev.next("swapped", "failed")).toMatchObject({ event: "swapped", handedOver: 4 });
    await leave(dev);
  });

  it("refuses a folder that is none, an agent that isn't there, and two boards at once", async () => {
    const wrong = [
      ["nowhere", 10],
      ["counter/agent.json", 10],
      ["counter/assembly", 10],
    ] as const;
    for (const [folder, exit] of wrong) {
      const { code, stderr } = await tool(EDGEPLUG, "dev", folder);
      expect({ folder, code }).toEqual({ folder, code: exit });
      expect(stderr.join("\n")).toMatch(/^error EP100\d: .*\n {2}try: .*edgeplug new/);
    }
    expect((await tool(EDGEPLUG, "dev", "counter", "--board", "sim", "--device", "auto")).code).toBe(2);
  });
});
