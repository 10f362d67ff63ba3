// What a board refuses, and that a refusal changes nothing: the whole flash is compared byte for byte.
import { EdgePlugError, type AgentPackage } from "edgeplug";
import { reasonName, slotStateName, type DeviceSession, type PushStep } from "edgeplug/device";
import { describe, expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
  REQUEST,
  requestAgent,
  signed,
  STRANGER,
  withManifestBytes,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import type { Backend, TestBoard } from "@edgeplug/test-support/board";
import { onEachBoard, startTestBoard } from "./fixture.js";
import {
  begin,
  failureOf,
  push,
  pushFails,
  pushUntil,
  sendChunks,
  standing,
} from "@edgeplug/test-support/push";

type Code = EdgePlugError["code"];

const OLD = controlAgent({ value: 7 });
const NEW = controlAgent({ value: 8 });
const MAX_FUEL = 20_000_000;

/** A board with both keys on which release 5 of "agent" with security version 3 is confirmed. */
async function boardWithAgent(
  backend: Backend,
  { lock = false } = {},
): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startTestBoard(backend);
  const session = await board.connect();
  await session.addKey("publisher", publicKeyOf(PUBLISHER));
  await session.addKey("operator", publicKeyOf(OPERATOR));
  await push(session, makePackage(OLD, { release: 5, securityVersion: 3 }));
  if (lock) await session.lock();
  return { board, session };
}

function update(options: PackageOptions = {}): AgentPackage {
  return makePackage(NEW, { version: "2", release: 6, securityVersion: 3, ...options });
}

/** `attempt` fails with this code, and not one byte of flash is different after it. */
async function refusedUntouched(
  board: TestBoard,
  attempt: () => Promise<unknown>,
  code: Code,
): Promise<void> {
  const before = await board.flash();
  const error = await failureOf(attempt());
  expect(error.code, error.message).toBe(code);
  expect(before.changes(await board.flash())).toEqual({});
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x04;
  return copy;
}

const good = update();
const otherClass = (board: TestBoard): AgentPackage => update({ boardClass: board.boardClass === 1 ? 2 : 1 });

/** Refused at Begin, on an open board too: what it is, the package, the code. */
const AT_BEGIN: [string, AgentPackage | ((board: TestBoard) => AgentPackage), Code][] = [
  ["a bad signature", { ...good, signature: flipped(good.signature, 3) }, "SIGNATURE"],
  ["a signature over other bytes", { ...good, manifestBytes: flipped(good.manifestBytes, 8) }, "SIGNATURE"],
  ["a key id without a signature", { ...good, signature: new Uint8Array() }, "SIGNATURE"],
  ["a signature without a key id", { ...good, keyId: new Uint8Array() }, "SIGNATURE"],
  ["no manifest at all", { ...good, manifestBytes: new Uint8Array() }, "MANIFEST"],
  [
    "garbage in place of a manifest, well signed",
    withManifestBytes(
      Uint8Array.from({ length: 200 }, (_, at) => (at * 73 + 19) & 0xff),
      good.payload,
    ),
    "MANIFEST",
  ],
  [
    "a manifest cut short, well signed",
    withManifestBytes(good.manifestBytes.subarray(0, good.manifestBytes.length - 9), good.payload),
    "MANIFEST",
  ],
  ["a manifest of another format", update({ format: 2 }), "MANIFEST"],
  ["a manifest without a name", update({ name: "" }), "MANIFEST"],
  ["a payload of no bytes", update({ payloadSize: 0 }), "MANIFEST"],
  ["no fuel", update({ limits: { fuel: 0 } }), "MANIFEST"],
  ["no call at all", update({ limits: { callDepth: 0 } }), "MANIFEST"],
  ["a trial that can't end well", update({ trial: { healthyScans: 21_000 } }), "MANIFEST"],
  ["more attempts than there are marks", update({ trial: { attempts: 4 } }), "MANIFEST"],
  ["a payload larger than a slot", update({ payloadSize: 13_825 }), "PACKAGE_TOO_LARGE"],
  ["a payload of 4 GiB", update({ payloadSize: 0xffff_ffff }), "PACKAGE_TOO_LARGE"],
  ["another board class", otherClass, "BOARD_CLASS"],
  ["another ABI", update({ abi: 2 }), "ABI"],
  ["more memory than the board has", update({ limits: { memory: 16_392 } }), "MEMORY"],
  ["more stack than the board has", update({ limits: { stackSlots: 1025 } }), "MEMORY"],
  ["deeper calls than the board allows", update({ limits: { callDepth: 65 } }), "MEMORY"],
  ["a larger buffer than the board has", update({ limits: { ioBuffer: 513 } }), "MEMORY"],
  ["more fuel than any call gets", update({ limits: { initFuel: MAX_FUEL + 1 } }), "FUEL"],
  ["more fuel than fits into a scan", update({ limits: { fuel: 8_751 } }), "FUEL"],
  ["more fuel than fits beside the active agent's", update({ limits: { fuel: 7_751 } }), "FUEL"],
  ["more inputs than the board has", update({ inputs: 5 }), "CHANNELS"],
  ["more outputs than the board has", update({ outputs: 5 }), "CHANNELS"],
  ["an older release", update({ release: 4 }), "RELEASE"],
  ["the same release with another manifest", update({ release: 5 }), "RELEASE"],
  ["a lower security version", update({ securityVersion: 2 }), "SECURITY_VERSION"],
];

