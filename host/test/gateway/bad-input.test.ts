/** Requests that nobody's tool would send, to every call that the service has: refused in words, and without effect. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { encodeFlashFile, SimBoard } from "@edgeplug/sim";
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import type { MethodDefinition } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { verifyAudit } from "../../src/gateway/audit.js";
import { DETAILS_TRAILER, fromServiceError, gatewayService } from "../../src/gateway/wire.js";
import { DeviceSession } from "../../src/session/session.js";
import { SimTransport } from "../../src/transports/sim.js";
import { hostileFields, hostileMessages, textField, UNKNOWN_FIELDS } from "../support/hostile-messages.js";
import { epk } from "../support/sim-fleet.js";
import { TestGateway, type Caller } from "../support/test-gateway.js";

type Method = MethodDefinition<object, object>;

const METHODS = Object.entries(gatewayService) as unknown as [string, Method][];
/** Calls that read what is there, of all boards or of the one that is named: many a strange request is a good one to them. */
const READING = /^(Get(Gateway|Info|Status|History)|List\w+|WatchEvents|ReadPackage|GetChallenge|Call)$/;
/** What a caller is told. INTERNAL and UNKNOWN are not among it: nothing may surprise the gateway. */
const CLEAR: readonly number[] = [
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.RESOURCE_EXHAUSTED,
  status.FAILED_PRECONDITION,
];
/** Streams without an end, and how long they are read. */
const ENDLESS = /WatchEvents$/;
const STREAM_MS = 300;
const AT_ONCE = 4;

let gateway: TestGateway;
let admin: Caller;
let board: SimBoard;
let id = "";

beforeAll(async () => {
  board = await SimBoard.create({ seed: 41, boardId: Uint8Array.from({ length: 12 }, (_, at) => at + 1) });
  const open = (): Promise<DeviceSession> => DeviceSession.connect(new SimTransport("sim:", board));
  gateway = await TestGateway.start({ start: { open } });
  [id = ""] = await gateway.boards();
  admin = gateway.caller("admin");
  for await (const event of admin.stream("deploy", { device: id, package: epk(1) }))
    if (event.body === "failure") throw new Error(event.failure?.message);
  // the first challenge after a start is written down by the board
  await admin.call("getChallenge", { device: id });
});
afterAll(() => gateway.stop());

/** Sends bytes as they are; the error, or undefined if the call went well. */
function send({ path, responseStream }: Method, bytes: Uint8Array): Promise<ServiceError | undefined> {
  const { client } = admin;
  const same = (raw: Buffer): Buffer => raw;
  const metadata: Metadata = admin.metadata;
  return new Promise((resolve) => {
    if (!responseStream) {
      client.makeUnaryRequest(path, same, same, Buffer.from(bytes), metadata, {}, (error) =>
        resolve(error ?? undefined),
      );
      return;
    }
    const call = client.makeServerStreamRequest(path, same, same, Buffer.from(bytes), metadata, {});
    const timer = ENDLESS.test(path) ? setTimeout(() => call.cancel(), STREAM_MS) : undefined;
    const end = (error?: ServiceError): void => {
      clearTimeout(timer);
      resolve(error?.code === status.CANCELLED ? undefined : error);
    };
    call.on("error", end);
    call.on("end", () => end());
    call.resume();
  });
}

/** What is wrong with an answer; undefined if nothing is. */
function objection(name: string, error: ServiceError | undefined): string | undefined {
  if (error === undefined) return READING.test(name) ? undefined : "went well";
  const known = fromServiceError(error);
  if (!CLEAR.includes(error.code)) return `${status[error.code]}: ${error.details}`;
  if (error.metadata.get(DETAILS_TRAILER).length !== 1) return `no details: ${error.details}`;
  if (known.code === "INTERNAL" || known.message === "") return `${known.code}: ${known.message}`;
  if (/[\p{Cc}\u2028\u2029]/u.test(error.details))
    return `control characters: ${JSON.stringify(error.details)}`;
  return undefined;
}

/** The rest of a request of which one field is bad: the board that is there. */
function others(method: Method): (field: string) => Uint8Array {
  const { field: fields } = method.requestType.type as { field: { name: string; number: number }[] };
  const device = fields.find((field) => field.name === "device");
  return (bad) =>
    device === undefined || bad === "device" ? new Uint8Array() : textField(device.number, id);
}

const log = (): string => readFileSync(join(gateway.config.state, "audit.log"), "utf8");
const flash = (): Uint8Array => encodeFlashFile({ flash: board.flash, boardId: Uint8Array.of(1) });

describe.each(METHODS)("%s", (name, method) => {
  it("refuses in words what makes no sense, leaves the board alone, and puts nothing on record", async () => {
    const before = { operations: board.flash.operations, flash: flash(), log: log() };
    const cases = [
      ...hostileMessages(),
      { what: "unknown fields", bytes: UNKNOWN_FIELDS },
      { what: "nothing", bytes: new Uint8Array() },
      ...hostileFields(method, others(method)),
    ];
    const objections: string[] = [];
    // a few at a time: HTTP/2 itself refuses, without our words, what all of them together would hold in one session
    for (let at = 0; at < cases.length; at += AT_ONCE) {
      const some = cases.slice(at, at + AT_ONCE);
      const whys = await Promise.all(
        some.map(async ({ what, bytes }) => ({ what, why: objection(name, await send(method, bytes)) })),
      );
      for (const { what, why } of whys) if (why !== undefined) objections.push(`${what}: ${why}`);
    }
    expect(objections).toEqual([]);
    expect(board.flash.operations).toBe(before.operations);
    expect(Buffer.compare(flash(), before.flash)).toBe(0);
    // nothing of it went on record but what was about to be done to a board
    expect(log().slice(before.log.length)).toBe("");
  });
});

describe("after all of it", () => {
  it("the gateway serves the next good call, and its log verifies", async () => {
    const { devices } = await admin.call("listDevices", {});
    expect(devices).toHaveLength(1);
    const bodies: string[] = [];
    for await (const event of admin.stream("deploy", { device: id, package: epk(2) }))
      bodies.push(event.body);
    expect(bodies.at(-1)).toBe("result");
    expect(gateway.running.gateway.devices.watching).toBe(0);
    expect(verifyAudit(join(gateway.config.state, "audit.log")).problems).toEqual([]);
  });
});
