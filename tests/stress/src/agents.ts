/** Who takes turns on the board: real example agents, and two that leave nothing of the others behind. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Random } from "@edgeplug/sim";
import { makePackage, padded, PUBLISHER } from "@edgeplug/test-support/agents";
import { findBuiltAgent, packAgent, type AgentPackage } from "edgeplug";

const BUILT = fileURLToPath(new URL("../../../build/agents", import.meta.url));

/** Scans of a trial, and requests that a request agent has to serve in it. */
const TRIAL_SCANS = 40;
const TRIAL_REQUESTS = 2;
/** So long a host may be kept from sending them. */
const TRIAL_DEADLINE = 120_000;

/** The answer that a request agent owes. */
export type Answer = (request: Uint8Array) => Uint8Array;

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

/** More linear memory and more code than any example has: loading them writes over all that the others left. */
const REST_MEMORY = 16_384;
const REST_CODE = 4_096;

/**
 * Two request agents with the same shape. Once both are loaded, one in each bank, RAM holds nothing of the agents that
 * ran before, and nothing in either changes with time: what else differs from the last time would be a leak. Each
 * request puts an event, so that requests can fill the ring of events too.
 */
export function restAgents(): readonly [StressAgent, StressAgent] {
  return [restAgent("rest-a", 0xa5), restAgent("rest-b", 0x5a)];
}

/**
 * Never called, but validated: nests deeper and has more locals and operands than any function of an example. Its branch
 * and the global fill the gaps that alignment would leave in the instance's arena.
 */
const REST_FUNCTION = `(func (local ${"i32 ".repeat(96)})
  ${"(block ".repeat(24)} ${"(i32.const 0)".repeat(96)} ${"(drop)".repeat(96)} ${")".repeat(24)} (block (br 0)))`;

function restAgent(name: string, tag: number): StressAgent {
  const wat = `(module
    (import "edgeplug" "log" (func $log (param i32 i32)))
    (memory 1) (global i32 (i32.const 0))
    (func (export "io_buffer") (result i32) (i32.const 0))
    (func (export "handle") (param $size i32) (result i32)
      (memory.copy (i32.const 1) (i32.const 0) (local.get $size))
      (i32.store8 (i32.const 0) (i32.const ${tag}))
      (call $log (i32.const 0) (i32.const 0))
      (i32.add (local.get $size) (i32.const 1)))
    ${REST_FUNCTION})`;
  const pkg = makePackage(padded(wat, REST_CODE), {
    name,
    kind: "request",
    outputs: 0,
    limits: { memory: REST_MEMORY, ioBuffer: 256, fuel: 10_000 },
    trial: { healthyScans: TRIAL_SCANS, deadlineScans: TRIAL_DEADLINE, minRequests: TRIAL_REQUESTS },
  });
  return { name, pkg, answer: (request) => Uint8Array.of(tag, ...request) };
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
