/** A private key in a file. */
import type { KeyRole } from "../keys.js";
import { sign } from "../signing.js";
import { openSecretKey } from "./passphrase.js";
import { requireKeyRole } from "./role.js";
import type { Signer } from "./signer.js";

/**
 * Opens a PKCS#8 file in PEM, mode 0600; its passphrase, if it has one, comes from EDGEPLUG_PASSPHRASE or the terminal.
 * Throws KEY_FILE (damaged, of another kind, readable by others), PASSPHRASE, KEY_ROLE, FILE_NOT_FOUND.
 */
export async function fileSigner(path: string, role: KeyRole): Promise<Signer> {
  const { secretKey, publicKey, keyId, role: found } = await openSecretKey(path);
  requireKeyRole(path, found, role);
  return { keyId, publicKey, sign: async (message) => sign(message, secretKey) };
}
