// nanopb's C sources, by `apt-get source` into build/nanopb. Debian's package has the generator and headers but
// not the .c files. The sources list is this script's own, made from the machine's entries, and lies under
// build/: the machine's configuration stays untouched.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TARGET = join(ROOT, "build/nanopb");
const APT = join(ROOT, "build/apt");
const WANTED = [
  "pb.h",
  "pb_common.c",
  "pb_common.h",
  "pb_decode.c",
  "pb_decode.h",
  "pb_encode.c",
  "pb_encode.h",
];

/** A deb822 stanza or one-line entry of Debian itself, as its deb-src twin; others have no nanopb. */
function sourceEntries() {
  const folder = "/etc/apt/sources.list.d";
  const files = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ];
  const stanzas = [];
  const lines = [];
  for (const file of files.filter((name) => existsSync(name))) {
    const text = readFileSync(file, "utf8");
    if (file.endsWith(".sources"))
      for (const stanza of text.split(/\n\s*\n/))
        if (/^Types:.*\bdeb\b/m.test(stanza))
          stanzas.push(stanza.trim().replace(/^Types:.*$/m, "Types: deb-src"));
    if (file.endsWith(".list"))
      for (const line of text.split("\n"))
        if (/^\s*deb\s/.test(line)) lines.push(line.trim().replace(/^deb\s/, "deb-src "));
  }
  const ofDebian = (entry) => /\b(debian|ubuntu)\b/i.test(entry);
  return { stanzas: stanzas.filter(ofDebian), lines: lines.filter(ofDebian) };
}

function apt(args, cwd) {
  const options = [
    `Dir::Etc::sourcelist=${join(APT, "sources.list")}`,
    `Dir::Etc::sourceparts=${join(APT, "sources.list.d")}`,
    `Dir::State::lists=${join(APT, "lists")}`,
    `Dir::Cache=${join(APT, "cache")}`,
    "APT::Get::List-Cleanup=0",
    // _apt can't write into a checkout that belongs to somebody else; fetching as oneself is what is meant here
    "APT::Sandbox::User=",
  ];
  execFileSync("apt-get", [...options.flatMap((option) => ["-o", option]), "-q", ...args], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function fetchSources() {
  const { stanzas, lines } = sourceEntries();
  if (stanzas.length + lines.length === 0)
    throw new Error("no Debian entry found under /etc/apt to fetch nanopb's sources from");
  for (const folder of ["sources.list.d", "lists/partial", "cache/archives/partial", "work"])
    mkdirSync(join(APT, folder), { recursive: true });
  writeFileSync(join(APT, "sources.list"), `${lines.join("\n")}\n`);
  writeFileSync(join(APT, "sources.list.d/edgeplug.sources"), `${stanzas.join("\n\n")}\n`);
  const work = join(APT, "work");
  apt(["update"], work);
  apt(["source", "nanopb"], work);
  const tree = readdirSync(work, { withFileTypes: true }).find(
    (entry) => entry.isDirectory() && entry.name.startsWith("nanopb-"),
  );
  if (tree === undefined) throw new Error("apt-get source nanopb left no source tree");
  mkdirSync(TARGET, { recursive: true });
  for (const name of WANTED) copyFileSync(join(work, tree.name, name), join(TARGET, name));
  rmSync(APT, { recursive: true, force: true });
}

if (!WANTED.every((name) => existsSync(join(TARGET, name)))) {
  console.log("fetching nanopb's C sources by apt-get source into build/nanopb");
  fetchSources();
}
