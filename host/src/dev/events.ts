/** What `edgeplug dev` tells, in the order in which it happens. */
import type { SourcePlace } from "../agent/source-map.js";
import type { EdgePlugError } from "../errors.js";
import type { Followed } from "../follow.js";
import type { AgentPackage } from "../package.js";
import type { Hello, SlotInfo, Status } from "../session/messages.js";
import type { BuiltModule } from "./compiler.js";

/** How long each part took from the save until the agent ran, milliseconds; together they are all of it. */
export interface Parts {
  /** Until the files lay still, and an earlier build was over. */
  settle: number;
  compile: number;
  checks: number;
  /** For an earlier package, or a board that was busy or away. */
  wait: number;
  /** Packing, signing, and the bytes on their way. */
  transfer: number;
  /** On the board: digests, validation, test vectors. */
  verify: number;
  swap: number;
}

/** The agent that runs; null in safe mode, undefined while nobody can tell. */
export type Running = Pick<SlotInfo, "name" | "version" | "swapNumber"> | null | undefined;

export interface Swap {
  swapNumber: number;
  /** The first scan of the new agent. */
  scan: number;
  /** Bytes. */
  handedOver: number;
  /** Why no state was handed over; empty if some was. */
  noState: string;
}

export type DevEvent =
  | { kind: "board"; device: string; hello: Hello; status: Status }
  /** What the board says, or what becomes of the way to it. */
  | { kind: "followed"; followed: Followed; source?: { place: SourcePlace; inWords(line: string): string } }
  | { kind: "changed"; files: string[] }
  /** What was saved makes the same module as before. */
  | { kind: "unchanged" }
  /** It does not compile or fails its checks. */
  | { kind: "refused"; error: EdgePlugError; running: Running }
  | { kind: "warnings"; text: string }
  | { kind: "waiting"; reason: EdgePlugError }
  /** A later save has overtaken this one. */
  | { kind: "overtaken" }
  | { kind: "running"; built: BuiltModule; package: AgentPackage; swap: Swap; parts: Parts }
  | { kind: "confirmed"; swapNumber: number; scan: number }
  /** The board did not take it, or took it back. */
  | { kind: "failed"; error: EdgePlugError; running: Running }
  | { kind: "ended"; device: string; status: Status | undefined };
