/** Key files: PKCS#8 and SPKI in PEM (RFC 8410), as openssl reads and writes them. */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";

import { EdgePlugError } from "./errors.js";
import { fileError, readInputFile } from "./files.js";
import { isUsablePublicKey, keyId, publicKeyOf, PUBLIC_KEY_SIZE, SECRET_KEY_SIZE } from "./signing.js";

/** What a key may sign: packages, or commands to boards. One key never does both. */
export type KeyRole = "publisher" | "operator";

export interface PublicKeyFile {
  publicKey: Uint8Array;
  keyId: Uint8Array;
  /** As the file says; undefined if it says nothing, e.g. one made by openssl. */
  role: KeyRole | undefined;
}

export interface SecretKeyFile extends PublicKeyFile {
  secretKey: Uint8Array;
}

/** DER before the 32 raw bytes (RFC 8410 sections 4 and 7). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** PEM allows text before the first line of dashes (RFC 7468 section 5.2); openssl skips it. */
const ROLE_LINE = /^EdgePlug (publisher|operator) key [0-9a-f]{16}$/m;

function header(role: KeyRole, id: Uint8Array): string {
  return `EdgePlug ${role} key ${Buffer.from(id).toString("hex")}\n`;
}

/** PEM texts of a key pair; with a passphrase the private one is encrypted (PBES2, AES-256-CBC). */
export function encodeKeyPair(
  secretKey: Uint8Array,
  role: KeyRole,
  passphrase?: string,
): { privatePem: string; publicPem: string } {
  const publicKey = publicKeyOf(secretKey);
  const head = header(role, keyId(publicKey));
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, secretKey]),
    format: "der",
    type: "pkcs8",
  });
  const privatePem = key.export({
    format: "pem",
    type: "pkcs8",
    ...(passphrase === undefined ? {} : { cipher: "aes-256-cbc", passphrase }),
  });
  const publicPem = createPublicKey(key).export({ format: "pem", type: "spki" });
  return { privatePem: head + privatePem.toString(), publicPem: head + publicPem.toString() };
}

/**
 * Writes PATH (mode 0600 from the first byte on) and PATH.pub. Throws FILE_EXISTS unless `force`: a private key that
 * is gone can't be had back.
 */
export async function writeKeyPair(
  path: string,
  secretKey: Uint8Array,
  role: KeyRole,
  options: { passphrase?: string; force?: boolean } = {},
): Promise<PublicKeyFile> {
  const { privatePem, publicPem } = encodeKeyPair(secretKey, role, options.passphrase);
  await writeKeyFile(path, privatePem, 0o600, options.force === true);
  await writeKeyFile(`${path}.pub`, publicPem, 0o644, options.force === true);
  const publicKey = publicKeyOf(secretKey);
  return { publicKey, keyId: keyId(publicKey), role };
}

async function writeKeyFile(path: string, text: string, mode: number, force: boolean): Promise<void> {
  try {
    const file = await open(path, force ? "w" : "wx", mode);
    try {
      await file.chmod(mode);
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw new EdgePlugError("FILE_EXISTS", `${path} exists already.`, { cause: error });
    throw fileError(path, error);
  }
}

/** Reads a private key. Throws KEY_FILE if others may read it, PASSPHRASE if it stays closed. */
export async function readSecretKey(path: string, passphrase?: string): Promise<SecretKeyFile> {
  const text = await readKeyText(path);
  await checkPrivate(path);
  const key = parsePrivate(path, text, passphrase);
  const der = key.export({ format: "der", type: "pkcs8" });
  const secretKey = Uint8Array.from(der.subarray(der.length - SECRET_KEY_SIZE));
  const publicKey = publicKeyOf(secretKey);
  return { secretKey, publicKey, keyId: keyId(publicKey), role: roleOf(text) };
}

/** Whether a private key file asks for a passphrase. */
export async function isEncryptedKey(path: string): Promise<boolean> {
  return (await readKeyText(path)).includes("-----BEGIN ENCRYPTED PRIVATE KEY-----");
}

/** Windows has no such modes: there the folder's access rules decide. */
async function checkPrivate(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0)
    throw new EdgePlugError(
      "KEY_FILE",
      `${path} can be read by others (mode ${(mode & 0o777).toString(8)}).`,
      {
        action: `Run: chmod 600 ${path}`,
      },
    );
}

function parsePrivate(path: string, text: string, passphrase?: string): KeyObject {
  if (text.includes("-----BEGIN PUBLIC KEY-----"))
    throw new EdgePlugError("KEY_FILE", `${path} is a public key; signing needs the private one.`);
  const encrypted = text.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  if (encrypted && passphrase === undefined)
    throw new EdgePlugError("PASSPHRASE", `${path} is closed by a passphrase.`, {
      action: "Set EDGEPLUG_PASSPHRASE, or run the command on a terminal, where it asks.",
    });
  try {
    const key = createPrivateKey({ key: text, format: "pem", ...(encrypted ? { passphrase } : {}) });
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (error) {
    if (encrypted)
      throw new EdgePlugError("PASSPHRASE", `The passphrase does not open ${path}.`, { cause: error });
    throw new EdgePlugError("KEY_FILE", `${path} is no private key.`, { cause: error });
  }
  throw new EdgePlugError("KEY_FILE", `${path} is not an Ed25519 key.`);
}

/** Reads a public key: a .pub file, or a private key file that isn't closed by a passphrase. Throws KEY_FILE. */
export async function readPublicKey(path: string): Promise<PublicKeyFile> {
  const text = await readKeyText(path);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: text, format: "pem" });
  } catch (error) {
    throw new EdgePlugError("KEY_FILE", `${path} is no public key.`, { cause: error });
  }
  const der =
    key.asymmetricKeyType === "ed25519" ? key.export({ format: "der", type: "spki" }) : Buffer.alloc(0);
  if (der.length !== SPKI_PREFIX.length + PUBLIC_KEY_SIZE)
    throw new EdgePlugError("KEY_FILE", `${path} is not an Ed25519 key.`);
  const publicKey = Uint8Array.from(der.subarray(SPKI_PREFIX.length));
  if (!isUsablePublicKey(publicKey))
    throw new EdgePlugError("KEY_FILE", `${path} is damaged: no signature can hold under its key.`);
  return { publicKey, keyId: keyId(publicKey), role: roleOf(text) };
}

async function readKeyText(path: string): Promise<string> {
  const bytes = await readInputFile(path, (name) => readFile(name));
  if (bytes.length > 10_000) throw new EdgePlugError("KEY_FILE", `${path} is no key: ${bytes.length} bytes.`);
  return bytes.toString("latin1");
}

function roleOf(text: string): KeyRole | undefined {
  const role = ROLE_LINE.exec(text)?.[1];
  return role === "publisher" || role === "operator" ? role : undefined;
}
