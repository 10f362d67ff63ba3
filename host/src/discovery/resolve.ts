/** `auto` and `id:PREFIX`: boards chosen by what they say they are, and only if there is no doubt. */
import { EdgePlugError, type ErrorName } from "../errors.js";
import { boardClassName } from "../session/messages.js";
import { survey, type ProbedBoard, type Sighting, type SurveyOptions } from "./probe.js";
import { isSelector } from "./selector.js";

/** Twelve bytes. */
const ID_DIGITS = 24;

/** Nobody knows whether these are boards, or which: they can't be left out of a choice. */
const UNKNOWN: readonly ErrorName[] = ["PORT_BUSY", "PORT_PERMISSION", "PROTOCOL"];

/**
 * The port of the one board that `auto` or `id:PREFIX` (hex digits) means; any other name comes back as it is. Throws
 * DEVICE_UNKNOWN if no board matches, DEVICE_AMBIGUOUS with a list if several do or may, USAGE for a prefix that is none,
 * and for `auto` PORT_BUSY, PORT_PERMISSION or PROTOCOL if that is what keeps the only candidate from being asked.
 */
export async function resolveDevice(name: string, options: SurveyOptions = {}): Promise<string> {
  if (!isSelector(name)) return name;
  const prefix = name === "auto" ? "" : checkedPrefix(name.slice("id:".length));
  const sightings = await survey(options);
  const boards = sightings.flatMap((sighting) => ("board" in sighting ? [sighting.board] : []));
  const unknown = sightings.flatMap((sighting) => unknownOf(sighting));
  return name === "auto" ? theOnly(boards, unknown, sightings) : byId(prefix, boards, unknown);
}

function checkedPrefix(digits: string): string {
  if (/^[0-9a-f]+$/i.test(digits) && digits.length <= ID_DIGITS) return digits.toLowerCase();
  throw new EdgePlugError("USAGE", `"${digits}" can't be the beginning of a board's id.`, {
    action: `Give 1 to ${ID_DIGITS} hex digits; \`edgeplug devices\` lists the boards.`,
  });
}

function unknownOf(sighting: Sighting): EdgePlugError[] {
  return "problem" in sighting && UNKNOWN.includes(sighting.problem.code) ? [sighting.problem] : [];
}

/** A port that can't be asked may be the board that was meant: then nothing is chosen. */
function theOnly(
  boards: readonly ProbedBoard[],
  unknown: readonly EdgePlugError[],
  sightings: readonly Sighting[],
): string {
  const [board] = boards;
  const [problem] = unknown;
  if (board !== undefined && boards.length === 1 && problem === undefined) return board.port;
  if (board === undefined && problem !== undefined && unknown.length === 1) throw problem;
  if (board === undefined && problem === undefined) throw noBoards(sightings);
  const list = [...boards.map(boardText), ...unknown.map(problemText)].join("; ");
  throw new EdgePlugError("DEVICE_AMBIGUOUS", `Several boards are possible: ${list}.`, {
    action: "Name one: --device PORT, or --device id:PREFIX with the first digits of its id.",
  });
}

function noBoards(sightings: readonly Sighting[]): EdgePlugError {
  const asked = sightings.map(({ candidate }) => candidate.port);
  const text =
    asked.length === 0
      ? "No port that a board is known to have is connected."
      : `No board answers on ${asked.join(", ")}.`;
  return new EdgePlugError("DEVICE_UNKNOWN", text, {
    action: "Check cable and power; see `edgeplug devices --all`, and name the port if it is one of those.",
  });
}

function byId(prefix: string, boards: readonly ProbedBoard[], unknown: readonly EdgePlugError[]): string {
  const matches = boards.filter(({ id }) => id.startsWith(prefix));
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match.port;
  if (match !== undefined) {
    const list = matches.map(boardText).join("; ");
    throw new EdgePlugError("DEVICE_AMBIGUOUS", `Several boards have an id with ${prefix}…: ${list}.`);
  }
  const seen = [...boards.map(boardText), ...unknown.map(problemText)].join("; ");
  throw new EdgePlugError(
    "DEVICE_UNKNOWN",
    `No board that answers has an id with ${prefix}…${seen === "" ? "" : `; there are: ${seen}`}.`,
  );
}

/** `3f2a… (qemu, doubler 1.0.0) on /dev/pts/3` */
function boardText({ id, hello, status, port }: ProbedBoard): string {
  const agent = status.active === null ? "no agent" : `${status.active.name} ${status.active.version}`;
  return `${id} (${boardClassName(hello.boardClass)}, ${agent}) on ${port}`;
}

function problemText(problem: EdgePlugError): string {
  return problem.message.replace(/\.$/, "");
}
