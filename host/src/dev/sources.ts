/**
 * Notices that an agent's sources were saved. Editors write in place or put a new file in the old one's place, formatters
 * write once more, and branches come and go: what counts is how the files differ once they lie still. Changes come by the
 * system's notification and, where that fails (network folders, containers, a folder that was replaced), by a look now and then.
 */
import { watch, type FSWatcher } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

import { pause } from "../pause.js";

export interface Saved {
  /** When the first change was noticed, by performance.now(). */
  at: number;
  /** Relative to the agent's folder, sorted. */
  files: string[];
}

export interface SourceWatchOptions {
  /** Files lie still when nothing has changed for so long, milliseconds. Default 15. */
  settleMs?: number;
  /** An agent without agent.json or assembly/index.ts is given so long to get it back, milliseconds. Default 400. */
  absenceMs?: number;
  /** Between two looks without a notification, milliseconds. Default 500. */
  lookMs?: number;
  /** Let the system notify; without it, there are the looks. Default: true. */
  notified?: boolean;
}

const SETTLE_MS = 15;
const ABSENCE_MS = 400;
const LOOK_MS = 500;
/** Files that never lie still are taken as they are after so long. */
const MOST_SETTLE_MS = 2_000;
const NEEDED = ["agent.json", "assembly/index.ts"];

/** What a file is known by, without reading it. */
type Look = ReadonlyMap<string, string>;

export class SourceWatch {
  private readonly watchers = new Map<string, FSWatcher>();
  private further: readonly string[] = [];
  private stirredAt: number | undefined;
  private wake: () => void = () => undefined;
  private known: Look = new Map();

  private constructor(
    private readonly folder: string,
    private readonly options: SourceWatchOptions,
  ) {}

  /** Watches the agent in `folder`, absolute, from now on. */
  static async open(folder: string, options: SourceWatchOptions = {}): Promise<SourceWatch> {
    const sources = new SourceWatch(folder, options);
    sources.known = await sources.look();
    return sources;
  }

  /** Files beside agent.json and assembly/ that a build has read, absolute: from now on they are watched too. */
  async watchAlso(files: readonly string[]): Promise<void> {
    const further = [...new Set(files.filter((file) => !isOwn(this.nameOf(file))))].sort();
    if (further.join("\0") === this.further.join("\0")) return;
    this.further = further;
    const now = await this.look();
    const own = [...this.known].filter(([name]) => isOwn(name));
    this.known = new Map([...own, ...[...now].filter(([name]) => !isOwn(name))]);
  }

  /** The next save; undefined once the signal came. */
  async next(signal: AbortSignal): Promise<Saved | undefined> {
    for (;;) {
      await this.stirred(signal);
      if (signal.aborted) return undefined;
      const noticed = this.stirredAt ?? performance.now();
      this.stirredAt = undefined;
      const now = await this.look();
      if (differences(this.known, now).length === 0) continue;
      const settled = await this.settle(now, signal);
      const files = differences(this.known, settled);
      this.known = settled;
      if (files.length > 0) return { at: noticed, files };
    }
  }

  close(): void {
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  /** Relative to the agent's folder, with slashes. */
  private nameOf(path: string): string {
    return relative(this.folder, path).split(sep).join("/");
  }

  private stir(): void {
    this.stirredAt ??= performance.now();
    this.wake();
  }

  private async stirred(signal: AbortSignal): Promise<void> {
    if (this.stirredAt !== undefined) return;
    const { lookMs = LOOK_MS } = this.options;
    const woken = new AbortController();
    const stop = (): void => woken.abort();
    this.wake = stop;
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    await pause(lookMs, woken.signal);
    signal.removeEventListener("abort", stop);
    this.wake = () => undefined;
  }

  private async settle(first: Look, signal: AbortSignal): Promise<Look> {
    const { settleMs = SETTLE_MS, absenceMs = ABSENCE_MS } = this.options;
    const begun = performance.now();
    for (let before = first; ;) {
      await pause(settleMs, signal);
      const now = await this.look();
      const waited = performance.now() - begun;
      const still = differences(before, now).length === 0;
      const whole = NEEDED.every((file) => now.has(file)) || waited >= absenceMs;
      if ((still && whole) || signal.aborted || waited >= MOST_SETTLE_MS) return now;
      before = now;
    }
  }

  /** All files as they are now, and a watch on each folder that they lie in. */
  private async look(): Promise<Look> {
    const found = new Map<string, string>();
    const folders = new Map<string, string>();
    await this.lookAt(this.folder, folders);
    await this.lookAt(join(this.folder, "agent.json"), found);
    await this.lookInto(join(this.folder, "assembly"), found, folders);
    for (const file of this.further) {
      await this.lookAt(dirname(file), folders);
      await this.lookAt(file, found);
    }
    this.watchFolders(folders);
    return new Map([...found].map(([path, mark]) => [this.nameOf(path), mark]));
  }

  private async lookInto(
    folder: string,
    found: Map<string, string>,
    folders: Map<string, string>,
  ): Promise<void> {
    await this.lookAt(folder, folders);
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await this.lookInto(path, found, folders);
      else if (entry.name.endsWith(".ts")) await this.lookAt(path, found);
    }
  }

  /** What isn't there, or not any more, has no mark. */
  private async lookAt(path: string, marks: Map<string, string>): Promise<void> {
    const seen = await stat(path, { bigint: true }).catch(() => undefined);
    if (seen === undefined) return;
    // a folder's own times change with each file in it
    marks.set(path, seen.isDirectory() ? `${seen.ino}` : `${seen.ino} ${seen.size} ${seen.mtimeNs}`);
  }

  /** A folder that was replaced is another one under the same name, and the old watch says nothing any more. */
  private watchFolders(folders: ReadonlyMap<string, string>): void {
    if (this.options.notified === false) return;
    const wanted = new Map([...folders].map(([path, mark]) => [`${mark} ${path}`, path]));
    for (const [key, watcher] of this.watchers) {
      if (wanted.has(key)) continue;
      watcher.close();
      this.watchers.delete(key);
    }
    for (const [key, path] of wanted) {
      if (this.watchers.has(key)) continue;
      try {
        const watcher = watch(path, () => this.stir());
        watcher.on("error", () => {
          watcher.close();
          this.watchers.delete(key);
        });
        this.watchers.set(key, watcher);
      } catch {
        // gone again, or the system has no more watches to give: the looks go on
      }
    }
  }
}

function isOwn(name: string): boolean {
  return name === "agent.json" || name.startsWith("assembly/");
}

/** Paths that are in only one of them, or differ. */
function differences(before: Look, now: Look): string[] {
  const paths = new Set([...before.keys(), ...now.keys()]);
  return [...paths].filter((path) => before.get(path) !== now.get(path)).sort();
}
