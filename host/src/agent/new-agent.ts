/** A folder to begin an agent with: source, manifest, a test that passes, settings for editors. */
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { EdgePlugError } from "../errors.js";
import { fileError } from "../files.js";
import { NAME_MAX } from "../manifest.js";

export const TEMPLATES = ["control", "request"] as const;
export type Template = (typeof TEMPLATES)[number];

export interface NewAgent {
  name: string;
  /** Absolute. */
  folder: string;
  template: Template;
  /** What was written, relative to the folder, sorted. */
  files: string[];
  /** Whether its tests can run at once; else `npm install` has to fetch vitest first. */
  ready: boolean;
}

const TEMPLATE_FOLDER = fileURLToPath(new URL("../../templates/", import.meta.url));
/** A name for the board, the package and the folder alike. */
const NAME = /^[a-z][a-z0-9-]*$/;
const NAME_IN_TEMPLATE = "AGENT_NAME";

/** What an agent's folder uses of this installation. */
const TOOLS = ["edgeplug", "@edgeplug/sdk", "@edgeplug/testing", "assemblyscript"] as const;
/** … and of the registry. */
const TEST_TOOLS = { vitest: "^4.1.0", typescript: "^5.9.0", "@types/node": "^20.19.0" } as const;
const COMMANDS = { edgeplug: "edgeplug/dist/cli/main.js", vitest: "vitest/vitest.mjs" } as const;

/**
 * Makes the folder `path`, whose last part is the agent's name. Throws USAGE for a name that can't be one, FILE_EXISTS for
 * a folder that has anything in it.
 */
export async function newAgent(path: string, template: Template): Promise<NewAgent> {
  const folder = resolve(path);
  const name = basename(folder);
  if (!NAME.test(name) || name.length > NAME_MAX)
    throw new EdgePlugError("USAGE", `"${name}" can't be an agent's name.`, {
      action: `Choose small letters, digits and hyphens, a letter first, at most ${NAME_MAX} of them: my-agent.`,
    });
  await requireEmpty(folder);
  try {
    return await write(folder, name, template);
  } catch (error) {
    throw error instanceof EdgePlugError ? error : fileError(folder, error);
  }
}

async function requireEmpty(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    if (error.code === "ENOTDIR") return [basename(folder)];
    throw fileError(folder, error);
  });
  if (found.length > 0)
    throw new EdgePlugError("FILE_EXISTS", `${folder} exists already and is not empty.`, {
      action: "Choose another name, or remove what is there.",
    });
}

async function write(folder: string, name: string, template: Template): Promise<NewAgent> {
  await mkdir(folder, { recursive: true });
  for (const part of ["common", template]) await cp(join(TEMPLATE_FOLDER, part), folder, { recursive: true });
  // npm leaves files of the name .gitignore out of packages, so the template's has another one
  await rename(join(folder, "gitignore"), join(folder, ".gitignore"));
  for (const file of ["agent.json", "README.md"].map((one) => join(folder, one)))
    await writeFile(file, (await readFile(file, "utf8")).replaceAll(NAME_IN_TEMPLATE, name));
  const linked = await linkTools(folder);
  await writeFile(join(folder, "package.json"), packageJson(folder, name, linked));
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  return {
    name,
    folder,
    template,
    files: files
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
      .filter((file) => !file.startsWith("node_modules/"))
      .sort(),
    ready: installed("vitest", folder) !== undefined,
  };
}

/** The tools are no registry's: where the folder's surroundings don't have them, they are linked from this installation. */
async function linkTools(folder: string): Promise<Map<string, string>> {
  const linked = new Map<string, string>();
  const here = dirname(fileURLToPath(import.meta.url));
  for (const name of [...TOOLS, ...Object.keys(TEST_TOOLS)]) {
    const from = installed(name, folder) === undefined ? installed(name, here) : undefined;
    if (from === undefined) continue;
    const target = await realpath(from);
    const link = join(folder, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    // a junction is what Windows makes without being an administrator
    await symlink(target, link, "junction");
    linked.set(name, target);
  }
  if (process.platform !== "win32") await linkCommands(folder, linked);
  return linked;
}

/** So that npm's scripts find them, as after an `npm install`. */
async function linkCommands(folder: string, linked: ReadonlyMap<string, string>): Promise<void> {
  for (const [command, file] of Object.entries(COMMANDS)) {
    if (!linked.has(command)) continue;
    const bin = join(folder, "node_modules/.bin");
    await mkdir(bin, { recursive: true });
    await rm(join(bin, command), { force: true });
    await symlink(join("..", file), join(bin, command));
  }
}

/** Where Node would find a package, seen from `folder`. */
function installed(name: string, folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, "node_modules", name);
    if (existsSync(path)) return path;
    if (at === dirname(at)) return undefined;
  }
}

function packageJson(folder: string, name: string, linked: ReadonlyMap<string, string>): string {
  const tools = TOOLS.flatMap((tool) => {
    const target = linked.get(tool);
    return target === undefined ? [] : [[tool, `file:${relative(folder, target).split(sep).join("/")}`]];
  });
  const contents = {
    name,
    private: true,
    type: "module",
    scripts: {
      dev: "edgeplug dev",
      build: "edgeplug build",
      test: "vitest run",
      "test:watch": "vitest",
      pack: "edgeplug pack",
    },
    devDependencies: { ...(Object.fromEntries(tools) as Record<string, string>), ...TEST_TOOLS },
  };
  return `${JSON.stringify(contents, null, 2)}\n`;
}
