import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { decodeManifest, encodeManifest, MANIFEST_MAX, type AgentManifest } from "../src/manifest.js";
import {
  PACKAGE_MAX,
  readPackage,
  readSplitPackage,
  serializePackage,
  serializeSignedManifest,
  verifyPackage,
} from "../src/package.js";
import { publicKeyOf, sign } from "../src/signing.js";
import { folderWith } from "./support/files.js";
import { PUBLIC_KEY, sampleEpk, sampleManifest, samplePackage } from "./support/sample-package.js";

const ROOT = new URL("../..", import.meta.url).pathname;

/** The code that `body` fails with, or "nothing". */
function failure(body: () => unknown): string {
  try {
    body();
    return "nothing";
  } catch (error) {
    if (error instanceof EdgePlugError) return error.code;
    throw error;
  }
}

const readAndVerify = (bytes: Uint8Array): string =>
  failure(() => verifyPackage(readPackage(bytes), { publicKey: PUBLIC_KEY }));

describe("a package", () => {
  it("reads back as it was written", () => {
    const pkg = samplePackage();
    expect(readPackage(serializePackage(pkg))).toEqual(pkg);
    expect(readSplitPackage(serializeSignedManifest(pkg), pkg.payload)).toEqual(pkg);
    expect(verifyPackage(pkg, { publicKey: PUBLIC_KEY })).toBe("verified");
    expect(verifyPackage(pkg)).toBe("unverified");
  });

  it("may be unsigned, and says so", () => {
    const pkg = { ...samplePackage(), keyId: new Uint8Array(0), signature: new Uint8Array(0) };
    expect(readPackage(serializePackage(pkg))).toEqual(pkg);
    expect(verifyPackage(pkg)).toBe("unsigned");
    expect(failure(() => verifyPackage(pkg, { publicKey: PUBLIC_KEY }))).toBe("UNSIGNED");
  });

  it("with a bit flipped in any byte is refused", () => {
    const bytes = sampleEpk();
    const codes = new Set<string>();
    for (let at = 0; at < bytes.length; at++) {
      const bit = at * 8 + ((at * 5) % 8);
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const code = readAndVerify(flipped);
      expect(code, `bit ${bit}`).not.toBe("nothing");
      codes.add(code);
    }
    expect([...codes]).toEqual(
      expect.arrayContaining(["PACKAGE_FORMAT", "MANIFEST", "PAYLOAD_CRC", "SIGNATURE", "KEY_UNKNOWN"]),
    );
  });

  it("cut off anywhere is refused", () => {
    const bytes = sampleEpk();
    expect(readAndVerify(bytes.slice(0, 0))).toBe("PACKAGE_EMPTY");
    for (let size = 1; size < bytes.length; size++)
      expect(readAndVerify(bytes.slice(0, size)), `${size} bytes`).toBe(
        // a cut right behind the magic or the manifest leaves a well-formed file that lacks something
        size === 5 ? "PACKAGE_FORMAT" : "PACKAGE_TRUNCATED",
      );
  });

  it("with anything behind it is refused", () => {
    const bytes = sampleEpk();
    expect(readAndVerify(Uint8Array.of(...bytes, 0))).toBe("PACKAGE_FORMAT");
    expect(readAndVerify(Uint8Array.of(...bytes, 0x22, 0x01, 0x00))).toBe("PACKAGE_FORMAT");
    expect(readAndVerify(new Uint8Array(PACKAGE_MAX + 1).fill(1).map((byte, at) => bytes[at] ?? byte))).toBe(
      "PACKAGE_TOO_LARGE",
    );
  });

  it.each([
    ["a WebAssembly module", [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]],
    ["an ELF file", [0x7f, 0x45, 0x4c, 0x46, 1, 1]],
    ["a zip archive", [0x50, 0x4b, 3, 4]],
    ["an MCUboot image", [0x3d, 0xb8, 0xf3, 0x96, 0, 0]],
  ])("is not what %s is, and the error says which it is", (name, bytes) => {
    expect(() => readPackage(Uint8Array.from(bytes))).toThrow(name);
    expect(failure(() => readPackage(Uint8Array.from(bytes)))).toBe("PACKAGE_FORMAT");
  });

  it("whose payload was changed with its CRC mended is caught by SHA-512", () => {
    const pkg = samplePackage();
    const payload = pkg.payload.map((byte) => byte ^ 1);
    const manifest = { ...sampleManifest(payload), payloadSha512: pkg.manifest.payloadSha512 };
    expect(failure(() => verifyPackage({ ...pkg, payload, manifest }))).toBe("PAYLOAD_DIGEST");
  });

  it("signed by another key is refused by name, one with a forged signature as such", () => {
    const pkg = samplePackage();
    const other = Uint8Array.from({ length: 32 }, () => 9);
    expect(failure(() => verifyPackage(pkg, { publicKey: publicKeyOf(other) }))).toBe("KEY_UNKNOWN");
    const forged = { ...pkg, signature: sign(pkg.manifestBytes, other) };
    expect(failure(() => verifyPackage(forged, { publicKey: PUBLIC_KEY }))).toBe("SIGNATURE");
  });
});

