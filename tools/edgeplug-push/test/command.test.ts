import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { controlAgent, makePackage } from "@edgeplug/test-support/agents";
import { readPackage, serializePackage } from "edgeplug";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { codeRead, EDGEPLUG, falsePort, MAIN, push, run } from "./support/command.js";

/** Built when all was set up. */
const AGENTS = new URL("../../../build/agents/", import.meta.url).pathname;
/**
 * What a push that nobody answers may read of its own and its libraries' code. These are what make the
 * wait; `npm run bench` takes the wait itself, whose target is 300 ms.
 */
const START_FILES = 125;
const START_BYTES = 1_600_000;

let folder = "";
const file = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgeplug-push-"));
  for (const agent of ["voltage-event", "voltage-event-2", "hash-sha256", "bad-trap"]) {
    const args = ["pack", join(AGENTS, agent), "--out", file(`${agent}.epk`), "--split"];
    const packed = await run(EDGEPLUG, args);
    expect(packed, packed.stderr).toMatchObject({ code: 0 });
  }
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Two lines: the cause with its code, and what to do. */
const failsWith = (id: string): RegExp => new RegExp(`^error ${id}: .+\\n {2}try: .+\\n$`);

describe("edgeplug-push", () => {
  it("shows examples and exit codes in its help", async () => {
    const { code, stdout } = await push(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("edgeplug-push --device /dev/ttyUSB0 --agent agent.bin --manifest manifest.pb");
    expect(stdout).toContain("Exit codes:");
  });

  it.each<[string, string[], string, number]>([
    ["nothing to do", ["-d", "/dev/null"], "EP1001", 2],
    ["no device", ["--info"], "EP1001", 2],
    ["an unknown option", ["-d", "x", "--bogus"], "EP1001", 2],
    ["two things at once", ["-d", "x", "--info", "--status"], "EP1001", 2],
    ["half of a loose package", ["-d", "x", "--agent", "agent.bin"], "EP1001", 2],
    ["a timeout of nothing", ["-d", "x", "--info", "--timeout", "0"], "EP1001", 2],
    ["a package that is not there", ["-d", "/dev/null", "missing.epk"], "EP1002", 10],
    ["a directory as package", ["-d", "/dev/null", "/"], "EP1003", 10],
    ["a port that is not there", ["-d", "/dev/ttyNONE", "--info"], "EP7001", 71],
    ["a directory as port", ["-d", "/tmp", "--info"], "EP7001", 71],
    ["a device that is no port", ["-d", "/dev/zero", "--info"], "EP7001", 71],
    ["a gateway that is not there", ["-d", "127.0.0.1:1", "--info"], "EP8001", 80],
    ["a gateway without a port", ["-d", "plant.example", "--info"], "EP1001", 2],
    ["a gateway at a port that can't be", ["-d", "plant.example:99999", "--info"], "EP1001", 2],
    ["two ways to trust", ["-d", "127.0.0.1:1", "--info", "--ca", "x", "--trust", "y"], "EP1001", 2],
    ["half of a client certificate", ["-d", "127.0.0.1:1", "--info", "--client-cert", "x"], "EP1001", 2],
  ])("answers %s with a code, a cause and what to do", async (_what, args, id, exit) => {
    const { code, stdout, stderr } = await push(args);
    expect(stderr).toMatch(failsWith(id));
    expect({ code, stdout }).toEqual({ code: exit, stdout: "" });
  });

  it("refuses a shadow run that makes no sense before it touches the port", async () => {
    const port = ["-d", "/dev/ttyNONE", file("voltage-event.epk")];
    for (const [options, words] of [
      ["--shadow 0", "Expected a whole number"],
      ["--tolerance 0.1", "about a shadow run"],
      ["--shadow 5 --tolerance evnet=0.1", 'voltage-event 1.0.0 has no output "evnet"; it has rms, event.'],
    ] as const) {
      const { code, stdout, stderr } = await push([...port, ...options.split(" ")]);
      expect(stderr).toMatch(failsWith("EP1001"));
      expect(stderr).toContain(words);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    }
    const right = ["--shadow", "5", "--tolerance", "0.5,event=0,0=2"];
    expect((await push([...port, ...right])).stderr).toMatch(failsWith("EP7001"));
  });

  it("refuses a bad package before it touches the port", async () => {
    const good = await readFile(file("voltage-event.epk"));
    const flipped = Uint8Array.from(good);
    flipped[1000] = (flipped[1000] ?? 0) ^ 1;
    const cases: [string, Uint8Array, string][] = [
      ["empty.epk", new Uint8Array(), "EP2002"],
      ["cut.epk", good.subarray(0, 1200), "EP2003"],
      ["flipped.epk", flipped, "EP2005"],
      ["other.epk", Buffer.from("PK\x03\x04 something else"), "EP2001"],
    ];
    for (const [name, bytes, id] of cases) {
      await writeFile(file(name), bytes);
      const { code, stderr } = await push(["-d", "/dev/ttyNONE", file(name)]);
      expect(stderr).toMatch(failsWith(id));
      expect(code).not.toBe(0);
    }
  });

  it("says that a silent port, or one that babbles, is no board", async () => {
    for (const [mode, message] of [
      ["silent", /Nothing answers on/],
      ["garbage", /sends bytes \(\d+ in 1 s\), but nothing that an EdgePlug board would send/],
    ] as const) {
      const port = await falsePort(mode);
      const { code, stderr } = await push(["-d", port.path, "--info", "--timeout", "1"]);
      port.close();
      expect(stderr).toMatch(failsWith("EP7005"));
      expect(stderr).toMatch(message);
      expect(code).toBe(75);
    }
  });

  it("says that its port vanished", async () => {
    const port = await falsePort("hangup");
    const { code, stderr } = await push(["-d", port.path, "--info"]);
    port.close();
    expect(stderr).toMatch(failsWith("EP7004"));
    expect(code).toBe(74);
  });

  it("names the program that holds the port", async () => {
    const port = await falsePort("silent");
    const holder = spawn("cat", [port.path], { stdio: ["ignore", "pipe", "ignore"] });
    let held = "";
    while (!held.includes("EP7003"))
      held = (await push(["-d", port.path, "--info", "--timeout", "0.2"])).stderr;
    holder.kill();
    port.close();
    expect(held).toContain(`is held by cat (pid ${holder.pid})`);
  });

  it("reads no more code than its start has time for", async () => {
    const port = await falsePort("silent");
    const code = await codeRead(["-d", port.path, file("voltage-event.epk"), "--timeout", "0.2"]).finally(
      port.close,
    );
    await port.firstByte;
    expect(code.size, [...code.keys()].sort().join("\n")).toBeLessThanOrEqual(START_FILES);
    expect([...code.values()].reduce((sum, bytes) => sum + bytes)).toBeLessThanOrEqual(START_BYTES);
  });
});

/** The same story over each kind of line. */
describe.each(["sim", "qemu"] as const)("a push to a %s board", (kind) => {
  const flash = (): string => file(`${kind}.flash`);
  /** A board around each command: the next one finds what the flash holds. */
  const onBoard = (args: readonly string[], options?: Parameters<typeof run>[2]) =>
    run(
      EDGEPLUG,
      ["board", "run", "--board", kind, "--flash", flash(), "--", process.execPath, MAIN, ...args],
      options,
    );

  it("ends with the new agent running, and the board says so after a power cycle", async () => {
    const first = await onBoard([file("voltage-event.epk")]);
    expect(first.stderr).toBe("");
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/running {3}voltage-event 1\.0\.0 \(swap 1\) stays\n$/);
    expect(first.stdout).not.toContain("\r");
    expect(first.stdout).not.toContain("\x1b");
    const status = await onBoard(["--status", "--json"]);
    expect(JSON.parse(status.stdout)).toMatchObject({
      event: "status",
      safeMode: false,
      active: { name: "voltage-event", version: "1.0.0", state: "confirmed", swapNumber: 1 },
    });
  }, 60_000);

  it("takes the loose pair as well, and tells everything as JSON", async () => {
    const pair = ["--agent", file("agent.bin"), "--manifest", file("manifest.pb")];
    await run(EDGEPLUG, ["pack", join(AGENTS, "voltage-event-2"), "--out", file("pair.epk"), "--split"]);
    const { code, stdout, stderr } = await onBoard([...pair, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const records = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    const events = [...new Set(records.map(({ event }) => event))].filter((event) => event !== "verifying");
    expect(events).toEqual([
      "package",
      "begin",
      "sending",
      "staged",
      "activated",
      "trial",
      "confirmed",
      "result",
    ]);
    expect(records.at(-1)).toMatchObject({ ok: true, swapNumber: 2, resumed: false });
  }, 60_000);

  it("gives the running package back byte for byte, and never over another file", async () => {
    const saved = file(`${kind}-saved.epk`);
    expect(await onBoard(["--save", saved])).toMatchObject({ code: 0 });
    expect(Buffer.compare(await readFile(saved), await readFile(file("voltage-event-2.epk")))).toBe(0);
    expect(readPackage(await readFile(saved)).manifest.version).toBe("2.0.0");
    const again = await onBoard(["--save", saved]);
    expect(again.stderr).toMatch(failsWith("EP1004"));
    expect(again.code).toBe(10);
  }, 60_000);

  it("that rolls back says why and which agent runs, and exits with 60", async () => {
    const { code, stderr } = await onBoard([file("bad-trap.epk")]);
    expect(code).toBe(60);
    expect(stderr).toMatch(failsWith("EP6001"));
    expect(stderr).toMatch(/trap .*; voltage-event 2\.0\.0 \(swap 2\) runs again\./);
    const again = await onBoard([file("bad-trap.epk")]);
    expect(again.stderr).toMatch(failsWith("EP2017"));
    expect(again.code).toBe(25);
  }, 60_000);

  it("goes back by hand, and asks request agents", async () => {
    expect(await onBoard([file("hash-sha256.epk")])).toMatchObject({ code: 0 });
    const reply = await onBoard(["--request", "616263"]);
    // FIPS 180-4, SHA-256 of "abc"
    expect(reply.stdout).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    const back = await onBoard(["--rollback"]);
    expect(back.stdout).toMatch(/voltage-event 2\.0\.0 \(swap 2\) runs again/);
    const refused = await onBoard(["--request", "616263"]);
    expect(refused.stderr).toMatch(failsWith("EP3004"));
    expect(refused.code).toBe(32);
    const history = await onBoard(["--history", "--json"]);
    const kinds = history.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds).toEqual(
      expect.arrayContaining(["boot", "begin", "staged", "trial", "confirmed", "rejected"]),
    );
  }, 60_000);

  it("that is interrupted in the trial exits with 130 and says how to go back", async () => {
    // its trial is over long after anything here
    const patient = { trial: { healthyScans: 1_000_000, deadlineScans: 2_000_000 } };
    await writeFile(file("patient.epk"), serializePackage(makePackage(controlAgent({ value: 1 }), patient)));
    const { code, stderr } = await onBoard([file("patient.epk")], {
      onOutput: (child, stdout) => {
        if (stdout.includes("\ntrial ")) child.kill("SIGINT");
      },
    });
    expect(stderr).toMatch(failsWith("EP1010"));
    expect(stderr).toContain("--rollback");
    expect(code).toBe(130);
  }, 60_000);
});
