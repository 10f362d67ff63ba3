import { createHash, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type ConnectionOptions, type PeerCertificate, type TLSSocket } from "node:tls";

import {
  Client,
  credentials,
  Server,
  type ChannelCredentials,
  type sendUnaryData,
  type ServerCredentials,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { makeAuthority, newClientKey, signClient, signServer } from "../../src/gateway/authority.js";
import { readFingerprint } from "../../src/gateway/fingerprint.js";
import { DAY_MS, lifetime, type KeyedCertificate } from "../../src/gateway/lifetime.js";
import { openTls, type GatewayTls, type TlsOptions } from "../../src/gateway/tls.js";
import { folderWith } from "../support/files.js";

const NOW = new Date();
const days = (count: number): Date => new Date(NOW.getTime() + count * DAY_MS);
const at = (time: Date): TlsOptions => ({ now: () => time });

async function clientOf(
  authority: KeyedCertificate,
  name = "maria",
  life = lifetime(NOW, 30),
): Promise<KeyedCertificate> {
  const { key, spki } = await newClientKey();
  return { key, certificate: await signClient(authority, spki, name, life) };
}

/** A gRPC server that answers with the subject of the client's certificate, as handlers see it. */
async function serve(shown: ServerCredentials): Promise<number> {
  const server = new Server();
  const whoami = { path: "/t/Who", requestStream: false, responseStream: false } as const;
  const bytes = {
    serialize: (text: string) => Buffer.from(text),
    deserialize: (raw: Buffer) => raw.toString(),
  };
  server.addService(
    {
      who: {
        ...whoami,
        requestSerialize: bytes.serialize,
        requestDeserialize: bytes.deserialize,
        responseSerialize: bytes.serialize,
        responseDeserialize: bytes.deserialize,
      },
    },
    {
      who: (call: ServerUnaryCall<string, string>, reply: sendUnaryData<string>) => {
        const peer = call.getAuthContext().sslPeerCertificate;
        reply(null, peer === undefined ? "nobody" : String(peer.subject.CN));
      },
    },
  );
  onServersEnd.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", shown, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

const onServersEnd: (() => void)[] = [];
afterAll(() => onServersEnd.forEach((end) => end()));

function ask(client: Client): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/t/Who",
      (text: string) => Buffer.from(text),
      (raw) => raw.toString(),
      "who am I?",
      (error, reply) => (error === null ? resolve(reply ?? "") : reject(error)),
    );
  });
}

async function whoAmI(port: number, by: ChannelCredentials): Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, by);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

