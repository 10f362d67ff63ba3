/**
 * What a board would say to a package, foretold without changing anything on it: the rules of a Begin
 * (firmware/runtime/hotswap/update.c and record.c) over what the board tells of itself. Only the board decides; what can't be
 * known from here is said to be so.
 */
import { EdgePlugError } from "./errors.js";
import { MAX_CALL_DEPTH, MAX_FUEL, MAX_IO_BUFFER, MAX_STACK_SLOTS } from "./generated/limits.js";
import { edgeplug } from "./generated/messages.js";
import { boardName, type AgentManifest } from "./manifest.js";
import { plural } from "./numbers.js";
import type { AgentPackage } from "./package.js";
import { sha512 } from "./signing.js";
import type { BoardSession, SessionPushOptions } from "./session/board-session.js";
import type { RequestOptions } from "./session/connection.js";
import { slotName } from "./session/describe.js";
import { explainMismatch } from "./session/mismatch.js";
import { agentKindName, phaseName, type KeyInfo, type SlotInfo, type Status } from "./session/messages.js";

const { SlotState, UpdatePhase, KeyRole, AgentKind } = edgeplug;

/** One rule and how it went. */
export interface Check {
  name: string;
  /** What was found, in words. */
  text: string;
  /** Why the board would refuse; undefined if it would not, as far as this can be known. */
  error?: EdgePlugError;
}

export interface Foresight {
  /** In the order in which the board looks; the first error is the one that a push would end with. */
  checks: Check[];
  /** Where it would go; undefined where only the board knows. */
  slot: number | undefined;
  /** The board holds part of this package already. */
  resumes: boolean;
  /** The package that runs; undefined if none does, or it can't be read. */
  present: AgentPackage | undefined;
  /** The shortest time that a shadow run of scans can take, milliseconds; undefined without one, and for requests. */
  shadowMs: number | undefined;
  /** The shortest time that the trial can take, milliseconds. */
  trialMs: number;
}

export interface ForeseeOptions extends RequestOptions {
  allowDowngrade?: boolean | undefined;
  /** Read the running package whatever its kind; without it only where the rules need it. Default: false. */
  present?: boolean;
  /** An operator's key, as for a push. */
  signer?: SessionPushOptions["signer"];
  /** As for a push. */
  shadow?: SessionPushOptions["shadow"];
}

/** Percent of a scan that agents may take, the new one and the one that runs. */
export const SCAN_SHARE = 70;
const DIGEST_SIZE = 16;
const DEFAULT_HEALTHY_SCANS = 1_000;

/** All that is asked of the board, at one time. */
interface Situation {
  manifest: AgentManifest;
  pkg: AgentPackage;
  digest: Uint8Array;
  session: BoardSession;
  status: Status;
  slots: readonly SlotInfo[];
  keys: readonly KeyInfo[];
  spent: readonly Uint8Array[];
  /** Fuel a scan of the agent that runs; undefined if it can't be read. */
  activeFuel: number | undefined;
  options: ForeseeOptions;
}

/** Asks the board, and nothing else. Throws what its requests do. */
export async function foreseePush(
  session: BoardSession,
  pkg: AgentPackage,
  options: ForeseeOptions = {},
): Promise<Foresight> {
  const { manifest } = pkg;
  const status = await session.status(options);
  const present = await presentPackage(session, status, options);
  const situation: Situation = {
    manifest,
    pkg,
    digest: sha512(pkg.manifestBytes).subarray(0, DIGEST_SIZE),
    session,
    status,
    slots: await session.slots(options),
    keys: await session.listKeys(options),
    spent: await session.spent(options),
    activeFuel: activeFuel(status, present),
    options,
  };
  const checks = [journal, update, signature, board, memory, fuel, security, release, spentList]
    .map((rule) => rule(situation))
    .concat(await module(situation), shadow(situation));
  const healthy = manifest.trial.healthyScans || DEFAULT_HEALTHY_SCANS;
  return {
    checks,
    slot: targetSlot(situation),
    resumes: situation.slots.some((slot) => isHalfReceived(slot) && isSame(slot.digest, situation.digest)),
    present,
    shadowMs:
      options.shadow === undefined || manifest.kind === "request"
        ? undefined
        : (options.shadow.scans * session.hello.tickUs) / 1_000,
    trialMs: (healthy * session.hello.tickUs) / 1_000,
  };
}

