// Flash by part and static RAM, as check-size.mjs tells them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { ROOT } from "./board.mjs";

/** {sizes: {image: [{name, bytes, target?, over}]}, good} */
export function measureSizes() {
  const child = spawnSync(process.execPath, [join(ROOT, "scripts/check-size.mjs")], { encoding: "utf8" });
  const sizes = {};
  let rows = [];
  for (const line of child.stdout.split("\n")) {
    const image = /^(\w+): bytes of flash/.exec(line)?.[1];
    if (image !== undefined) rows = sizes[image] = [];
    const row = /^ {2}(\S.*?)\s+(\d+)(?:\s+(\d+)\s+\d+ %(.*))?$/.exec(line);
    if (row === null) continue;
    const [, name, bytes, target, note = ""] = row;
    rows.push({
      name,
      bytes: Number(bytes),
      target: target === undefined ? undefined : Number(target),
      over: note.includes("OVER"),
    });
  }
  if (Object.keys(sizes).length === 0) throw new Error(`check-size.mjs failed: ${child.stderr}`);
  return { sizes, good: child.status === 0 };
}
