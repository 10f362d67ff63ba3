/** A spoilt package's way past the host, and what the board made of it. */
import { EdgePlugError, type AgentPackage } from "edgeplug";

import type { Outcome, Runner, Trial } from "./case.js";
import { forcePush, type Forced } from "./force.js";
import { connect } from "./scenes.js";

export const WAITS = "waits for the rest";
export const TAKEN_UNSIGNED = "told as unsigned";
export const TAKEN_UNVERIFIED = "told as unverified";

export type Spoil = (pkg: AgentPackage, trial: Trial) => Forced;

/** Pushes it past the host; who may run follows from whether the board took it, which `intact` allows or not. */
export async function attempt(trial: Trial, forced: Forced, intact?: string): Promise<Outcome> {
  const { session, line } = await connect(trial.bench);
  try {
    const { swapNumber, end } = await forcePush(session, forced);
    if (end !== "confirmed") return { caughtBy: WAITS, mayRun: ["old"] };
    const mayRun: Runner[] = intact === undefined ? ["old"] : ["new"];
    return { caughtBy: intact ?? "nothing: it was installed", mayRun, swapNumber };
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    trial.tell(`the board: ${error.code}, ${error.message}`);
    return { caughtBy: error.code, mayRun: ["old"] };
  } finally {
    await line.close();
  }
}

/** What another publisher would have made of it. */
export function foreign(trial: Trial): AgentPackage {
  return trial.workshop.foreign(trial.parcel).pkg;
}
