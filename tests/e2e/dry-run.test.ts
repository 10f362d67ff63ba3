// What a dry run foretells is what the board then says, and asking changes nothing.
import { readPackage, serializePackage, type AgentPackage, type EdgePlugError } from "edgeplug";
import { foreseePush, type DeviceSession, type ForeseeOptions, type Foresight } from "edgeplug/device";
import { expect, it } from "vitest";

import {
  controlAgent,
  makePackage,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
  signed,
  STRANGER,
  type PackageOptions,
} from "@edgeplug/test-support/agents";
import { begin, failureOf, push, sendChunks } from "@edgeplug/test-support/push";
import { type TestBoard } from "@edgeplug/test-support/board";
import { startTestBoard } from "./fixture.js";

type Code = EdgePlugError["code"];

const NEW = controlAgent({ value: 8 });

/** Release 5 of "agent" with security version 3 is confirmed on it. */
async function boardWithAgent(): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startTestBoard("sim");
  const session = await board.connect();
  await session.addKey("publisher", publicKeyOf(PUBLISHER));
  await session.addKey("operator", publicKeyOf(OPERATOR));
  await push(session, makePackage(controlAgent({ value: 7 }), { release: 5, securityVersion: 3 }));
  return { board, session };
}

function update(options: PackageOptions = {}, module: string | Uint8Array = NEW): AgentPackage {
  return makePackage(module, { version: "2", release: 6, securityVersion: 3, ...options });
}

/** Foretells, and holds the flash against what it was before. */
async function foretell(
  board: TestBoard,
  session: DeviceSession,
  pkg: AgentPackage,
  options: ForeseeOptions = {},
): Promise<Foresight & { code: Code | undefined }> {
  const before = await board.flash();
  const foresight = await foreseePush(session, pkg, options);
  expect(before.changes(await board.flash())).toEqual({});
  return { ...foresight, code: foresight.checks.find(({ error }) => error !== undefined)?.error?.code };
}

const AT_BEGIN: [string, AgentPackage, Code][] = [
  ["another board class", update({ boardClass: 2 }), "BOARD_CLASS"],
  ["another ABI", update({ abi: 2 }), "ABI"],
  ["more memory than there is", update({ limits: { memory: 16_392 } }), "MEMORY"],
  ["more stack than there is", update({ limits: { stackSlots: 1025 } }), "MEMORY"],
  ["more fuel than fits into a scan", update({ limits: { fuel: 8_751 } }), "FUEL"],
  ["more fuel than fits beside the running agent's", update({ limits: { fuel: 7_751 } }), "FUEL"],
  ["more inputs than there are", update({ inputs: 5 }), "CHANNELS"],
  ["an older release", update({ release: 4 }), "RELEASE"],
  ["the same release with another manifest", update({ release: 5 }), "RELEASE"],
  ["a lower security version", update({ securityVersion: 2 }), "SECURITY_VERSION"],
  ["an operator's key", signed(update(), OPERATOR), "KEY_ROLE"],
];

it("a dry run foretells what the board refuses at Begin, with the same code, and changes no byte of flash", async () => {
  const { board, session } = await boardWithAgent();
  for (const [what, pkg, code] of AT_BEGIN) {
    expect((await foretell(board, session, pkg)).code, what).toBe(code);
    expect((await failureOf(begin(session, pkg))).code, what).toBe(code);
  }
  const { nanosPerFuel, tickUs } = session.hello;
  const most = Math.floor((tickUs * 700) / nanosPerFuel); // 70 % of a scan
  const fits = update({ limits: { fuel: most - 1_000 } });
  expect((await foretell(board, session, update({ limits: { fuel: most - 999 } }))).code).toBe("FUEL");
  expect((await foretell(board, session, fits)).code).toBeUndefined();
  await push(session, fits);
});

it("a dry run knows what a locked board wants signed", async () => {
  const { board, session } = await boardWithAgent();
  await session.lock();
  await session.refresh();
  const cases: [AgentPackage, Code, { allowDowngrade?: boolean }][] = [
    [signed(update(), null), "UNSIGNED", {}],
    [signed(update(), STRANGER), "KEY_UNKNOWN", {}],
    [update({ release: 4 }), "LOCKED", { allowDowngrade: true }],
  ];
  for (const [pkg, code, options] of cases) {
    expect((await foretell(board, session, pkg, options)).code).toBe(code);
    expect((await failureOf(begin(session, pkg, options))).code).toBe(code);
  }
  expect((await foretell(board, session, update())).code).toBeUndefined();
});

it("a dry run says where the package goes and how long its trial is, and there it goes", async () => {
  const { board, session } = await boardWithAgent();
  for (const release of [6, 7]) {
    const pkg = update({ release });
    const { slot, code, resumes, trialMs } = await foretell(board, session, pkg);
    expect({ code, resumes, trialMs }).toEqual({ code: undefined, resumes: false, trialMs: 40 });
    expect((await push(session, pkg)).slot).toBe(slot);
  }
});

it("on a blank board a dry run says slot A, and there the package goes", async () => {
  const board = await startTestBoard("sim");
  const session = await board.connect();
  const pkg = makePackage(NEW);
  const { slot, code } = await foretell(board, session, pkg);
  expect({ slot, code }).toEqual({ slot: 0, code: undefined });
  expect((await push(session, pkg)).slot).toBe(0);
});

it("a dry run foretells by the board's own engine what is wrong with a module, and what failed stays refused", async () => {
  const { board, session } = await boardWithAgent();
  const modules: [string | Uint8Array, PackageOptions, Code][] = [
    [`(module (import "wasi" "fd_write" (func)) (func (export "scan")))`, {}, "MODULE_IMPORT"],
    [new Uint8Array(200).fill(0x5a), {}, "MODULE_MALFORMED"],
    [`(module (func (export "run")))`, {}, "MODULE_EXPORT"],
    [`(module (func (export "init") (unreachable)) (func (export "scan")))`, {}, "AGENT_TRAP"],
    [NEW, { vectors: [{ inputs: [], outputs: [9], scans: 1 }] }, "VECTOR"],
  ];
  for (const [index, [module, options, code]] of modules.entries()) {
    const pkg = update({ release: 10 + index, ...options }, module);
    expect((await foretell(board, session, pkg)).code).toBe(code);
    expect((await failureOf(push(session, pkg))).code).toBe(code);
    if (code === "VECTOR") expect((await foretell(board, session, pkg)).code).toBe("SPENT");
  }
});

it("during another package's update a dry run says BUSY; of a half received one it says that the push goes on", async () => {
  const { board, session } = await boardWithAgent();
  const half = update({ name: "half" });
  await begin(session, half);
  await sendChunks(session, half.payload, 0, 64);
  expect((await foretell(board, session, update())).code).toBe("BUSY");
  expect(await foretell(board, session, half)).toMatchObject({ code: undefined, resumes: true });
});

it("a package from a file is foretold like one that was just made", async () => {
  const { board, session } = await boardWithAgent();
  const pkg = readPackage(serializePackage(update()));
  expect((await foretell(board, session, pkg)).checks.map(({ name }) => name)).toEqual([
    "journal",
    "update",
    "signature",
    "board",
    "memory",
    "fuel",
    "security",
    "release",
    "spent list",
    "module",
  ]);
});
