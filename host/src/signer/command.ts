/**
 * A private key behind a command: an HSM's tool, an agent, a colleague's script. The command gets the bytes on its standard
 * input, a regular file so that `openssl pkeyutl` can tell its size, and prints 64 raw bytes.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { readPublicKey, type KeyRole } from "../keys.js";
import { SIGNATURE_SIZE, verifySignature } from "../signing.js";
import { requireKeyRole } from "./role.js";
import type { Signer } from "./signer.js";

export interface CommandSignerOptions {
  /** What the key is to sign; a file that names another role is refused. */
  role: KeyRole;
  /** For one signature, milliseconds. Default 120,000: somebody may have to find a token and type its PIN. */
  timeoutMs?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** From the request to end until it is no longer asked. */
const GRACE_MS = 2_000;

/**
 * Signs by `command`, run through the shell; it writes to the terminal by its standard error. Throws SIGNER with what
 * happened: it can't be run, fails, takes too long, or prints anything but a signature that holds by `publicKeyFile`.
 */
export async function commandSigner(
  command: string,
  publicKeyFile: string,
  options: CommandSignerOptions,
): Promise<Signer> {
  const { publicKey, keyId, role } = await readPublicKey(publicKeyFile);
  requireKeyRole(publicKeyFile, role, options.role);
  return {
    publicKey,
    keyId,
    async sign(message, signal) {
      const signature = await runOn(command, message, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, signal);
      if (signature.length !== SIGNATURE_SIZE)
        throw failed(`printed ${signature.length} bytes, and a signature has ${SIGNATURE_SIZE}`);
      if (!verifySignature(signature, message, publicKey))
        throw failed(`gave a signature that does not hold by ${publicKeyFile}`, {
          action: "Check that the command signs with that key, by Ed25519 over the bytes as they are.",
        });
      return signature;
    },
  };
}

function failed(what: string, more: { cause?: unknown; action?: string } = {}): EdgePlugError {
  return new EdgePlugError("SIGNER", `The signing command ${what}.`, more);
}

async function runOn(
  command: string,
  message: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (signal?.aborted === true) throw interruption(signal);
  const folder = await mkdtemp(join(tmpdir(), "edgeplug-sign-"));
  try {
    const path = join(folder, "message");
    await writeFile(path, message, { mode: 0o600 });
    const input = await open(path);
    try {
      return await collect(
        spawn(command, { shell: true, stdio: [input.fd, "pipe", "inherit"] }),
        timeoutMs,
        signal,
      );
    } finally {
      await input.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the command printed, once it has ended well. */
function collect(
  child: ChildProcess,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const printed: Buffer[] = [];
    let size = 0;
    let reason: EdgePlugError | undefined;
    const stop = (why: EdgePlugError): void => {
      reason ??= why;
      child.stdout?.destroy(); // a grandchild may hold the pipe; nothing that it still says counts
      void endFamily(child);
    };
    const interrupt = (): void => stop(interruption(signal));
    const timer = setTimeout(() => stop(failed(`took longer than ${timeoutMs / 1000} s`)), timeoutMs);
    signal?.addEventListener("abort", interrupt);
    if (signal?.aborted === true) interrupt();
    child.stdout?.on("data", (bytes: Buffer) => {
      size += bytes.length;
      if (size <= SIGNATURE_SIZE) printed.push(bytes);
      else stop(failed(`printed more than the ${SIGNATURE_SIZE} bytes of a signature`));
    });
    child.once("error", (error) => (reason ??= failed("can't be run", { cause: error })));
    child.once("exit", (code, killed) => {
      if (code === 0) return;
      reason ??= failed(code === null ? `was ended by ${String(killed)}` : `ended with exit code ${code}`);
      child.stdout?.destroy();
    });
    child.once("close", () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", interrupt);
      if (reason === undefined) resolve(Uint8Array.from(Buffer.concat(printed)));
      else reject(reason);
    });
  });
}

function interruption(signal: AbortSignal | undefined): EdgePlugError {
  const reason: unknown = signal?.reason;
  return reason instanceof EdgePlugError ? reason : new EdgePlugError("INTERRUPTED");
}

/** A shell that is killed leaves its children behind, so they are ended too, as far as the system says who they are. */
async function endFamily(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const family = [child.pid, ...(await halt(child.pid))];
  for (const signal of ["SIGTERM", "SIGCONT"] as const) for (const pid of family) tell(pid, signal);
  setTimeout(() => child.kill("SIGKILL"), GRACE_MS).unref();
}

/**
 * Stops a process before it can start another one, then its descendants, and says who they are. Linux lists them;
 * elsewhere closed pipes and the terminal's own Ctrl-C have to do.
 */
async function halt(pid: number): Promise<number[]> {
  if (process.platform !== "linux") return [];
  tell(pid, "SIGSTOP");
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, "latin1").catch(() => "");
  const children = list.split(" ").filter(Boolean).map(Number);
  const deeper = await Promise.all(children.map(halt));
  return [...children, ...deeper.flat()];
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended by itself
  }
}
