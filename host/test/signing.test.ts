import { createPublicKey, verify } from "node:crypto";

import { Point } from "@noble/ed25519";
import { describe, expect, it } from "vitest";

import { keyId, newSecretKey, publicKeyOf, sha512, sign, verifySignature } from "../src/signing.js";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

/** The same check by OpenSSL. */
function opensslVerify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey]);
  return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
}

const ORDER = Point.CURVE().n;

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
}

const numberOf = (data: Uint8Array): bigint => BigInt(`0x${Buffer.from(data).reverse().toString("hex")}`);

describe("Ed25519", () => {
  // RFC 8032 section 7.1, tests 1 to 3
  it.each([
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
  ])("gives the RFC's signatures", (secret, publicKey, message, signature) => {
    expect(publicKeyOf(bytes(secret))).toEqual(bytes(publicKey));
    expect(sign(bytes(message), bytes(secret))).toEqual(bytes(signature));
    expect(verifySignature(bytes(signature), bytes(message), bytes(publicKey))).toBe(true);
  });

  it("refuses a wrong message, key, signature or size without throwing", () => {
    const secret = newSecretKey();
    const publicKey = publicKeyOf(secret);
    const message = bytes("00112233");
    const signature = sign(message, secret);
    expect(verifySignature(signature, message, publicKey)).toBe(true);
    expect(verifySignature(signature, bytes("00112234"), publicKey)).toBe(false);
    expect(verifySignature(signature, message, publicKeyOf(newSecretKey()))).toBe(false);
    expect(verifySignature(signature.slice(0, 63), message, publicKey)).toBe(false);
    expect(verifySignature(signature, message, publicKey.slice(0, 31))).toBe(false);
    expect(verifySignature(signature, message, new Uint8Array(32).fill(0xff))).toBe(false);
    expect(() => keyId(new Uint8Array(31))).toThrow("31");
  });

  it("refuses S + L, which is the same number in another encoding, as OpenSSL does", () => {
    const secret = newSecretKey();
    const message = bytes("aa");
    const signature = sign(message, secret);
    signature.set(littleEndian(numberOf(signature.subarray(32)) + ORDER), 32);
    expect(verifySignature(signature, message, publicKeyOf(secret))).toBe(false);
    expect(opensslVerify(signature, message, publicKeyOf(secret))).toBe(false);
  });

  it("refuses keys of small order, under which one signature holds for many messages", () => {
    // the neutral element, and a point of order 8; R and S zero then satisfy the equation with cofactor
    const identity = littleEndian(1n);
    const order8 = bytes("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
    for (const key of [identity, order8])
      for (let message = 0; message < 8; message++)
        expect(
          verifySignature(Buffer.concat([identity, littleEndian(0n)]), Uint8Array.of(message), key),
        ).toBe(false);
  });

  it("refuses a signature that only holds with the cofactor, as OpenSSL does", () => {
    // R carries a point of order 8 beside r·B: 8·S·B = 8·R + 8·k·A holds, S·B = R + k·A does not
    const torsion = Point.fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
    const a = 123_456_789n;
    const r = 987_654_321n;
    const publicKey = Point.BASE.multiply(a).toBytes();
    const message = bytes("c0ffee");
    const commitment = Point.BASE.multiply(r).add(torsion).toBytes();
    const k = numberOf(sha512(Buffer.concat([commitment, publicKey, message]))) % ORDER;
    const signature = Uint8Array.from(Buffer.concat([commitment, littleEndian((r + k * a) % ORDER)]));
    expect(opensslVerify(signature, message, publicKey)).toBe(false);
    expect(verifySignature(signature, message, publicKey)).toBe(false);
  });
});
