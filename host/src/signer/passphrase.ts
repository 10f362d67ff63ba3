/** Passphrases come from EDGEPLUG_PASSPHRASE, or are asked for on a terminal, without echo. */
import { EdgePlugError } from "../errors.js";
import { isEncryptedKey, readSecretKey, type SecretKeyFile } from "../keys.js";

/** Opens a private key file, asking for its passphrase if it has one. Throws KEY_FILE, PASSPHRASE, INTERRUPTED. */
export async function openSecretKey(path: string): Promise<SecretKeyFile> {
  if (!(await isEncryptedKey(path))) return readSecretKey(path);
  return readSecretKey(path, fromEnvironment() ?? (await askOnTerminal(`Passphrase of ${path}: `)));
}

/** A passphrase for a new key, asked for twice. */
export async function newPassphrase(): Promise<string> {
  const given = fromEnvironment();
  if (given !== undefined) return given;
  const first = await askOnTerminal("Passphrase for the new key: ");
  if (first === undefined)
    throw new EdgePlugError("PASSPHRASE", "There is no terminal to ask for a passphrase on.", {
      action: "Set EDGEPLUG_PASSPHRASE.",
    });
  if (first === "") throw new EdgePlugError("PASSPHRASE", "An empty passphrase protects nothing.");
  if (first !== (await askOnTerminal("Once more: ")))
    throw new EdgePlugError("PASSPHRASE", "The two differ.");
  return first;
}

function fromEnvironment(): string | undefined {
  const { EDGEPLUG_PASSPHRASE: passphrase } = process.env;
  return passphrase === "" ? undefined : passphrase;
}

/** A line typed without echo; undefined where there is no terminal. */
export async function askOnTerminal(prompt: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const { createInterface } = await import("node:readline/promises");
  const { Writable } = await import("node:stream");
  // readline echoes what is typed: it gets an output that swallows it
  const silent = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  // Ctrl-C only closes a reader that gets each key by itself, and a closed one never answers its question
  const stop = new AbortController();
  reader.once("close", () => stop.abort());
  process.stderr.write(prompt);
  try {
    return await reader.question("", { signal: stop.signal });
  } catch (error) {
    throw new EdgePlugError("INTERRUPTED", undefined, { cause: error });
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}
