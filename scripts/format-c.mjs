// clang-format over all C sources of the repo: checks them, or with --write puts them right.
import { execFileSync, spawnSync } from "node:child_process";

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((name) => name !== "");
const mode = process.argv.includes("--write") ? ["-i"] : ["--dry-run", "--Werror"];
process.exitCode = spawnSync("clang-format", [...mode, ...files], { stdio: "inherit" }).status ?? 1;
