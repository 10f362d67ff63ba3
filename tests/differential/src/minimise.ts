/** The same difference with less around it. */
import { Writer, type Body, type Module } from "./binary.js";
import { compare, type Call, type Comparison, type Image } from "./compare.js";

export interface Smaller {
  readonly module: Module;
  readonly calls: readonly Call[];
}

/** unreachable: valid whatever the function's type is. */
const EMPTY: Body = { locals: [], code: new Writer().byte(0x00).byte(0x0b).done() };

/** Comparisons that are worth it. */
const MOST_TRIES = 400;

function differs({ difference }: Comparison): boolean {
  return difference !== undefined;
}

/** Drops calls behind the one that differs, then as many before it as go, then bodies of functions: many at once at first. */
export async function minimise(image: Image, module: Module, calls: readonly Call[]): Promise<Smaller> {
  let tries = 0;
  let best: Smaller = { module, calls };
  const attempt = async (candidate: Smaller): Promise<boolean> => {
    if (tries++ >= MOST_TRIES) return false;
    const comparison = await compare(image, candidate.module, candidate.calls);
    if (!differs(comparison)) return false;
    const kept = comparison.difference?.index ?? -1;
    best = { module: candidate.module, calls: candidate.calls.slice(0, kept + 1) };
    return true;
  };
  if (!(await attempt(best))) return best;
  for (let size = powerBelow(best.calls.length); size > 0; size >>= 1)
    for (let at = 0; at < best.calls.length - 1;) {
      const calls = [...best.calls.slice(0, at), ...best.calls.slice(at + size)];
      if (calls.length === 0 || !(await attempt({ ...best, calls }))) at += size;
    }
  for (let size = powerBelow(best.module.bodies.length); size > 0; size >>= 1)
    for (let at = 0; at < best.module.bodies.length; at += size) {
      const { bodies } = best.module;
      if (bodies.slice(at, at + size).every((body) => body === EMPTY)) continue;
      const fewer = bodies.map((body, i) => (i >= at && i < at + size ? EMPTY : body));
      await attempt({ ...best, module: { ...best.module, bodies: fewer } });
    }
  return best;
}

/** The largest power of two below `count`; 1 for fewer than three. */
function powerBelow(count: number): number {
  let size = 1;
  while (size * 2 < count) size *= 2;
  return size;
}
