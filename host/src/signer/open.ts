/** The signer that a command line names. */
import { EdgePlugError } from "../errors.js";
import type { KeyRole } from "../keys.js";
import { commandSigner } from "./command.js";
import { fileSigner } from "./file.js";
import type { Signer } from "./signer.js";

/** Options that all commands share. */
export interface SignerOptions {
  /** `--key FILE`: a private key. */
  key?: string | undefined;
  /** `--sign-with CMD` … */
  signWith?: string | undefined;
  /** … and the public key that its signatures hold by, `--public-key FILE`. */
  publicKey?: string | undefined;
}

/** None if none was asked for. Throws USAGE, and what fileSigner() and commandSigner() throw. */
export async function openSigner(options: SignerOptions, role: KeyRole): Promise<Signer | undefined> {
  checkSignerOptions(options);
  const { key, signWith, publicKey } = options;
  if (key !== undefined) return fileSigner(key, role);
  if (signWith === undefined || publicKey === undefined) return undefined;
  return commandSigner(signWith, publicKey, { role });
}

/** Throws USAGE for options that contradict each other. */
export function checkSignerOptions({ key, signWith, publicKey }: SignerOptions): void {
  if (key !== undefined && signWith !== undefined)
    throw new EdgePlugError("USAGE", "--key and --sign-with exclude each other.");
  if (signWith !== undefined && publicKey === undefined)
    throw new EdgePlugError(
      "USAGE",
      "--sign-with needs --public-key as well: the public half of the key that signs.",
    );
  if (publicKey !== undefined && signWith === undefined)
    throw new EdgePlugError("USAGE", "--public-key belongs to --sign-with; a private key goes with --key.");
}
