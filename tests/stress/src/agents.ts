/** Who takes turns on the board: real example agents, and two that leave nothing of the others behind. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Random } from "@edgeplug/sim";
import { makePackage, padded, PUBLISHER } from "@edgeplug/test-support/agents";
import type { OwnAgent } from "@edgeplug/test-support/own-agents";
import { findBuiltAgent, packAgent, type AgentPackage } from "edgeplug";
import { vectorExchanges } from "edgeplug/device";

const BUILT = fileURLToPath(new URL("../../../build/agents", import.meta.url));

/** Scans of a trial, and requests that a request agent has to serve in it. */
const TRIAL_SCANS = 40;
const TRIAL_REQUESTS = 2;
/** So long a host may be kept from sending them. */
const TRIAL_DEADLINE = 120_000;

/** The answer that a request agent owes, who has `given` one. */
export type Answer = (request: Uint8Array, given: Uint8Array) => Uint8Array;

export interface StressAgent {
  readonly name: string;
  readonly pkg: AgentPackage;
  /** Undefined: a control agent, which answers no requests. */
  readonly answer: Answer | undefined;
}

const EXAMPLES: readonly (readonly [folder: string, algorithm?: string])[] = [
  ["voltage-event"],
  ["hash-sha256", "sha256"],
  ["pid-biquad"],
  ["hash-blake2s", "blake2s256"],
  ["voltage-event-2"],
];

/** The example agents as set-up built them; only their trials are short. */
export async function exampleAgents(): Promise<StressAgent[]> {
  return Promise.all(EXAMPLES.map(([folder, algorithm]) => exampleAgent(folder, algorithm)));
}

/** `algorithm`: what node:crypto calls the agent's hash. */
export async function exampleAgent(folder: string, algorithm?: string): Promise<StressAgent> {
  const { config, wasm } = await findBuiltAgent(join(BUILT, folder));
  const minRequests = algorithm === undefined ? 0 : TRIAL_REQUESTS;
  const trial = { ...config.trial, healthyScans: TRIAL_SCANS, deadlineScans: TRIAL_DEADLINE, minRequests };
  const pkg = packAgent({ ...config, trial }, wasm, { secretKey: PUBLISHER });
  const answer = algorithm === undefined ? undefined : hashed(algorithm);
  return { name: `${pkg.manifest.name} ${pkg.manifest.version}`, pkg, answer };
}

function hashed(algorithm: string): Answer {
  return (request) => createHash(algorithm).update(request).digest();
}

/** Somebody's own agents, as they were packed: signature, limits and trial are theirs. */
export function ownAgents(agents: readonly OwnAgent[]): StressAgent[] {
  return agents.map(({ name, pkg }) => ({
    name,
    pkg,
    answer: pkg.manifest.kind === "request" ? constant(pkg) : undefined,
  }));
}

