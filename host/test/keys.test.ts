import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { isEncryptedKey, readPublicKey, readSecretKey, writeKeyPair } from "../src/keys.js";
import { keyId, newSecretKey, publicKeyOf } from "../src/signing.js";
import { folderWith } from "./support/files.js";

const openssl = (args: string[], cwd: string): string => execFileSync("openssl", args, { cwd }).toString();

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    if (error instanceof EdgePlugError) return error.code;
    throw error;
  }
}

describe("a key pair", () => {
  it("is written private, and read back with its role", async () => {
    const path = join(folderWith(), "a.key");
    const secretKey = newSecretKey();
    const written = await writeKeyPair(path, secretKey, "operator");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}.pub`).mode & 0o777).toBe(0o644);
    expect(await readSecretKey(path)).toEqual({ ...written, secretKey });
    expect(await readPublicKey(`${path}.pub`)).toEqual(written);
    expect(await readPublicKey(path)).toEqual(written);
    expect(written.publicKey).toEqual(publicKeyOf(secretKey));
  });

  it("is read by openssl, which finds the same public key", async () => {
    const folder = folderWith();
    const { publicKey } = await writeKeyPair(join(folder, "a.key"), newSecretKey(), "publisher");
    const ofPrivate = openssl(["pkey", "-in", "a.key", "-pubout"], folder);
    const der = execFileSync(
      "openssl",
      ["pkey", "-pubin", "-in", "a.key.pub", "-outform", "DER", "-pubout"],
      {
        cwd: folder,
      },
    );
    expect(readFileSync(join(folder, "a.key.pub"), "utf8")).toContain(ofPrivate.trim());
    expect(Uint8Array.from(der.subarray(12))).toEqual(publicKey);
  });

  it("may come from openssl, and then has no role", async () => {
    const folder = folderWith();
    openssl(["genpkey", "-algorithm", "ed25519", "-out", "a.key"], folder);
    openssl(["pkey", "-in", "a.key", "-pubout", "-out", "a.pub"], folder);
    chmodSync(join(folder, "a.key"), 0o600);
    const key = await readSecretKey(join(folder, "a.key"));
    expect(key.role).toBeUndefined();
    expect((await readPublicKey(join(folder, "a.pub"))).publicKey).toEqual(key.publicKey);
    expect(key.keyId).toEqual(keyId(key.publicKey));
  });

  it("opens only with its passphrase, here and in openssl", async () => {
    const folder = folderWith();
    const path = join(folder, "a.key");
    const secretKey = newSecretKey();
    await writeKeyPair(path, secretKey, "publisher", { passphrase: "correct horse" });
    expect(await isEncryptedKey(path)).toBe(true);
    expect((await readSecretKey(path, "correct horse")).secretKey).toEqual(secretKey);
    expect(await failure(readSecretKey(path, "wrong horse"))).toBe("PASSPHRASE");
    expect(await failure(readSecretKey(path))).toBe("PASSPHRASE");
    expect(
      openssl(["pkey", "-in", "a.key", "-passin", "pass:correct horse", "-noout", "-text"], folder),
    ).toContain("ED25519");
    expect(readFileSync(path).includes(Buffer.from(secretKey))).toBe(false);
  });

  it("is never overwritten unless that is asked for", async () => {
    const path = join(folderWith(), "a.key");
    await writeKeyPair(path, newSecretKey(), "publisher");
    const before = readFileSync(path, "utf8");
    expect(await failure(writeKeyPair(path, newSecretKey(), "publisher"))).toBe("FILE_EXISTS");
    expect(readFileSync(path, "utf8")).toBe(before);
    await writeKeyPair(path, newSecretKey(), "publisher", { force: true });
    expect(readFileSync(path, "utf8")).not.toBe(before);
  });
});

describe("a key file", () => {
  it("that others can read is refused", async () => {
    const path = join(folderWith(), "a.key");
    await writeKeyPair(path, newSecretKey(), "publisher");
    chmodSync(path, 0o640);
    await expect(readSecretKey(path)).rejects.toThrow("mode 640");
    expect(await failure(readSecretKey(path))).toBe("KEY_FILE");
  });

  it("of another kind is refused, wherever it is wrong", async () => {
    const folder = folderWith({ "text.key": "hello", "empty.key": "", "large.key": new Uint8Array(20_000) });
    openssl(["genpkey", "-algorithm", "x25519", "-out", "x25519.key"], folder);
    openssl(["pkey", "-in", "x25519.key", "-pubout", "-out", "x25519.pub"], folder);
    for (const name of ["text.key", "empty.key", "large.key", "x25519.key"]) {
      chmodSync(join(folder, name), 0o600);
      expect(await failure(readSecretKey(join(folder, name))), name).toBe("KEY_FILE");
      expect(await failure(readPublicKey(join(folder, name))), name).toBe("KEY_FILE");
    }
    expect(await failure(readPublicKey(join(folder, "x25519.pub")))).toBe("KEY_FILE");
    expect(await failure(readPublicKey(folder))).toBe("FILE_UNREADABLE");
    expect(await failure(readPublicKey(join(folder, "none")))).toBe("FILE_NOT_FOUND");
  });

  it("with a damaged body is refused", async () => {
    const path = join(folderWith(), "a.key");
    await writeKeyPair(path, newSecretKey(), "publisher");
    writeFileSync(path, readFileSync(path, "utf8").replace("MC4CAQ", "MD4CAQ"));
    expect(await failure(readSecretKey(path))).toBe("KEY_FILE");
  });

  it.each([
    ["is no point of the curve", Buffer.from([2, ...new Uint8Array(31)])],
    ["is of small order", Buffer.from([1, ...new Uint8Array(31)])],
    ["is written in another way than the one there is", Buffer.alloc(32, 0xff)],
  ])(
    "whose public key %s is refused, so that no board is left without a key that counts",
    async (_, point) => {
      const path = join(folderWith(), "a.key.pub");
      const body = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), point]).toString("base64");
      writeFileSync(path, `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`);
      await expect(readPublicKey(path)).rejects.toThrow("no signature can hold");
    },
  );

  it("with a public key can't sign", async () => {
    const path = join(folderWith(), "a.key");
    await writeKeyPair(path, newSecretKey(), "publisher");
    chmodSync(`${path}.pub`, 0o600);
    await expect(readSecretKey(`${path}.pub`)).rejects.toThrow("public key");
  });
});
