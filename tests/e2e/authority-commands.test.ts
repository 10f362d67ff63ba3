/** Locked boards by the commands that their users run: who may do what, and what a thief can do with what he has. */
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { newSecretKey, serializePackage, writeKeyPair, type AgentPackage } from "edgeplug";
import { DeviceSession, openTransport } from "edgeplug/device";
import { startBoard as startHarnessBoard } from "renode-test-harness";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { controlAgent, DEEDS, failingAgent, makePackage, signed } from "@edgeplug/test-support/agents";
import { startBoard } from "@edgeplug/test-support/board";
import { push } from "@edgeplug/test-support/push";

import "./fixture.js";
import { replay, signedCommands, tapLine, type TappedLine } from "./support/tapped-line.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EDGEPLUG = join(ROOT, "host/dist/cli/main.js");
const PUSH = join(ROOT, "tools/edgeplug-push/dist/main.js");
const NONCE = 3016;
const PASSPHRASE = "correct horse";

/** Keys by the names of their files; `closed` has a passphrase. */
const KEYS = {
  publisher: { role: "publisher" },
  next: { role: "publisher" },
  operator: { role: "operator" },
  closed: { role: "operator" },
  stranger: { role: "operator" },
} as const;
type KeyName = keyof typeof KEYS;

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

