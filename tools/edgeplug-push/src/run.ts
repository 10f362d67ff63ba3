/** One command from its arguments to its exit code. */
import type { BoardSession, ForeseeOptions, SessionPushOptions } from "edgeplug/device";
import { EdgePlugError } from "edgeplug/errors";
import type { AgentPackage } from "edgeplug/package";

import { parseArguments, type Settings, type Verb } from "./options.js";
import { Report } from "./report.js";
import { shadowOf } from "./shadow-options.js";

export async function run(args: readonly string[], version: string): Promise<number> {
  let report = new Report({ json: args.includes("--json"), debug: args.includes("--debug") });
  try {
    const settings = parseArguments(args, version);
    if (settings === undefined) return 0;
    report = new Report(settings);
    await execute(settings, report);
    return 0;
  } catch (thrown) {
    const error = EdgePlugError.from(thrown);
    report.error(error);
    return error.exit;
  }
}

async function execute(settings: Settings, report: Report): Promise<void> {
  const { verb } = settings;
  // What can be refused without the board is refused before its port is touched.
  const hasPackage = verb.kind === "push" || verb.kind === "dry-run";
  const pkg = hasPackage ? await readVerified(verb.packageFile, verb.agentFile) : undefined;
  const shadow =
    settings.shadow === undefined || pkg === undefined ? undefined : await shadowOf(settings.shadow, pkg);
  const verbs = await import("./verbs.js");
  const bytes = verb.kind === "request" ? await verbs.requestBytes(verb.data) : new Uint8Array();
  if (verb.kind === "save") await verbs.checkSaveTarget(verb.file, settings.force);

  const { openSigner } = await import("edgeplug/signer");
  const signer = await openSigner(settings.operator, "operator");

  const { interruptible } = await import("edgeplug/interrupt");
  await interruptible(async (signal) => {
    const session = await connect(settings, signal);
    try {
      if (session.device !== settings.device) tellChoice(session, verb, report);
      const options = { signal, timeoutMs: settings.timeoutMs, signer };
      switch (verb.kind) {
        case "push":
          return await pushVerified(
            session,
            pkg as AgentPackage,
            verb.agentFile ?? verb.packageFile,
            settings,
            report,
            { ...options, shadow },
          );
        case "dry-run":
          return await foretell(session, pkg as AgentPackage, settings, report, { ...options, shadow });
        case "info":
          return await verbs.info(session, report, options);
        case "status":
          return await verbs.status(session, report, options);
        case "history":
          return await verbs.history(session, report, options);
        case "rollback":
          return await verbs.rollback(session, report, {
            ...options,
            allowDowngrade: settings.allowDowngrade,
          });
        case "abort":
          return await verbs.abort(session, report, options);
        case "confirm":
          return await verbs.confirm(session, report, options);
        case "save":
          return await verbs.save(session, report, { ...options, file: verb.file });
        case "request":
          return await verbs.request(session, report, { ...options, bytes });
      }
    } finally {
      await session.close();
    }
  });
}

/** Whoever let the tool choose the board is told what it chose; scripts read one object of all verbs but a push. */
function tellChoice({ device, hello }: BoardSession, verb: Verb, report: Report): void {
  const boardId = Buffer.from(hello.boardId).toString("hex");
  const record = verb.kind === "push" ? { event: "device", device, boardId } : undefined;
  report.line("device", `${device}, board ${boardId}`, record);
}

async function readVerified(packageFile: string, agentFile: string | undefined): Promise<AgentPackage> {
  const { readPackageFile } = await import("edgeplug/package-file");
  const { verifyPackage } = await import("edgeplug/package");
  const pkg = await readPackageFile(packageFile, agentFile);
  verifyPackage(pkg);
  return pkg;
}

async function connect(settings: Settings, signal: AbortSignal): Promise<BoardSession> {
  const { openDevice } = await import("edgeplug/device");
  const { device, baud, gateway, timeoutMs } = settings;
  return openDevice(device, {
    ...gateway,
    baud,
    signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.min(timeoutMs, 5_000) }),
  });
}

async function pushVerified(
  session: BoardSession,
  pkg: AgentPackage,
  path: string,
  settings: Settings,
  report: Report,
  options: SessionPushOptions,
): Promise<void> {
  const { push } = await import("./push.js");
  await push(session, pkg, path, report, {
    ...options,
    allowDowngrade: settings.allowDowngrade,
  });
}

async function foretell(
  session: BoardSession,
  pkg: AgentPackage,
  { allowDowngrade, baud }: Settings,
  report: Report,
  options: ForeseeOptions,
): Promise<void> {
  const { dryRun } = await import("./dry-run.js");
  await dryRun(session, pkg, report, { ...options, allowDowngrade, baud });
}
