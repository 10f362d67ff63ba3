/** The boards that suites run on. EDGEPLUG_BOARDS names those of a run: "sim", "qemu,renode". */
import { findRenode, RENODE_MISSING } from "renode-test-harness";

export type Backend = "sim" | "qemu" | "renode";
export const EVERY_BACKEND: readonly Backend[] = ["sim", "qemu", "renode"];

/** Those that `names` lists, in the order of EVERY_BACKEND; without a list: all. Throws for a name that is none. */
export function parseBackends(names: string | undefined): readonly Backend[] {
  if (names === undefined || names.trim() === "") return EVERY_BACKEND;
  const wanted = names.split(",").map((name) => name.trim());
  const strange = wanted.find((name) => !EVERY_BACKEND.some((backend) => backend === name));
  if (strange !== undefined)
    throw new RangeError(`EDGEPLUG_BOARDS: expected some of ${EVERY_BACKEND.join(", ")}, got ${strange}`);
  return EVERY_BACKEND.filter((backend) => wanted.includes(backend));
}

/** The boards of this run. */
export const BACKENDS = parseBackends(process.env["EDGEPLUG_BOARDS"]);

/**
 * Why tests on this board can't run; undefined: they can. What takes minutes under Renode waits for somebody to ask for it by
 * name, as `npm run renode` does.
 */
export function whySkipped(backend: Backend, { long = false } = {}): string | undefined {
  if (backend !== "renode") return undefined;
  if (long && process.env["EDGEPLUG_BOARDS"] === undefined) return "skipped: npm run renode has them";
  return findRenode() === undefined ? RENODE_MISSING : undefined;
}
