/** Package files as arguments of commands. */
import { open } from "node:fs/promises";

import { readInputFile } from "./files.js";
import { PACKAGE_MAX, readPackage, readSplitPackage, type AgentPackage } from "./package.js";

/** Reads an .epk, or with `agent` the loose pair manifest.pb and agent.bin. */
export async function readPackageFile(path: string, agent?: string): Promise<AgentPackage> {
  const bytes = await readBounded(path);
  return agent === undefined ? readPackage(bytes) : readSplitPackage(bytes, await readBounded(agent));
}

/** Reads no more than tells that the file is too large: somebody may name a disk image. */
async function readBounded(path: string): Promise<Uint8Array> {
  return readInputFile(path, async () => {
    const file = await open(path);
    try {
      const buffer = new Uint8Array(PACKAGE_MAX + 1);
      let size = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, size, buffer.length - size);
        if (bytesRead === 0) return buffer.slice(0, size);
        size += bytesRead;
      }
    } finally {
      await file.close();
    }
  });
}
