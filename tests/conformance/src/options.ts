/** The command line of `npm run conformance`. */
import { parseArgs } from "node:util";

import { reporterFault, type ReporterOptions } from "@edgeplug/report/junit";
import { shellWord } from "@edgeplug/report/results";

import { BOARDS, type ImageBoard } from "./image.js";

export const HELP = `Plays the WebAssembly specification's tests into the engine, through the conformance image of a board, and prints for each
file how many assertions held, were left out, and failed. What may be left out, and why, stands in
tests/conformance/left-out.json and docs/wasm.md; everything else that doesn't hold is a failure.

  npm run conformance -- --spec DIR                     on the Arm image under QEMU
  npm run conformance -- --spec DIR --board sim         on the same engine inside Node
  npm run conformance -- --spec DIR --filter memory_    the files whose names contain that

  --spec DIR         a folder of what wast2json (of Debian's wabt) makes of .wast files: .json, .wasm and .wat;
                     tests/conformance/README.md tells where they are to be had
  --board NAME       qemu (default) or sim
  --filter TEXT      plays only the files whose names contain TEXT; may be given several times
  --patience S       an answer that takes longer than this many seconds has failed (default 120)
  --json             prints the result as JSON instead of the table
  --reporter junit   also writes JUnit XML, a case for each file
  --output FILE      … there (default build/results/conformance-<board>.xml)
  --help

Exits with 0 if nothing failed, 1 if something did, 2 if it was called wrongly or DIR holds nothing to play.
`;

const PATIENCE = 120;

export class UsageError extends Error {}

export interface Options extends ReporterOptions {
  /** As it was given. */
  readonly spec: string;
  readonly board: ImageBoard;
  readonly filters: readonly string[];
  /** Seconds. */
  readonly patience: number;
  readonly json: boolean;
}

/** Undefined: only help is wanted. Throws UsageError. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const { spec, filter: filters, json, reporter, output } = values;
  if (spec === undefined) throw new UsageError("--spec DIR: it is missing");
  const board = BOARDS.find((name) => name === values.board);
  if (board === undefined)
    throw new UsageError(`--board: expected ${BOARDS.join(" or ")}, got ${values.board}`);
  const patience = Number(values.patience);
  if (!Number.isFinite(patience) || patience <= 0)
    throw new UsageError(`--patience: expected seconds, got ${values.patience}`);
  const fault = reporterFault({ reporter, output });
  if (fault !== undefined) throw new UsageError(fault);
  return { spec, board, filters, patience, json, reporter, output };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        spec: { type: "string" },
        board: { type: "string", default: "qemu" },
        filter: { type: "string", multiple: true, default: [] as string[] },
        patience: { type: "string", default: String(PATIENCE) },
        json: { type: "boolean", default: false },
        reporter: { type: "string" },
        output: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The command that does the same again. */
export function commandOf({ spec, board, filters }: Options): string {
  return [
    `npm run conformance -- --spec ${shellWord(spec)} --board ${board}`,
    ...filters.map((text) => `--filter ${shellWord(text)}`),
  ].join(" ");
}
