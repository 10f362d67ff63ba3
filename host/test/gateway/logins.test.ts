import { randomBytes, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { Administration } from "../../src/gateway/administration.js";
import { AuditLog, verifyAudit, type AuditEntry, type AuditInput } from "../../src/gateway/audit.js";
import { newClientKey } from "../../src/gateway/authority.js";
import { ControlServer } from "../../src/gateway/control.js";
import { Logins, newToken, requireRole, tokenHash, type LoginsOptions } from "../../src/gateway/logins.js";
import { Metrics } from "../../src/gateway/metrics.js";
import { network, RateLimit } from "../../src/gateway/rate-limit.js";
import { GatewayState } from "../../src/gateway/state.js";
import { folderWith } from "../support/files.js";
import { edgeplugAsync } from "../support/run-cli.js";

const HERE = { address: "192.0.2.7" };
const code = (name: string): Error => expect.objectContaining({ code: name }) as Error;

/** Logins over a database of its own, with what they wrote to the audit log. */
function makeLogins(options: LoginsOptions = {}): {
  logins: Logins;
  state: GatewayState;
  written: AuditInput[];
} {
  const state = GatewayState.open(join(folderWith(), "state"));
  onTestFinished(() => state.close());
  const written: AuditInput[] = [];
  const logins = new Logins(state, { append: (entry) => void written.push(entry) }, options);
  return { logins, state, written };
}

function addToken(logins: Logins, name: string, expires = 0): string {
  const token = newToken();
  logins.store.addToken({ name, role: "operator", hash: tokenHash(token), expires }, new Date());
  return token;
}

describe("a token", () => {
  it("is 32 random bytes of which the database has the SHA-256 only", () => {
    const { logins, state } = makeLogins();
    const token = logins.firstAdmin() ?? "";
    expect(token).toMatch(/^epg_[A-Za-z0-9_-]{43}$/);
    expect(logins.identify({ ...HERE, bearer: token })).toEqual({
      name: "admin",
      role: "admin",
      means: "token",
    });
    const files = ["gateway.db", "gateway.db-wal"].map((name) =>
      readFileSync(join(state.folder, name), "latin1"),
    );
    expect(files.join("")).not.toContain(token.slice(4, 20));
    expect(files.join("")).toContain(tokenHash(token).toString("latin1"));
  });

  it("of the first admin is made once, even if it is revoked later", () => {
    const { logins, state } = makeLogins();
    expect(logins.firstAdmin()).toBeDefined();
    logins.store.revokeToken("admin");
    expect(new Logins(state, { append: () => undefined }).firstAdmin()).toBeUndefined();
  });

  it("that is changed in any character lets nobody in", () => {
    const { logins } = makeLogins({ limit: { burst: 1000 } });
    const token = addToken(logins, "maria");
    for (let at = 0; at < token.length; at++) {
      const other = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      // the last character has two bits that stand for nothing
      expect(() => logins.identify({ ...HERE, bearer: other }), other).toThrowError(code("GATEWAY_LOGIN"));
    }
    for (const bearer of [
      "",
      token.slice(0, -1),
      `${token}A`,
      "x".repeat(1_000_000),
      "epg_\0",
      "é".repeat(43),
    ])
      expect(() => logins.identify({ ...HERE, bearer })).toThrowError(code("GATEWAY_LOGIN"));
  });

  it("whose hash has the same beginning as another's is not taken for it", () => {
    const { logins } = makeLogins();
    const token = newToken();
    const hash = tokenHash(token);
    hash[31] = (hash[31] ?? 0) ^ 1;
    logins.store.addToken({ name: "near", role: "admin", hash, expires: 0 }, new Date());
    expect(() => logins.identify({ ...HERE, bearer: token })).toThrowError(code("GATEWAY_LOGIN"));
  });

  it("counts until it expires or is revoked, and not a call longer", () => {
    let now = Date.now();
    const { logins } = makeLogins({ now: () => new Date(now) });
    const token = addToken(logins, "guest", now + 1_000);
    const lasting = addToken(logins, "maria");
    const enter = (bearer: string): string => logins.identify({ ...HERE, bearer }).name;
    expect(enter(token)).toBe("guest");
    now += 1_000;
    expect(() => enter(token)).toThrowError(code("GATEWAY_LOGIN"));
    expect(enter(lasting)).toBe("maria");
    logins.store.revokeToken("maria");
    expect(() => enter(lasting)).toThrowError(code("GATEWAY_LOGIN"));
  });

  it("that is wrong is not named in error or log, so that a mistyped secret goes nowhere", () => {
    const { logins, written } = makeLogins();
    const token = addToken(logins, "maria");
    const typo = `${token.slice(0, -2)}zz`;
    let message = "";
    try {
      logins.identify({ ...HERE, bearer: typo });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("unknown token");
    expect(message + JSON.stringify(written)).not.toContain(typo.slice(4, 30));
  });
});

describe("roles", () => {
  it("each may do what the ones before it may, and nothing more", () => {
    const roles = ["viewer", "operator", "admin"] as const;
    for (const [have, role] of roles.entries())
      for (const [need, wanted] of roles.entries()) {
        const check = (): void => requireRole({ name: "maria", role }, wanted);
        if (have >= need) expect(check).not.toThrow();
        else expect(check).toThrowError(code("GATEWAY_ROLE"));
      }
  });
});

describe("failed logins", () => {
  it("are answered with GATEWAY_LIMIT and the seconds to wait, and right ones from the same address still get in", () => {
    let now = 0;
    const { logins } = makeLogins({ limit: { burst: 3, secondsPerFailure: 6, monotonicMs: () => now } });
    const token = addToken(logins, "maria");
    const fail = (address = HERE.address): void => void logins.identify({ address, bearer: newToken() });
    for (let n = 0; n < 3; n++) expect(() => fail()).toThrowError(code("GATEWAY_LOGIN"));
    expect(() => fail()).toThrowError(/Wait 6 s/);
    expect(logins.identify({ ...HERE, bearer: token }).name).toBe("maria");
    expect(() => fail("198.51.100.1")).toThrowError(code("GATEWAY_LOGIN"));
    now += 6_000;
    expect(() => fail()).toThrowError(code("GATEWAY_LOGIN"));
    expect(() => fail()).toThrowError(code("GATEWAY_LIMIT"));
  });

  it("from any number of addresses are limited together, and remembered in bounded memory", () => {
    const limit = new RateLimit({
      overallBurst: 50,
      overallPerSecond: 1,
      addresses: 100,
      monotonicMs: () => 0,
    });
    let free = 0;
    for (let n = 0; n < 20_000; n++)
      if (limit.fail(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`) === 0) free++;
    expect(free).toBe(50);
    expect(limit.remembered).toBe(100);
  });

  it("from one IPv6 network count as from one address", () => {
    expect(network("2001:db8:1:2:aaaa::1")).toBe(network("2001:db8:1:2::ffff"));
    expect(network("2001:0db8:0001:0002:0:0:0:9")).toBe(network("2001:db8:1:2::1"));
    expect(network("2001:db8:1:3::1")).not.toBe(network("2001:db8:1:2::1"));
    expect(network("::ffff:192.0.2.7")).toBe("192.0.2.7");
  });

  it("are refused on a full disk too", () => {
    const state = GatewayState.open(join(folderWith(), "state"));
    onTestFinished(() => state.close());
    const audit = AuditLog.openIn(state);
    audit.close(); // from here on every write to it fails
    const logins = new Logins(state, audit);
    expect(() => logins.identify(HERE)).toThrowError(code("GATEWAY_LOGIN"));
  });
});

describe("commands on a running gateway's state folder", () => {
  let folder: string;
  let logins: Logins;
  let close: () => Promise<void>;
  let admin: Administration;

  beforeAll(async () => {
    folder = join(folderWith(), "state");
    const state = GatewayState.open(folder);
    const audit = AuditLog.openIn(state);
    logins = new Logins(state, audit);
    admin = new Administration({ state, store: logins.store, audit });
    const control = await ControlServer.start(folder, admin);
    close = async () => {
      await control.close();
      logins.close();
      audit.close();
      state.close();
    };
  });

  afterAll(() => close());

  const entries = (): AuditEntry[] => {
    const list: AuditEntry[] = [];
    verifyAudit(join(folder, "audit.log"), { onEntry: (entry) => list.push(entry) });
    return list;
  };

  it("make a token that lets in at once, show it once, and revoke it at once, all on record", async () => {
    const made = await edgeplugAsync([
      "gateway",
      "token",
      "add",
      "maria",
      "--role",
      "operator",
      "--state",
      folder,
    ]);
    expect(made.stderr).toContain("not shown again");
    const bearer = made.stdout.trim();
    expect(logins.identify({ ...HERE, bearer })).toMatchObject({ name: "maria", role: "operator" });
    const listed = await edgeplugAsync(["gateway", "token", "list", "--state", folder, "--json"]);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      tokens: [{ name: "maria", role: "operator", expires: null }],
    });
    expect(listed.stdout).not.toContain(bearer);
    expect((await edgeplugAsync(["gateway", "token", "revoke", "maria", "--state", folder])).code).toBe(0);
    expect(() => logins.identify({ ...HERE, bearer })).toThrowError(code("GATEWAY_LOGIN"));
    const done = entries().filter(({ who }) => who.startsWith("local:"));
    expect(done.map(({ what }) => what)).toEqual(["token-add", "token-revoke"]);
    expect(JSON.stringify(done)).not.toContain(bearer);
  });

  it("issue a certificate whose role is the gateway's word, and revoke it at once", async () => {
    const { spki } = await newClientKey();
    const input = { name: "ötto", role: "viewer", spki: Buffer.from(spki).toString("base64"), days: 30 };
    const issued = await admin.perform("cert-issue", input, "local:test");
    const certificate = new X509Certificate(issued.certificate);
    expect(certificate.subject).toBe("CN=ötto");
    const peer = { ...HERE, certificate: certificate.raw };
    expect(logins.identify(peer)).toEqual({ name: "ötto", role: "viewer", means: "certificate" });
    await admin.perform("cert-revoke", { serial: issued.serial }, "local:test");
    expect(() => logins.identify(peer)).toThrowError(code("GATEWAY_LOGIN"));
  });

  it.each([
    ["token-add", { name: "a\nb", role: "admin", hash: "00".repeat(32), expires: 0 }],
    ["token-add", { name: "", role: "admin", hash: "00".repeat(32), expires: 0 }],
    ["token-add", { name: "x", role: "root", hash: "00".repeat(32), expires: 0 }],
    ["token-add", { name: "x", role: "admin", hash: "00", expires: 0 }],
    ["token-add", { name: "x", role: "admin", hash: "00".repeat(32), expires: "never" }],
    ["cert-issue", { name: "x", role: "admin", spki: "AAAA", days: 1 }],
    ["cert-issue", { name: "x", role: "admin", spki: "AAAA", days: -1 }],
    ["cert-add", { name: "x", role: "admin", certificate: "none" }],
    ["token-revoke", { name: "nobody" }],
    ["constructor", {}],
  ])("refuse what makes no sense, and note nothing: %s %j", async (operation, input) => {
    const before = entries().length;
    await expect(admin.perform(operation as "token-add", input, "local:test")).rejects.toThrowError(
      code("GATEWAY_CONFIG"),
    );
    expect(entries()).toHaveLength(before);
  });

  it("are told by a secret in the folder: nobody else on the machine is heard", async () => {
    const { port } = JSON.parse(readFileSync(join(folder, "control.json"), "utf8")) as { port: number };
    const ask = { operation: "token-list", input: {}, who: "local:mallory" };
    for (const authorization of [undefined, "Bearer ", `Bearer ${randomBytes(32).toString("hex")}`])
      expect(await statusOf(port, authorization, JSON.stringify(ask))).toBe(403);
  });

  it("back up database, log and keys as of one moment, from which another gateway knows the same logins", async () => {
    const token = addToken(logins, "backed-up");
    const to = join(folderWith(), "backup");
    await admin.perform("backup", { folder: to }, "local:test");
    const state = GatewayState.open(to);
    onTestFinished(() => state.close());
    const audit = AuditLog.openIn(state);
    onTestFinished(() => audit.close());
    expect(entries().length).toBe(audit.head.seq);
    expect(new Logins(state, audit).identify({ ...HERE, bearer: token }).name).toBe("backed-up");
  });

  it("say of a folder in which no gateway has run that it is the wrong one, and leave nothing there", async () => {
    const wrong = folderWith();
    const run = await edgeplugAsync(["gateway", "token", "add", "x", "--state", wrong]);
    expect(run.code).toBe(13);
    expect(run.stderr).toContain(wrong);
    expect(run.stdout).toBe("");
  });
});

describe("metrics", () => {
  it("are served to who asks for them, with what the gateway counts", async () => {
    const metrics = new Metrics("1.2.3");
    onTestFinished(() => metrics.close());
    metrics.connect({ boards: () => ({ ready: 3, absent: 1 }), queued: () => 2 });
    metrics.call("deploy", 0, 250);
    metrics.deployment("ok", 1_500);
    metrics.login("failed");
    metrics.audited();
    const port = await metrics.listen("127.0.0.1", 0);
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const line of [
      'edgeplug_gateway_boards{state="ready"} 3',
      "edgeplug_gateway_deployments_queued 2",
      'edgeplug_gateway_call_seconds_count{method="deploy",code="0"} 1',
      'edgeplug_gateway_deployment_seconds_sum{outcome="ok"} 1.5',
      'edgeplug_gateway_logins_total{outcome="failed"} 1',
      "edgeplug_gateway_audit_entries_total 1",
      'edgeplug_gateway_info{version="1.2.3"} 1',
    ])
      expect(text).toContain(line);
    expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    await expect(new Metrics("x").listen("127.0.0.1", port)).rejects.toThrowError(code("GATEWAY_CONFIG"));
  });
});

function statusOf(port: number, authorization: string | undefined, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const call = request({ host: "127.0.0.1", port, method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on("error", reject);
    call.end(body);
  });
}
