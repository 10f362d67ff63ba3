/** --shadow, --tolerance and --allow-differences: as they are written, and what they mean for one package. */
import { InvalidArgumentError } from "commander";
import type { ShadowOptions } from "edgeplug/device";
import { EdgePlugError } from "edgeplug/errors";
import type { AgentPackage } from "edgeplug/package";
import { MOST_SCANS, MOST_TOLERANCES } from "edgeplug/shadow-limits";

/** Largest differences that still agree, before anybody knows which outputs there are. */
export interface Tolerances {
  /** For all outputs that are not named. */
  others: number;
  named: ReadonlyMap<string, number>;
}

export interface ShadowFlags {
  shadow?: number;
  tolerance?: Tolerances;
  allowDifferences?: number;
}

export interface ShadowRequest {
  scans: number;
  tolerance: Tolerances | undefined;
  allowed: number;
}

const LARGEST_FLOAT = 3.4028234663852886e38;

export function atLeastOne(text: string): number {
  return whole(text, 1);
}

export function zeroOrMore(text: string): number {
  return whole(text, 0);
}

function whole(text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > MOST_SCANS)
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${MOST_SCANS}.`);
  return value;
}

/** `0.01`, `power=0.5,flow=0.01`, `0.01,power=0.5` */
export function readTolerances(text: string): Tolerances {
  const named = new Map<string, number>();
  let others: number | undefined;
  for (const term of text.split(",")) {
    const at = term.lastIndexOf("=");
    const value = tolerance(term.slice(at + 1).trim());
    const name = term.slice(0, Math.max(0, at)).trim();
    if (at < 0 && others !== undefined)
      throw new InvalidArgumentError("Two numbers for all outputs: name the outputs, as in power=0.5.");
    if (at < 0) others = value;
    else if (name === "") throw new InvalidArgumentError(`There is no output before "${term.trim()}".`);
    else if (named.has(name)) throw new InvalidArgumentError(`${name} is there twice.`);
    else named.set(name, value);
  }
  return { others: others ?? 0, named };
}

function tolerance(text: string): number {
  const value = text === "" ? NaN : Number(text);
  if (!(value >= 0 && value <= LARGEST_FLOAT))
    throw new InvalidArgumentError(`Expected a number of 0 or more, got "${text}".`);
  return value;
}

/** Throws USAGE for what makes sense only with --shadow; undefined without it. */
export function shadowRequest({
  shadow,
  tolerance,
  allowDifferences,
}: ShadowFlags): ShadowRequest | undefined {
  if (shadow !== undefined) return { scans: shadow, tolerance, allowed: allowDifferences ?? 0 };
  const alone =
    tolerance !== undefined ? "--tolerance" : allowDifferences !== undefined ? "--allow-differences" : "";
  if (alone === "") return undefined;
  throw new EdgePlugError("USAGE", `${alone} is about a shadow run, and none was asked for.`, {
    action: "Pass --shadow SCANS as well.",
  });
}

/** With the names of the package's outputs. Throws USAGE for those that it doesn't have. */
export async function shadowOf(request: ShadowRequest, pkg: AgentPackage): Promise<ShadowOptions> {
  const { scans, allowed } = request;
  if (request.tolerance === undefined) return { scans, allowed };
  const { name, version, kind, outputs } = pkg.manifest;
  if (kind === "request") {
    throw new EdgePlugError("USAGE", `--tolerance is for outputs; ${name} ${version} is a request agent.`, {
      action: "Leave it out: replies are compared byte for byte. --allow-differences counts requests.",
    });
  }
  const { outputChannels } = await import("edgeplug/device");
  const names = outputChannels(pkg.payload).map((channel) => channel.name);
  const { others, named } = request.tolerance;
  const tolerance = Array.from({ length: MOST_TOLERANCES }, () => others);
  const taken = new Map<number, string>();
  for (const [word, value] of named) {
    const at = names.includes(word) ? names.indexOf(word) : /^\d$/.test(word) ? Number(word) : outputs;
    if (at >= outputs) {
      throw new EdgePlugError(
        "USAGE",
        `${name} ${version} has no output "${word}"; it has ${listed(names, outputs)}.`,
        {
          action:
            outputs === 0 ? "Leave it out." : `Name one of these, or a number from 0 to ${outputs - 1}.`,
        },
      );
    }
    const before = taken.get(at);
    if (before !== undefined) {
      throw new EdgePlugError("USAGE", `"${before}" and "${word}" are the same output.`, {
        action: "Name each output once.",
      });
    }
    taken.set(at, word);
    tolerance[at] = value;
  }
  // the last one is for all that follow
  while (tolerance.length > 1 && tolerance.at(-1) === tolerance.at(-2)) tolerance.pop();
  return { scans, tolerance, allowed };
}

function listed(names: readonly string[], outputs: number): string {
  const known = names.filter((name) => name !== "");
  if (known.length > 0) return known.join(", ");
  return outputs === 0 ? "none" : outputs === 1 ? "one, without a name" : `${outputs}, without names`;
}