/** The board counts the running agent's fuel too, and tells it nowhere but in the package itself. */
async function presentPackage(
  session: BoardSession,
  { active }: Status,
  options: ForeseeOptions,
): Promise<AgentPackage | undefined> {
  if (active === null || (active.kind !== AgentKind.AGENT_KIND_CONTROL && options.present !== true))
    return undefined;
  try {
    return (await session.save(options)).package;
  } catch (error) {
    const { code } = EdgePlugError.from(error);
    if (code === "INTERRUPTED" || code === "PORT_LOST") throw error;
    return undefined; // a login that may only look
  }
}

function activeFuel({ active }: Status, present: AgentPackage | undefined): number | undefined {
  return active?.kind === AgentKind.AGENT_KIND_CONTROL ? present?.manifest.limits.fuel : 0;
}

function journal({ status }: Situation): Check {
  const good = { name: "journal", text: "sound" };
  if (status.journalError === 0) return good;
  const error = EdgePlugError.fromBoard(status.journalError);
  return { ...good, text: error.code === "JOURNAL" ? "damaged" : "out of use", error };
}

function update({ status, slots, digest }: Situation): Check {
  const name = "update";
  const { phase } = status;
  if (phase === UpdatePhase.UPDATE_PHASE_IDLE) return { name, text: "none under way" };
  const own =
    (phase <= UpdatePhase.UPDATE_PHASE_STAGED || phase === UpdatePhase.UPDATE_PHASE_SHADOW) &&
    slots.some((slot) => isHalfReceived(slot) && isSame(slot.digest, digest));
  if (own) return { name, text: `this very package is ${phaseName(phase)}: the push goes on with it` };
  return {
    name,
    text: `${phaseName(phase)}`,
    error: new EdgePlugError("BUSY", `The board is busy with another update: ${phaseName(phase)}.`),
  };
}

function signature({ pkg, session, keys }: Situation): Check {
  const name = "signature";
  const { locked } = session.hello;
  if (pkg.keyId.length === 0) {
    if (!locked) return { name, text: "none, and the board is open" };
    return { name, text: "none", error: new EdgePlugError("UNSIGNED") };
  }
  const id = Buffer.from(pkg.keyId).toString("hex");
  const key = keys.find(({ keyId }) => isSame(keyId, pkg.keyId));
  if (key === undefined) {
    if (!locked)
      return { name, text: `by ${id}, which the board doesn't know; it is open, and takes it unverified` };
    return {
      name,
      text: `by ${id}, which the board doesn't know`,
      error: new EdgePlugError(
        "KEY_UNKNOWN",
        `The package is signed by key ${id}, which the board doesn't have.`,
      ),
    };
  }
  if (key.role !== KeyRole.KEY_ROLE_PUBLISHER)
    return { name, text: `by ${id}, an operator's key`, error: new EdgePlugError("KEY_ROLE") };
  return {
    name,
    text: `by ${id}, a publisher's key that the board has; whether it holds, the board will say`,
  };
}

function board({ manifest, session: { hello } }: Situation): Check {
  const name = "board";
  const text = `for ${boardName(manifest.boardClass)}, ABI ${manifest.abi}, ${manifest.inputs} inputs, ${manifest.outputs} outputs`;
  if (manifest.payloadSize > hello.slotPayload)
    return { name, text, error: new EdgePlugError("PACKAGE_TOO_LARGE") };
  const explain = (code: "BOARD_CLASS" | "ABI"): EdgePlugError =>
    explainMismatch(new EdgePlugError(code), manifest, hello);
  if (manifest.boardClass !== 0 && manifest.boardClass !== hello.boardClass)
    return { name, text, error: explain("BOARD_CLASS") };
  if (manifest.abi !== hello.abi) return { name, text, error: explain("ABI") };
  if (manifest.inputs > hello.inputs || manifest.outputs > hello.outputs)
    return { name, text, error: new EdgePlugError("CHANNELS") };
  return { name, text };
}

function memory({ manifest: { limits, payloadSize }, session: { hello } }: Situation): Check {
  const text = `${limits.memory} of ${hello.maxMemory} bytes, ${payloadSize} of ${hello.slotPayload} bytes of a slot`;
  const fits =
    limits.memory <= hello.maxMemory &&
    limits.stackSlots <= MAX_STACK_SLOTS &&
    limits.callDepth <= MAX_CALL_DEPTH &&
    limits.ioBuffer <= MAX_IO_BUFFER;
  return { name: "memory", text, ...(fits ? {} : { error: new EdgePlugError("MEMORY") }) };
}

