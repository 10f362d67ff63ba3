/** Pushes through gateways that vanish, repeat themselves or want too much signed: real gRPC, on free ports. */

import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { toErrorDetail } from "../src/gateway/wire.js";
import type { SessionPushOptions } from "../src/session/board-session.js";
import { commandMessage, encodeCommand } from "../src/session/commands.js";
import type { PushStep } from "../src/session/push.js";
import { keyId, newSecretKey, publicKeyOf, sha512, sign, verifySignature } from "../src/signing.js";
import { BOARD, BOARD_ID, DEPLOYMENT } from "./support/fake-gateway.js";
import { names, open, push, startGateway } from "./support/gateway-caller.js";
import { packageOf } from "./support/packages.js";
import { failure } from "./support/failure.js";

const BEGUN = { begun: { offset: 0, size: 100, slot: 1, swapNumber: 3 } };
const SENT = { sending: { acknowledged: 100, size: 100, sent: 100, chunkSize: 100, page: 0, pages: 1 } };
const ACTIVATED = { activated: { swapNumber: 3, scan: 17, handedOver: 0 } };
const CONFIRMED = { confirmed: { swapNumber: 3, scan: 90 } };
const RESULT = { result: { swapNumber: 3, slot: 1, active: { name: "new", version: "2" }, totalMs: 5 } };
const RUNNING = { state: 1, swapNumber: 3, needed: 1_000, compared: 400, allowed: 2, channels: [{}] };
const AGREED = {
  ...RUNNING,
  state: 2,
  compared: 1_000,
  differing: 1,
  channels: [{ differing: 1, largest: 0.75 }],
  first: [{ scan: 81_201, number: 17, active: 1, candidate: 1.75 }],
};
const NONCE = Uint8Array.from([1, 0, 0, 0, 7, 0, 0, 0]);
const patient = packageOf(new Uint8Array(100), { trial: { confirmByHost: true } });