describe("a manifest", () => {
  const payload = new Uint8Array(100);
  const refused = (changes: Partial<AgentManifest>): string =>
    failure(() => decodeManifest(encodeManifest(sampleManifest(payload, changes))));

  it("survives encoding with every field set, and with every optional one at its default", () => {
    const full = sampleManifest(payload);
    expect(decodeManifest(encodeManifest(full))).toEqual(full);
    const bare = sampleManifest(payload, {
      version: "",
      boardClass: 0,
      release: 0,
      securityVersion: 0,
      outputs: 0,
      inputs: 0,
      guards: { min: [], max: [], slew: [], failSafe: [] },
      trial: {
        healthyScans: 0,
        deadlineScans: 0,
        attempts: 0,
        minRequests: 0,
        confirmByHost: false,
        maxGuardHits: 0,
      },
      onTrap: "hold",
      stateId: 0,
      scanDivider: 0,
    });
    expect(decodeManifest(encodeManifest(bare))).toEqual(bare);
    expect(encodeManifest(bare).length).toBeLessThan(120);
  });

  it.each<[string, Partial<AgentManifest>, string]>([
    ["another format", { format: 2 }, "MANIFEST"],
    ["another ABI", { abi: 2 }, "ABI"],
    ["no name", { name: "" }, "MANIFEST"],
    ["a name of 21 bytes", { name: "ä".repeat(10) + "a" }, "MANIFEST"],
    ["a version of 17 bytes", { version: "1".repeat(17) }, "MANIFEST"],
    ["a name that begins a new line", { name: "a\nerror EP1" }, "MANIFEST"],
    ["a version that moves a cursor", { version: "1\u001b[2J" }, "MANIFEST"],
    ["no payload", { payloadSize: 0 }, "MANIFEST"],
    ["a payload over a slot", { payloadSize: 13_825 }, "PACKAGE_TOO_LARGE"],
    ["a short digest", { payloadSha512: new Uint8Array(63) }, "MANIFEST"],
    ["too many inputs", { inputs: 9 }, "CHANNELS"],
    ["too many outputs", { outputs: 7, guards: { min: [], max: [], slew: [], failSafe: [] } }, "CHANNELS"],
    ["guards for other outputs", { outputs: 1 }, "MANIFEST"],
    ["min above max", { guards: { min: [2, 0], max: [1, 0], slew: [], failSafe: [] } }, "MANIFEST"],
    ["a guard that is no number", { guards: { min: [NaN, 0], max: [], slew: [], failSafe: [] } }, "MANIFEST"],
    ["a negative slew rate", { guards: { min: [], max: [], slew: [-1, 0], failSafe: [] } }, "MANIFEST"],
  ])("with %s is refused", (_what, changes, code) => {
    expect(refused(changes)).toBe(code);
  });

  it.each([
    ["memory", 16_392, "MEMORY"],
    ["memory", 2049, "MANIFEST"],
    ["stackSlots", 1025, "MEMORY"],
    ["stackSlots", 0, "MANIFEST"],
    ["callDepth", 65, "MEMORY"],
    ["ioBuffer", 513, "MEMORY"],
    ["fuel", 20_000_001, "FUEL"],
    ["initFuel", 20_000_001, "FUEL"],
    ["fuel", 0, "MANIFEST"],
  ])("with limits.%s of %i is refused", (field, value, code) => {
    const { limits } = sampleManifest(payload);
    expect(refused({ limits: { ...limits, [field]: value } })).toBe(code);
  });

  it("of any bytes is decoded or refused, never anything else", () => {
    expect(failure(() => decodeManifest(new Uint8Array(0)))).toBe("MANIFEST");
    expect(failure(() => decodeManifest(new Uint8Array(MANIFEST_MAX + 1)))).toBe("MANIFEST");
    expect(failure(() => decodeManifest(Uint8Array.of(0xff, 0xff, 0xff)))).toBe("MANIFEST");
  });

  it("decodes with protoc, and its signature verifies with openssl", () => {
    const pkg = samplePackage();
    const folder = folderWith({
      "a.epk": serializePackage(pkg),
      "manifest.pb": serializeSignedManifest(pkg),
      "manifest.raw": pkg.manifestBytes,
      "manifest.sig": pkg.signature,
      // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4)
      "key.der": Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), PUBLIC_KEY]),
    });
    const protoc = (message: string, file: string): string =>
      execFileSync("sh", [
        "-c",
        `protoc --decode=edgeplug.${message} -I "$1/proto" package.proto < "$2"`,
        "sh",
        ROOT,
        join(folder, file),
      ]).toString();
    expect(protoc("Package", "a.epk")).toContain("magic: 1263551813");
    expect(protoc("SignedManifest", "manifest.pb")).toContain("signature: ");
    const manifest = protoc("Manifest", "manifest.raw");
    expect(manifest).toContain('name: "sample"');
    expect(manifest).toContain("kind: AGENT_KIND_CONTROL");
    expect(manifest).toContain("fail_safe: 0.25");
    const verify = (data: string): string =>
      execFileSync(
        "openssl",
        // prettier-ignore
        ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-sigfile", "manifest.sig", "-in", data],
        { cwd: folder },
      ).toString();
    expect(verify("manifest.raw")).toContain("Signature Verified Successfully");
    expect(() => verify("key.der")).toThrow();
  });
});