function fuel({ manifest, session: { hello }, activeFuel: running }: Situation): Check {
  const { limits, kind } = manifest;
  const beside =
    running === undefined ? "; what the running agent takes can't be read" : ` beside ${running}`;
  const text = `${limits.fuel} a scan${kind === "control" ? beside : ""}`;
  const ours = kind === "control" ? limits.fuel + (running ?? 0) : 0;
  const fits =
    limits.fuel <= MAX_FUEL &&
    limits.initFuel <= MAX_FUEL &&
    ours * hello.nanosPerFuel <= hello.tickUs * 10 * SCAN_SHARE;
  return { name: "fuel", text, ...(fits ? {} : { error: new EdgePlugError("FUEL") }) };
}

function security(situation: Situation): Check {
  const { manifest, status } = situation;
  const text = `security version ${manifest.securityVersion}, the board's is ${status.securityVersion}`;
  const lower = manifest.securityVersion < status.securityVersion;
  return { name: "security", text, ...(lower ? lowered(situation, "SECURITY_VERSION") : {}) };
}

function release(situation: Situation): Check {
  const { manifest, slots, digest } = situation;
  const higher = slots.find(
    ({ state, name, release: other, digest: theirs }) =>
      state === SlotState.SLOT_STATE_CONFIRMED &&
      name === manifest.name &&
      (other > manifest.release || (other === manifest.release && !isSame(theirs, digest))),
  );
  const text =
    higher === undefined
      ? `release ${manifest.release} of ${manifest.name}`
      : `release ${manifest.release} of ${manifest.name}, and release ${higher.release} is confirmed`;
  return { name: "release", text, ...(higher === undefined ? {} : lowered(situation, "RELEASE")) };
}

/** What a package below the board's versions is told. */
function lowered(
  { options, session }: Situation,
  code: "RELEASE" | "SECURITY_VERSION",
): { error?: EdgePlugError } {
  if (options.allowDowngrade !== true) return { error: new EdgePlugError(code) };
  if (!session.hello.locked || options.signer !== undefined) return {};
  return { error: new EdgePlugError("LOCKED") };
}

function spentList({ spent, digest }: Situation): Check {
  const listed = spent.some((entry) => isSame(entry, digest));
  const text = listed ? "this package failed here before" : `not this package, of ${spent.length}`;
  return { name: "spent list", text, ...(listed ? { error: new EdgePlugError("SPENT") } : {}) };
}

/** In the board's own engine, here: the module, its start, its test vectors. */
async function module({ pkg, manifest }: Situation): Promise<Check> {
  const name = "module";
  try {
    const { runPackedModule } = await import("./agent/board-machine.js");
    await runPackedModule(pkg.payload, manifest);
    return { name, text: "valid, starts, and its test vectors agree" };
  } catch (error) {
    const known = EdgePlugError.from(error);
    if (known.code === "SETUP" || known.code === "INTERNAL") throw error;
    return { name, text: "not what the board would run", error: known };
  }
}

/** What it would run beside; nothing to check without a shadow run. */
function shadow({ manifest, status: { active }, options }: Situation): Check[] {
  if (options.shadow === undefined) return [];
  const name = "shadow";
  const wanted = plural(options.shadow.scans, manifest.kind === "request" ? "request" : "scan");
  if (active === null)
    return [{ name, text: `${wanted} beside no agent`, error: new EdgePlugError("NO_SHADOW_PARTNER") }];
  const running = agentKindName(active.kind);
  const text = `${wanted} beside ${active.name} ${active.version}, a ${running} agent`;
  return [
    { name, text, ...(running === manifest.kind ? {} : { error: new EdgePlugError("NO_SHADOW_PARTNER") }) },
  ];
}

/** Never the slot that runs or would be fallen back to. */
function targetSlot({ status, slots }: Situation): number | undefined {
  if (status.active !== null) return status.activeSlot ^ 1;
  const confirmed = slots
    .map((slot, index) => ({ slot, index }))
    .filter(({ slot }) => slot.state === SlotState.SLOT_STATE_CONFIRMED)
    .sort((a, b) => b.slot.swapNumber - a.slot.swapNumber);
  if (confirmed[0] !== undefined) return confirmed[0].index ^ 1;
  const half = slots.findIndex(isHalfReceived);
  if (half >= 0) return half;
  return slots.every(({ state }) => state === SlotState.SLOT_STATE_EMPTY) ? 0 : undefined;
}

function isHalfReceived({ state }: SlotInfo): boolean {
  return state === SlotState.SLOT_STATE_PARTIAL || state === SlotState.SLOT_STATE_STAGED;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** `slot B`, or who decides. */
export function targetText(slot: number | undefined): string {
  return slot === undefined ? "a slot of the board's choice" : `slot ${slotName(slot)}`;
}
