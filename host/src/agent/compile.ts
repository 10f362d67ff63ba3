/** AssemblyScript to WebAssembly, the same bytes from the same sources on every machine. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, normalize, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";

import { EdgePlugError } from "../errors.js";
import { fileError, readInputFile } from "../files.js";

const ENTRY = "assembly/index.ts";
const MODULE = "agent.wasm";
const TEXT = "agent.wat";
const SDK = /^(?:\.\.\/)*node_modules\/@edgeplug\/sdk\//;

export interface CompileOptions {
  /** Bytes that static data may take: limits.memory. */
  memory: number;
  /** ES module beside agent.json whose sources() computes further source files; "" = none. */
  generate: string;
  /** Coloured diagnostics. Default: false. */
  colors?: boolean;
}

export interface Compiled {
  wasm: Uint8Array;
  sourceMap: string;
  /** The compiler's names of all functions, imported ones first, which the module itself leaves out. */
  functionNames: string[];
  /** Warnings of the compiler, as it prints them; mostly empty. */
  warnings: string;
  /** Files that went into it, absolute. */
  sources: string[];
}

type Sources = Readonly<Record<string, string>>;

/**
 * Compiles `directory`/assembly/index.ts. Options beside these have no part in it: an asconfig.json is not read, so
 * that two machines can't differ. Throws COMPILE with the compiler's own words, or what reading files throws.
 */
export async function compileAgent(directory: string, options: CompileOptions): Promise<Compiled> {
  const generated = await generatedSources(directory, options.generate);
  await readInputFile(join(directory, ENTRY), (path) => readFile(path));
  const { main } = await import("assemblyscript/asc");
  const sdk = sdkDirectory();
  const written = new Map<string, Uint8Array | string>();
  const sources = new Set<string>();
  const diagnostics = new TextSink();
  const result = await main(compilerArguments(options), {
    stdout: diagnostics,
    stderr: diagnostics,
    readFile: async (name: string) => {
      const wanted = name.replaceAll("\\", "/");
      const virtual = generated[wanted];
      if (virtual !== undefined) return virtual;
      const path = sourcePath(wanted, directory, sdk);
      return path === null ? null : readSource(path, sources);
    },
    writeFile: (name: string, contents: Uint8Array | string) => {
      written.set(name, contents);
    },
    listFiles: () => [],
  });
  const wasm = written.get(MODULE);
  if (result.error !== null || !(wasm instanceof Uint8Array))
    throw compileError(diagnostics.text, result.error);
  if (options.generate !== "") sources.add(join(directory, options.generate));
  return {
    wasm: Uint8Array.from(wasm),
    sourceMap: String(written.get(`${MODULE}.map`) ?? ""),
    functionNames: functionNames(String(written.get(TEXT) ?? "")),
    warnings: diagnostics.text,
    sources: [...sources].sort(),
  };
}

function compilerArguments(options: CompileOptions): string[] {
  return [
    ENTRY,
    ...["--outFile", MODULE, "--sourceMap", "--textFile", TEXT],
    // the stub runtime never frees and grows memory only when an agent allocates more than it declared
    ...["--runtime", "stub", "--initialMemory", "1", "--maximumMemory", "1"],
    ...["--lowMemoryLimit", String(options.memory)],
    ...["--optimizeLevel", "3", "--shrinkLevel", "1", "--converge"],
    ...(options.colors === true ? [] : ["--noColors"]),
  ];
}

/** By index: ` (func $assembly/index/scan …` and ` (import "edgeplug" "input" (func $…`, in the order of the module. */
function functionNames(text: string): string[] {
  return [...text.matchAll(/^ (?:\(import [^(]*)?\(func \$(\S+?)[\s)]/gm)].map(([, name = ""]) => name);
}

/** Agents may read their own folder and the SDK, nothing else, so that a build does not depend on its surroundings. */
function sourcePath(name: string, directory: string, sdk: string): string | null {
  if (SDK.test(name)) return join(sdk, name.replace(SDK, ""));
  const inside = normalize(name);
  if (!inside.startsWith(`assembly${sep}`)) return null;
  return join(directory, inside);
}

async function readSource(path: string, sources: Set<string>): Promise<string | null> {
  try {
    const text = await readFile(path, "utf8");
    sources.add(path);
    return text.replaceAll("\r\n", "\n");
  } catch (error) {
    // the compiler asks for x.ts and x/index.ts in turn
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw fileError(path, error);
  }
}

/** Where @edgeplug/sdk is installed for this tool: the SDK belongs to the tool's version, not to the agent's folder. */
export function sdkDirectory(): string {
  return dirname(createRequire(import.meta.url).resolve("@edgeplug/sdk/package.json"));
}

async function generatedSources(directory: string, script: string): Promise<Sources> {
  if (script === "") return {};
  const path = join(directory, script);
  const text = await readInputFile(path, (name) => readFile(name));
  // a changed script must not come from the module cache of a long-running process
  const version = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const module: unknown = await import(`${pathToFileURL(path).href}?v=${version}`);
  const { sources } = module as { sources?: unknown };
  if (typeof sources !== "function") throw badGenerator(script);
  const files: unknown = await (sources as () => unknown)();
  if (
    typeof files !== "object" ||
    files === null ||
    Object.values(files).some((file) => typeof file !== "string")
  )
    throw badGenerator(script);
  return files as Sources;
}

function badGenerator(script: string): EdgePlugError {
  return new EdgePlugError(
    "AGENT_CONFIG",
    `agent.json: generate: ${script} has no export sources() that gives texts by path ("assembly/table.ts").`,
  );
}

function compileError(diagnostics: string, error: Error | null): EdgePlugError {
  const plain = stripVTControlCharacters(diagnostics);
  const first = /^ERROR (.*)$/m.exec(plain)?.[1] ?? error?.message ?? "no module was written";
  const place = /└─ in (.*)$/m.exec(plain)?.[1];
  return new CompileError(
    `AssemblyScript: ${first}${place === undefined ? "" : ` (${place})`}`,
    diagnostics,
    error,
  );
}

/** COMPILE, with everything that the compiler printed. */
export class CompileError extends EdgePlugError {
  constructor(
    message: string,
    readonly diagnostics: string,
    cause: Error | null,
  ) {
    super("COMPILE", message, { cause });
  }
}

class TextSink {
  text = "";

  write(chunk: Uint8Array | string): boolean {
    this.text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
    return true;
  }
}