/** Refused on a locked board alone. */
const WHEN_LOCKED: [string, AgentPackage, Code][] = [
  ["an unsigned package", signed(good, null), "UNSIGNED"],
  ["a package signed by an unknown key", signed(good, STRANGER), "KEY_UNKNOWN"],
  ["a package signed by an operator's key", signed(good, OPERATOR), "KEY_ROLE"],
  ["a bad signature", { ...good, signature: flipped(good.signature, 60) }, "SIGNATURE"],
];

const BROKEN_MODULES: {
  what: string;
  module: string | Uint8Array;
  options?: PackageOptions;
  code: Code;
  says?: string;
}[] = [
  {
    what: "an import that no board offers",
    module: `(module (import "wasi" "fd_write" (func)) (func (export "scan")))`,
    code: "MODULE_IMPORT",
    says: "fd_write",
  },
  {
    what: "an import of the right name and another type",
    module: `(module (import "edgeplug" "output" (func (param i32 i32))) (func (export "scan")))`,
    code: "MODULE_IMPORT",
    says: "output",
  },
  { what: "bytes that are no module", module: new Uint8Array(200).fill(0x5a), code: "MODULE_MALFORMED" },
  {
    what: "a module that ends in the middle",
    module: (() => {
      const { payload } = makePackage(NEW);
      return payload.subarray(0, payload.length - 20);
    })(),
    code: "MODULE_MALFORMED",
  },
  {
    what: "a module of wrong types",
    module: `(module (func (export "scan") (drop (i32.add (i32.const 1) (f32.const 1)))))`,
    code: "MODULE_INVALID",
  },
  {
    what: "a module of a feature that is left out",
    module: `(module (func (export "scan") (drop (i32x4.splat (i32.const 1)))))`,
    code: "MODULE_UNSUPPORTED",
  },
  {
    what: "a module without what its kind needs",
    module: `(module (func (export "run")))`,
    code: "MODULE_EXPORT",
    says: "scan",
  },
  {
    what: "data beyond the manifest's memory",
    module: `(module (memory 1) (data (i32.const 60) "123456789") (func (export "scan")))`,
    code: "MODULE_LIMIT",
  },
  {
    what: "an init that traps",
    module: `(module (func (export "init") (unreachable)) (func (export "scan")))`,
    options: { limits: { ioBuffer: 0 } },
    code: "AGENT_TRAP",
  },
  {
    what: "a start function without end",
    module: `(module (func $start (loop $again (br $again))) (start $start) (func (export "scan")))`,
    code: "AGENT_FUEL",
  },
];

