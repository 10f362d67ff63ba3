/** Whom the gateway's client trusts and how it logs in: real TLS, on free ports. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { readFingerprint } from "../src/gateway/fingerprint.js";
import { type LeafOptions } from "./support/authority.js";
import { BOARD, FakeGateway, TOKEN } from "./support/fake-gateway.js";
import { folderWith } from "./support/files.js";
import { authority, configFolder, open, serve, startGateway, stranger } from "./support/gateway-caller.js";
import { failure } from "./support/failure.js";

describe("trust", () => {
  it("an unknown gateway is refused where nobody can be asked, and the message says what to pass", async () => {
    const gateway = await startGateway();
    const error = await failure(open(gateway, { trust: undefined }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE", exit: 81 });
    expect(error.action).toContain(`--trust ${authority.fingerprint} `);
    expect(gateway.calls).toEqual([]);
  });

  it("on first use a person compares the fingerprint; later nobody is asked, and only the owner may read the pin", async () => {
    const gateway = await startGateway({ names: ["plant.example", "ip:127.0.0.1"] });
    const questions: unknown[] = [];
    const ask = async (question: unknown): Promise<boolean> => questions.push(question) > 1;
    expect(await failure(open(gateway, { trust: undefined, ask }))).toMatchObject({
      code: "GATEWAY_CERTIFICATE",
    });
    await open(gateway, { trust: undefined, ask });
    await open(gateway, { trust: undefined });
    const known = { fingerprint: authority.fingerprint, names: ["plant.example", "127.0.0.1"] };
    expect(questions).toMatchObject([known, known]);
    const file = join(configFolder, "edgeplug/known-gateways.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(configFolder, "edgeplug")).mode & 0o777).toBe(0o700);
  });

  it("a gateway that keeps its authority to itself needs --ca, and that is said", async () => {
    const leaf = await authority.issue();
    const gateway = new FakeGateway({ ...leaf, chain: leaf.certificate });
    await gateway.start();
    onTestFinished(() => gateway.stop());
    const error = await failure(open(gateway));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
    expect(error.message).toContain("does not show the authority");
    expect(error.action).toContain("--ca");
    const ca = join(folderWith({ "ca.pem": authority.pem }), "ca.pem");
    expect((await open(gateway, { trust: undefined, ca })).id).toBe(BOARD);
  });

  it("a gateway whose authority has changed is refused with both fingerprints and hears no token", async () => {
    const gateway = await startGateway();
    await open(gateway);
    gateway.stop();
    const impostor = new FakeGateway(await stranger.issue());
    impostor.port = gateway.port;
    await impostor.start();
    onTestFinished(() => impostor.stop());
    const error = await failure(open(impostor, { trust: undefined }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
    expect(error.message).toContain(authority.fingerprint);
    expect(error.message).toContain(stranger.fingerprint);
    expect([impostor.calls, impostor.tokens.size]).toEqual([[], 0]);
    expect((await open(impostor, { trust: stranger.fingerprint })).id).toBe(BOARD);
  });

  it("a fingerprint that the gateway doesn't have is not trusted, nor remembered", async () => {
    const gateway = await startGateway();
    const error = await failure(open(gateway, { trust: stranger.fingerprint }));
    expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
    expect(error.message).toContain(authority.fingerprint);
    expect(() => statSync(join(configFolder, "edgeplug/known-gateways.json"))).toThrow(/ENOENT/);
  });

  it.each<[string, LeafOptions, RegExp]>([
    ["has expired", { from: -20, until: -2 }, /expired on/],
    ["is not good yet", { from: 2 }, /holds only from/],
    ["is a client's", { purpose: "client" }, /INVALID_PURPOSE/],
  ])(
    "a gateway whose certificate %s is refused, on first use and when it is known",
    async (_what, leaf, why) => {
      const good = await startGateway();
      await open(good);
      good.stop();
      const bad = new FakeGateway(await authority.issue(leaf));
      bad.port = good.port;
      await bad.start();
      onTestFinished(() => bad.stop());
      for (const trust of [undefined, authority.fingerprint]) {
        const error = await failure(open(bad, { trust }));
        expect(error).toMatchObject({ code: "GATEWAY_CERTIFICATE" });
        expect(error.message).toMatch(why);
      }
      const other = await startGateway(leaf);
      expect((await failure(open(other))).message).toMatch(why);
      expect([bad.calls, other.calls]).toEqual([[], []]);
    },
  );

  it("by --ca the certificate must be for the very host", async () => {
    const ca = join(folderWith({ "ca.pem": authority.pem, "other.pem": stranger.pem }), "ca.pem");
    const right = await startGateway();
    expect((await open(right, { trust: undefined, ca })).id).toBe(BOARD);
    expect((await open(right, { trust: undefined, ca }, `localhost:${right.port}/${BOARD}`)).id).toBe(BOARD);
    const elsewhere = await startGateway({ names: ["plant.example"] });
    const error = await failure(open(elsewhere, { trust: undefined, ca }));
    expect(error.message).toMatch(/is for plant\.example, not for 127\.0\.0\.1/);
    const wrong = await failure(open(right, { trust: undefined, ca: ca.replace("ca.pem", "other.pem") }));
    expect(wrong.message).toMatch(/not from an authority in/);
    expect(elsewhere.calls).toEqual([]);
  });

  it("a gateway known by a name that isn't its address keeps that name: another certificate of its authority won't do", async () => {
    const gateway = await startGateway({ names: ["localhost", "plant.example"] });
    await open(gateway);
    await open(gateway, { trust: undefined });
    gateway.stop();
    const neighbour = new FakeGateway(await authority.issue({ names: ["office.example", "ip:127.0.0.1"] }));
    neighbour.port = gateway.port;
    await neighbour.start();
    onTestFinished(() => neighbour.stop());
    expect((await failure(open(neighbour, { trust: undefined }))).message).toMatch(/not for plant\.example/);
    expect(neighbour.calls).toEqual([]);
  });

  it("an impostor who steps in between the look and the calls hears nothing", async () => {
    const gateway = await startGateway();
    await open(gateway);
    const strange = await startGateway({}, stranger);
    const neighbour = await startGateway({ names: ["office.example"] });
    for (const impostor of [strange, neighbour]) {
      let connections = 0;
      const switching = createServer((socket) => {
        const port = connections++ === 0 ? gateway.port : impostor.port;
        const onwards = connect(port, "127.0.0.1");
        for (const end of [socket, onwards]) end.on("error", () => undefined);
        socket.pipe(onwards).pipe(socket);
      });
      const between = await serve(switching);
      const ca = join(folderWith({ "ca.pem": authority.pem }), "ca.pem");
      expect(await failure(open(between, { trust: undefined, ca, timeoutMs: 2_000 }))).toMatchObject({
        code: "GATEWAY_CERTIFICATE",
      });
      expect(connections).toBeGreaterThan(1);
      expect([impostor.calls, impostor.tokens.size]).toEqual([[], 0]);
    }
  });

  it("a file of pins that can't be understood is not taken for an empty one", async () => {
    const gateway = await startGateway();
    mkdirSync(join(configFolder, "edgeplug"));
    const file = join(configFolder, "edgeplug/known-gateways.json");
    for (const text of ["{", "[]", '{"x": {"fingerprint": 1}}']) {
      writeFileSync(file, text);
      expect(await failure(open(gateway))).toMatchObject({ code: "FILE_UNREADABLE" });
      expect(readFileSync(file, "utf8")).toBe(text);
    }
  });

  it("a fingerprint is understood as openssl prints it, too", () => {
    const hex = Buffer.from(authority.fingerprint.slice(7), "base64").toString("hex").toUpperCase();
    const colons = hex.replace(/..(?!$)/g, "$&:");
    for (const text of [hex, colons, `sha256 Fingerprint=${colons}`, `${authority.fingerprint}=`])
      expect(readFingerprint(text)).toBe(authority.fingerprint);
    for (const text of ["", "SHA256:", hex.slice(2), "SHA256:AAAA"])
      expect(readFingerprint(text)).toBeUndefined();
  });
});

describe("a login", () => {
  it("without any token is refused before the gateway is called, and says how to get one", async () => {
    delete process.env["EDGEPLUG_TOKEN"];
    const gateway = await startGateway();
    const error = await failure(open(gateway));
    expect(error).toMatchObject({ code: "GATEWAY_LOGIN", exit: 82 });
    expect(error.action).toContain(`edgeplug login 127.0.0.1:${gateway.port}`);
    expect(gateway.calls).toEqual([]);
  });

  it("takes the token from the file that was named, else the environment, else what was kept", async () => {
    const gateway = await startGateway();
    mkdirSync(join(configFolder, "edgeplug"));
    const kept = { [`127.0.0.1:${gateway.port}`]: "kept-token" };
    writeFileSync(join(configFolder, "edgeplug/gateway-tokens.json"), JSON.stringify(kept));
    await open(gateway, { tokenFile: join(folderWith({ token: "file-token\n" }), "token") });
    await open(gateway);
    delete process.env["EDGEPLUG_TOKEN"];
    await open(gateway);
    expect([...gateway.tokens]).toEqual(["Bearer file-token", `Bearer ${TOKEN}`, "Bearer kept-token"]);
  });

  it.each(["", "two words", "a\nb", "ü"])("refuses %j as a token", async (text) => {
    const gateway = await startGateway();
    const tokenFile = join(folderWith({ token: text }), "token");
    expect(await failure(open(gateway, { tokenFile }))).toMatchObject({ code: "GATEWAY_LOGIN" });
  });
});
