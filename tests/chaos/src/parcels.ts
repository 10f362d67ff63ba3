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

/** A package as its publisher made it. */
export interface Parcel {
  readonly pkg: AgentPackage;
  /** Of output 0, by which the machine knows it. Undefined: somebody's own agent, known by its swap number alone. */
  readonly value: number | undefined;
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
  full: 4_000,
  /** And its size. */
  foreign: 10_000,
} as const;
/** Of somebody's own agents; no other agent takes the state that these save. */
const OWN_STATE = 1_000_000;
/** Longer than two chunks. */
const SEVERAL_CHUNKS = 1_200;
/** What no output reaches that is any good. */
const WIDE = 3e38;

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
  readonly #made = new Map<string, Parcel>();

  /** `own`: somebody's own packages, which the cases are then about. */
  constructor(
    private readonly boardClass: number,
    private readonly own: readonly AgentPackage[] = [],
  ) {}

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
    return this.#own(index, "candidate") ?? this.#candidate(index);
  }

  /** A candidate that does not go over the line in one piece. */
  severalChunks(index: number): Parcel {
    return this.#own(index, "several chunks", SEVERAL_CHUNKS) ?? this.#candidate(16 + (index % 16));
  }

  #candidate(index: number): Parcel {
    const at = index % CANDIDATES;
    return this.#make(VALUE.candidate + at, sizeOf(at), { release: RELEASE.candidate });
  }

  /** A candidate that waits for the host's word in its trial, and whose manifest leaves no field out. */
  complete(index: number): Parcel {
    const at = index % CANDIDATES;
    const fields = {
      boardClass: this.boardClass,
      securityVersion: 1,
      onTrap: "failSafe",
      scanDivider: 1,
      trial: { ...TRIAL, minRequests: 1, confirmByHost: true, maxGuardHits: 7 },
    } as const;
    const guards = { min: [-1e6, -1e6], max: [1e6, 1e6], slew: [1e6, 1e6], failSafe: [1, 2] };
    return (
      this.#own(index, "complete", 0, fields) ??
      this.#make(VALUE.candidate + 500 + at, sizeOf(at), {
        ...fields,
        release: RELEASE.candidate,
        inputs: 1,
        guards,
      })
    );
  }

  /** The one after the candidate. */
  next(index: number): Parcel {
    const at = index % CANDIDATES;
    const fields = { release: RELEASE.next, securityVersion: 1 };
    return this.#make(VALUE.next + at, 240 + 37 * at, fields);
  }

  /** Another publisher's package, of as many bytes as this one. */
  foreign({ pkg: { payload } }: Parcel): Parcel {
    const { length } = payload;
    const parcel = this.#make(VALUE.foreign + length, length, { name: "foreign", release: 1 });
    return { ...parcel, pkg: { ...parcel.pkg, payload: parcel.pkg.payload.subarray(0, length) } };
  }

  /** A candidate that fills its slot to the last byte. */
  full(index: number): Parcel {
    return (
      this.#own(index, "full", RECORD_PAYLOAD_MAX) ??
      this.#make(VALUE.full + (index % 4), RECORD_PAYLOAD_MAX, { release: RELEASE.candidate })
    );
  }

  #make(value: number, size: number, options: PackageOptions): Parcel {
    return this.#kept(`${value}`, () => {
      // a state of its own: nobody's count of scans is handed on
      const pkg = makePackage(moduleOf(value, size), {
        stateId: value,
        version: "1",
        trial: TRIAL,
        ...options,
      });
      return { pkg, value };
    });
  }

  /**
   * Somebody's own package as a candidate: their module (with a section of nothing behind it, if it has to be of `least`
   * bytes), their limits and channels; name, versions and trial are the suite's, and so is the signature.
   */
  #own(index: number, variant: string, least = 0, fields: PackageOptions = {}): Parcel | undefined {
    const at = index % Math.max(1, this.own.length);
    const theirs = this.own[at];
    if (theirs === undefined) return undefined;
    return this.#kept(`own ${at} ${variant}`, () => {
      const { manifest, payload } = theirs;
      const room = least - payload.length;
      const module = room >= SECTION_HEAD ? padded(payload, least) : payload;
      const outputs = variant === "complete" ? Math.max(1, manifest.outputs) : manifest.outputs;
      const guards =
        variant === "complete"
          ? {
              min: all(-WIDE, outputs),
              max: all(WIDE, outputs),
              slew: all(WIDE, outputs),
              failSafe: all(1, outputs),
            }
          : manifest.guards;
      const pkg = makePackage(module, {
        kind: manifest.kind,
        limits: manifest.limits,
        inputs: variant === "complete" ? Math.max(1, manifest.inputs) : manifest.inputs,
        outputs,
        guards,
        onTrap: manifest.onTrap,
        scanDivider: manifest.scanDivider,
        version: "1",
        release: RELEASE.candidate,
        stateId: manifest.limits.ioBuffer > 0 && manifest.stateId > 0 ? OWN_STATE + at : 0,
        trial: TRIAL,
        ...fields,
      });
      return { pkg, value: undefined };
    });
  }

  #kept(name: string, make: () => Parcel): Parcel {
    const parcel = this.#made.get(name) ?? make();
    this.#made.set(name, parcel);
    return parcel;
  }
}

function all(value: number, count: number): number[] {
  return Array.from({ length: count }, () => value);
}

/** From the smallest agent to 2 KiB, small ones more often: on a bad line each byte costs. */
function sizeOf(index: number): number {
  const share = index / (CANDIDATES - 1);
  return Math.round(280 + (SMALL_MAX - 280) * share * share);
}
