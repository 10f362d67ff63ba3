/** What `edgeplug dev` prints of each thing that happens, as lines and as a JSON object. */
import { CompileError } from "../agent/compile.js";
import type { DevEvent, Parts, Running } from "../dev/events.js";
import { PAYLOAD_MAX } from "../manifest.js";
import { count, plural } from "../numbers.js";
import { boardClassName, slotStateName, type Status } from "../session/messages.js";
import { followedLine, followedName, followedRecord } from "./monitor-lines.js";

const LABEL_WIDTH = 9;

/** Lines without their time; the first one begins with what it is about. `ownBoard`: it was started for this. */
export function devLines(event: DevEvent, ownBoard = false): string[] {
  switch (event.kind) {
    case "board": {
      const { device, hello, status } = event;
      const lock = hello.locked ? "locked" : "open";
      const life = ownBoard ? "; it ends with this command" : "";
      return [
        line(
          "board",
          `${boardClassName(hello.boardClass)} ${hex(hello.boardId)} on ${device}, ${lock}, ${runs(status.active)}${life}`,
        ),
      ];
    }
    case "followed": {
      const { followed, source } = event;
      const text = followedLine(followed).slice(followedName(followed).length).trimStart();
      return [line(followedName(followed), source === undefined ? text : source.inWords(text))];
    }
    case "changed":
      return [line("saved", event.files.join(", "))];
    case "unchanged":
      return [line("same", "it makes the module that runs, or is on its way: nothing to push")];
    case "warnings":
      return event.text.trimEnd().split("\n");
    case "refused": {
      const { error, running } = event;
      const first = line("error", `${error.id} ${error.message}`);
      const shown = error instanceof CompileError ? diagnostics(error) : [more(error.action)];
      return [first, ...shown, more(runsOn(running))];
    }
    case "failed": {
      const { error, running } = event;
      const first = line("failed", `${error.id} ${error.message}`);
      // a rollback has said which agent runs, and what to do about it is to save again
      return error.code === "ROLLED_BACK" ? [first] : [first, more(error.action), more(runsOn(running))];
    }
    case "waiting":
      return [line("waiting", `${event.reason.message} (${event.reason.id}) The push goes on when it can.`)];
    case "overtaken":
      return [line("dropped", "a later save is ready; what was on its way is not pushed any more")];
    case "running":
      return runningLines(event);
    case "confirmed":
      return [];
    case "ended":
      return endedLines(event);
  }
}

/** What the compiler printed, but for the count of errors behind it. */
function diagnostics({ diagnostics: text }: CompileError): string[] {
  return text
    .split("\n")
    .filter((printed) => printed.trim() !== "" && !/FAILURE \d+ /.test(printed))
    .map(more);
}

function runningLines({
  built,
  package: { manifest },
  swap,
  parts,
}: DevEvent & { kind: "running" }): string[] {
  const { wasm, check } = built;
  const runsText = plural(check.runs, manifest.kind === "control" ? "scan" : "request");
  const state =
    swap.handedOver > 0
      ? `${plural(swap.handedOver, "byte")} of state handed over`
      : `no state handed over: ${swap.noState}`;
  return [
    line("swapped", `${partsText(parts)} → running after ${count(total(parts))} ms`),
    more(`swap ${swap.swapNumber} in scan ${count(swap.scan)}, ${state}`),
    more(
      `${count(wasm.length)} of ${count(PAYLOAD_MAX)} bytes; checked ${plural(check.vectors, "vector")} and ${runsText}, ` +
        `fuel at most ${count(check.worstFuel)} of ${count(manifest.limits.fuel)}` +
        (check.guardHits === 0 ? "" : `, guards would have held ${plural(check.guardHits, "output")}`),
    ),
  ];
}