onEachBoard((backend) => {
  it("whatever is refused at Begin leaves every byte of flash as it was, and the next good package succeeds", async () => {
    const { board, session } = await boardWithAgent(backend);
    const before = await standing(session);
    for (const [what, pkg, code] of AT_BEGIN) {
      const refused = typeof pkg === "function" ? pkg(board) : pkg;
      const attempt = refusedUntouched(board, () => begin(session, refused), code);
      await attempt.catch((error: unknown) => {
        throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      });
    }
    expect(await standing(session)).toEqual(before);
    expect((await push(session, good)).swapNumber).toBe(2);
    expect(board.watch.missed).toBe(0);
  });

  it("a locked board refuses what its publisher did not sign, and leaves every byte of flash as it was", async () => {
    const { board, session } = await boardWithAgent(backend, { lock: true });
    expect((await session.refresh()).locked).toBe(true);
    for (const [, pkg, code] of WHEN_LOCKED) await refusedUntouched(board, () => begin(session, pkg), code);
    const older = update({ release: 4 });
    await refusedUntouched(board, () => begin(session, older, { allowDowngrade: true }), "LOCKED");
    expect((await push(session, good)).swapNumber).toBe(2);
  });

  it("a locked board takes no command without an operator's signature, and leaves every byte of flash as it was", async () => {
    const { board, session } = await boardWithAgent(backend);
    await push(session, good);
    await session.lock();
    const commands = [
      () => session.rollback(),
      () => session.confirm(),
      () => session.clearSpent(),
      () => session.addKey("publisher", publicKeyOf(STRANGER)),
      () => session.lock(),
    ];
    for (const command of commands) await refusedUntouched(board, command, "LOCKED");
    await board.powerOff();
    await board.powerOn();
    expect((await board.connect()).hello.locked).toBe(true);
  });

  it("an open board says of each package how far it could check it", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await session.addKey("publisher", publicKeyOf(PUBLISHER));
    const found: number[] = [];
    for (const [index, key] of [null, STRANGER, PUBLISHER].entries()) {
      const pkg = makePackage(NEW, { release: index + 1, key });
      found.push((await push(session, pkg)).active.signature);
    }
    expect(found).toEqual([0, 1, 2]);
  });

  it("a board can't be locked without both keys, or while a confirmed package does not verify by them", async () => {
    const board = await startTestBoard(backend);
    const session = await board.connect();
    await refusedUntouched(board, () => session.lock(), "LOCK_REFUSED");
    await session.addKey("publisher", publicKeyOf(PUBLISHER));
    await refusedUntouched(board, () => session.lock(), "LOCK_REFUSED");
    await session.addKey("operator", publicKeyOf(OPERATOR));
    await push(session, makePackage(OLD, { key: STRANGER }));
    await refusedUntouched(board, () => session.lock(), "LOCK_REFUSED");
    expect(session.hello.locked).toBe(false);
    expect((await session.listKeys()).map(({ role }) => role)).toEqual([1, 2]);
  });

  it("a downgrade passes an open board when it is asked for", async () => {
    const { session } = await boardWithAgent(backend);
    const older = update({ release: 4 });
    await pushFails(session, older, "RELEASE");
    expect((await push(session, older, { allowDowngrade: true })).active.release).toBe(4);
  });

  it("the release rule looks at agents of the same name only, and takes the identical package again", async () => {
    const { session } = await boardWithAgent(backend);
    await push(session, update({ name: "another", release: 1 }));
    expect((await push(session, update({ release: 6 }))).swapNumber).toBe(3);
    expect((await push(session, update({ release: 6 }))).swapNumber).toBe(4);
  });

  it("a second package is told BUSY and why, from the transfer to the trial, and changes nothing", async () => {
    const { board, session } = await boardWithAgent(backend);
    const second = await board.connect();
    const other = update({ name: "other" });
    const busy = async (why: string): Promise<void> => {
      const before = await board.flash();
      const error = await failureOf(begin(second, other));
      expect([error.code, error.message]).toEqual(["BUSY", expect.stringContaining(why)]);
      expect(before.changes(await board.flash())).toEqual({});
    };
    const slow = update({ trial: { deadlineScans: 200_000, confirmByHost: true } });
    await begin(session, slow);
    await busy("a transfer");
    const half = slow.payload.length >> 1;
    await sendChunks(session, slow.payload, 0, half);
    await busy("a transfer");
    await sendChunks(session, slow.payload, half);
    const { rest } = await pushUntil(session, slow, ({ step }) => step === "staged", { confirm: false });
    await busy("a staged package");
    await untilStep(rest, "activated");
    await busy("a trial");
    await session.abort();
    await rest.return(undefined as never);
    expect((await push(second, other)).active.name).toBe("other");
  });

  it("a package that failed stays refused after a reboot, with every byte of flash as it was", async () => {
    const { board, session } = await boardWithAgent(backend);
    const bad = makePackage(failingAgent(8, 5, DEEDS.trap), {
      release: 6,
      securityVersion: 3,
      trial: { healthyScans: 100 },
    });
    await pushFails(session, bad, "ROLLED_BACK");
    await board.powerOff();
    await board.powerOn();
    const again = await board.connect();
    await refusedUntouched(board, () => begin(again, bad), "SPENT");
    expect((await push(again, good)).active.version).toBe("2");
  });

  it("a request that makes no sense is answered as such and changes nothing", async () => {
    const { board, session } = await boardWithAgent(backend);
    await refusedUntouched(board, () => session.connection.request({ slot: { slot: 2 } }), "BAD_REQUEST");
    await refusedUntouched(board, () => session.readSlot(0, 14_336, 1), "BAD_REQUEST");
    await refusedUntouched(board, () => session.readSlot(0, 0xffff_fff0, 32), "BAD_REQUEST");
    await refusedUntouched(board, () => session.connection.request({}), "UNSUPPORTED");
    await refusedUntouched(board, () => session.clearSpent(new Uint8Array(5)), "BAD_REQUEST");
    const chunk = { offset: 0, data: new Uint8Array(8) };
    await refusedUntouched(board, () => session.connection.request({ chunk }), "NO_SESSION");
    await refusedUntouched(board, () => session.connection.request({ activate: {} }), "NO_SESSION");
  });

  describe.each(BROKEN_MODULES)("a package with $what", ({ module, options = {}, code, says = "" }) => {
    it(`is rejected with ${code} before it runs; the active agent and its slot stay as they are`, async () => {
      const { board, session } = await boardWithAgent(backend);
      const before = await board.flash();
      const pkg = makePackage(module, { release: 6, securityVersion: 3, ...options });
      const error = await pushFails(session, pkg, code);
      expect(error.message).toContain(says);
      await expectRejectedStaging(board, session, before);
    });
  });

  it("a failing test vector rejects the package before it runs, and spends it", async () => {
    const { board, session } = await boardWithAgent(backend);
    const before = await board.flash();
    const pkg = makePackage(NEW, {
      release: 6,
      securityVersion: 3,
      vectors: [
        { scans: 1, outputs: [8, 1] },
        { scans: 1, outputs: [8, 3] },
      ],
    });
    const error = await pushFails(session, pkg, "VECTOR");
    expect(error.message).toContain("vector 02");
    await expectRejectedStaging(board, session, before);
    expect(await standing(session)).toMatchObject({ last: "vectors#2", spent: 1 });
    await refusedUntouched(board, () => begin(session, pkg), "SPENT");
  });

  it("test vectors that hold let a package pass, and leave no traces in it", async () => {
    const { board, session } = await boardWithAgent(backend);
    const vectors = [{ scans: 5, outputs: [8, 5] }];
    await push(session, makePackage(NEW, { release: 6, securityVersion: 3, vectors }));
    const first = board.watch.seen.find(({ swapNumber }) => swapNumber === 2);
    expect(first?.outputs.slice(0, 2)).toEqual([8, 1]);
    const requests = [{ request: Uint8Array.of(1, 2), reply: Uint8Array.of(9, 1, 2) }];
    const agent = { ...REQUEST, securityVersion: 3, trial: { minRequests: 1 }, vectors: requests };
    await push(session, makePackage(requestAgent(9), { ...agent, name: "tag" }));
    await pushFails(session, makePackage(requestAgent(8), { ...agent, name: "gat" }), "VECTOR");
  });

  it.each([
    ["CRC-32", { payloadCrc32: 0x12345678 }, "PAYLOAD_CRC" as const],
    ["SHA-512", { payloadSha512: new Uint8Array(64).fill(7) }, "PAYLOAD_DIGEST" as const],
  ])("a payload that does not match its %s is rejected, and spends nothing", async (_, fields, code) => {
    const { board, session } = await boardWithAgent(backend);
    const before = await board.flash();
    await pushFails(session, update(fields), code);
    await expectRejectedStaging(board, session, before);
    expect((await session.status()).spent).toBe(0);
  });

  it("a payload with one flipped bit is rejected, and the right one after it is taken", async () => {
    const { session } = await boardWithAgent(backend);
    await pushFails(session, { ...good, payload: flipped(good.payload, 50) }, "PAYLOAD_CRC");
    expect((await push(session, good)).active.version).toBe("2");
  });
});

/** Lets a push go on up to this step. */
async function untilStep(rest: AsyncGenerator<PushStep, unknown>, name: PushStep["step"]): Promise<void> {
  for (;;) {
    const next = await rest.next();
    if (next.done === true) throw new Error(`the push ended before ${name}`);
    if (next.value.step === name) return;
  }
}

/** The staging has ended rejected: only its own slot and the journal differ, the old agent goes on. */
async function expectRejectedStaging(
  board: TestBoard,
  session: DeviceSession,
  before: Awaited<ReturnType<TestBoard["flash"]>>,
): Promise<void> {
  expect(await standing(session)).toMatchObject({ phase: "idle", runs: "agent 1#1 confirmed" });
  const slot = await session.slot(1);
  expect([slotStateName(slot.state), slot.swapNumber]).toEqual(["rejected", 2]);
  expect(reasonName(slot.reason)).toMatch(/^(invalid|vectors)$/);
  expect(Object.keys(before.changes(await board.flash())).sort()).toEqual(["journal", "slot B"]);
  expect(board.watch.seen.some(({ swapNumber }) => swapNumber === 2)).toBe(false);
  expect(board.watch.missed).toBe(0);
}
