/** edgeplug verify */
import { Command } from "commander";

import { EdgePlugError } from "../errors.js";
import { readPublicKey } from "../keys.js";
import { readPackageFile } from "../package-file.js";
import { verifyPackage, type AgentPackage, type SignatureStatus } from "../package.js";
import type { BoardSession } from "../session/board-session.js";
import type { Situation, StagingCheck } from "../verify/checks.js";
import { openNamed, withDevice, type DeviceOptions } from "./device-options.js";
import { interruptible } from "./interrupt.js";
import { count, hex, Output, plural } from "./output.js";

interface VerifyOptions extends DeviceOptions {
  key?: string;
  agent?: string;
  present?: string;
  onBoard?: boolean;
  cache: boolean;
}

const SIGNATURES = {
  verified: "signature holds",
  unverified: "signed, but not checked: pass the publisher's public key with --key",
  unsigned: "not signed",
} as const;

const MARKS = { ok: "ok", warning: "WARNING", failed: "FAILED", open: "-" } as const;

const EXAMPLES = `
Examples:
  edgeplug verify agent.epk --key publisher.pub
  edgeplug verify agent.epk --present running.epk      against the agent that it is to replace
  edgeplug verify agent.epk --device auto              against a board and the agent on it
  edgeplug verify agent.epk --device auto --on-board   … with the test vectors run on the board
  edgeplug verify manifest.pb --agent agent.bin --json`;

export function verifyCommand(): Command {
  return withDevice(
    new Command("verify")
      .summary("check a package before it is staged: compatibility, performance, security, correctness")
      .description(
        "Checks form, CRC-32 and SHA-512 of a package, with --key its signature; then ABI, board class, memory and channels, " +
          "fuel, imports, release and security version; and runs its test vectors and 10,000 scans in V8 and in the board's engine. " +
          "With a device also by the board's own rules, which changes nothing on it. Exit code 0: nothing failed.",
      )
      .argument("<file>", "an .epk, or a manifest.pb with --agent")
      .option("--key <file>", "the publisher's public key; the package must be signed by it")
      .option("--agent <file>", "the agent.bin that belongs to a manifest.pb")
      .option(
        "--present <package>",
        "the agent that it is to replace (with a device: the one that runs there)",
      )
      .option(
        "--on-board",
        "let the board verify it and run its vectors, in the slot that isn't running; not activated",
      )
      .option("--no-cache", "run everything, even if the same bytes were checked before"),
  )
    .addHelpText("after", EXAMPLES)
    .action(verify);
}

async function verify(file: string, options: VerifyOptions): Promise<void> {
  const key = options.key === undefined ? undefined : await readPublicKey(options.key);
  const pkg = await readPackageFile(file, options.agent);
  const signature = verifyPackage(pkg, key === undefined ? {} : { publicKey: key.publicKey });
  if (options.onBoard === true && (options.device ?? "") === "")
    throw new EdgePlugError("USAGE", "--on-board needs a board: pass --device.");
  const present = options.present === undefined ? undefined : await readPresent(options.present);
  const [{ checkCorrectness }, { findSourceMap }] = await Promise.all([
    import("../verify/correctness.js"),
    import("../agent/source-map.js"),
  ]);
  const map = await findSourceMap(pkg.payload, options.agent ?? file);
  const correctness = await checkCorrectness(pkg, { map, cache: options.cache });
  const situation: Situation = { pkg, signature, correctness, present };
  const { stagingChecks } = await import("../verify/checks.js");
  const checks =
    (options.device ?? "") === ""
      ? stagingChecks(situation)
      : await withBoard(options, async (session, signal) => onBoard(session, signal, situation, options));
  tell(pkg, signature, checks, correctness.cached, options);
  const failed = checks.find(({ error }) => error !== undefined)?.error;
  if (failed !== undefined) throw failed;
}

async function readPresent(path: string): Promise<AgentPackage> {
  const present = await readPackageFile(path);
  verifyPackage(present);
  return present;
}

async function withBoard<T>(
  options: VerifyOptions,
  act: (session: BoardSession, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return interruptible(async (signal) => {
    const session = await openNamed(options.device ?? "", options, signal);
    try {
      return await act(session, signal);
    } finally {
      await session.close();
    }
  });
}

async function onBoard(
  session: BoardSession,
  signal: AbortSignal,
  situation: Situation,
  options: VerifyOptions,
): Promise<StagingCheck[]> {
  const { foreseePush } = await import("../foresee.js");
  const { stagingChecks } = await import("../verify/checks.js");
  const foresight = await foreseePush(session, situation.pkg, { signal, present: true });
  const present = situation.present ?? foresight.present;
  const checks = stagingChecks({ ...situation, present, foresight, hello: session.hello });
  if (options.onBoard !== true) return checks;
  if (checks.some(({ verdict }) => verdict === "failed"))
    return [...checks, { group: "correctness", name: "on the board", verdict: "open", text: "not sent" }];
  const { stageOnly } = await import("../verify/stage-only.js");
  return [...checks, await stageOnly(session, situation.pkg, signal)];
}

function tell(
  pkg: AgentPackage,
  signature: SignatureStatus,
  checks: readonly StagingCheck[],
  cached: boolean,
  options: VerifyOptions,
): void {
  const { manifest } = pkg;
  const keyText =
    pkg.keyId.length === 0 ? SIGNATURES[signature] : `key ${hex(pkg.keyId)}: ${SIGNATURES[signature]}`;
  const of = (verdict: StagingCheck["verdict"]): number =>
    checks.filter((check) => check.verdict === verdict).length;
  new Output(options).result(
    [
      `${manifest.name} ${manifest.version}, release ${manifest.release}: ${count(manifest.payloadSize)} bytes, digests hold`,
      keyText,
      "",
      ...table(checks),
      "",
      `${of("ok")} ok, ${plural(of("warning"), "warning")}, ${of("failed")} failed, ${of("open")} open` +
        (cached ? "; the engines' results are those of an earlier check of the same bytes" : ""),
    ],
    {
      name: manifest.name,
      version: manifest.version,
      release: manifest.release,
      signature,
      keyId: hex(pkg.keyId),
      ok: of("failed") === 0,
      warnings: of("warning"),
      cached,
      checks: checks.map(({ error, ...check }) => ({
        ...check,
        ...(error === undefined ? {} : { error: error.toJSON() }),
      })),
    },
  );
}

function table(checks: readonly StagingCheck[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length)) + 2;
  return checks.map(({ group, name, verdict, text, error }, at) => {
    const title = checks[at - 1]?.group === group ? "" : group;
    const why = error === undefined || text.includes(error.message) ? "" : `: ${error.message}`;
    return `${title.padEnd(15)}${name.padEnd(width)}${MARKS[verdict].padEnd(9)}${text}${why}`;
  });
}
