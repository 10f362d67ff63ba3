/**
 * What an outside observer sees on the `qemu` board's second UART: each scan's outputs, stamped by the board's
 * free-running 1 MHz timer. From the stamps alone it follows whether a scan was missed, whatever the board counts.
 */
import { crc32 } from "./frames.js";
import { cobsDecode } from "./cobs.js";

const OUTPUTS = 4;
const BODY_SIZE = 12 + 4 * OUTPUTS;
const RECORD_SIZE = BODY_SIZE + 4;
const COUNTER_MODULUS = 0x1_0000_0000;

/** One scan's outputs; all integers wrap at 2^32. */
export interface Observation {
  scan: number;
  timeUs: number;
  /** Of the agent that made the outputs, 0 in safe mode. */
  swapNumber: number;
  outputs: readonly number[];
  /** Records between the one before and this one that came in damaged or cut. */
  spoilt: number;
}

/** Bytes in, observations out. */
export class ObserverDecoder {
  /** Records that failed since the last good one: bad COBS, wrong size, bad CRC-32. */
  spoilt = 0;
  private readonly held: number[] = [];

  push(bytes: Uint8Array): Observation[] {
    const observations: Observation[] = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        if (this.held.length <= RECORD_SIZE + 1) this.held.push(byte);
      } else if (this.held.length > 0) {
        const record = parse(cobsDecode(Uint8Array.from(this.held)));
        this.held.length = 0;
        if (record === undefined) {
          this.spoilt++;
        } else {
          observations.push({ ...record, spoilt: this.spoilt });
          this.spoilt = 0;
        }
      }
    }
    return observations;
  }
}

function parse(record: Uint8Array | undefined): Omit<Observation, "spoilt"> | undefined {
  if (record?.length !== RECORD_SIZE) return undefined;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  if (view.getUint32(BODY_SIZE, true) !== crc32(record.subarray(0, BODY_SIZE))) return undefined;
  return {
    scan: view.getUint32(0, true),
    timeUs: view.getUint32(4, true),
    swapNumber: view.getUint32(8, true),
    outputs: Array.from({ length: OUTPUTS }, (_, index) => view.getFloat32(12 + 4 * index, true)),
  };
}

export interface ScanGap {
  /** The last observation before the gap and the first one after it. */
  before: Observation;
  after: Observation;
  /** Scans that should have been between them, by the timer. */
  missed: number;
  /** Scans that the board itself counted between them but the observer did not see. */
  unseen: number;
}

/**
 * Counts missed scans by the stamps: between two consecutive observations so many ticks go by as scans are due.
 * Jitter of less than half a tick is none. A boot (the scan number starts anew) begins a new sequence; the record that
 * the reset or the power cut interrupted is no loss.
 */
export class GapChecker {
  /** Scans observed. */
  scans = 0;
  /** Scans missed by the timer's word. */
  missed = 0;
  /** How often the board started anew. */
  restarts = 0;
  /** Records that came in damaged, other than the one that a restart cut. */
  spoilt = 0;
  readonly gaps: ScanGap[] = [];
  private last: Observation | undefined;
  /** Ticks are counted from here on, so that jitter does not add up. */
  private phaseUs = 0;

  constructor(
    /** Scan tick, microseconds. */
    readonly tickUs = 1000,
  ) {}

  add(observation: Observation): ScanGap | undefined {
    this.scans++;
    const { last } = this;
    this.last = observation;
    if (last === undefined) return this.begin(observation);
    const scans = wrapped(observation.scan - last.scan);
    if (scans === 0 || scans > COUNTER_MODULUS / 2) {
      this.restarts++;
      return this.begin(observation);
    }
    this.spoilt += observation.spoilt;
    const elapsed = wrapped(observation.timeUs - last.timeUs) + this.phaseUs;
    const ticks = Math.max(1, Math.round(elapsed / this.tickUs));
    this.phaseUs = elapsed - ticks * this.tickUs;
    const missed = ticks - 1;
    if (missed === 0 && scans === 1) return undefined;
    this.missed += missed;
    const gap = { before: last, after: observation, missed, unseen: scans - 1 };
    this.gaps.push(gap);
    return gap;
  }

  private begin({ spoilt }: Observation): undefined {
    this.spoilt += Math.max(0, spoilt - 1);
    this.phaseUs = 0;
    return undefined;
  }
}

function wrapped(difference: number): number {
  return ((difference % COUNTER_MODULUS) + COUNTER_MODULUS) % COUNTER_MODULUS;
}
