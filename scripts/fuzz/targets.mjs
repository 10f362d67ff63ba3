// The targets of firmware/fuzz, and how each is run.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const BUILD = join(ROOT, "build/fuzz");

/**
 * `maxLength`: of an input, bytes. `runs`: executions inside `npm test`, 3 to 9 s of one core each. `edges`: what they cover
 * for sure, from the seeds alone.
 */
export const TARGETS = [
  { name: "frames", maxLength: 800, runs: 48_000, edges: 450 },
  { name: "requests", maxLength: 128, runs: 18_000, edges: 1300 },
  { name: "manifest", maxLength: 305, runs: 300_000, edges: 350 },
  { name: "module", maxLength: 8192, runs: 350_000, edges: 700, dictionary: "module.dict" },
  { name: "interpreter", maxLength: 1600, runs: 60_000, edges: 850, dictionary: "module.dict" },
  { name: "flash", maxLength: 128, runs: 12_000, edges: 1100 },
  { name: "details", maxLength: 1400, runs: 250_000, edges: 500 },
];

export const corpusOf = (name) => join(BUILD, "corpus", name);
export const findingsOf = (name) => join(BUILD, "findings", name);
export const programOf = (name) => join(BUILD, "bin", name);
export const filesIn = (folder) => (existsSync(folder) ? readdirSync(folder).length : 0);

/** Inputs that a corpus may have before it is thinned out: reading them all takes a second. */
const MANY = 4000;

function freshCorpus(name, fill) {
  const folder = join(BUILD, "fresh", name);
  rmSync(folder, { recursive: true, force: true });
  fill(name, folder);
  return folder;
}

const children = new Set();

/** Ends whatever is running; true if anything was. */
export function stopAll() {
  for (const child of children) child.kill("SIGKILL");
  return children.size > 0;
}

function execute(name, args, onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(programOf(name), args, { stdio: ["ignore", "ignore", "pipe"] });
    let rest = "";
    children.add(child);
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      if (onLine !== undefined) lines.forEach((line) => onLine(line));
    });
    child.on("error", (error) => {
      children.delete(child);
      reject(error);
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
}

/** Keeps the smallest set of inputs that reaches as much. */
export async function thin(name) {
  const corpus = corpusOf(name);
  const thinned = `${corpus}.thinned`;
  if (filesIn(corpus) <= MANY) return;
  rmSync(thinned, { recursive: true, force: true });
  mkdirSync(thinned);
  await execute(name, ["-merge=1", "-detect_leaks=0", thinned, corpus]);
  if (filesIn(thinned) === 0) return;
  rmSync(corpus, { recursive: true });
  renameSync(thinned, corpus);
}

/**
 * Fuzzes one target for `seconds`, or for `runs` executions if that is given; ends at the first finding. `corpus` is the
 * folder of inputs to begin with, and of those worth keeping.
 * `onProgress` gets { executions, edges } now and then. The input of a finding is kept, and `repeat` is the command that
 * runs it again.
 */
export async function fuzz(target, { seconds, runs, seed, corpus = corpusOf(target.name), onProgress }) {
  const { name } = target;
  const folder = findingsOf(name);
  const began = Date.now();
  const state = { executions: 0, edges: 0 };
  const findings = [];
  const trouble = [];
  if (!existsSync(programOf(name))) throw new Error(`${programOf(name)} is missing: run scripts/setup.`);
  mkdirSync(folder, { recursive: true });
  const args = [
    `-seed=${seed}`,
    `-max_len=${target.maxLength}`,
    runs === undefined ? `-max_total_time=${seconds}` : `-runs=${runs}`,
    `-artifact_prefix=${folder}/`,
    "-print_final_stats=1",
    "-timeout=20",
    "-detect_leaks=0", // nothing is ever allocated
    "-entropic=0", // costs a fifth of the executions
    ...(target.dictionary === undefined ? [] : [`-dict=${join(ROOT, "firmware/fuzz", target.dictionary)}`]),
    "-reload=0", // nobody else adds to it, and the clock must not decide
    corpus,
  ];
  const { code, signal } = await execute(name, args, (line) => {
    const counted = /^#(\d+)\s+\S+\s+cov: (\d+)/.exec(line);
    const final = /^stat::number_of_executed_units: (\d+)/.exec(line);
    const written = /Test unit written to (\S+)/.exec(line);
    if (counted !== null) {
      state.executions = Number(counted[1]);
      state.edges = Number(counted[2]);
      onProgress?.(state);
    }
    if (final !== null) state.executions = Number(final[1]);
    if (/runtime error|ERROR:|does not hold|is refused/.test(line)) trouble.push(line);
    if (written !== null)
      findings.push({
        file: written[1],
        repeat: `${programOf(name)} ${written[1]}`,
        what: trouble.join("\n"),
      });
  });
  if (findings.length === 0 && code !== 0)
    throw new Error(`${name} ended with ${signal ?? code}.\n${trouble.join("\n")}`);
  return {
    name,
    executions: state.executions,
    seconds: (Date.now() - began) / 1000,
    corpusFiles: filesIn(corpus),
    coveredEdges: state.edges,
    findings,
  };
}

/**
 * Fuzzes targets, `jobs` at a time; results in the order of `targets`. With `fresh` each has its own number of runs and a
 * corpus made anew by `fresh(name, folder)`: then the same seed gives the same inputs on every machine.
 */
export async function fuzzAll(targets, { jobs = 2, onProgress, fresh, ...options }) {
  const results = new Map();
  const queue = [...targets];
  const worker = async () => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      const { name } = target;
      const own = fresh === undefined ? {} : { runs: target.runs, corpus: freshCorpus(name, fresh) };
      const told = { onProgress: (state) => onProgress?.(name, state) };
      results.set(name, await fuzz(target, { ...options, ...own, ...told }));
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return targets.map(({ name }) => results.get(name));
}
