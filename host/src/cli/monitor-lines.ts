/** What `edgeplug monitor` prints of each thing that happens, as a line and as a JSON object. */
import { errorId, errorInfo } from "../errors.js";
import type { Followed } from "../follow.js";
import { count } from "../numbers.js";
import {
  boardClassName,
  eventKindName,
  phaseName,
  reasonName,
  type DeviceEvent,
  type Hello,
  type Status,
} from "../session/messages.js";

/** What --until takes: the events of a board, and what happens to the line. */
export const EVENTS = [
  "boot",
  "phase",
  "staging-failed",
  "activated",
  "confirmed",
  "rolled-back",
  "log",
  "trap",
  "health",
  "connected",
  "lost",
  "back",
  "reset",
  "missed",
] as const;

const LABEL_WIDTH = 15;

export function followedName(followed: Followed): string {
  return followed.kind === "event" ? eventKindName(followed.event.kind).replaceAll(" ", "-") : followed.kind;
}

export function followedLine(followed: Followed): string {
  return `${followedName(followed).padEnd(LABEL_WIDTH)}${text(followed)}`.trimEnd();
}

export function followedRecord(followed: Followed): object {
  const event = followedName(followed);
  switch (followed.kind) {
    case "event":
      return eventRecord(event, followed.event);
    case "reset":
      return { event, bootNumber: followed.bootNumber };
    case "missed":
      return { event, count: followed.count };
    case "lost":
      return { event, error: followed.error.toJSON() };
    case "connected":
      return { event, ...boardRecord(followed) };
    case "back": {
      const { awayMs, reset, other } = followed;
      return { event, ...boardRecord(followed), awayMs, reset, other };
    }
  }
}

interface Present {
  device: string;
  hello: Hello;
  status: Status;
}

function boardRecord({ device, hello, status }: Present): object {
  const { active } = status;
  return {
    device,
    boardId: hex(hello.boardId),
    boardClass: boardClassName(hello.boardClass),
    bootNumber: hello.bootNumber,
    agent:
      active === null ? null : { name: active.name, version: active.version, swapNumber: active.swapNumber },
  };
}

function eventRecord(name: string, event: DeviceEvent): object {
  const { scan, swapNumber, phase, reason, error, text: words, detail } = event;
  return {
    event: name,
    scan,
    swapNumber,
    phase: phaseName(phase),
    reason: reasonName(reason),
    error: error === 0 ? null : errorId(error),
    text: words,
    detail,
  };
}

function text(followed: Followed): string {
  switch (followed.kind) {
    case "event":
      return eventText(followed.event);
    case "connected":
      return present(followed);
    case "reset":
      return `the board was reset, boot ${followed.bootNumber}`;
    case "missed":
      return `${count(followed.count)} events that the board had no room for`;
    case "lost":
      return `${followed.error.message} (${followed.error.id}) Trying to come back.`;
    case "back": {
      const seconds = (followed.awayMs / 1000).toFixed(1);
      const how = followed.other ? "another board" : followed.reset ? "it was reset" : "it ran on";
      return `after ${seconds} s, ${how}: ${present(followed)}`;
    }
  }
}

function present({ device, hello, status }: Present): string {
  const { active } = status;
  const agent = active === null ? "no agent" : `${active.name} ${active.version} (swap ${active.swapNumber})`;
  return `${device}, ${boardClassName(hello.boardClass)} ${hex(hello.boardId)}, boot ${hello.bootNumber}, ${agent}`;
}

function eventText(event: DeviceEvent): string {
  const swap = `swap ${event.swapNumber}`;
  const scan = `scan ${count(event.scan)}`;
  switch (eventKindName(event.kind)) {
    case "boot":
      return why("the board has started", event);
    case "phase":
      return event.swapNumber === 0 ? phaseName(event.phase) : `${phaseName(event.phase)}, ${swap}`;
    case "activated":
      return `${swap} runs from ${scan} on, ${count(event.detail)} bytes of state handed over`;
    case "confirmed":
      return `${swap} stays, ${scan}`;
    case "rolled back":
      return why(`${swap} was taken back in ${scan}`, event);
    case "staging failed":
      return why(`${swap} was not taken`, event);
    case "trap":
      return why(`${swap} in ${scan}, at byte ${count(event.detail)} of its module`, event);
    case "log":
      return event.text;
    default:
      return why(event.swapNumber === 0 ? scan : `${swap}, ${scan}`, event);
  }
}

/** `…: fuel, EP5009 The agent used up its fuel. (text)`, as much of it as there is. */
function why(head: string, { reason, error, text: words }: DeviceEvent): string {
  const parts = [
    ...(reason === 0 ? [] : [reasonName(reason)]),
    ...(error === 0 ? [] : [`${errorId(error)} ${errorInfo(error)?.cause ?? ""}`.trim()]),
    ...(words === "" ? [] : [words]),
  ];
  return parts.length === 0 ? head : `${head}: ${parts.join(", ")}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