function shake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ALPNProtocols: ["h2"], ...options }, () =>
      resolve(socket),
    );
    socket.once("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

describe("the gateway's TLS", () => {
  let folder: string;
  let tls: GatewayTls;
  let port: number;

  beforeAll(async () => {
    folder = folderWith();
    tls = await openTls(folder, { names: ["plant.example", "198.51.100.9"] });
    onServersEnd.push(() => tls.close());
    port = await serve(tls.serverCredentials());
  });

  it("asks for a client's certificate, and goes on without one: a token will do", async () => {
    const ca = Buffer.from(tls.caPem);
    const maria = await clientOf(tls.authority);
    expect(await whoAmI(port, credentials.createSsl(ca))).toBe("nobody");
    const pair = [Buffer.from(maria.key), Buffer.from(maria.certificate)] as const;
    expect(await whoAmI(port, credentials.createSsl(ca, ...pair))).toBe("maria");
  });

  it.each<[string, () => Promise<KeyedCertificate>]>([
    ["of another authority", async () => clientOf(await makeAuthority(NOW))],
    ["that has expired", () => clientOf(tls.authority, "old", { from: days(-9), until: days(-1) })],
    ["that is not good yet", () => clientOf(tls.authority, "new", { from: days(1), until: days(9) })],
    ["for servers", () => signServer(tls.authority, ["localhost"], lifetime(NOW, 1))],
  ])("shows no handler a certificate %s", async (_what, make) => {
    const { key, certificate } = await make();
    const by = credentials.createSsl(Buffer.from(tls.caPem), Buffer.from(key), Buffer.from(certificate));
    expect(await whoAmI(port, by)).toBe("nobody");
  });

  it("speaks TLS 1.3, 1.2 with those who know no better, and nothing older", async () => {
    const ca = tls.caPem;
    expect((await shake(port, { ca })).getProtocol()).toBe("TLSv1.3");
    expect((await shake(port, { ca, maxVersion: "TLSv1.2" })).getProtocol()).toBe("TLSv1.2");
    const old = { ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await expect(shake(port, old)).rejects.toThrowError(/alert|version|protocol/i);
  });

  it("is good for the names of this machine and for those that were given, and for no other", async () => {
    for (const servername of ["localhost", "plant.example"]) await shake(port, { ca: tls.caPem, servername });
    await shake(port, { ca: tls.caPem });
    const certificate = new X509Certificate(tls.certificatePem);
    expect(certificate.checkIP("198.51.100.9")).toBe("198.51.100.9");
    await expect(shake(port, { ca: tls.caPem, servername: "other.example" })).rejects.toThrowError(
      /altnames/,
    );
  });

  it("shows the authority whose fingerprint people compare", async () => {
    const socket = await shake(port, { rejectUnauthorized: false });
    const chain: PeerCertificate & { issuerCertificate?: PeerCertificate } = socket.getPeerCertificate(true);
    const top = chain.issuerCertificate?.raw ?? Buffer.alloc(0);
    const digest = createHash("sha256").update(top).digest("base64").replace(/=+$/, "");
    expect(tls.fingerprint).toBe(`SHA256:${digest}`);
    expect(readFingerprint(new X509Certificate(top).fingerprint256)).toBe(tls.fingerprint);
  });

  it("keeps its keys where only the gateway's user reads them", () => {
    for (const name of ["ca-secret.pem", "server.pem"])
      expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
    expect(readFileSync(join(folder, "ca.pem"), "utf8")).not.toContain("PRIVATE");
  });

  it("renews its certificate while it runs: old connections live on, new ones see the new one, pins hold", async () => {
    let time = NOW;
    const renewing = await openTls(folderWith(), { now: () => time });
    onTestFinished(() => renewing.close());
    const own = await serve(renewing.serverCredentials());
    const ca = renewing.caPem;
    const { fingerprint, certificatePem } = renewing;
    const client = new Client(`127.0.0.1:${own}`, credentials.createSsl(Buffer.from(ca)));
    onTestFinished(() => client.close());
    expect(await ask(client)).toBe("nobody");
    time = days(334);
    expect(await renewing.renew()).toBe(false);
    time = days(336);
    expect(await renewing.renew()).toBe(true);
    expect(renewing.certificatePem).not.toBe(certificatePem);
    expect(renewing.fingerprint).toBe(fingerprint);
    expect(await ask(client)).toBe("nobody");
    // by this machine's own clock the new one begins in a year
    const fresh = await shake(own, { ca, rejectUnauthorized: false });
    expect(fresh.getPeerCertificate().raw.equals(new X509Certificate(renewing.certificatePem).raw)).toBe(
      true,
    );
    expect(fresh.getProtocol()).toBe("TLSv1.3");
  });
});

describe("certificates at start", () => {
  it("are those of the last start, until a month is left or a name is new; the authority stays", async () => {
    const folder = folderWith();
    const first = await openTls(folder, at(NOW));
    const pem = first.certificatePem;
    expect((await openTls(folder, at(days(300)))).certificatePem).toBe(pem);
    const named = await openTls(folder, { ...at(NOW), names: ["new.example"] });
    expect(named.certificatePem).not.toBe(pem);
    const later = await openTls(folder, at(days(340)));
    expect(later.certificatePem).not.toBe(named.certificatePem);
    expect(later.until.getTime()).toBeGreaterThan(days(700).getTime());
    expect([named.fingerprint, later.fingerprint]).toEqual([first.fingerprint, first.fingerprint]);
  });

  it("are left alone by a clock that went back before the authority was made", async () => {
    const folder = folderWith();
    const { certificatePem } = await openTls(folder, at(NOW));
    expect((await openTls(folder, at(new Date(0)))).certificatePem).toBe(certificatePem);
  });

  it("of an authority that is over are refused with its date", async () => {
    const folder = folderWith();
    await openTls(folder, at(NOW));
    await expect(openTls(folder, at(days(3_660)))).rejects.toMatchObject({
      code: "GATEWAY_CONFIG",
      message: expect.stringContaining(days(3_652).toISOString().slice(0, 10)) as string,
    });
  });

  it("that are damaged are named, and not replaced", async () => {
    const folder = folderWith({
      "ca-secret.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    });
    await expect(openTls(folder)).rejects.toMatchObject({
      code: "GATEWAY_CONFIG",
      message: expect.stringContaining("ca-secret.pem") as string,
    });
    expect(readFileSync(join(folder, "ca-secret.pem"), "utf8")).toContain("AAAA");
  });
});

describe("a certificate that is given", () => {
  async function given(
    life = lifetime(NOW, 30),
  ): Promise<{ files: string; cert: string; key: string; ca: string }> {
    const authority = await makeAuthority(NOW);
    const { key, certificate } = await signServer(authority, ["localhost"], life);
    const files = folderWith({ "cert.pem": certificate + authority.certificate, "key.pem": key });
    return { files, cert: join(files, "cert.pem"), key: join(files, "key.pem"), ca: authority.certificate };
  }

  it("is the one that is shown, with its own authority's fingerprint", async () => {
    const { files, cert, key, ca } = await given();
    const state = join(files, "state");
    mkdirSync(state, { mode: 0o700 });
    const tls = await openTls(state, { cert, key });
    onTestFinished(() => tls.close());
    const port = await serve(tls.serverCredentials());
    await shake(port, { ca, servername: "localhost" });
    expect(tls.caPem).toBe(ca);
    const maria = await clientOf(tls.authority);
    const by = credentials.createSsl(
      Buffer.from(ca),
      Buffer.from(maria.key),
      Buffer.from(maria.certificate),
      {
        checkServerIdentity: () => undefined,
      },
    );
    expect(await whoAmI(port, by)).toBe("maria");
  });

  it.each([
    ["has expired", { from: days(-9), until: days(-1) }],
    ["is not good yet", { from: days(3), until: days(9) }],
  ])("and %s is refused with both dates", async (_what, life) => {
    const { files, cert, key } = await given(life);
    await expect(openTls(files, { cert, key })).rejects.toMatchObject({
      code: "GATEWAY_CONFIG",
      message: expect.stringMatching(
        `${life.from.toISOString().slice(0, 10)}.*${life.until.toISOString().slice(0, 10)}`,
      ) as string,
    });
  });

  it("with another's key, without one, or in no form that can be read, is refused by the file's name", async () => {
    const { files, cert, key } = await given();
    const other = await given();
    const attempt = (options: TlsOptions): Promise<unknown> => openTls(files, options);
    await expect(attempt({ cert, key: other.key })).rejects.toThrowError(/not the key of/);
    await expect(attempt({ cert })).rejects.toMatchObject({ code: "GATEWAY_CONFIG" });
    writeFileSync(key, "nothing");
    await expect(attempt({ cert, key })).rejects.toThrowError(key);
    await expect(attempt({ cert: join(files, "none.pem"), key })).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
    await expect(attempt({ names: ["no such name!"] })).rejects.toMatchObject({ code: "GATEWAY_CONFIG" });
  });
});
