/** Somebody who sees only the machine's outputs: whether a scan is missing, who made it, and whether it is as expected. */
import { GapChecker, type Observation } from "edgeplug/device";

/** An agent as seen from outside. */
interface Seen {
  readonly swapNumber: number;
  readonly value: number;
  /** Output 1 in the last scan that it made. */
  count: number;
}

/** Swap number of scans that no agent makes. */
export const NOBODY = 0;

/** What was not as it has to be. */
export interface Fault {
  readonly what: string;
  /** The agent that did it; undefined: no agent's doing. */
  readonly swapNumber?: number;
}

/** So many of each agent are kept. */
const FAULTS_KEPT = 5;

export class Eyes {
  readonly #faults: Fault[] = [];
  /** Values of output 0 that have been seen, each with the swap number beside it. */
  readonly agents = new Map<number, number>();
  last: Observation | undefined;
  #gaps = new GapChecker();
  #seen = new Map<number, Seen>();

  /** The power has gone: agents begin to count anew, and the last record may be cut. */
  powerGone(): void {
    this.#check();
    this.#gaps = new GapChecker();
    this.#seen = new Map();
    this.last = undefined;
  }

  add(observation: Observation): void {
    if (this.#gaps.add(observation) !== undefined) this.#fault(`a gap before scan ${observation.scan}`);
    const { swapNumber, outputs } = observation;
    const [value = NaN, count = NaN] = outputs;
    if (swapNumber === NOBODY) {
      if (outputs.some((output) => output !== 0)) this.#fault(`outputs ${outputs.join()} without an agent`);
    } else {
      this.#addScan(observation, value, count);
    }
    this.last = observation;
  }

  /** All faults so far, of the present power cycle too. */
  verdict(): readonly Fault[] {
    this.#check();
    return this.#faults;
  }

  #addScan({ swapNumber, scan }: Observation, value: number, count: number): void {
    this.agents.set(swapNumber, value);
    const seen = this.#seen.get(swapNumber);
    if (seen === undefined) {
      this.#seen.set(swapNumber, { swapNumber, value, count });
      return;
    }
    if (seen.value !== value)
      this.#fault(`agent ${swapNumber} wrote ${value} after ${seen.value}`, swapNumber);
    // who comes back goes on from where it stopped, or was loaded anew
    const goesOn = count === seen.count + 1 || (this.last?.swapNumber !== swapNumber && count === 1);
    if (!goesOn)
      this.#fault(`agent ${swapNumber} counted ${count} after ${seen.count} in scan ${scan}`, swapNumber);
    seen.count = count;
  }

  #check(): void {
    if (this.#gaps.spoilt > 0) this.#fault(`${this.#gaps.spoilt} observations came in damaged`);
  }

  #fault(what: string, swapNumber?: number): void {
    const kept = this.#faults.filter((fault) => fault.swapNumber === swapNumber);
    if (kept.length < FAULTS_KEPT)
      this.#faults.push({ what, ...(swapNumber === undefined ? {} : { swapNumber }) });
  }
}
