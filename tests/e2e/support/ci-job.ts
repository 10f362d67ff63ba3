/** Jobs of GitHub Actions and GitLab CI, step by step on this machine: as much of both as the examples in docs use, and no more. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { parse } from "yaml";

/** What lies around the job. */
export interface Surroundings {
  /** Empty; the job's own. */
  readonly folder: string;
  /** Git repositories by the name that the file has for them. "" is the one that the job belongs to. */
  readonly repositories: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  /** Values in place of the file's, of variables that it has. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly step: string;
  readonly code: number;
  readonly seconds: number;
  /** Both of its outputs. */
  readonly log: string;
}

export interface JobEnd {
  readonly passed: boolean;
  readonly steps: readonly Ran[];
  /** Files and folders that the job keeps, those of JUnit among them. */
  readonly kept: readonly string[];
  readonly folder: string;
}

type Variables = Readonly<Record<string, string>>;

/** Nothing of this process but where programs lie: a runner starts from little. */
function basics(folder: string): Variables {
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  return { PATH: process.env["PATH"] ?? "", HOME: home, XDG_RUNTIME_DIR: home, LANG: "C.UTF-8" };
}

async function run(step: string, script: string, cwd: string, env: Variables): Promise<Ran> {
  const start = performance.now();
  const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (log += String(bytes)));
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  return { step, code, seconds: (performance.now() - start) / 1000, log };
}

function overridden(variables: Variables, by: Variables): Variables {
  for (const name of Object.keys(by))
    if (!(name in variables)) throw new Error(`the file has no variable ${name}`);
  return { ...variables, ...by };
}

// ---- GitHub Actions ----------------------------------------------------------------------------------------------

interface GithubStep {
  name?: string;
  id?: string;
  if?: string;
  uses?: string;
  with?: Record<string, string>;
  env?: Record<string, string>;
  run?: string;
}

interface GithubFile {
  env: Record<string, string>;
  defaults: { run: { shell: string } };
  jobs: Record<string, { steps: GithubStep[] }>;
}

/** Runs the file's only job. Throws on whatever it does not know. */
export async function runGithub(text: string, around: Surroundings): Promise<JobEnd> {
  const file = parse(text) as GithubFile;
  const [job] = Object.values(file.jobs);
  if (job === undefined || file.defaults.run.shell !== "bash") throw new Error("expected one job, in bash");
  return new GithubJob(around, overridden(file.env, around.variables)).run(job.steps);
}

class GithubJob {
  private readonly workspace: string;
  private readonly temp: string;
  private readonly steps: Ran[] = [];
  private readonly kept: string[] = [];
  private paths: string[] = [];

  constructor(
    private readonly around: Surroundings,
    private readonly env: Variables,
  ) {
    this.workspace = join(around.folder, "workspace");
    this.temp = join(around.folder, "runner-temp");
    for (const folder of [this.workspace, this.temp]) mkdirSync(folder);
  }

  async run(steps: readonly GithubStep[]): Promise<JobEnd> {
    let passed = true;
    for (const step of steps) {
      if (!this.isDue(step, passed)) continue;
      const ran = await this.step(step);
      this.steps.push(ran);
      if (ran.code !== 0) passed = false;
    }
    const { kept, workspace: folder } = this;
    return { passed, steps: this.steps, kept, folder };
  }

  private isDue({ if: condition }: GithubStep, passed: boolean): boolean {
    if (condition === "always()") return true;
    // there is nothing in the cache
    if (condition === undefined || /^steps\.\w+\.outputs\.cache-hit != 'true'$/.test(condition))
      return passed;
    throw new Error(`if: ${condition}`);
  }

  private async step(step: GithubStep): Promise<Ran> {
    const name = step.name ?? step.uses ?? "";
    if (step.run === undefined) return this.action(name, step);
    const files = { GITHUB_PATH: join(this.temp, "path"), GITHUB_ENV: join(this.temp, "env") };
    for (const file of Object.values(files)) writeFileSync(file, "");
    const own = Object.fromEntries(
      Object.entries(step.env ?? {}).map(([key, value]) => [key, this.filled(value)]),
    );
    const start = basics(this.around.folder);
    const ran = await run(name, this.filled(step.run), this.workspace, {
      ...start,
      ...files,
      ...{ CI: "true", GITHUB_WORKSPACE: this.workspace, RUNNER_TEMP: this.temp },
      ...this.env,
      ...own,
      PATH: [...this.paths, start["PATH"]].join(":"),
    });
    if (readFileSync(files.GITHUB_ENV, "utf8") !== "") throw new Error("GITHUB_ENV");
    this.paths = [...readFileSync(files.GITHUB_PATH, "utf8").split("\n").filter(Boolean), ...this.paths];
    return ran;
  }

