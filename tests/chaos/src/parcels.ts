/** The packages that the suite plays with: tiny agents whose output 0 tells which one runs, output 1 counts its scans. */
import { Random } from "@edgeplug/sim";
import type { AgentPackage } from "edgeplug";
import { RECORD_PAYLOAD_MAX } from "edgeplug/record-layout";
import {
  assemble,
  controlAgent,
  makePackage,
  padded,
  type PackageOptions,
} from "@edgeplug/test-support/agents";

/** A package as its publisher made it, and the value of output 0 by which the machine knows it. */
export interface Parcel {
  readonly pkg: AgentPackage;
  readonly value: number;
}

/** Largest payload of a case that is not about full slots, bytes. */
export const SMALL_MAX = 2_048;
const CANDIDATES = 32;
const MARKER = 1_234_567;
/** Of the section that pads a module: id, length, name. */
const SECTION_HEAD = 6;

/** Releases rise in the order in which packages may follow each other. */
const RELEASE = { fallback: 1, old: 2, candidate: 10, next: 20 } as const;
const VALUE = {
  fallback: 101,
  old: 102,
  candidate: 1_000,
  next: 2_000,
  foreign: 3_000,
  full: 4_000,
} as const;

const TRIAL = { healthyScans: 10, deadlineScans: 20_000, attempts: 3 };

let template: { module: Uint8Array; at: number } | undefined;

/** The agent that writes `value`, padded to `size` bytes if that is more than it needs. */
function moduleOf(value: number, size: number): Uint8Array {
  template ??= makeTemplate();
  const module = template.module.slice();
  new DataView(module.buffer).setFloat32(template.at, value, true);
  if (size < module.length + SECTION_HEAD) return module;
  const filled = padded(module, size);
  // no two packages have their filler in common
  filled.set(new Random(value).bytes(size - module.length - SECTION_HEAD), module.length + SECTION_HEAD);
  return filled;
}

function makeTemplate(): { module: Uint8Array; at: number } {
  const module = assemble(controlAgent({ value: MARKER })).slice();
  const view = new DataView(module.buffer);
  for (let at = 0; at + 4 <= module.length; at++)
    if (view.getFloat32(at, true) === MARKER) return { module, at };
  throw new Error("the agent's value is not in its module");
}

/** All packages of a run; each is signed once, when it is first asked for. */
export class Workshop {
  readonly #made = new Map<number, Parcel>();

  constructor(private readonly boardClass: number) {}

  /** Confirmed first, and later in the other slot. */
  get fallback(): Parcel {
    return this.#make(VALUE.fallback, 400, { release: RELEASE.fallback });
  }

  /** The confirmed agent that runs when a case begins. */
  get old(): Parcel {
    return this.#make(VALUE.old, 900, { release: RELEASE.old });
  }

  /** The package that a case is about. */
  candidate(index: number): Parcel {
    const at = index % CANDIDATES;
    return this.#make(VALUE.candidate + at, sizeOf(at), { release: RELEASE.candidate });
  }

  /** A candidate that waits for the host's word in its trial, and whose manifest leaves no field out. */
  complete(index: number): Parcel {
    const at = index % CANDIDATES;
    return this.#make(VALUE.candidate + 500 + at, sizeOf(at), {
      release: RELEASE.candidate,
      boardClass: this.boardClass,
      securityVersion: 1,
      inputs: 1,
      onTrap: "failSafe",
      scanDivider: 1,
      guards: { min: [-1e6, -1e6], max: [1e6, 1e6], slew: [1e6, 1e6], failSafe: [1, 2] },
      trial: { ...TRIAL, minRequests: 1, confirmByHost: true, maxGuardHits: 7 },
    });
  }

  /** The one after the candidate. */
  next(index: number): Parcel {
    const at = index % CANDIDATES;
    const fields = { release: RELEASE.next, securityVersion: 1 };
    return this.#make(VALUE.next + at, 240 + 37 * at, fields);
  }

  /** Another publisher's package, of as many bytes as this one. */
  foreign({ pkg: { payload } }: Parcel): Parcel {
    return this.#make(VALUE.foreign + payload.length, payload.length, { name: "foreign", release: 1 });
  }

  /** A candidate that fills its slot to the last byte. */
  full(index: number): Parcel {
    return this.#make(VALUE.full + (index % 4), RECORD_PAYLOAD_MAX, { release: RELEASE.candidate });
  }

  #make(value: number, size: number, options: PackageOptions): Parcel {
    let parcel = this.#made.get(value);
    if (parcel === undefined) {
      // a state of its own: nobody's count of scans is handed on
      const pkg = makePackage(moduleOf(value, size), {
        stateId: value,
        version: "1",
        trial: TRIAL,
        ...options,
      });
      parcel = { pkg, value };
      this.#made.set(value, parcel);
    }
    return parcel;
  }
}

/** From the smallest agent to 2 KiB, small ones more often: on a bad line each byte costs. */
function sizeOf(index: number): number {
  const share = index / (CANDIDATES - 1);
  return Math.round(280 + (SMALL_MAX - 280) * share * share);
}
