#!/usr/bin/env node
/** The `edgeplug-push` command. */
import { createRequire } from "node:module";

import { run } from "./run.js";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

// A reader that has seen enough (`| head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

process.exitCode = await run(process.argv.slice(2), version);
