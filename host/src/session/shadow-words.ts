/** A shadow run in words and as JSON: the same from every command. */
import type { AgentManifest } from "../manifest.js";
import { count, floatText, plural, roundedText, roundedUpText } from "../numbers.js";
import { reasonName, shadowStateName, type ShadowDifference, type ShadowReport } from "./messages.js";
import type { ShadowOptions } from "./push-steps.js";
import { outputChannels, type OutputChannel } from "./vectors.js";

/** What a report does not tell of itself: what was compared, by which names, how closely. */
export interface ShadowView {
  readonly kind: AgentManifest["kind"];
  /** Outputs of the new agent, named or not: `--tolerance` takes no others. */
  readonly channels: number;
  readonly outputs: readonly OutputChannel[];
  readonly tolerance: readonly number[];
}

export function shadowView(
  { kind, outputs }: Pick<AgentManifest, "kind" | "outputs">,
  payload: Uint8Array,
  { tolerance = [] }: Pick<ShadowOptions, "tolerance">,
): ShadowView {
  return { kind, channels: outputs, outputs: outputChannels(payload), tolerance };
}

/** `5,000 scans`, `1 request` */
export function comparisons(view: ShadowView, number: number): string {
  return plural(number, view.kind === "request" ? "request" : "scan");
}

/** `power`, or `output 2` where it has no name. */
export function outputName({ outputs }: ShadowView, channel: number): string {
  const name = outputs[channel]?.name ?? "";
  return name === "" ? `output ${channel}` : name;
}

/** `12.5 kW` */
export function outputValue(view: ShadowView, channel: number, value: number): string {
  return withUnit(view, channel, floatText(value));
}

/** `0.52 kW` */
export function outputDifference(view: ShadowView, channel: number, difference: number): string {
  return withUnit(view, channel, roundedText(difference));
}

function withUnit({ outputs }: ShadowView, channel: number, text: string): string {
  const unit = outputs[channel]?.unit ?? "";
  return unit === "" ? text : `${text} ${unit}`;
}

/** The last tolerance is for all outputs that follow. */
export function toleranceOf({ tolerance }: Pick<ShadowView, "tolerance">, channel: number): number {
  return tolerance[channel] ?? tolerance.at(-1) ?? 0;
}

/** `99.94 %`; 100 only if none differs, 0 only if all do. */
export function agreement(differing: number, compared: number): string {
  if (compared === 0) return "–";
  if (differing === 0) return "100 %";
  if (differing >= compared) return "0 %";
  const share = Math.floor(((compared - differing) * 10_000) / compared) / 100;
  return `${Math.max(share, 0.01).toFixed(2)} %`;
}

/** `3 differ, 5 may`, `all agree` */
export function differing({ differing: number, allowed }: ShadowReport): string {
  if (number === 0) return "all agree";
  const may = allowed === 0 ? "none may" : `${count(allowed)} may`;
  return `${count(number)} ${number === 1 ? "differs" : "differ"}, ${may}`;
}

/** `scan 81,201`, `request 12`: requests have no scan of their own. */
export function placeOf({ kind }: ShadowView, { scan, number }: ShadowDifference): string {
  return kind === "request" ? `request ${count(number)}` : `scan ${count(scan)}`;
}

/** `power 12.5 kW, the new agent 13.02 kW`; between request agents `reply from byte 4 on 2a61, the new agent 2b61`. */
export function differenceText(view: ShadowView, one: ShadowDifference): string {
  if (view.kind === "request") {
    const [active, candidate] = [replyText(one.activeReply), replyText(one.candidateReply)];
    return `reply from byte ${count(one.channel)} on ${active}, the new agent ${candidate}`;
  }
  const [active, candidate] = [one.active, one.candidate].map((value) =>
    outputValue(view, one.channel, value),
  );
  return `${outputName(view, one.channel)} ${active}, the new agent ${candidate}`;
}

/** Hex digits; the board tells eight bytes at most. */
function replyText(bytes: Uint8Array): string {
  return bytes.length === 0 ? "(no more)" : Buffer.from(bytes).toString("hex");
}

