/** Everything of a push short of the push: what the board would say, told rule by rule. */
import { foreseePush, targetText, type BoardSession, type Check, type ForeseeOptions } from "edgeplug/device";
import type { AgentPackage } from "edgeplug/package";

import { count } from "./progress.js";
import type { Report } from "./report.js";

/** Bits on the line for each bit of payload, erases and verification included: what a full slot takes, docs/measurements.md. */
const OVERHEAD = 1.25;
const BITS_PER_BYTE = 10;

/** Throws what the push would throw, as far as that can be known. */
export async function dryRun(
  session: BoardSession,
  pkg: AgentPackage,
  report: Report,
  options: ForeseeOptions & { baud: number },
): Promise<void> {
  const { name, version } = pkg.manifest;
  report.line("package", `${name} ${version}, ${count(pkg.payload.length)} bytes, digests hold`, {
    event: "package",
    name,
    version,
    release: pkg.manifest.release,
    size: pkg.payload.length,
    keyId: Buffer.from(pkg.keyId).toString("hex"),
  });
  const { checks, slot, resumes, shadowMs, trialMs } = await foreseePush(session, pkg, options);
  for (const check of checks) tellCheck(check, report);
  const refusal = checks.find(({ error }) => error !== undefined)?.error;
  if (refusal !== undefined) {
    report.line("dry run", "the board would refuse the package; nothing was changed");
    throw refusal;
  }
  const transferMs = (pkg.payload.length * BITS_PER_BYTE * OVERHEAD * 1000) / options.baud;
  const goesOn = resumes ? ", going on with what is there already" : "";
  report.line(
    "time",
    `about ${seconds(transferMs)} s at ${count(options.baud)} baud, ` +
      (shadowMs === undefined ? "" : `then a shadow run of ${seconds(shadowMs)} s or more, `) +
      `then a trial of ${seconds(trialMs)} s or more`,
  );
  report.success(
    "dry run",
    `the board would take it into ${targetText(slot)}${goesOn}; nothing was changed`,
    {
      event: "result",
      ok: true,
      dryRun: true,
      slot: slot === undefined ? null : slot === 0 ? "A" : "B",
      resumes,
      transferMs: Math.round(transferMs),
      ...(shadowMs === undefined ? {} : { shadowMs: Math.round(shadowMs) }),
      trialMs: Math.round(trialMs),
    },
  );
}

function tellCheck({ name, text, error }: Check, report: Report): void {
  const verdict = error === undefined ? "ok" : `no: ${error.message}`;
  report.line(name, `${text}: ${verdict}`, {
    event: "check",
    check: name,
    ok: error === undefined,
    text,
    ...(error === undefined ? {} : { error: error.toJSON() }),
  });
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