describe("a push through a gateway", () => {
  it("tells the gateway's steps, and its result", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [{ queued: { position: 2, behind: "doubler 1.2.0 of maria" } }, BEGUN, SENT])
        gateway.emit(body);
      for (const body of [{ verifying: {} }, { staged: {} }, ACTIVATED, CONFIRMED, RESULT])
        gateway.emit(body);
    };
    const { steps, result } = await push(await open(gateway), { timeoutMs: 60_000, allowDowngrade: true });
    expect(steps.slice(0, 3)).toEqual([
      { step: "queued", position: 2, behind: "doubler 1.2.0 of maria" },
      { step: "begin", offset: 0, size: 100, resumed: false, slot: 1, swapNumber: 3 },
      { step: "sending", acknowledged: 100, size: 100, sent: 100, chunkSize: 100, page: 0, pages: 1 },
    ]);
    expect(names(steps).slice(3)).toEqual(["verifying", "staged", "activated", "confirmed"]);
    expect(result).toMatchObject({ swapNumber: 3, slot: 1, active: { name: "new" }, totalMs: 5 });
    expect(gateway.deployRequests).toMatchObject([
      { device: BOARD, timeoutMs: 60_000, allowDowngrade: true, maySign: false },
    ]);
    expect(gateway.calls).not.toContain("cancelDeployment");
  });

  it("asks for a shadow run, and tells how it stands as a board on a port would", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [
        BEGUN,
        { staged: {} },
        { shadow: RUNNING },
        { shadow: AGREED },
        ACTIVATED,
        CONFIRMED,
      ])
        gateway.emit(body);
      gateway.emit({ result: { ...RESULT.result, shadow: AGREED } });
    };
    const shadow = { scans: 1_000, tolerance: [0.5], allowed: 2 };
    const { steps, result } = await push(await open(gateway), { shadow });
    expect(gateway.deployRequests).toMatchObject([{ shadow }]);
    expect(names(steps)).toEqual(["begin", "staged", "shadow", "shadow", "activated", "confirmed"]);
    expect(steps[3]).toEqual({
      step: "shadow",
      state: 2,
      swapNumber: 3,
      needed: 1_000,
      compared: 1_000,
      differing: 1,
      allowed: 2,
      reason: 0,
      channels: [{ differing: 1, largest: 0.75 }],
      first: [
        {
          scan: 81_201,
          number: 17,
          channel: 0,
          active: 1,
          candidate: 1.75,
          activeReply: expect.any(Uint8Array) as unknown,
          candidateReply: expect.any(Uint8Array) as unknown,
        },
      ],
    });
    expect({ step: "shadow", ...result.shadow }).toEqual(steps[3]);
  });

  it("with a shadow run is not handed to a gateway that would leave it out", async () => {
    const gateway = await startGateway();
    gateway.handlers.getGateway = (_call, callback) => callback(null, { version: "0.0.9" });
    gateway.onDeploy = () => gateway.emit(RESULT);
    gateway.stop();
    await gateway.start();
    const error = await failure(push(await open(gateway), { shadow: { scans: 5 } }));
    expect(error).toMatchObject({ code: "UNSUPPORTED" });
    expect(error.message).toContain("(0.0.9) knows no shadow run");
    expect(gateway.deployRequests).toEqual([]);
  });

  it("may take longer than a timer can", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      setTimeout(() => gateway.emit(RESULT), 100);
    };
    const sixWeeks = { timeoutMs: 42 * 86_400_000 };
    expect((await push(await open(gateway), sixWeeks)).result).toMatchObject({ swapNumber: 3 });
  });

  it("that is stopped in its shadow run says how far it was", async () => {
    const gateway = await startGateway();
    const controller = new AbortController();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, { staged: {} }, { shadow: RUNNING }]) gateway.emit(body);
    };
    const options = { signal: controller.signal, shadow: { scans: 1_000 } };
    const error = await failure(
      push(await open(gateway), options, ({ step }) => void (step === "shadow" && controller.abort())),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED" });
    expect(error.message).toMatch(/^Stopped by the user after 400 of 1,000 scans of the shadow run;/);
    expect(gateway.calls).toContain("cancelDeployment");
  });

  it("fails as the gateway says", async () => {
    const gateway = await startGateway();
    const failed = new EdgePlugError(
      "ROLLED_BACK",
      "new 2 (swap 3) failed its trial: trap; old 1 runs again.",
    );
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      gateway.emit({ failure: toErrorDetail(failed) });
    };
    expect(await failure(push(await open(gateway)))).toMatchObject({
      code: "ROLLED_BACK",
      exit: 60,
      message: failed.message,
    });
  });

  it("loses no event and tells none twice when the gateway is killed and comes back, again and again", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const bodies = [SENT, { staged: {} }, ACTIVATED, CONFIRMED, RESULT];
    const { steps } = await push(await open(gateway), {}, async ({ step }) => {
      if (step === "interrupted") return;
      gateway.stop();
      const body = bodies.shift();
      if (body !== undefined) gateway.emit(body); // it happens while nobody listens
      await gateway.start();
    });
    const told = names(steps);
    expect(told.filter((step) => step !== "interrupted")).toEqual([
      "begin",
      "sending",
      "staged",
      "activated",
      "confirmed",
    ]);
    expect(told).toContain("interrupted");
    expect(gateway.deployRequests).toHaveLength(1);
    expect(gateway.watchedAfter).toEqual([1, 2, 3, 4, 5]);
  });

  it("waits for a gateway that stays away for a while, and says so once", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    let restarted: Promise<unknown> = Promise.resolve();
    const { steps } = await push(await open(gateway), {}, ({ step }) => {
      if (step !== "begin") return;
      gateway.stop();
      gateway.emit(RESULT);
      restarted = new Promise((resolve) => setTimeout(resolve, 700)).then(() => gateway.start());
    });
    await restarted;
    expect(names(steps)).toEqual(["begin", "interrupted"]);
  });

  it("tells what comes twice once, and goes on over progress that was left out", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      const told = { deployment: DEPLOYMENT, timeMs: 1 };
      gateway.events.push({ ...told, sequence: 7, ...SENT }, { ...told, sequence: 3, ...ACTIVATED });
      gateway.events.push({ ...told, sequence: 7, ...SENT }, { ...told, sequence: 8, ...RESULT });
    };
    const { steps } = await push(await open(gateway));
    expect(names(steps)).toEqual(["begin", "sending"]);
  });

  it("is over in time if the gateway goes away for good", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stopAtOnce = ({ step }: PushStep): void => void (step === "begin" && gateway.stop());
    const session = await open(gateway);
    const error = await failure(push(session, { timeoutMs: -4_500 }, stopAtOnce));
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });

  it("is over in time if the gateway goes quiet, and takes the deployment along", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const error = await failure(push(await open(gateway), { timeoutMs: -4_500 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
    expect(error.message).toMatch(/The package was not on the board within/);
    expect(gateway.calls.at(-1)).toBe("cancelDeployment");
  });

  it("that nobody has begun in time says what the user has set, and that it was still queued", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit({ queued: { position: 2, behind: "doubler 1.2.0 of maria" } });
    const error = await failure(push(await open(gateway), { timeoutMs: -4_000 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
    expect(error.message).toBe(
      "The package was not on the board within -4 s: it was still queued, behind doubler 1.2.0 of maria.",
    );
    expect(gateway.calls.at(-1)).toBe("cancelDeployment");
  });

  it("that is stopped before activation takes the deployment along", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(push(session, { signal: stop.signal }, () => stop.abort()));
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130, message: "Stopped by the user." });
    expect(gateway.calls.filter((call) => call === "cancelDeployment")).toHaveLength(1);
  });

  it("that is stopped before the gateway has said a word takes the deployment along all the same", async () => {
    const gateway = await startGateway();
    const stop = new AbortController();
    gateway.onDeploy = () => {
      stop.abort();
      setTimeout(() => gateway.emit(BEGUN), 50);
    };
    const error = await failure(push(await open(gateway), { signal: stop.signal }));
    expect(error).toMatchObject({ code: "INTERRUPTED", message: "Stopped by the user." });
    expect(gateway.calls.filter((call) => call === "cancelDeployment")).toHaveLength(1);
  });

  it("that is stopped in the trial leaves the trial alone, and says how to go back", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      gateway.emit(BEGUN);
      gateway.emit(ACTIVATED);
    };
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(
      push(session, { signal: stop.signal }, ({ step }) => step === "activated" && stop.abort()),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect([error.message, error.action]).toEqual([
      expect.stringContaining("its trial goes on by itself"),
      expect.stringContaining("--rollback"),
    ]);
    expect(gateway.calls).not.toContain("cancelDeployment");
  });

  it("whose stop can't be told to the gateway says that it goes on", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(BEGUN);
    const stop = new AbortController();
    const session = await open(gateway);
    const error = await failure(
      push(session, { signal: stop.signal }, () => {
        gateway.stop();
        stop.abort();
      }),
    );
    expect(error).toMatchObject({ code: "INTERRUPTED", exit: 130 });
    expect(error.message).toContain("the gateway could not be told and goes on");
  });
});