/** Options by which the run would have agreed as far as it went; empty if there are none. */
export function whatWouldAgree(view: ShadowView, report: ShadowReport): string {
  // of a run that ended early nobody knows how many would have differed
  const counted = report.compared >= report.needed;
  const allowed = counted ? `--allow-differences ${report.differing}` : "";
  const apart = report.channels.flatMap(({ differing: number, largest }, channel) =>
    number === 0 ? [] : [{ channel, largest }],
  );
  const bridged =
    apart.length > 0 &&
    apart.every(({ channel, largest }) => channel < view.channels && Number.isFinite(largest));
  const terms = apart.map(({ channel, largest }) => `${optionName(view, channel)}=${roundedUpText(largest)}`);
  const tolerance = bridged ? `--tolerance ${shellWord(terms.join(","))}` : "";
  return [tolerance, allowed].filter((option) => option !== "").join(" or ");
}

/** As --tolerance takes it. */
function optionName({ outputs }: ShadowView, channel: number): string {
  const name = outputs[channel]?.name ?? "";
  return name === "" || /[,=]/.test(name) ? String(channel) : name;
}

function shellWord(text: string): string {
  return /^[\w.,=+:@%/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Rows of a table, the first one with its heads: agreement and largest difference by output. Nothing between request agents. */
export function channelRows(view: ShadowView, report: ShadowReport): string[][] {
  const rows = report.channels.flatMap(({ differing: number, largest }, channel) => {
    // outputs that the agent doesn't have agree as long as both leave them alone
    if (view.outputs[channel] === undefined && number === 0) return [];
    return [
      [
        outputName(view, channel),
        agreement(number, report.compared),
        outputDifference(view, channel, largest),
        outputValue(view, channel, toleranceOf(view, channel)),
      ],
    ];
  });
  return rows.length === 0 ? [] : [["output", "agrees", "largest difference", "tolerance"], ...rows];
}

/** Rows of a table, the first one with its heads: the first differences. */
export function differenceRows(view: ShadowView, { first }: ShadowReport): string[][] {
  if (first.length === 0) return [];
  if (view.kind === "request") {
    return [
      ["request", "scan", "byte", "running agent", "new agent"],
      ...first.map((one) => [
        count(one.number),
        count(one.scan),
        count(one.channel),
        replyText(one.activeReply),
        replyText(one.candidateReply),
      ]),
    ];
  }
  return [
    ["scan", "output", "running agent", "new agent"],
    ...first.map((one) => [
      count(one.scan),
      outputName(view, one.channel),
      outputValue(view, one.channel, one.active),
      outputValue(view, one.channel, one.candidate),
    ]),
  ];
}

/** Numbers that are none are null in JSON. */
export function shadowRecord(view: ShadowView, report: ShadowReport): object {
  const { state, swapNumber, needed, compared, differing: number, allowed, reason } = report;
  return {
    state: shadowStateName(state),
    swapNumber,
    compares: view.kind === "request" ? "requests" : "scans",
    needed,
    compared,
    differing: number,
    allowed,
    reason: reasonName(reason),
    channels: report.channels.map((channel, at) => ({
      channel: at,
      name: view.outputs[at]?.name ?? "",
      unit: view.outputs[at]?.unit ?? "",
      tolerance: toleranceOf(view, at),
      differing: channel.differing,
      largest: float(channel.largest),
    })),
    first: report.first.map((one) => differenceRecord(view, one)),
  };
}

function differenceRecord(view: ShadowView, one: ShadowDifference): object {
  const { scan, number, channel } = one;
  if (view.kind === "request") {
    const [active, candidate] = [one.activeReply, one.candidateReply].map((bytes) =>
      Buffer.from(bytes).toString("hex"),
    );
    return { scan, number, byte: channel, active, candidate };
  }
  const name = view.outputs[channel]?.name ?? "";
  return { scan, number, channel, name, active: float(one.active), candidate: float(one.candidate) };
}

/** As short as the float allows. */
function float(value: number): number | null {
  return Number.isFinite(value) ? Number(floatText(value)) : null;
}