/** Nobody knows the algorithm: its test vectors hold, and whatever it has answered once it answers again. */
function constant({ payload }: AgentPackage): Answer {
  const known = new Map(vectorExchanges(payload).map(({ request, reply }) => [hex(request), reply]));
  return (request, given) => {
    const answer = known.get(hex(request));
    if (answer !== undefined) return answer;
    known.set(hex(request), given);
    return given;
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Requests that come again and again, where answers are to be compared: those of test vectors, and some at random. */
const REPEATED = 48;
const LARGEST_REPEATED = 96;

/** None, if every answer is known beforehand. */
export function repeatedRequests(own: readonly OwnAgent[], random: Random): Uint8Array[] {
  const asked = own.filter(({ pkg }) => pkg.manifest.kind === "request");
  if (asked.length === 0) return [];
  const largest = Math.min(LARGEST_REPEATED, ...asked.map(({ pkg }) => pkg.manifest.limits.ioBuffer));
  const theirs = asked.flatMap(({ pkg }) => vectorExchanges(pkg.payload).map(({ request }) => request));
  return [
    ...theirs.filter(({ length }) => length > 0 && length <= largest),
    ...Array.from({ length: REPEATED }, () => random.bytes(1 + random.below(largest))),
  ];
}

/** More linear memory and more code than any example has: loading them writes over all that the others left. */
const REST_MEMORY = 16_384;
const REST_CODE = 4_096;

/**
 * Two request agents with the same shape. Once both are loaded, one in each bank, RAM holds nothing of the agents that
 * ran before, and nothing in either changes with time: what else differs from the last time would be a leak. Each
 * request puts an event, so that requests can fill the ring of events too. Beside agents that nobody knows they are
 * `widest`: they fill the arena to the last byte, and have as much code as the largest of those.
 */
export function restAgents(own: readonly OwnAgent[] = []): readonly [StressAgent, StressAgent] {
  const widest = own.length > 0;
  const code = Math.max(REST_CODE, ...own.map(({ pkg }) => pkg.payload.length));
  return [restAgent("rest-a", 0xa5, { widest, code }), restAgent("rest-b", 0x5a, { widest, code })];
}

/** Takes turns with an only agent, for nobody comes twice in a row. */
export function partner(): StressAgent {
  return restAgent("partner", 0x3c, { widest: false, code: REST_CODE });
}

/**
 * Never called, but validated: nests deeper and has more locals and operands than any function of an example. Its branch
 * and the global fill the gaps that alignment would leave in the instance's arena.
 */
const REST_FUNCTION = `(func (local ${"i32 ".repeat(96)})
  ${"(block ".repeat(24)} ${"(i32.const 0)".repeat(96)} ${"(drop)".repeat(96)} ${")".repeat(24)} (block (br 0)))`;

const REST_STACK = 32;
/** The most that a manifest can ask for; with it and REST_MEMORY, the arena is full with a table of so many elements. */
const WIDEST_STACK = 1_024;
export const WIDEST_TABLE = 12_240;

function restAgent(
  name: string,
  tag: number,
  { widest, code }: { widest: boolean; code: number },
): StressAgent {
  const wat = `(module
    (import "edgeplug" "log" (func $log (param i32 i32)))
    ${widest ? `(table ${WIDEST_TABLE} funcref)` : ""}
    (memory 1) (global i32 (i32.const 0))
    (func (export "io_buffer") (result i32) (i32.const 0))
    (func (export "handle") (param $size i32) (result i32)
      (memory.copy (i32.const 1) (i32.const 0) (local.get $size))
      (i32.store8 (i32.const 0) (i32.const ${tag}))
      (call $log (i32.const 0) (i32.const 0))
      (i32.add (local.get $size) (i32.const 1)))
    ${REST_FUNCTION})`;
  const pkg = makePackage(padded(wat, code), {
    name,
    kind: "request",
    outputs: 0,
    limits: {
      memory: REST_MEMORY,
      stackSlots: widest ? WIDEST_STACK : REST_STACK,
      ioBuffer: 256,
      fuel: 10_000,
    },
    trial: { healthyScans: TRIAL_SCANS, deadlineScans: TRIAL_DEADLINE, minRequests: TRIAL_REQUESTS },
  });
  return { name, pkg, answer: (request) => Uint8Array.of(tag, ...request) };
}

/** Of fewer swaps RAM could not be compared with what it was once each of `agents` has run: two laps, and the two at rest. */
export function leastSwaps(agents: number): number {
  return 2 * (2 + 2 * agents) + 2;
}

/**
 * Who comes in swap 1 to `swaps`. Each lap begins with the two at rest, and the run ends with them, so that RAM can be
 * compared after swap 2, in each lap, and after the last (if `swaps` is odd: the last but one). The rest is drawn from
 * the seed, nobody twice in a row.
 */
export function schedule(
  swaps: number,
  examples: readonly StressAgent[],
  rest: readonly [StressAgent, StressAgent],
  seed: number,
): StressAgent[] {
  const random = new Random(seed);
  const even = swaps - (swaps % 2);
  const order: StressAgent[] = [];
  while (order.length < even - 2) order.push(...rest, ...shuffledTwice(examples, random));
  order.length = Math.max(0, even - 2);
  order.push(...rest);
  if (swaps % 2 === 1) order.push(examples[random.below(examples.length)] ?? rest[0]);
  return order.slice(0, swaps);
}

function shuffledTwice(agents: readonly StressAgent[], random: Random): StressAgent[] {
  for (;;) {
    const order = [...agents, ...agents];
    for (let at = order.length - 1; at > 0; at--) {
      const other = random.below(at + 1);
      [order[at], order[other]] = [order[other] as StressAgent, order[at] as StressAgent];
    }
    if (order.every((agent, at) => agent !== order[at - 1])) return order;
  }
}
