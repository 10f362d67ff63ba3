/** edgeplug inspect */
import { Command } from "commander";

import { readDetails, type AgentDetails } from "../agent/details.js";
import { boardName, TRIAL_DEFAULTS, type AgentManifest } from "../manifest.js";
import { verifyPackage, type AgentPackage } from "../package.js";
import { count, hex, Output, plural } from "./output.js";
import { readPackageFile } from "../package-file.js";

interface InspectOptions {
  agent?: string;
  json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("show what a package says of itself")
    .description("Shows manifest, limits, guards, trial rules and channels of a package whose digests hold.")
    .argument("<file>", "an .epk, or a manifest.pb with --agent")
    .option("--agent <file>", "the agent.bin that belongs to a manifest.pb")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug inspect agent.epk\n  edgeplug inspect manifest.pb --agent agent.bin --json",
    )
    .action(inspect);
}

async function inspect(file: string, options: InspectOptions): Promise<void> {
  const pkg = await readPackageFile(file, options.agent);
  verifyPackage(pkg);
  const details = readDetails(pkg.payload);
  new Output(options).result(describe(pkg, details), record(pkg, details));
}

function describe(pkg: AgentPackage, details: AgentDetails | undefined): string[] {
  const { manifest: m } = pkg;
  const rows: [string, string][] = [
    ["agent", `${m.name} ${m.version}, release ${m.release}, security version ${m.securityVersion}`],
    ["about", details?.description ?? ""],
    ["kind", `${m.kind}, board ${boardName(m.boardClass)}, ABI ${m.abi}`],
    ["signature", pkg.keyId.length === 0 ? "none" : `by key ${hex(pkg.keyId)}`],
    ["payload", `${count(m.payloadSize)} bytes, CRC-32 ${m.payloadCrc32.toString(16).padStart(8, "0")}`],
    ["SHA-512", hex(m.payloadSha512)],
    [
      "limits",
      `${count(m.limits.memory)} bytes of memory, ${m.limits.stackSlots} stack slots, ${m.limits.callDepth} calls deep, ` +
        `io buffer ${m.limits.ioBuffer}`,
    ],
    [
      "fuel",
      `${count(m.limits.fuel)} a ${m.kind === "control" ? "scan" : "request"}, ${count(m.limits.initFuel)} at the start`,
    ],
    ["trial", trial(m)],
    ["on trap", m.onTrap === "hold" ? "outputs keep their values" : "outputs go to their fail-safe values"],
    ["state", m.stateId === 0 ? "none handed over" : `handed over between agents of state id ${m.stateId}`],
    ["vectors", plural(details?.vectors ?? 0, "test vector")],
  ];
  if (m.scanDivider > 1) rows.push(["scan", `every ${m.scanDivider} ms`]);
  const lines = rows.filter(([, text]) => text !== "").map(([name, text]) => `${name.padEnd(10)}${text}`);
  return [...lines, ...channels(m, details)];
}

function trial({ trial: rules, kind }: AgentManifest): string {
  const parts = [
    `${plural(rules.healthyScans || TRIAL_DEFAULTS.healthyScans, "healthy scan")}`,
    ...(kind === "request" ? [plural(rules.minRequests || TRIAL_DEFAULTS.minRequests, "request")] : []),
    ...(rules.confirmByHost ? ["the host's confirmation"] : []),
  ];
  return (
    `${parts.join(", ")} within ${count(rules.deadlineScans || TRIAL_DEFAULTS.deadlineScans)} scans; ` +
    `${plural(rules.attempts || TRIAL_DEFAULTS.attempts, "attempt")}, ${plural(rules.maxGuardHits || TRIAL_DEFAULTS.maxGuardHits, "guard hit")} allowed`
  );
}

function channels(m: AgentManifest, details: AgentDetails | undefined): string[] {
  const name = (list: AgentDetails["inputs"] | undefined, index: number): string => {
    const channel = list?.[index];
    if (channel === undefined) return `${index}`;
    return `${index} ${channel.name}${channel.unit === "" ? "" : ` (${channel.unit})`}`;
  };
  const range = (index: number): string => {
    const { min, max, slew, failSafe } = m.guards;
    const parts = [
      ...(min.length > 0 ? [`${min[index] ?? 0} to ${max[index] ?? 0}`] : []),
      ...(slew.length > 0 ? [`at most ${slew[index] ?? 0} a scan`] : []),
      ...(failSafe.length > 0 ? [`fail-safe ${failSafe[index] ?? 0}`] : []),
    ];
    return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
  };
  return [
    ...Array.from({ length: m.inputs }, (_, index) => `input     ${name(details?.inputs, index)}`),
    ...Array.from(
      { length: m.outputs },
      (_, index) => `output    ${name(details?.outputs, index)}${range(index)}`,
    ),
  ];
}

function record(pkg: AgentPackage, details: AgentDetails | undefined): object {
  const { payloadSha512, ...manifest } = pkg.manifest;
  return {
    ...manifest,
    board: boardName(manifest.boardClass),
    payloadSha512: hex(payloadSha512),
    keyId: hex(pkg.keyId),
    signature: hex(pkg.signature),
    manifestBytes: pkg.manifestBytes.length,
    details: details ?? null,
  };
}
