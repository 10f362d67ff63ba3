/** Signatures and key ids that are wrong: who a package says to come from, and what the board makes of that. */
import { OPERATOR, signed, STRANGER } from "@edgeplug/test-support/agents";

import { attempt, foreign, TAKEN_UNSIGNED, TAKEN_UNVERIFIED, type Spoil } from "./attempt.js";
import { burst, flipSome } from "./bytes.js";
import type { ChaosKind, Trial } from "./case.js";
import type { Forced } from "./force.js";

const ANY = ["one", "two", "rejected", "locked"] as const;

/** Order of the group, RFC 8032: S plus it is the same number to whoever does not look. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

function withLargerS(signature: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(signature);
  let s = [...copy.subarray(32)].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n) + L;
  for (let at = 32; at < 64; at++, s >>= 8n) copy[at] = Number(s & 0xffn);
  return copy;
}

const SIGNATURES: readonly [string, Spoil][] = [
  ["R", (pkg, { random }) => ({ ...pkg, signature: flipSome(pkg.signature, 0, 32, random, 3) })],
  ["S", (pkg, { random }) => ({ ...pkg, signature: flipSome(pkg.signature, 32, 64, random, 3) })],
  ["S of the next higher size", (pkg) => ({ ...pkg, signature: withLargerS(pkg.signature) })],
  ["all zeros", (pkg) => ({ ...pkg, signature: new Uint8Array(64) })],
  ["all ones", (pkg) => ({ ...pkg, signature: new Uint8Array(64).fill(0xff) })],
  ["cut short", (pkg, trial) => ({ ...pkg, signature: pkg.signature.subarray(0, trial.between(1, 63)) })],
  ["gone, its key id left", (pkg) => ({ ...pkg, signature: new Uint8Array() })],
  ["of another package", (pkg, trial) => ({ ...pkg, signature: foreign(trial).signature })],
  ["of a stranger under the publisher's key id", (pkg) => ({ ...signed(pkg, STRANGER), keyId: pkg.keyId })],
  [
    "a burst",
    (pkg, trial) => ({ ...pkg, signature: burst(pkg.signature, trial.between(0, 63), 16, trial.random) }),
  ],
];

export const SIGNATURE: ChaosKind = {
  name: "signature",
  where: "before sending",
  catchers: ["SIGNATURE"],
  variants: SIGNATURES.length,
  run: async (trial) => {
    await trial.stage(...ANY);
    const [what, spoil] = SIGNATURES[trial.variant % SIGNATURES.length] ?? ["", (pkg): Forced => pkg];
    trial.tell(`the signature: ${what}`);
    return attempt(trial, spoil(trial.parcel.pkg, trial));
  },
};

/** What is wrong with the key id, and the answer of an open and of a locked board. */
const KEY_IDS: readonly [string, Spoil, open: string, locked: string][] = [
  [
    "a bit flipped",
    (pkg, { random }) => ({ ...pkg, keyId: flipSome(pkg.keyId, 0, 8, random, 3) }),
    TAKEN_UNVERIFIED,
    "KEY_UNKNOWN",
  ],
  ["an operator's", (pkg) => signed(pkg, OPERATOR), "KEY_ROLE", "KEY_ROLE"],
  ["a stranger's", (pkg) => signed(pkg, STRANGER), TAKEN_UNVERIFIED, "KEY_UNKNOWN"],
  [
    "cut short",
    (pkg, trial) => ({ ...pkg, keyId: pkg.keyId.subarray(0, trial.between(1, 7)) }),
    "SIGNATURE",
    "SIGNATURE",
  ],
  ["gone, its signature left", (pkg) => ({ ...pkg, keyId: new Uint8Array() }), "SIGNATURE", "SIGNATURE"],
  ["gone with the signature", (pkg) => signed(pkg, null), TAKEN_UNSIGNED, "UNSIGNED"],
];

/** An open board takes what it can't check, and says so; a locked one does not. */
export const KEY_ID: ChaosKind = {
  name: "key id",
  where: "before sending",
  catchers: ["KEY_UNKNOWN", "KEY_ROLE", "SIGNATURE", "UNSIGNED", TAKEN_UNSIGNED, TAKEN_UNVERIFIED],
  variants: KEY_IDS.length,
  run: async (trial) => {
    const { locked } = await trial.stage("locked", "two");
    const row = KEY_IDS[trial.variant % KEY_IDS.length];
    if (row === undefined) throw new RangeError("no such key id");
    const [what, spoil, whenOpen, whenLocked] = row;
    trial.tell(`the key id: ${what}`);
    const forced = spoil(trial.parcel.pkg, trial);
    let outcome = await attempt(trial, forced, locked ? undefined : "taken");
    if (outcome.caughtBy === "taken") outcome = { ...outcome, caughtBy: await toldAs(trial, forced) };
    const due = locked ? whenLocked : whenOpen;
    return outcome.caughtBy === due ? outcome : { ...outcome, caughtBy: `${outcome.caughtBy}, not ${due}` };
  },
};

/** What an open board says of the signature of a package that it took. */
async function toldAs(trial: Trial, { keyId, signature }: Forced): Promise<string> {
  // it is the publisher's agent, byte for byte; what is wrong is whom it says to come from
  trial.parcel = { ...trial.parcel, pkg: { ...trial.parcel.pkg, keyId, signature } };
  const { session, line } = await trial.connect();
  const { active } = await session.status();
  await line.close();
  if (active?.signature === 2) return "nothing: it counts as verified";
  return active?.signature === 0 ? TAKEN_UNSIGNED : TAKEN_UNVERIFIED;
}
