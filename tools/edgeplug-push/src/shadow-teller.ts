/** A shadow run as it is told: one line that is drawn over on a terminal, quarters elsewhere, a table at the end. */
import {
  agreement,
  channelRows,
  comparisons,
  differenceRows,
  differing,
  outputDifference,
  outputName,
  reasonName,
  shadowRecord,
  shadowStateName,
  type ShadowReport,
  type ShadowView,
} from "edgeplug/device";

import { count, minutes } from "./progress.js";
import { LABEL_WIDTH, type Report } from "./report.js";

const QUARTERS = 4;
/** Records of a run that goes on are so far apart at least: each is the whole report. */
const RECORD_MS = 1_000;
const INDENT = " ".repeat(LABEL_WIDTH);

export class ShadowTeller {
  private began: { at: number; compared: number } | undefined;
  private quarter = 0;
  private recorded = -Infinity;

  constructor(
    private readonly view: ShadowView,
    private readonly report: Report,
    private readonly now: () => number,
  ) {}

  /** The run begins anew: the board was reset. */
  forget(): void {
    this.began = undefined;
    this.quarter = 0;
    this.recorded = -Infinity;
  }

  tell(run: ShadowReport): void {
    const { report, view } = this;
    const record = shadowRecord(view, run);
    if (this.began === undefined) {
      this.began = { at: this.now(), compared: run.compared };
      const what =
        view.kind === "request" ? "replies compared and not sent" : "outputs compared and not applied";
      report.line("shadow", `${comparisons(view, run.needed)} beside the running agent, ${what}`);
    }
    const state = shadowStateName(run.state);
    if (state !== "running" || this.now() - this.recorded >= RECORD_MS) {
      this.recorded = this.now();
      report.record({ event: "shadow", step: "shadow", ...record });
    }
    report.attach({ shadow: record });
    if (state === "running") this.progress(run);
    else this.end(run, state);
  }

  private progress(run: ShadowReport): void {
    const { report, view } = this;
    const left = this.timeLeft(run);
    report.live((columns) => shadowLine(view, run, left, columns));
    const quarter = Math.floor((run.compared * QUARTERS) / run.needed);
    if (report.interactive || quarter <= this.quarter) return;
    this.quarter = quarter;
    report.line("shadow", `${head(view, run)}, ${differing(run)}`);
  }

  private end(run: ShadowReport, state: string): void {
    const { report, view } = this;
    const compared = comparisons(view, run.compared);
    const early = run.compared < run.needed;
    const shares = `${agreement(run.differing, run.compared)} of ${compared} agree, ${differing(run)}`;
    if (state === "agreed") report.line("agreed", run.differing === 0 ? `in all ${compared}` : shares);
    else if (reasonName(run.reason) === "shadow")
      report.line("differed", early ? `${differing(run)}: ended after ${compared}` : shares);
    else report.line("rejected", `after ${compared}: ${reasonName(run.reason)}`);
    for (const rows of [channelRows(view, run), differenceRows(view, run)]) report.text(table(rows));
  }

  private timeLeft({ compared, needed }: ShadowReport): string {
    const { at, compared: start } = this.began ?? { at: 0, compared: 0 };
    const rate = (compared - start) / (this.now() - at);
    if (!(rate > 0) || !Number.isFinite(rate)) return "";
    return `${minutes(Math.ceil((needed - compared) / rate / 1_000))} left`;
  }
}

/** `46 %, 2,310 of 5,000 scans` */
function head(view: ShadowView, { compared, needed }: ShadowReport): string {
  const share = Math.floor((compared * 100) / needed);
  return `${share} %, ${count(compared)} of ${comparisons(view, needed)}`;
}

/** As much of it as there is room for: `46 %, 2,310 of 5,000 scans  power 99.94 % (0.52 kW)  flow 100 %  0:03 left`. */
export function shadowLine(view: ShadowView, run: ShadowReport, left: string, columns: number): string {
  const label = "shadow".padEnd(LABEL_WIDTH);
  const told = run.channels
    .map((channel, at) => ({ ...channel, at }))
    .filter((channel) => view.outputs[channel.at] !== undefined || channel.differing > 0);
  const share = (channel: (typeof told)[number]): string =>
    `${outputName(view, channel.at)} ${agreement(channel.differing, run.compared)}`;
  const size = (channel: (typeof told)[number]): string =>
    channel.largest === 0 ? "" : ` (${outputDifference(view, channel.at, channel.largest)})`;
  const all =
    view.kind === "request" ? [differing(run)] : told.map((channel) => share(channel) + size(channel));
  const shares = view.kind === "request" ? [] : told.map(share);
  const variants = [[...all, left], all, [...shares, left], shares, [differing(run), left], [differing(run)]];
  const lines = variants.map((parts) => [label + head(view, run), ...parts].filter(Boolean).join("  "));
  return lines.find((line) => line.length <= columns) ?? label + head(view, run);
}

/** Columns as wide as their widest cell, below what comes before. */
function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map(
    (row) =>
      INDENT +
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
  );
}
