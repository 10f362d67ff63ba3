/** The agents of the scenarios, as small as they can be, and what is known of each. */
import { createHash } from "node:crypto";

import type { AgentPackage } from "edgeplug";
import { makePackage, padded, type PackageOptions } from "@edgeplug/test-support/agents";

/** How a trial of an agent ends if nothing disturbs it. */
export type Verdict =
  /** Confirmed by its own scans. */
  | "good"
  /** Fails in a way that spends the package. */
  | "bad"
  /** Waits for a host that never confirms it. */
  | "unconfirmed";

export interface Agent {
  readonly name: string;
  readonly pkg: AgentPackage;
  readonly verdict: Verdict;
  /** First 16 bytes of the SHA-512 of its manifest, in hex: its name in the journal. */
  readonly digest: string;
  /** Value of output 0 while it runs. */
  readonly value: number;
}

export interface AgentOptions extends PackageOptions {
  verdict?: Verdict;
  /** Instructions before the output is written; $count has the scans so far, this one included. */
  deed?: string;
  /** Functions besides scan. */
  extra?: string;
  /** Size to pad the module to. */
  size?: number;
}

const byDigest = new Map<string, Agent>();
const byName = new Map<string, Agent>();

/** Scans of a trial. */
export const TRIAL_SCANS = 8;
/** Scans in which a failing agent still does well. */
export const GOOD_SCANS = 3;

/** An agent that tells who it is by output 0. Equal names give the same agent. */
export function agent(name: string, value: number, options: AgentOptions = {}): Agent {
  const known = byName.get(name);
  if (known !== undefined) return known;
  const { verdict = "good", deed = "", extra = "", size = 0, trial, ...rest } = options;
  const module = `(module (import "edgeplug" "output" (func $output (param i32 f32)))
    (global $count (mut i32) (i32.const 0))
    ${extra}
    (func (export "scan")
      ${deed === "" ? "" : `(global.set $count (i32.add (global.get $count) (i32.const 1))) ${deed}`}
      (call $output (i32.const 0) (f32.const ${value}))))`;
  const pkg = makePackage(size > 0 ? padded(module, size) : module, {
    name: "a",
    version: name.slice(0, 8),
    release: value,
    outputs: 1,
    ...rest,
    limits: { memory: 0, ioBuffer: 0, ...rest.limits },
    trial: { healthyScans: TRIAL_SCANS, deadlineScans: 40, ...trial },
  });
  const digest = createHash("sha512").update(pkg.manifestBytes).digest("hex").slice(0, 32);
  const made: Agent = { name, pkg, verdict, digest, value };
  byName.set(name, made);
  byDigest.set(digest, made);
  return made;
}

/** The agent whose manifest this is. */
export function agentOf(manifest: Uint8Array): Agent | undefined {
  return byDigest.get(createHash("sha512").update(manifest).digest("hex").slice(0, 32));
}

export function agentNamed(digest: string): Agent | undefined {
  return byDigest.get(digest);
}

/** Does well for a few scans, then `deed`. */
export function failing(name: string, value: number, deed: string, options: AgentOptions = {}): Agent {
  return agent(name, value, {
    verdict: "bad",
    deed: `(if (i32.gt_u (global.get $count) (i32.const ${GOOD_SCANS})) (then ${deed}))`,
    ...options,
  });
}

/** Runs before the scenarios' updates. */
export const OLD = agent("old", 1);
/** What most scenarios bring. */
export const NEW = agent("new", 3, { release: 5 });
/** What is staged and confirmed in the end, to see that nobody is locked out. */
export const NEXT = agent("next", 9);
