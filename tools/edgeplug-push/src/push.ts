/** The push itself, told step by step. */
import {
  hex,
  slotName,
  shadowRecord,
  shadowView,
  slotRecord,
  type BoardSession,
  type PushResult,
  type PushStep,
  type SessionPushOptions,
  type ShadowView,
} from "edgeplug/device";
import { EdgePlugError } from "edgeplug/errors";
import type { AgentPackage } from "edgeplug/package";

import { count } from "./progress.js";
import type { Report } from "./report.js";
import { ShadowTeller } from "./shadow-teller.js";

/** Without a terminal, progress is told at each of these shares. */
const QUARTERS = 4;

/** `path` is where the package was read from: its source map lies beside it. */
export async function push(
  session: BoardSession,
  pkg: AgentPackage,
  path: string,
  report: Report,
  options: SessionPushOptions,
): Promise<void> {
  const { manifest } = pkg;
  const signed = pkg.keyId.length === 0 ? "unsigned" : `signed by key ${hex(pkg.keyId)}`;
  report.line(
    "package",
    `${manifest.name} ${manifest.version}, ${count(pkg.payload.length)} bytes, ${signed}`,
    {
      event: "package",
      name: manifest.name,
      version: manifest.version,
      release: manifest.release,
      size: pkg.payload.length,
      keyId: hex(pkg.keyId),
    },
  );
  const run = session.push(pkg, options);
  const view = shadowView(manifest, pkg.payload, options.shadow ?? {});
  const teller = new Teller(session, report, view);
  try {
    for (;;) {
      const step = await run.next();
      if (step.done !== true) teller.tell(step.value);
      else return finish(report, step.value, view);
    }
  } catch (error) {
    const { explainRejection, mapOfPackage } = await import("edgeplug/rejection");
    throw await explainRejection(EdgePlugError.from(error), pkg, await mapOfPackage(pkg, path));
  }
}

function finish(report: Report, result: PushResult, view: ShadowView): void {
  const { active, shadow, ...figures } = result;
  report.success("running", `${active.name} ${active.version} (swap ${result.swapNumber}) stays`, {
    event: "result",
    ok: true,
    ...figures,
    slot: slotName(result.slot),
    active: slotRecord(active),
    ...(shadow === undefined ? {} : { shadow: shadowRecord(view, shadow) }),
  });
}

/** Turns steps into lines. */
class Teller {
  private told = 0;
  private sendingSince = 0;
  private from = 0;
  private trialTold = false;
  private readonly shadow: ShadowTeller;

  constructor(
    private readonly session: BoardSession,
    private readonly report: Report,
    view: ShadowView,
  ) {
    this.shadow = new ShadowTeller(view, report, () => this.now());
  }

  tell(step: PushStep): void {
    const { report } = this;
    const record = { event: step.step, ...step };
    switch (step.step) {
      case "queued":
        report.line("queue", queueText(step), record);
        break;
      case "begin":
        this.begin(step);
        break;
      case "sending":
        this.sending(step);
        break;
      case "interrupted":
        report.line("again", `${step.error.message} Resuming.`, {
          event: "interrupted",
          cause: step.error.toJSON(),
        });
        this.shadow.forget();
        break;
      case "verifying":
        report.line("verifying", "digests, module and test vectors, on the board", record);
        break;
      case "staged":
        report.line("staged", "verified by the board", record);
        break;
      case "shadow":
        this.shadow.tell(step);
        break;
      case "activated":
        report.line("activated", activation(step), record);
        break;
      case "trial":
        this.trial(step);
        break;
      case "confirmed":
        report.line("confirmed", `the trial is over at scan ${count(step.scan)}`, record);
        break;
    }
  }

  private begin(step: Extract<PushStep, { step: "begin" }>): void {
    const where = `slot ${slotName(step.slot)}, swap ${step.swapNumber}`;
    const text = step.resumed ? `${where}, resumed at byte ${count(step.offset)}` : where;
    this.report.line("begin", text, { event: "begin", ...step, slot: slotName(step.slot) });
    this.from = step.offset;
    this.told = Math.floor((step.offset * QUARTERS) / step.size);
    this.sendingSince = this.now();
    this.report.startBar({ start: step.offset, total: step.size }, () => this.now());
  }

  private sending(step: Extract<PushStep, { step: "sending" }>): void {
    this.report.updateBar(step.acknowledged);
    this.report.record({ event: "sending", ...step });
    const quarter = Math.floor((step.acknowledged * QUARTERS) / step.size);
    if (quarter > this.told && !this.report.interactive) {
      this.told = quarter;
      const percent = `${Math.floor((step.acknowledged * 100) / step.size)} %`;
      this.report.line("sending", `${percent}, ${count(step.acknowledged)} of ${count(step.size)} bytes`);
    }
    if (step.acknowledged < step.size) return;
    const seconds = (this.now() - this.sendingSince) / 1000;
    const rate = seconds > 0 ? `, ${((step.size - this.from) / 1000 / seconds).toFixed(1)} kB/s` : "";
    this.report.line("sent", `${count(step.sent)} bytes in ${seconds.toFixed(1)} s${rate}`);
  }

  private trial(step: Extract<PushStep, { step: "trial" }>): void {
    this.report.record({ event: "trial", ...step });
    if (this.trialTold) return;
    this.trialTold = true;
    this.report.line("trial", `must stay healthy for ${count(step.needed)}`);
  }

  private now(): number {
    return this.session.now();
  }
}

/** `2nd, behind doubler 1.2.0 of maria` */
function queueText({ position, behind }: Extract<PushStep, { step: "queued" }>): string {
  return behind === "" ? ordinal(position) : `${ordinal(position)}, behind ${behind}`;
}

function ordinal(value: number): string {
  const teen = value % 100 >= 11 && value % 100 <= 13;
  const ending = teen ? undefined : ["th", "st", "nd", "rd"][value % 10];
  return `${value}${ending ?? "th"}`;
}

function activation(step: Extract<PushStep, { step: "activated" }>): string {
  const scan = step.scan === 0 ? "" : ` at scan ${count(step.scan)}`;
  const state = step.handedOver === 0 ? "" : `, ${count(step.handedOver)} bytes of state handed over`;
  return `the new agent runs${scan}${state}`;
}