  private action(name: string, { uses = "", with: options = {} }: GithubStep): Ran | Promise<Ran> {
    const done = { step: name, code: 0, seconds: 0, log: "" };
    const path = this.filled(options["path"] ?? ".");
    if (/^actions\/checkout@v\d+$/.test(uses)) {
      const repository = this.filled(options["repository"] ?? "");
      const ref = options["ref"] === undefined ? [] : ["--branch", this.filled(options["ref"])];
      return this.checkout(name, repository, ref, path);
    }
    if (/^actions\/cache@v\d+$/.test(uses)) {
      if (existsSync(join(this.workspace, path)) || !this.filled(options["key"] ?? "").includes("edgeplug-"))
        throw new Error(`cache of ${path}`);
      return done;
    }
    if (/^actions\/upload-artifact@v\d+$/.test(uses)) {
      this.kept.push(...path.split("\n").filter(Boolean));
      return done;
    }
    throw new Error(`uses: ${uses}`);
  }

  private checkout(name: string, repository: string, ref: string[], path: string): Promise<Ran> {
    const from = this.around.repositories[repository];
    if (from === undefined) throw new Error(`no repository ${repository}`);
    return run(
      name,
      `git clone -q ${ref.join(" ")} "${from}" "${path}"`,
      this.workspace,
      basics(this.around.folder),
    );
  }

  private filled(text: string): string {
    return text.replace(/\$\{\{ (\w+)\.(\w+) \}\}/g, (_, context: string, name: string) => {
      const value = { env: this.env, secrets: this.around.secrets }[context];
      if (value === undefined) throw new Error(`\${{ ${context}.${name} }}`);
      return value[name] ?? "";
    });
  }
}

// ---- GitLab CI ---------------------------------------------------------------------------------------------------

interface GitlabJob {
  cache: { paths: string[] };
  before_script: string[];
  script: string[];
  after_script: string[];
  artifacts: { paths: string[]; reports: { junit: string } };
}

/** Runs the file's only job; secrets are variables of type File. */
export async function runGitlab(text: string, around: Surroundings): Promise<JobEnd> {
  const { variables, ...jobs } = parse(text) as { variables: Record<string, string> };
  const [job] = Object.values(jobs as Record<string, GitlabJob>);
  if (job === undefined) throw new Error("expected one job");
  const folder = join(around.folder, "project");
  const start = basics(around.folder);
  const known = overridden(variables, around.variables);
  const urls = Object.fromEntries(
    Object.entries(known).map(([name, value]) => [name, around.repositories[value] ?? value]),
  );
  const env = { ...start, CI: "true", CI_PROJECT_DIR: folder, ...urls, ...secretFiles(around) };
  const cloned = await run(
    "clone",
    `git clone -q "${around.repositories[""] ?? ""}" "${folder}"`,
    around.folder,
    env,
  );
  // one shell for both, each line told before it runs
  const lines = [...job.before_script, ...job.script];
  const script = lines.map((line) => `printf '%s\\n' ${quoted(`$ ${line}`)}\n${line}`).join("\n");
  const main = await run("script", script, folder, env);
  const after = await run("after_script", job.after_script.join("\n"), folder, env);
  for (const path of job.cache.paths)
    if (!existsSync(join(folder, path))) throw new Error(`cache of ${path}`);
  const { paths, reports } = job.artifacts;
  // what its own after_script comes to does not decide a job
  return {
    passed: main.code === 0,
    steps: [cloned, main, after],
    kept: [...paths, dirname(reports.junit)],
    folder,
  };
}

function secretFiles({ folder, secrets }: Surroundings): Variables {
  const entries = Object.entries(secrets).map(([name, value]) => {
    const file = join(folder, `secret-${name}`);
    writeFileSync(file, value, { mode: 0o666 });
    return [name, file];
  });
  return Object.fromEntries(entries) as Variables;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// ---- repositories ------------------------------------------------------------------------------------------------

const GIT = "git -c user.name=author -c user.email=author@localhost -c init.defaultBranch=main";

/** Makes a repository of all that lies in `folder`, with one commit and perhaps a tag. */
export async function makeRepository(folder: string, tag = ""): Promise<string> {
  const script = `${GIT} init -q && git add -A && ${GIT} commit -q -m "An agent"${tag && ` && git tag ${tag}`}`;
  const { code, log } = await run("repository", script, folder, basics(dirname(folder)));
  if (code !== 0) throw new Error(log);
  return folder;
}

/** A copy of a folder's files, but for what is built. */
export function copyOf(folder: string, to: string, files: Readonly<Record<string, string>>): string {
  cpSync(folder, to, { recursive: true, filter: (path) => !path.endsWith("/build") });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(to, name), text);
  return to;
}

/** For a step's log that CI would show. */
export function toldBy(end: JobEnd): string {
  return end.steps
    .map(({ step, code, seconds, log }) => `--- ${step}: ${code}, ${seconds.toFixed(1)} s\n${log}`)
    .join("\n");
}
