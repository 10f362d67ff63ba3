// What users of such tools complain about, done to these ones: ports and boards. docs/cli.md lists all complaints and their tests.
import { chmodSync } from "node:fs";

import { serializePackage } from "edgeplug";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { controlAgent, makePackage, padded } from "@edgeplug/test-support/agents";
import { Desk, records } from "./support/desk.js";

const FIRST = "3f2a00112233445566778899";
const SECOND = "77aa00112233445566778899";
const NOBODY = 65_534;

let desk: Desk;
beforeEach(() => (desk = new Desk()));
afterEach(() => desk.close());

describe("wrong port picked silently", () => {
  it("without a device nothing is picked, not even the only board; `auto` picks it and says which it is", async () => {
    const board = await desk.board({ id: FIRST });
    for (const run of [desk.push(["--status"]), desk.edgeplug(["history"]), desk.edgeplug(["monitor"])]) {
      const { code, stderr } = await run;
      expect(stderr).toMatch(/^error EP1001: No device was named\.\n {2}try: .*--device auto/);
      expect(code).toBe(2);
    }
    const { code, stdout } = await desk.push(["--device", "auto", "--status"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`device    ${board.port}, board ${FIRST}\n`);
  });

  it("of several boards none is guessed; they are listed, and an id picks one", async () => {
    await desk.board({ id: FIRST });
    const second = await desk.board({ id: SECOND });
    const { code, stderr } = await desk.push(["--device", "auto", "--status"]);
    expect(code).toBe(84);
    expect(stderr).toContain(FIRST);
    expect(stderr).toContain(`${SECOND} (sim, no agent) on ${second.port}`);
    const picked = await desk.push(["--device", "id:77", "--info", "--json"]);
    expect(records(picked.stdout)).toMatchObject([{ event: "info", boardId: SECOND }]);
  });
});

describe("busy port without saying who, and two tools fighting for one port", () => {
  it("the holder is named, by name and process id, by a push, by `devices` and by `auto`", async () => {
    const board = await desk.board({ announced: false });
    const { port } = await desk.plug(board, "ttyACM0");
    const holder = desk.start("cat", [port]);
    const held = `is held by cat \\(pid ${holder.pid}\\)`;
    await expect
      .poll(async () => (await desk.push(["--device", port, "--info"])).stderr)
      .toMatch(new RegExp(`^error EP7003: ${port} ${held}`));
    const { stdout, code } = await desk.edgeplug(["devices", "--device", port, "--json"]);
    expect(code).toBe(0);
    expect(records(stdout)).toMatchObject([
      {
        event: "problem",
        port,
        error: { name: "PORT_BUSY", message: expect.stringMatching(held) as string },
      },
    ]);
  });
});

describe("no permission without the fix", () => {
  it("a user without rights is told the very command that gives them", async () => {
    const root = process.getuid?.() === 0;
    const board = await desk.board({ announced: false });
    // Root may do anything and becomes nobody; anybody else takes their own rights away.
    const { port } = await desk.plug(board, "ttyACM0", root ? "600" : "000");
    chmodSync(desk.folder, 0o755);
    const { code, stderr } = await desk.push(["--device", port, "--info"], root ? { uid: NOBODY } : {});
    expect(stderr).toBe(
      `error EP7002: No permission to open ${port}.\n  try: Run \`sudo chmod a+rw ${port}\`.\n`,
    );
    expect(code).toBe(72);
  });
});

describe("USB replug ignored", () => {
  it("a monitor stays through a pulled cable and a port that comes back under another name", async () => {
    const board = await desk.board({ id: FIRST });
    const first = await desk.plug(board, "ttyACM0");
    let replugged: Promise<unknown> | undefined;
    const run = desk.edgeplug(
      ["monitor", "--device", first.port, "--json", "--until", "back", "--for", "20"],
      {
        onOutput: (_child, stdout) => {
          if (!stdout.includes('"connected"') || replugged !== undefined) return;
          // from now on the board is found by its identity, on the socket that was announced
          replugged = first.unplug();
        },
      },
    );
    const { code, stdout, stderr } = await run;
    await replugged;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(records(stdout)).toMatchObject([
      { event: "connected", device: first.port, boardId: FIRST },
      { event: "lost", error: { name: "PORT_LOST" } },
      { event: "back", device: board.port, boardId: FIRST, reset: false, other: false },
    ]);
  });

  it("a monitor tells resets, ends with Ctrl-C and exit code 0, and gives up where it was told to", async () => {
    const board = await desk.board();
    const run = desk.edgeplug(["monitor", "--device", "auto"], {
      onOutput: (child, stdout) => {
        if (/ boot /.test(stdout)) child.kill("SIGINT");
        else if (/ connected /.test(stdout)) void board.reset();
      },
    });
    const { code, stdout, stderr } = await run;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} connected /);
    const late = await desk.edgeplug(["monitor", "--device", "auto", "--until", "trap", "--for", "0.2"]);
    expect(late.code).toBe(76);
  });
});

