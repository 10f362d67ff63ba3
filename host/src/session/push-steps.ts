/** A push as it is asked for and told of, on a line or behind a gateway. */
import type { EdgePlugError } from "../errors.js";
import type { ShadowReport, SlotInfo } from "./messages.js";

/** What a push needs of a package. */
export interface Deliverable {
  manifestBytes: Uint8Array;
  keyId: Uint8Array;
  signature: Uint8Array;
  payload: Uint8Array;
}

/** How the new agent has to do beside the active one before it is activated. */
export interface ShadowOptions {
  /** To compare, at least 1; between request agents: requests. */
  scans: number;
  /** Largest difference that still agrees, by output; the last one is for all that follow. Default: none, 0. */
  tolerance?: readonly number[] | undefined;
  /** Scans or requests that may differ. Default: 0. */
  allowed?: number | undefined;
}

export interface PushOptions {
  signal?: AbortSignal | undefined;
  /** For all of it, trial included, milliseconds. Default: what wire, flash and the manifest's trial may take. */
  timeoutMs?: number | undefined;
  /** No valid frame or acknowledgement for so long ends the push, milliseconds. Default 15,000. */
  silenceMs?: number | undefined;
  /** Also a lower release or security version; on a locked board an operator has to allow it. */
  allowDowngrade?: boolean | undefined;
  /** Unix seconds for the slot record. Default: now. */
  timestamp?: number | undefined;
  /** An earlier push has activated the package already, in this swap: only wait out its trial. */
  activated?: { swapNumber: number; slot: number } | undefined;
  /**
   * An earlier push of the same deployment was promised this swap. If the board refuses the package as spent because of its
   * shadow run, that is what is told.
   */
  promised?: number | undefined;
  /** Confirm a trial that waits for the host once it has been healthy long enough. Default true. */
  confirm?: boolean | undefined;
  /** First let the new agent run beside the active one, with its outputs compared and not applied. */
  shadow?: ShadowOptions | undefined;
  /**
   * Requests to serve during a request agent's trial, which counts those, and during its shadow run while nobody else
   * asks. Default: the requests of the package's own test vectors; an empty list leaves it to others.
   */
  trialRequests?: readonly Uint8Array[] | undefined;
}

/** One thing that happened, in order. */
export type PushStep =
  /** Behind a gateway: others come first. `position` 1 is next; `behind` says what runs now. */
  | { step: "queued"; position: number; behind: string }
  | { step: "begin"; offset: number; size: number; resumed: boolean; slot: number; swapNumber: number }
  | {
      step: "sending";
      acknowledged: number;
      size: number;
      sent: number;
      chunkSize: number;
      page: number;
      pages: number;
    }
  | { step: "interrupted"; error: EdgePlugError }
  | { step: "verifying" }
  | { step: "staged" }
  /** How the shadow run stands; the last one, before "activated" or an error, is the whole of it. */
  | ({ step: "shadow" } & ShadowReport)
  | { step: "activated"; swapNumber: number; scan: number; handedOver: number }
  | { step: "trial"; scans: number; needed: number }
  | { step: "confirmed"; swapNumber: number; scan: number };

export interface PushResult {
  swapNumber: number;
  slot: number;
  /** The agent that runs now. */
  active: SlotInfo;
  /** Where the first Begin told to start. */
  offset: number;
  resumed: boolean;
  /** Payload bytes that went over the line, repeated ones included. */
  payloadBytesSent: number;
  /** How often the board lost the session in between and was resumed. */
  restarts: number;
  /** Of the shadow run, if one was asked for. */
  shadow?: ShadowReport | undefined;
  /** Begin's first byte to all bytes acknowledged, and to staged; milliseconds. */
  transferMs: number;
  stagedMs: number;
  totalMs: number;
}
