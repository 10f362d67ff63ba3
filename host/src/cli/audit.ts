/** edgeplug audit verify | show | rotate */
import { join } from "node:path";

import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { administer, localUser, withState } from "../gateway/administer.js";
import { rotateAudit } from "../gateway/audit-rotate.js";
import {
  AUDIT_FILE,
  knownHead,
  verifyAudit,
  type AuditEntry,
  type AuditLink,
  type AuditReport,
} from "../gateway/audit.js";
import { FolderLock } from "../gateway/folder-lock.js";
import { printable } from "../printable.js";
import { stateFolder, withStateFolder, type StateOptions } from "./gateway-state-options.js";
import { Output, plural } from "./output.js";

interface VerifyOptions extends StateOptions {
  expectHead?: string;
}

interface ShowOptions extends StateOptions {
  who?: string;
  what?: string;
  device?: string;
  since?: string;
}

const SHOWN_PROBLEMS = 10;

export function auditCommand(): Command {
  const audit = new Command("audit")
    .summary("check, show or rotate a gateway's audit log")
    .addHelpText("after", "\nExamples:\n  edgeplug audit verify\n  edgeplug audit show --help");
  for (const command of [verifyCommand(), showCommand(), rotateCommand()]) audit.addCommand(command);
  return audit;
}

// ---- verify ------------------------------------------------------------------------------------

function verifyCommand(): Command {
  return withStateFolder(
    new Command("verify")
      .summary("find any change, cut or insertion in an audit log")
      .description(
        "Follows the chain of hashes from the first entry to the last. Without FILE it takes the log of the gateway's state " +
          "folder and compares its end with the gateway's database; for a FILE elsewhere, only --expect-head tells whether its " +
          "end was cut off. Prints the last entry's hash: note it down where the gateway can't write, and pass it next time.",
      )
      .argument("[file]", "the log (default: the one in the state folder)")
      .option("--expect-head <hash>", "an entry with this hash must be in the log")
      .addHelpText(
        "after",
        "\nExamples:\n  edgeplug audit verify\n  edgeplug audit verify copy/audit.log --expect-head 92b2…cf9c --json",
      ),
  ).action(verify);
}

async function verify(file: string | undefined, options: VerifyOptions): Promise<void> {
  const { expectHead } = options;
  if (expectHead !== undefined && !/^[0-9a-f]{64}$/.test(expectHead))
    throw new EdgePlugError("USAGE", "--expect-head takes the 64 hex digits of an entry's hash.");
  const { path, head, grows } = await whatToVerify(file, options);
  const report = verifyAudit(path, { head, grows, expectHead });
  new Output(options).result(describe(path, report), { file: path, ...report });
  if (report.ok) return;
  const [first] = report.problems;
  throw new EdgePlugError(
    "AUDIT_BROKEN",
    `${path} is not what the gateway wrote: line ${first?.line ?? 0}: ${first?.message ?? ""}.`,
    { detail: first?.line ?? 0 },
  );
}

/** With a state folder the end is known. The head is asked for first: a gateway may write while the file is read. */
async function whatToVerify(
  file: string | undefined,
  options: VerifyOptions,
): Promise<{ path: string; head: AuditLink | undefined; grows: boolean }> {
  if (file !== undefined && options.state === undefined && options.config === undefined)
    return { path: file, head: undefined, grows: false };
  const folder = stateFolder(options);
  const grows = FolderLock.ownerOf(folder)?.kind === "gateway";
  // alone, the database is only read: opening the log would close a torn line, and change what is to be looked at
  const head = grows
    ? (await administer(folder, "audit-head", {})).head
    : await withState(folder, (state) => knownHead(state));
  return { path: file ?? join(folder, AUDIT_FILE), head: head ?? undefined, grows };
}

function describe(path: string, report: AuditReport): string[] {
  const { problems } = report;
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(({ line, message }) => `${path}:${line}: ${message}`);
  if (problems.length > SHOWN_PROBLEMS) shown.push(`… and ${problems.length - SHOWN_PROBLEMS} more`);
  const notes = [
    ...(report.recovered > 0
      ? [`${plural(report.recovered, "crash", "crashes")} closed by the gateway`]
      : []),
    ...(report.clockSteps > 0 ? [`the clock went back ${plural(report.clockSteps, "time")}`] : []),
    ...(report.endKnown
      ? []
      : ["whether its end was cut off can't be said without --state or --expect-head"]),
  ];
  return [
    ...shown,
    `${report.ok ? "whole" : "BROKEN"}: ${plural(report.entries, "entry", "entries")}` +
      (notes.length === 0 ? "" : `; ${notes.join("; ")}`),
    `head ${report.head.seq} ${report.head.hash}`,
  ];
}

// ---- show --------------------------------------------------------------------------------------

function showCommand(): Command {
  return withStateFolder(
    new Command("show")
      .summary("print an audit log's entries")
      .description(
        "Prints entries, oldest first. It doesn't say whether they are genuine: `edgeplug audit verify` does.",
      )
      .argument("[file]", "the log (default: the one in the state folder)")
      .option("--who <login>", "only of this login")
      .option("--what <action>", "only this action, e.g. deploy")
      .option("--device <id>", "only of boards whose id begins so")
      .option("--since <time>", "only from this time on, ISO 8601: 2026-11-21 or 2026-11-21T14:00Z")
      .addHelpText("after", "\nExample:\n  edgeplug audit show --what deploy --since 2026-11-01"),
  ).action((file: string | undefined, options: ShowOptions) => {
    const since = options.since === undefined ? 0 : Date.parse(options.since);
    if (Number.isNaN(since)) throw new EdgePlugError("USAGE", `--since ${options.since ?? ""} is no time.`);
    const path = file ?? join(stateFolder(options), AUDIT_FILE);
    const output = new Output(options);
    verifyAudit(path, {
      onEntry: (entry) => {
        if (isWanted(entry, options, since)) output.result([line(entry)], entry);
      },
    });
  });
}

function isWanted(entry: AuditEntry, { who, what, device }: ShowOptions, since: number): boolean {
  return (
    (who === undefined || entry.who === who) &&
    (what === undefined || entry.what === what) &&
    (device === undefined || (entry.device ?? "").startsWith(device.toLowerCase())) &&
    Date.parse(entry.time) >= since
  );
}

function line({ seq, time, who, address, what, device, detail, outcome }: AuditEntry): string {
  const parts = [
    `${seq}`.padStart(6),
    time.slice(0, 19).replace("T", " "),
    address === undefined ? who : `${who}@${address}`,
    what,
    ...(device === undefined ? [] : [device]),
    outcome,
    // what boards and callers named: nothing of it may move the cursor
    ...(detail === undefined ? [] : [printable(detail)]),
  ];
  return parts.join("  ");
}

// ---- rotate ------------------------------------------------------------------------------------

function rotateCommand(): Command {
  return withStateFolder(
    new Command("rotate")
      .summary("keep the log under another name and begin a new one")
      .description(
        "For a log that has grown large, or that is broken, so that the gateway doesn't start. The old one stays as it is; the " +
          "new one's first entry names its SHA-256. The gateway must be stopped.",
      )
      .addHelpText("after", "\nExample:\n  edgeplug audit rotate"),
  ).action(async (options: StateOptions) => {
    const folder = stateFolder(options);
    const old = await withState(folder, (state) => rotateAudit(state, localUser()));
    const kept = old === undefined ? "there was no log" : `the old log is ${join(folder, old)}`;
    new Output(options).result([`a new audit log has begun; ${kept}`], { kept: old ?? null });
  });
}