describe("Ctrl-C that leaves a mess, and a retry that starts from zero", () => {
  it("an interrupted transfer leaves the board idle and the port free, and the next push goes on where it stopped", async () => {
    const board = await desk.board({ speed: 1 });
    const pkg = makePackage(padded(controlAgent({ value: 9 }), 12_000));
    const file = desk.file("large.epk", serializePackage(pkg));
    let interrupted = false;
    const stopped = await desk.push(["--device", board.port ?? "", file, "--json"], {
      onOutput: (child, stdout) => {
        if (!interrupted && /"page":[2-9]/.test(stdout)) interrupted = child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    expect(records(stopped.stdout).at(-1)).toMatchObject({ event: "error", name: "INTERRUPTED" });
    const status = await desk.push(["--device", "auto", "--status", "--json"]);
    expect(records(status.stdout)).toMatchObject([{ event: "status", phase: "idle", active: null }]);
    const again = await desk.push(["--device", "auto", file, "--json"]);
    expect(again.code, again.stderr).toBe(0);
    const [, , begun] = records(again.stdout);
    expect(begun).toMatchObject({ event: "begin", resumed: true });
    expect(begun?.["offset"]).toBeGreaterThanOrEqual(2048);
  });
});

describe("version mismatch unexplained", () => {
  it("a package for another runtime or board is refused with both sides' versions", async () => {
    await desk.board();
    const agent = controlAgent({ value: 1 });
    const abi = desk.file("abi.epk", serializePackage(makePackage(agent, { abi: 2 })));
    const { code, stderr } = await desk.push(["--device", "auto", abi]);
    expect(code).toBe(23);
    expect(stderr).toMatch(/needs runtime ABI 2, and this version knows 1\./);
    const other = desk.file("class.epk", serializePackage(makePackage(agent, { boardClass: 3 })));
    expect((await desk.push(["--device", "auto", other])).stderr).toContain(
      "made for stm32l552; this board is sim",
    );
  });
});

describe("no dry run", () => {
  it("--dry-run says what the push would come to, with its exit code, and changes not one byte of flash", async () => {
    const board = await desk.board();
    const good = makePackage(controlAgent({ value: 1 }), { trial: { healthyScans: 2_000 } });
    const bad = makePackage(controlAgent({ value: 1 }), { boardClass: 3 });
    const file = desk.file("good.epk", serializePackage(good));
    const refused = desk.file("bad.epk", serializePackage(bad));
    expect((await desk.push(["--device", "auto", "--info"])).code).toBe(0); // it has booted, and noted that
    const before = await board.readFlash();
    const dry = await desk.push(["--device", "auto", "--dry-run", file]);
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stdout).toMatch(/a trial of 2\.0 s or more\n/);
    expect(dry.stdout).toMatch(/dry run {3}the board would take it into slot A; nothing was changed\n$/);
    const no = await desk.push(["--device", "auto", "--dry-run", refused]);
    expect(no.code).toBe(23);
    expect(no.stdout).toMatch(/dry run {3}the board would refuse the package; nothing was changed\n$/);
    expect(Buffer.compare(await board.readFlash(), before)).toBe(0);
    expect((await desk.push(["--device", "auto", refused])).code).toBe(23);
    expect((await desk.push(["--device", "auto", file])).code).toBe(0);
  });
});

describe("can't say what runs now", () => {
  it("`devices` lists each board with id, class, agent, state, lock and port", async () => {
    const board = await desk.board({ id: FIRST });
    const empty = await desk.edgeplug(["devices"]);
    expect(empty.stdout).toBe(`${FIRST}  sim  no agent  safe mode  open  ${board.port}\n`);
    const file = desk.file("a.epk", serializePackage(makePackage(controlAgent({ value: 1 }))));
    expect((await desk.push(["--device", "auto", file])).code).toBe(0);
    const { stdout } = await desk.edgeplug(["devices"]);
    expect(stdout).toBe(`${FIRST}  sim  agent 1  confirmed  open  ${board.port}\n`);
  });
});