let folder = "";
const secrets = {} as Record<KeyName, Uint8Array>;
const ids = {} as Record<KeyName, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edgeplug-authority-"));
  for (const name of Object.keys(KEYS) as KeyName[]) {
    secrets[name] = newSecretKey();
    const options = name === "closed" ? { passphrase: PASSPHRASE } : {};
    const key = await writeKeyPair(join(folder, name), secrets[name], KEYS[name].role, options);
    ids[name] = Buffer.from(key.keyId).toString("hex");
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function command(script: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const options = {
    cwd: folder,
    env: { ...process.env, EDGEPLUG_PASSPHRASE: "", HOME: folder, XDG_CONFIG_HOME: folder, ...env },
  };
  try {
    return { code: 0, ...(await run(process.execPath, [script, ...args], options)) };
  } catch (error) {
    return error as Outcome;
  }
}

const edgeplug = (args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome> => command(EDGEPLUG, args, env);
const edgeplugPush = (args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome> => command(PUSH, args, env);

/** Error code and exit code of what must have failed. */
function refusal({ code, stderr }: Outcome): [string | undefined, number] {
  return [/^error (EP\d{4}):.*\n {2}try: ./m.exec(stderr)?.[1], code];
}

/** The last line of `--json`. */
function record({ stdout }: Outcome): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
}

/** A package file of the folder, signed by one of its keys or by none. */
function packageFile(name: string, pkg: AgentPackage, key: KeyName | null): string {
  writeFileSync(join(folder, name), serializePackage(signed(pkg, key === null ? null : secrets[key])));
  return name;
}

const agent = (release: number, fields: object = {}): AgentPackage =>
  makePackage(controlAgent({ value: release }), { version: String(release), release, ...fields });

const connect = async (device: string): Promise<DeviceSession> =>
  DeviceSession.connect(await openTransport(device));

interface Bench {
  device: string;
  close(): Promise<void>;
}

const BENCHES: Record<string, () => Promise<Bench>> = {
  "a sim board": async () => {
    const board = await startHarnessBoard({ backend: "sim", line: "socket" });
    return { device: board.port ?? "", close: () => board.close() };
  },
  "qemu's serial port": async () => {
    const board = await startBoard("qemu", { line: "pty" });
    return { device: board.harness.port ?? "", close: () => board.close() };
  },
};

/** What openssl needs for one signature, as an HSM's tool would be called. */
const openssl = (key: KeyName): string[] => [
  "--public-key",
  `${key}.pub`,
  "--sign-with",
  `openssl pkeyutl -sign -rawin -inkey ${key} -in /dev/stdin`,
];

describe.each(Object.keys(BENCHES))("locked by its commands, %s", (name) => {
  let bench: Bench;
  let tap: TappedLine;
  let device = "";

  const running = async (): Promise<unknown> => {
    await tap.free();
    const session = await connect(bench.device);
    try {
      const { active, locked, spent } = await session.status();
      return { swap: active?.swapNumber, locked, spent, keys: (await session.listKeys()).length };
    } finally {
      await session.close();
    }
  };

  beforeAll(async () => {
    bench = await (BENCHES[name] as () => Promise<Bench>)();
    tap = await tapLine(bench.device);
    device = tap.device;
    const session = await connect(bench.device);
    await push(session, signed(agent(1), null));
    await session.close();
  });

  afterAll(async () => {
    await tap.close();
    await bench.close();
  });

  it("says beforehand all that keeps it from being locked", async () => {
    const refused = await edgeplug(["board", "lock", "-d", device, "--json"]);
    expect(record(refused)).toMatchObject({ error: "EP3009", name: "LOCK_REFUSED", exit: 34 });
    for (const part of ["no publisher's key", "no operator's key", "agent 1 in slot A is unsigned"])
      expect(record(refused)["message"]).toContain(part);
    for (const key of ["publisher.pub", "operator.pub"])
      expect((await edgeplug(["board", "keys", "add", key, "-d", device])).code).toBe(0);
    await tap.free();
    const session = await connect(bench.device);
    for (const release of [2, 3]) await push(session, signed(agent(release), secrets.publisher));
    await session.close();
    expect(record(await edgeplug(["board", "lock", "-d", device, "--json"]))).toMatchObject({ locked: true });
  });

  it("refuses every command that is not signed, and stays as it is", async () => {
    const before = await running();
    const rollback = await edgeplugPush(["-d", device, "--rollback"]);
    expect(refusal(rollback)).toEqual(["EP3007", 34]);
    for (const args of [
      ["unlock"],
      ["keys", "add", "stranger.pub"],
      ["keys", "replace", ids.publisher, "next.pub"],
    ])
      expect(refusal(await edgeplug(["board", ...args, "-d", device])), args.join(" ")).toEqual([
        "EP3007",
        34,
      ]);
    expect(refusal(await edgeplug(["board", "unlock", "-d", device, "--key", "stranger"]))).toEqual([
      "EP2008",
      22,
    ]);
    expect(await running()).toEqual(before);
  });

  it("rolls back for its operator; the recorded line, sent again, does nothing", async () => {
    await tap.take();
    const back = await edgeplugPush(["-d", device, "--rollback", "--key", "operator", "--json"]);
    expect([back.code, record(back)["ok"]]).toEqual([0, true]);
    const line = await tap.take();
    const after = await running();
    // the whole conversation: its challenge makes a new nonce, and the signature is over the old one
    expect((await replay(bench.device, line)).filter((error) => error !== 0)).toEqual([NONCE]);
    // the frame alone, at a board where the nonce is another's
    const [{ frame } = { frame: new Uint8Array() }] = signedCommands(line);
    expect(await replay(bench.device, frame)).toEqual([NONCE]);
    expect(await running()).toEqual(after);
  });

  it("signs by a command that holds the key elsewhere, as an HSM does, and opens for it", async () => {
    const unlocked = await edgeplug(["board", "unlock", "-d", device, "--json", ...openssl("operator")]);
    expect([unlocked.stderr, record(unlocked)]).toEqual(["", expect.objectContaining({ locked: false })]);
  });

  it("has sent what openssl verifies over board id, nonce and command", async () => {
    const [{ signed: sent } = { signed: undefined }] = signedCommands(await tap.take()).slice(-1);
    const session = await connect(bench.device);
    const { boardId } = session.hello;
    await session.close();
    const { nonce = [], command: body = [], signature = [] } = sent ?? {};
    const message = Buffer.concat(
      ["EdgePlug command v1\0", boardId, nonce, body].map((part) => Buffer.from(part as string)),
    );
    writeFileSync(join(folder, "message"), message);
    writeFileSync(join(folder, "signature"), Buffer.from(signature));
    const verify = [
      "pkeyutl",
      "-verify",
      "-rawin",
      "-pubin",
      "-inkey",
      "operator.pub",
      "-in",
      "message",
      "-sigfile",
      "signature",
    ];
    expect(execFileSync("openssl", verify, { cwd: folder }).toString()).toContain("Verified Successfully");
  });
});

describe("a locked board and its keys", () => {
  let bench: Bench;
  let device = "";
  const operator = ["--key", "operator"];
  const board = (...args: string[]): Promise<Outcome> => edgeplug(["board", ...args, "-d", device]);
  const deliver = (...args: string[]): Promise<Outcome> => edgeplugPush(["-d", device, ...args]);
  const keys = async (): Promise<unknown> => record(await board("keys", "list", "--json"))["keys"];

  beforeAll(async () => {
    bench = await (BENCHES["a sim board"] as () => Promise<Bench>)();
    device = bench.device;
    const session = await connect(device);
    await session.addKey("publisher", readRaw("publisher"));
    await session.addKey("operator", readRaw("operator"));
    for (const release of [4, 5]) await push(session, signed(agent(release), secrets.publisher));
    await session.lock();
    await session.close();
  });

  afterAll(() => bench.close());

  /** The raw bytes at the end of a .pub file. */
  function readRaw(name: KeyName): Uint8Array {
    const pem = readFileSync(join(folder, `${name}.pub`), "latin1");
    const der = Buffer.from(/-\n([^-]+)-/.exec(pem)?.[1] ?? "", "base64");
    return Uint8Array.from(der.subarray(-32));
  }

  it("keeps the last key of each role, and takes and gives up others by id or file", async () => {
    for (const key of [ids.operator, "publisher.pub"])
      expect(refusal(await board("keys", "remove", key, ...operator))).toEqual(["EP3017", 34]);
    const env = { EDGEPLUG_PASSPHRASE: PASSPHRASE };
    expect((await board("keys", "add", "closed.pub", ...operator)).code).toBe(0);
    expect(await keys()).toEqual([
      { role: "publisher", keyId: ids.publisher, last: true, slots: ["A", "B"] },
      { role: "operator", keyId: ids.operator, last: false, slots: [] },
      { role: "operator", keyId: ids.closed, last: false, slots: [] },
    ]);
    // the new key signs at once, once its passphrase is there
    const remove = ["board", "keys", "remove", ids.closed.slice(0, 6), "-d", device, "--key", "closed"];
    expect(refusal(await edgeplug(remove))).toEqual(["EP1006", 11]);
    expect(refusal(await edgeplug(remove, { EDGEPLUG_PASSPHRASE: "wrong" }))).toEqual(["EP1006", 11]);
    expect((await edgeplug(remove, env)).code).toBe(0);
    expect(refusal(await board("keys", "remove", ids.closed, ...operator))).toEqual(["EP2008", 22]);
  });

  it("takes an older package by its operator's word only", async () => {
    const older = packageFile("older.epk", agent(3), "publisher");
    expect(refusal(await deliver(older))).toEqual(["EP2015", 24]);
    expect(refusal(await deliver(older, "--allow-downgrade"))).toEqual(["EP3007", 34]);
    const allowed = await deliver(older, "--allow-downgrade", ...operator, "--json");
    expect([allowed.code, record(allowed)]).toEqual([
      0,
      expect.objectContaining({ event: "result", ok: true }),
    ]);
    // the word was for that package
    const other = packageFile("other.epk", agent(2), "publisher");
    expect(refusal(await deliver(other, "--allow-downgrade"))).toEqual(["EP3007", 34]);
  });

  it("lets a trial that waits for its host be confirmed or aborted by an operator only", async () => {
    const trial = { confirmByHost: true, deadlineScans: 1_000_000 };
    const patient = packageFile("patient.epk", agent(6, { trial }), "publisher");
    const waiting = await deliver(patient);
    expect([refusal(waiting), waiting.stderr]).toEqual([
      ["EP3007", 34],
      expect.stringContaining("--confirm --key"),
    ]);
    expect(refusal(await board("confirm"))).toEqual(["EP3007", 34]);
    expect((await board("confirm", ...operator)).stdout).toMatch(/^agent 6 \(swap \d+\) stays\n$/);

    expect((await deliver(packageFile("second.epk", agent(7, { trial }), "publisher"))).code).toBe(34);
    expect(refusal(await deliver("--abort"))).toEqual(["EP3007", 34]);
    const aborted = await deliver("--abort", ...operator, "--json");
    expect([aborted.code, record(aborted)]).toEqual([
      0,
      expect.objectContaining({ event: "result", ok: true }),
    ]);

    const third = packageFile("third.epk", agent(8, { trial }), "publisher");
    expect((await deliver(third, ...operator)).stdout).toContain("agent 8");
  });

  it("takes a package off its spent list for an operator only", async () => {
    const bad = makePackage(failingAgent(9, 3, DEEDS.trap), { version: "9", release: 9 });
    const file = packageFile("bad.epk", bad, "publisher");
    expect(refusal(await deliver(file))).toEqual(["EP6001", 60]);
    expect(refusal(await deliver(file))).toEqual(["EP2017", 25]);
    const { spent } = record(await board("spent", "list", "--json")) as { spent: string[] };
    expect(spent).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(refusal(await board("spent", "clear", file))).toEqual(["EP3007", 34]);
    const cleared = await board("spent", "clear", file, ...operator, "--json");
    expect([cleared.code, record(cleared)]).toEqual([0, { spent: [] }]);
  });

  it("is of no use to the thief of a publisher's key once that is replaced", async () => {
    // he may hide what the key is for from the tools, but not from the board
    const pem = readFileSync(join(folder, "publisher"), "latin1");
    writeFileSync(join(folder, "bare"), pem.slice(pem.indexOf("-----")), { mode: 0o600 });
    expect(refusal(await board("unlock", "--key", "bare"))).toEqual(["EP3018", 34]);

    const replaced = await board("keys", "replace", ids.publisher.slice(0, 8), "next.pub", ...operator);
    expect([replaced.code, replaced.stdout]).toEqual([0, expect.not.stringContaining(ids.publisher)]);
    const before = await runningSwap();
    const stolen = packageFile("stolen.epk", agent(20), "publisher");
    expect(refusal(await deliver(stolen))).toEqual(["EP2008", 22]);
    expect(await runningSwap()).toBe(before);
    const good = await deliver(packageFile("next.epk", agent(21), "next"), "--json");
    expect([good.code, record(good)["swapNumber"]]).toEqual([0, await runningSwap()]);
  });

  async function runningSwap(): Promise<number | undefined> {
    const session = await connect(device);
    const { active } = await session.status();
    await session.close();
    return active?.swapNumber;
  }
});

describe("a key that is not right for it", () => {
  const nowhere = ["-d", "/nonexistent/port"];

  it.each([
    ["a publisher's key for a command", ["board", "unlock", "--key", "publisher", ...nowhere], "EP3018", 34],
    [
      "a publisher's key behind a command",
      ["board", "unlock", ...openssl("publisher"), ...nowhere],
      "EP3018",
      34,
    ],
    ["a key that others can read", ["board", "unlock", "--key", "shared", ...nowhere], "EP1005", 11],
    [
      "a closed key without its passphrase",
      ["board", "confirm", "--key", "closed", ...nowhere],
      "EP1006",
      11,
    ],
    ["a public key", ["board", "confirm", "--key", "operator.pub", ...nowhere], "EP1005", 11],
    [
      "two keys at once",
      ["board", "confirm", "--key", "operator", ...openssl("operator"), ...nowhere],
      "EP1001",
      2,
    ],
    [
      "a signing command without its public key",
      ["board", "confirm", "--sign-with", "cat", ...nowhere],
      "EP1001",
      2,
    ],
  ])("is refused before the board is touched: %s", async (_what, args, id, exit) => {
    writeFileSync(join(folder, "shared"), readFileSync(join(folder, "operator")));
    chmodSync(join(folder, "shared"), 0o640);
    expect(refusal(await edgeplug(args))).toEqual([id, exit]);
  });

  it("is refused by edgeplug-push in the same words", async () => {
    expect(refusal(await edgeplugPush([...nowhere, "--rollback", "--key", "publisher"]))).toEqual([
      "EP3018",
      34,
    ]);
    expect(refusal(await edgeplugPush([...nowhere, "--confirm", "--sign-with", "cat"]))).toEqual([
      "EP1001",
      2,
    ]);
  });
});
