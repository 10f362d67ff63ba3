/** A locked board, and raw requests to it: nothing here goes through the tools' own way of signing commands. */
import { EdgePlugError, keyId, sha512, type AgentPackage } from "edgeplug";
import type { DeviceSession } from "edgeplug/device";
import { expect } from "vitest";

import { controlAgent, makePackage, OPERATOR, PUBLISHER, publicKeyOf } from "@edgeplug/test-support/agents";
import { signedCommand, type Command } from "@edgeplug/test-support/authority";
import type { Backend, TestBoard } from "@edgeplug/test-support/board";
import { push } from "@edgeplug/test-support/push";
import { startTestBoard } from "./fixture.js";

/** How a request was answered. */
export type Code = EdgePlugError["code"] | "OK";
export type SignedCommand = ReturnType<typeof signedCommand>;

export const [PUBLISHES, OPERATES] = [1, 2];
const PATIENCE_MS = 9_000;
export const old = makePackage(controlAgent({ value: 7 }), { release: 5, securityVersion: 2 });
export const next = makePackage(controlAgent({ value: 8 }), { version: "2", release: 6, securityVersion: 2 });
export const slow = makePackage(controlAgent({ value: 8 }), {
  ...{ version: "2", release: 6, securityVersion: 2 },
  trial: { healthyScans: 100, deadlineScans: 200_000, confirmByHost: true },
});

export const idOf = (secret: Uint8Array): Uint8Array => keyId(publicKeyOf(secret));
export const addOperator = (secret: Uint8Array): Command => ({
  addKey: { role: OPERATES, publicKey: publicKeyOf(secret) },
});
export const digestOf = ({ manifestBytes }: AgentPackage): Uint8Array => sha512(manifestBytes).slice(0, 16);

/** A board with a key of each role, on which `old` is confirmed; locked unless said otherwise. */
export async function boardWithKeys(
  backend: Backend,
  { lock = true } = {},
): Promise<{ board: TestBoard; session: DeviceSession }> {
  const board = await startTestBoard(backend);
  const session = await board.connect();
  await session.connection.request({ addKey: { role: PUBLISHES, publicKey: publicKeyOf(PUBLISHER) } });
  await session.connection.request(addOperator(OPERATOR));
  await push(session, old);
  if (lock) await session.connection.request({ lock: {} });
  return { board, session };
}

/** Sends a request as it is, and says how it was answered. */
export async function ask(session: DeviceSession, command: Command): Promise<Code> {
  const { error = 0, detail, message } = (await session.connection.ask(command)).response;
  return error === 0 ? "OK" : EdgePlugError.fromBoard(error, detail ?? 0, message ?? "").code;
}

/** Asked once: a copy of the request, sent because the board was slow, would void the nonce that the first one brought. */
export async function challenge(session: DeviceSession): Promise<Uint8Array> {
  const { response } = await session.connection.request({ challenge: {} }, { attemptMs: PATIENCE_MS });
  const nonce = response.challenge?.nonce;
  if (nonce?.length !== 8) throw new Error("a challenge without a nonce");
  return nonce;
}

/** A fresh nonce, and `command` signed for it. */
export async function authorise(
  session: DeviceSession,
  command: Command | Uint8Array,
  key?: Uint8Array,
): Promise<SignedCommand> {
  const nonce = await challenge(session);
  return signedCommand({ boardId: session.hello.boardId, nonce }, command, key);
}

export async function byOperator(session: DeviceSession, command: Command | Uint8Array): Promise<Code> {
  return ask(session, { signedCommand: await authorise(session, command) });
}

/** `attempt` is answered with `code`, and not one byte of flash is different after it. */
export async function untouched(board: TestBoard, attempt: () => Promise<Code>, code: Code): Promise<void> {
  const before = await board.flash();
  expect(await attempt()).toBe(code);
  expect(before.changes(await board.flash())).toEqual({});
}

export async function powerCycle(board: TestBoard): Promise<DeviceSession> {
  await board.powerOff();
  await board.powerOn();
  return board.connect();
}

export const isLocked = async (session: DeviceSession): Promise<boolean> => (await session.status()).locked;
export const rolesOf = async (session: DeviceSession): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await session.listKeys()).map(({ keyId, role }) => [Buffer.from(keyId).toString("hex"), Number(role)]),
  );
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function flipped(bytes: Uint8Array | null | undefined, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes ?? []);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
