// What only operators may change on a locked board: its keys, its lock, its trial, and which packages may be older.
import { EdgePlugError, type AgentPackage } from "edgeplug";
import type { DeviceSession } from "edgeplug/device";
import { expect, it } from "vitest";

import {
  controlAgent,
  DEEDS,
  failingAgent,
  makePackage,
  OPERATOR,
  PUBLISHER,
  publicKeyOf,
  signed,
  STRANGER,
} from "@edgeplug/test-support/agents";
import { until } from "@edgeplug/test-support/clock";
import { begin, failureOf, push, pushUntil, standing } from "@edgeplug/test-support/push";
import { onEachBoard } from "./fixture.js";
import {
  addOperator,
  ask,
  authorise,
  boardWithKeys,
  byOperator,
  challenge,
  digestOf,
  hex,
  idOf,
  next,
  OPERATES,
  powerCycle,
  PUBLISHES,
  rolesOf,
  slow,
  untouched,
  type Code,
} from "./locked-board.js";

onEachBoard((backend) => {
  it("the last key of a role stays, on an open board too; it can be replaced, and the role goes over", async () => {
    const { board, session } = await boardWithKeys(backend, { lock: false });
    for (const key of [PUBLISHER, OPERATOR]) {
      await untouched(board, () => ask(session, { removeKey: { keyId: idOf(key) } }), "LAST_KEY");
    }
    await session.connection.request({ lock: {} });
    await challenge(session);
    const remove = { removeKey: { keyId: idOf(OPERATOR) } };
    await untouched(board, () => byOperator(session, remove), "LAST_KEY");
    const replace = { replaceKey: { keyId: idOf(OPERATOR), publicKey: publicKeyOf(STRANGER) } };
    expect(await byOperator(session, replace)).toBe("OK");
    expect(await rolesOf(session)).toEqual({
      [hex(idOf(PUBLISHER))]: PUBLISHES,
      [hex(idOf(STRANGER))]: OPERATES,
    });
    // who was replaced signs nothing any more
    expect(await byOperator(session, { unlock: {} })).toBe("KEY_UNKNOWN");
    const again = await powerCycle(board);
    expect(await ask(again, { signedCommand: await authorise(again, { unlock: {} }, STRANGER) })).toBe("OK");
  });

  it("one key has one role: neither adding nor replacing gives it a second one", async () => {
    const { board, session } = await boardWithKeys(backend, { lock: false });
    await untouched(board, () => ask(session, addOperator(PUBLISHER)), "KEY_ROLE");
    const replace = { replaceKey: { keyId: idOf(OPERATOR), publicKey: publicKeyOf(PUBLISHER) } };
    await untouched(board, () => ask(session, replace), "KEY_ROLE");
    const unknown = { replaceKey: { keyId: idOf(STRANGER), publicKey: publicKeyOf(STRANGER) } };
    await untouched(board, () => ask(session, unknown), "KEY_UNKNOWN");
    await untouched(board, () => ask(session, { removeKey: { keyId: idOf(STRANGER) } }), "KEY_UNKNOWN");
  });

  it("unlock opens the board for good, and the plain requests are taken again", async () => {
    const { board, session } = await boardWithKeys(backend);
    expect(await byOperator(session, { unlock: {} })).toBe("OK");
    const again = await powerCycle(board);
    expect(again.hello.locked).toBe(false);
    expect(await ask(again, addOperator(STRANGER))).toBe("OK");
    expect((await push(again, signed(next, null))).active.version).toBe("2");
    // and such a package keeps it from being locked
    await untouched(board, () => ask(again, { lock: {} }), "LOCK_REFUSED");
  });

  it("locking is refused unless each confirmed slot verifies by a publisher's key that is there", async () => {
    const { board, session } = await boardWithKeys(backend, { lock: false });
    const second = { addKey: { role: PUBLISHES, publicKey: publicKeyOf(STRANGER) } };
    expect(await ask(session, second)).toBe("OK");
    await push(session, signed(next, STRANGER));
    expect(await ask(session, { removeKey: { keyId: idOf(PUBLISHER) } })).toBe("OK");
    await untouched(board, () => ask(session, { lock: {} }), "LOCK_REFUSED");
    expect(await ask(session, { addKey: { role: PUBLISHES, publicKey: publicKeyOf(PUBLISHER) } })).toBe("OK");
    expect(await ask(session, { lock: {} })).toBe("OK");
  });

  it("a downgrade needs the operator's grant for exactly that manifest, and the grant is void after a reset", async () => {
    const { board, session } = await boardWithKeys(backend);
    const older = makePackage(controlAgent({ value: 6 }), { release: 4, securityVersion: 1 });
    const other = makePackage(controlAgent({ value: 6 }), { release: 3, securityVersion: 1 });
    const grant = { allowDowngrade: { digest: digestOf(older) } };
    const beginning = async (now: DeviceSession, pkg: AgentPackage): Promise<Code> => {
      const [failure] = await Promise.allSettled([begin(now, pkg, { allowDowngrade: true })]);
      return failure.status === "fulfilled" ? "OK" : (failure.reason as EdgePlugError).code;
    };
    await challenge(session);
    await untouched(board, () => beginning(session, older), "LOCKED");
    expect(await byOperator(session, grant)).toBe("OK");
    await untouched(board, () => beginning(session, other), "LOCKED");
    await untouched(board, async () => (await failureOf(begin(session, older))).code, "SECURITY_VERSION");
    const again = await powerCycle(board);
    await untouched(board, () => beginning(again, older), "LOCKED");
    expect(await byOperator(again, grant)).toBe("OK");
    expect((await push(again, older, { allowDowngrade: true })).active.release).toBe(4);
    expect((await again.status()).securityVersion).toBe(2);
  });

  it("whoever sends a package may abort its staging on a locked board, its trial only the operator", async () => {
    const { session } = await boardWithKeys(backend);
    await begin(session, slow);
    expect(await ask(session, { abort: {} })).toBe("OK");
    const { rest } = await pushUntil(session, slow, ({ step }) => step === "activated", { confirm: false });
    expect(await ask(session, { abort: {} })).toBe("LOCKED");
    expect(await standing(session)).toMatchObject({ phase: "trial" });
    expect(await byOperator(session, { abort: {} })).toBe("OK");
    await rest.return(undefined as never);
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: "agent 1#1 confirmed" });
    expect(await ask(session, { abort: {} })).toBe("NO_SESSION");
  });

  it("confirming a trial and clearing the spent list are the operator's on a locked board", async () => {
    const { board, session } = await boardWithKeys(backend);
    const bad = makePackage(failingAgent(8, 5, DEEDS.trap), {
      ...{ release: 7, securityVersion: 2 },
      trial: { healthyScans: 100 },
    });
    expect((await failureOf(push(session, bad))).code).toBe("ROLLED_BACK");
    expect(await byOperator(session, { clearSpent: { digest: new Uint8Array(5) } })).toBe("BAD_REQUEST");
    expect((await session.status()).spent).toBe(1);
    expect(await byOperator(session, { clearSpent: { digest: digestOf(bad) } })).toBe("OK");
    expect((await session.status()).spent).toBe(0);
    const { rest } = await pushUntil(session, slow, ({ step }) => step === "activated", { confirm: false });
    expect(await ask(session, { confirm: {} })).toBe("LOCKED");
    expect(await byOperator(session, { confirm: {} })).toBe("OK");
    await rest.return(undefined as never);
    await until(board.clock, "its end", async () => (await session.status()).phase === 0);
    expect(await standing(session)).toMatchObject({ phase: "idle", runs: "agent 2#3 confirmed" });
  });
});
