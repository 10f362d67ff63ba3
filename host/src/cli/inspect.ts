/** edgeplug inspect */
import { Command } from "commander";

import { packagedConfig } from "../agent/packaged.js";
import { readDetails, type AgentDetails } from "../agent/details.js";
import { findAgent, type FoundAgent } from "../agent/find.js";
import { profileAgent, type FunctionProfile, type ModuleProfile } from "../agent/profile.js";
import { findSourceMap, placeText } from "../agent/source-map.js";
import { EdgePlugError } from "../errors.js";
import { boardName, TRIAL_DEFAULTS, type AgentManifest } from "../manifest.js";
import { verifyPackage, type AgentPackage } from "../package.js";
import { readPackageFile } from "../package-file.js";
import { count, hex, Output, plural } from "./output.js";

interface InspectOptions {
  agent?: string;
  scans?: string;
  json?: boolean;
}

const SCANS_MAX = 1_000_000;

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("show what a package says of itself, what it is made of, and the fuel that it takes")
    .description(
      "Shows manifest, limits, guards, trial rules and channels of a package whose digests hold; the sections, imports, memory " +
        "and largest functions of its module; and the worst fuel of a scan in 10,000, with the margin to its limit. Takes a module " +
        "or an agent's folder too.",
    )
    .argument("<path>", "an .epk, an agent.wasm, an agent's folder, or a manifest.pb with --agent")
    .option("--agent <file>", "the agent.bin that belongs to a manifest.pb")
    .option("--scans <count>", "scans or requests to run, 0 for none (default: 10,000 scans, 1,000 requests)")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  edgeplug inspect agent.epk\n  edgeplug inspect my-agent --scans 100000\n" +
        "  edgeplug inspect manifest.pb --agent agent.bin --json",
    )
    .action(inspect);
}

async function inspect(path: string, options: InspectOptions): Promise<void> {
  const scans = options.scans === undefined ? undefined : Number(options.scans);
  if (scans !== undefined && !(Number.isInteger(scans) && scans >= 0 && scans <= SCANS_MAX))
    throw new EdgePlugError("USAGE", `--scans ${options.scans} is no number from 0 to ${count(SCANS_MAX)}.`);
  const found = await find(path, options.agent);
  const profile = await profileAgent(found, scans);
  const { pkg } = found;
  const details = readDetails(found.wasm);
  const about = pkg === undefined ? aboutSource(found) : describe(pkg, details);
  new Output(options).result([...about, "", ...describeModule(profile, found)], {
    ...(pkg === undefined ? sourceRecord(found) : record(pkg, details)),
    module: moduleRecord(profile),
  });
}

async function find(path: string, agent: string | undefined): Promise<FoundAgent> {
  if (agent === undefined) return findAgent(path);
  const pkg = await readPackageFile(path, agent);
  verifyPackage(pkg);
  const map = await findSourceMap(pkg.payload, agent);
  return { config: packagedConfig(pkg), wasm: pkg.payload, map, pkg };
}

const LABEL_WIDTH = 10;

function aboutSource({ config }: FoundAgent): string[] {
  return [
    `${"agent".padEnd(LABEL_WIDTH)}${config.name} ${config.version}, release ${config.release}, not packed`,
    `${"kind".padEnd(LABEL_WIDTH)}${config.kind}, board ${config.board}`,
  ];
}

function sourceRecord({ config: { name, version, release, kind, board, limits } }: FoundAgent): object {
  return { name, version, release, kind, board, limits };
}

function describeModule(
  { bytes, sections, imports, exports, memory, functions, worst }: ModuleProfile,
  found: FoundAgent,
): string[] {
  const rows: [string, string][] = [
    [
      "module",
      `${count(bytes)} bytes: ${sections.map(({ name, size }) => `${name} ${count(size)}`).join(", ")}`,
    ],
    ["imports", imports.length === 0 ? "none" : imports.join(", ")],
    ["exports", exports.join(", ")],
    [
      "memory",
      `${count(memory.limit)} bytes, static data up to ${count(memory.staticData)}; declares ${plural(memory.declaredPages, "page")}`,
    ],
    ["functions", `${functions.count}, the largest:`],
    ...functions.largest.map((one): [string, string] => ["", functionText(one)]),
    ["worst", worstText(worst, found)],
  ];
  if (worst.failure !== undefined) rows.push(["", `ended there: ${worst.failure.message}`]);
  return rows.map(([label, text]) => `${label.padEnd(LABEL_WIDTH)}${text}`);
}

function functionText({ index, name, bytes, place }: FunctionProfile): string {
  const called = name === "" ? `function ${index}` : `${name} (function ${index})`;
  return `${`${count(bytes)} bytes`.padStart(12)}  ${called}${place === undefined ? "" : `, ${placeText(place)}`}`;
}

function worstText(
  { runs, fuel, at, limit, margin }: ModuleProfile["worst"],
  { config }: FoundAgent,
): string {
  const unit = config.kind === "control" ? "scan" : "request";
  if (runs === 0) return `no ${unit} was run`;
  const head = `${count(fuel)} fuel in ${unit} ${count(at)} of ${count(runs)}`;
  if (limit === undefined || margin === undefined)
    return `${head}; no limit yet, \`edgeplug build\` sets one`;
  return `${head}, limit ${count(limit)}: a margin of ${(100 * margin).toFixed(1)} %`;
}

function moduleRecord({ worst: { failure, ...worst }, ...profile }: ModuleProfile): object {
  return { ...profile, worst: { ...worst, ...(failure === undefined ? {} : { failure: failure.toJSON() }) } };
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