describe("a signature", () => {
  const secret = newSecretKey();
  const signer = {
    keyId: keyId(publicKeyOf(secret)),
    publicKey: publicKeyOf(secret),
    sign: async (message: Uint8Array) => sign(message, secret),
  };
  const confirm = encodeCommand({ kind: "confirm" });
  const grant = (manifest: Uint8Array): Uint8Array =>
    encodeCommand({ kind: "allowDowngrade", digest: sha512(manifest).slice(0, 16) });
  const wanted = (command: Uint8Array, fields: object = {}) => ({
    signatureWanted: { request: 1, boardId: BOARD_ID, nonce: NONCE, command, ...fields },
  });

  it("is given for the package that was to be let in, and for its trial, over board, nonce and command", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => gateway.emit(wanted(grant(patient.manifestBytes)));
    gateway.onSignature = () => {
      if (gateway.signatures.length === 1) {
        for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
      } else {
        gateway.emit(RESULT);
      }
    };
    const session = await open(gateway);
    await push(session, { signer, allowDowngrade: true }, undefined, patient);
    expect(gateway.deployRequests[0]?.maySign).toBe(true);
    const commands = [grant(patient.manifestBytes), confirm];
    const holds = gateway.signatures.map(({ deployment, request, keyId: key, signature }, index) => {
      const message = commandMessage(BOARD_ID, NONCE, commands[index] ?? new Uint8Array());
      expect([deployment, request, Buffer.compare(key, signer.keyId)]).toEqual([DEPLOYMENT, 1, 0]);
      return verifySignature(signature, message, signer.publicKey);
    });
    expect(holds).toEqual([true, true]);
  });

  it.each<[string, object[], SessionPushOptions]>([
    ["to unlock the board", [wanted(encodeCommand({ kind: "unlock" }))], { allowDowngrade: true }],
    ["to confirm what is not in its trial yet", [BEGUN, wanted(confirm)], {}],
    ["to let another package in", [wanted(grant(new Uint8Array(3)))], { allowDowngrade: true }],
    ["to let an older package in, unasked", [wanted(grant(patient.manifestBytes))], {}],
    ["of another board", [ACTIVATED, wanted(confirm, { boardId: new Uint8Array(12) })], {}],
    ["without a nonce", [ACTIVATED, wanted(confirm, { nonce: new Uint8Array() })], {}],
    ["with more than a command in it", [ACTIVATED, wanted(Buffer.concat([confirm, confirm]))], {}],
    ["that is none", [ACTIVATED, wanted(Uint8Array.of(0xff, 0xff))], {}],
  ])("is refused for a command %s: nobody asked for that", async (_what, bodies, options) => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of bodies) gateway.emit(body);
    };
    let signed = 0;
    const counting = { ...signer, sign: (message: Uint8Array) => (signed++, signer.sign(message)) };
    const session = await open(gateway);
    const error = await failure(push(session, { signer: counting, ...options }, undefined, patient));
    expect(error).toMatchObject({ code: "PROTOCOL" });
    expect(error.message).toMatch(/nobody asked for. Nothing was signed/);
    expect([signed, gateway.signatures]).toEqual([0, []]);
  });

  it("that got lost with the gateway is given again when it is back", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
    };
    gateway.onSignature = () => gateway.emit(RESULT);
    let turn = 0;
    const slow = {
      ...signer,
      sign: async (message: Uint8Array) => {
        if (turn++ === 0) {
          gateway.stop();
          setTimeout(() => void gateway.start(), 300);
        }
        return signer.sign(message);
      },
    };
    await push(await open(gateway), { signer: slow }, undefined, patient);
    expect([turn, gateway.signatures.length]).toEqual([2, 1]);
  });

  it("that a gateway no longer waits for is no failure: it asks anew, and is answered", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
    };
    gateway.onSignature = () => {
      if (gateway.signatures.at(-1)?.request === 2) return gateway.emit(RESULT);
      gateway.emit(wanted(confirm, { request: 2 }));
      throw new EdgePlugError("GATEWAY_REQUEST", "It waits for no signature 1.");
    };
    await push(await open(gateway), { signer }, undefined, patient);
    expect(gateway.signatures.map(({ request }) => request)).toEqual([1, 2]);
  });

  it("that was taken is not given a second time after a lost connection", async () => {
    const gateway = await startGateway();
    gateway.onDeploy = () => {
      for (const body of [BEGUN, ACTIVATED, wanted(confirm)]) gateway.emit(body);
    };
    gateway.onSignature = () => gateway.emit(CONFIRMED);
    await push(
      await open(gateway),
      { signer },
      async ({ step }) => {
        if (step !== "confirmed") return;
        gateway.stop();
        gateway.emit(RESULT);
        await gateway.start();
      },
      patient,
    );
    expect(gateway.signatures).toHaveLength(1);
  });

  it("is never made for a challenge that is another board's", async () => {
    const gateway = await startGateway();
    gateway.stop();
    gateway.locked = true;
    gateway.handlers = {
      getChallenge: (_call, callback) => callback(null, { boardId: new Uint8Array(12), nonce: NONCE }),
    };
    await gateway.start();
    const session = await open(gateway);
    const command = { kind: "rollback", allowDowngrade: false } as const;
    expect(await failure(session.execute(command, { signer }))).toMatchObject({ code: "PROTOCOL" });
    expect(gateway.calls).not.toContain("rollback");
  });
});