function endedLines({ device, status }: DevEvent & { kind: "ended" }): string[] {
  if (status === undefined) return [line("ended", `${device} is away: what runs there can't be asked`)];
  const { active } = status;
  if (active === null) return [line("ended", "no agent runs, the board is in safe mode")];
  return [line("ended", `${agentText(active)} runs on the board, ${slotStateName(active.state)}`)];
}

export function devRecord(event: DevEvent): object {
  switch (event.kind) {
    case "board": {
      const { device, hello, status } = event;
      return {
        event: "board",
        device,
        boardId: hex(hello.boardId),
        boardClass: boardClassName(hello.boardClass),
        locked: hello.locked,
        bootNumber: hello.bootNumber,
        agent: agentRecord(status.active),
      };
    }
    case "followed": {
      const { followed, source } = event;
      return { ...followedRecord(followed), ...(source === undefined ? {} : { place: source.place }) };
    }
    case "changed":
      return { event: "saved", files: event.files };
    case "unchanged":
      return { event: "same" };
    case "warnings":
      return { event: "warnings", text: event.text };
    case "refused": {
      const { error } = event;
      const diagnostics = error instanceof CompileError ? error.diagnostics : "";
      return { event: "refused", ...error.toJSON(), diagnostics, agent: agentRecord(event.running) };
    }
    case "failed":
      return { event: "failed", ...event.error.toJSON(), agent: agentRecord(event.running) };
    case "waiting":
      return { event: "waiting", ...event.reason.toJSON() };
    case "overtaken":
      return { event: "dropped" };
    case "running":
      return runningRecord(event);
    case "confirmed":
      return { event: "stayed", swapNumber: event.swapNumber, scan: event.scan };
    case "ended":
      return {
        event: "ended",
        device: event.device,
        reached: event.status !== undefined,
        agent: agentRecord(event.status?.active),
        state: stateOf(event.status),
      };
  }
}

function runningRecord({
  built,
  package: { manifest },
  swap,
  parts,
}: DevEvent & { kind: "running" }): object {
  const { check, wasm } = built;
  return {
    event: "swapped",
    name: manifest.name,
    version: manifest.version,
    release: manifest.release,
    swapNumber: swap.swapNumber,
    scan: swap.scan,
    handedOver: swap.handedOver,
    noState: swap.handedOver > 0 ? null : swap.noState,
    bytes: wasm.length,
    vectors: check.vectors,
    runs: check.runs,
    worstFuel: check.worstFuel,
    fuelLimit: manifest.limits.fuel,
    guardHits: check.guardHits,
    parts: Object.fromEntries(Object.entries(parts).map(([name, ms]) => [name, Math.round(ms as number)])),
    totalMs: total(parts),
  };
}

function stateOf(status: Status | undefined): string | null {
  const active = status?.active ?? null;
  return active === null ? null : slotStateName(active.state);
}

function agentRecord(active: Running): object | null {
  if (active === null || active === undefined) return null;
  return { name: active.name, version: active.version, swapNumber: active.swapNumber };
}

/** Parts that took no time don't stand there. */
function partsText(parts: Parts): string {
  return Object.entries(parts)
    .map(([name, ms]) => [name, Math.round(ms as number)] as const)
    .filter(([, ms]) => ms > 0)
    .map(([name, ms]) => `${name} ${count(ms)}`)
    .join(" · ");
}

/** Of the parts as they are shown. */
function total(parts: Parts): number {
  return Object.values(parts).reduce((sum, ms) => sum + Math.round(ms as number), 0);
}

function runs(active: NonNullable<Running> | null): string {
  return active === null ? "no agent runs" : `${agentText(active)} runs`;
}

function runsOn(running: Running): string {
  if (running === undefined) return "what runs on the board can't be asked now";
  return running === null
    ? "no agent runs, outputs are at their fail-safe values"
    : `${agentText(running)} runs on`;
}

function agentText({ name, version, swapNumber }: NonNullable<Running>): string {
  return `${name} ${version} (swap ${swapNumber})`;
}

function line(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`;
}

function more(text: string): string {
  return line("", text);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
