import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterAll } from "vitest";

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new folder with these files in it, gone after the tests. */
export function folderWith(files: Record<string, string | Uint8Array> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "edgeplug-test-"));
  folders.push(folder);
  for (const [name, contents] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), contents);
  }
  return folder;
}

/** An agent of one output, with what is to be different. */
export function agentFolder(source: string, config: object = {}): string {
  return folderWith({
    "agent.json": JSON.stringify({
      name: "sample",
      version: "1",
      release: 1,
      inputs: [{ name: "in", min: -10, max: 10 }],
      outputs: [{ name: "out", min: -100, max: 100 }],
      checkScans: 200,
      ...config,
    }),
    "assembly/index.ts": source,
  });
}

export const ECHO = `import { input, output } from "@edgeplug/sdk";
export function scan(): void { output(0, input(0)); }
`;
