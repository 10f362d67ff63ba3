/**
 * What may differ when the same agent is idle again (Law 9), by name: counts of what has happened, times, numbers that
 * only grow, and what follows from them. Everything else in RAM has to be equal. `[*]` is every element of an array.
 */

/** One thing that may differ. */
export interface ListedCounter {
  /** A variable, or a part of one, that one of the images has. */
  readonly name: string;
  /** Why it may differ. */
  readonly why: string;
  /** It seldom does: only at some moments, or where a host is kept waiting. */
  readonly rare?: boolean;
}

const TIME = "time goes on";
const SCANS = "scans go on";
const SWAPS = "numbers of swaps grow";
const JOURNAL = "the journal's log grows";
const SCRATCH = "scratch while the engine is idle: the scrub reads records into it";
const FLASH = "flash operations are counted";
const LINE = "bytes and frames are counted, damaged ones too";
const PROCESS = "the process that the board stands in goes on";
const EVENTS = "events are counted and stamped";

function listed(why: string, ...names: string[]): ListedCounter[] {
  return names.map((name) => ({ name, why }));
}

function rarely(why: string, ...names: string[]): ListedCounter[] {
  return listed(why, ...names).map((counter) => ({ ...counter, rare: true }));
}

export const LISTED_COUNTERS: readonly ListedCounter[] = [
  ...listed(SCANS, "ep_runtime.clock.ticks_elapsed", "ep_runtime.clock.scans_run"),
  ...listed(SCANS, "ep_runtime.agents.image.scan"),
  ...listed(SCANS, "ep_runtime.agents.trial.healthy_scans", "ep_runtime.agents.trial.elapsed_scans"),
  ...listed(TIME, "ep_runtime.agents.image.time_us", "ep_runtime.hotswap.touched_us"),
  ...listed(PROCESS, "ep_runtime.agents.image.inputs[*]", "process.time_us", "process.temperature"),
  ...listed(SWAPS, "ep_runtime.agents.counters.swaps", "ep_runtime.agents.counters.requests"),
  ...listed(SWAPS, "ep_runtime.agents.trial_first_request"),
  ...listed(SCANS, "ep_runtime.agents.shadow.image.scan", "ep_runtime.agents.shadow.report.first[*].scan"),
  ...listed(TIME, "ep_runtime.agents.shadow.image.time_us"),
  ...listed(PROCESS, "ep_runtime.agents.shadow.image.inputs[*]"),
  ...listed(SWAPS, "ep_runtime.agents.shadow.report.swap_number"),
  ...listed(SWAPS, "ep_runtime.agents.bank[*].swap_number", "ep_runtime.hotswap.active_swap"),
  ...listed(JOURNAL, "ep_runtime.hotswap.journal.generation", "ep_runtime.hotswap.journal.sequence"),
  ...listed(JOURNAL, "ep_runtime.hotswap.journal.next", "ep_runtime.hotswap.journal.half"),
  ...listed(
    JOURNAL,
    "ep_runtime.hotswap.journal.kept[*].sequence",
    "ep_runtime.hotswap.journal.kept[*].swap_number",
  ),
  ...listed("set once the journal was compacted", "ep_runtime.hotswap.journal.kept[1].kind"),
  ...listed("set once the journal was compacted", "ep_runtime.hotswap.journal.kept[2].kind"),
  ...listed(FLASH, "ep_runtime.hotswap.journal.flash.erases", "ep_runtime.hotswap.journal.flash.programs"),
  ...listed(EVENTS, "ep_runtime.events.head", "ep_runtime.events.tail"),
  ...listed(EVENTS, "ep_runtime.events.ring[*].scan", "ep_runtime.events.ring[*].swap_number"),
  ...listed(LINE, "ep_runtime.server.receiver.dropped"),
  ...listed(LINE, "receive.written", "receive.taken", "transmit.written", "transmit.taken"),
  ...listed(LINE, "received.written", "received.taken", "sending.written", "sending.taken"),
  ...listed(TIME, "extended.last", "tick.due_us", "tick.count"),
  ...listed("interrupts are counted", "ep_qemu_interrupts", "interrupts_seen"),
  ...listed(LINE, "received_seen"),
  ...rarely("counts down after each byte, while the core listens for more", "turns_left"),
  ...rarely("the scrub looks at the other slot next", "ep_runtime.hotswap.scrub"),
  ...rarely("set by each turn of the main loop, cleared by each scan", "ep_runtime.loop_alive"),
  ...rarely(SCRATCH, "ep_runtime.hotswap.record.marks", "ep_runtime.hotswap.record.state"),
  ...rarely(LINE, "receive.overruns", "overruns"),
  ...listed("the instrument itself: the last seven seconds of outputs", "ring"),
];

/** A ring of RAM: its contents are compared in the order in which they came, wherever the next will go. */
export interface Ring {
  readonly contents: string;
  /** Counts what was put into it, without wrap. */
  readonly count: string;
  /** Bytes that one count stands for. */
  readonly element: string;
}

export const RINGS: readonly Ring[] = [
  {
    contents: "ep_runtime.events.ring",
    count: "ep_runtime.events.tail",
    element: "ep_runtime.events.ring[0]",
  },
  { contents: "receive.bytes", count: "receive.written", element: "receive.bytes[0]" },
  { contents: "transmit.bytes", count: "transmit.written", element: "transmit.bytes[0]" },
  { contents: "received.bytes", count: "received.written", element: "received.bytes[0]" },
  { contents: "sending.bytes", count: "sending.written", element: "sending.bytes[0]" },
];
