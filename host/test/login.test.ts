/** `edgeplug login` and the question of trust, as a user meets them: by pipe and on a terminal. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { EdgePlugError } from "../src/errors.js";
import { toServiceError } from "../src/gateway/wire.js";
import { Authority } from "./support/authority.js";
import { BOARD, FakeGateway, TOKEN } from "./support/fake-gateway.js";
import { folderWith } from "./support/files.js";

const EDGEPLUG = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const TERMINAL = fileURLToPath(new URL("support/terminal.py", import.meta.url));

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

let authority: Authority;
beforeAll(async () => {
  authority = await Authority.create();
});

/** Takes TOKEN and no other. */
async function startGateway(): Promise<FakeGateway> {
  const gateway = new FakeGateway(await authority.issue());
  gateway.handlers = {
    getGateway: (call, callback) => {
      const [given] = call.metadata.get("authorization");
      gateway.tokens.add(String(given));
      if (given === `Bearer ${TOKEN}`) callback(null, { version: "0.1.0", login: "maria", role: 2 });
      else callback(toServiceError(new EdgePlugError("GATEWAY_LOGIN")));
    },
  };
  await gateway.start();
  onTestFinished(() => gateway.stop());
  return gateway;
}

function run(home: string, program: string, args: readonly string[], input = ""): Promise<Run> {
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, EDGEPLUG_TOKEN: "", EDGEPLUG_DEVICE: "" };
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const result: Run = { code: -1, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (result.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (result.stderr += text));
  child.stdin.on("error", () => undefined); // who asks nothing reads nothing
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ ...result, code: code ?? -1 }));
  });
}

const edgeplug = (home: string, args: readonly string[], input?: string): Promise<Run> =>
  run(home, process.execPath, [EDGEPLUG, ...args], input);

/** On a terminal; answers in pairs of prompt and what is typed. */
const typing = (home: string, answers: readonly string[], args: readonly string[]): Promise<Run> =>
  run(home, "python3", [TERMINAL, ...answers, "--", process.execPath, EDGEPLUG, ...args]);

const tokensIn = (home: string): string => join(home, "edgeplug/gateway-tokens.json");
const pinsIn = (home: string): string => join(home, "edgeplug/known-gateways.json");

describe("edgeplug login", () => {
  it("keeps a token that the gateway took, for its owner's eyes only, and logout forgets it", async () => {
    const gateway = await startGateway();
    const home = folderWith();
    const name = `127.0.0.1:${gateway.port}`;
    const login = await edgeplug(home, ["login", name, "--trust", authority.fingerprint], `${TOKEN}\n`);
    expect(login).toEqual({ code: 0, stdout: `logged in at ${name} as maria (operator)\n`, stderr: "" });
    expect(JSON.parse(readFileSync(tokensIn(home), "utf8"))).toEqual({ [name]: TOKEN });
    expect(statSync(tokensIn(home)).mode & 0o777).toBe(0o600);
    const keys = await edgeplug(home, ["board", "keys", "list", "--device", `${name}/${BOARD}`, "--json"]);
    expect(keys).toMatchObject({ code: 0, stderr: "" });
    expect(gateway.calls).toContain("listKeys");
    expect((await edgeplug(home, ["logout", name, "--all"])).code).toBe(0);
    expect([
      JSON.parse(readFileSync(tokensIn(home), "utf8")),
      JSON.parse(readFileSync(pinsIn(home), "utf8")),
    ]).toEqual([{}, {}]);
  });

  it("keeps no token that the gateway refuses, and none that is none", async () => {
    const gateway = await startGateway();
    const home = folderWith();
    const args = ["login", `127.0.0.1:${gateway.port}`, "--trust", authority.fingerprint];
    for (const input of ["wrong-token\n", "", "two\nlines\n"]) {
      const refused = await edgeplug(home, args, input);
      expect(refused.code).toBe(82);
      expect(refused.stderr).toMatch(/^error EP8003: .+\n {2}try: .+\n$/);
    }
    expect(existsSync(tokensIn(home))).toBe(false);
    expect([...gateway.tokens]).toEqual(["Bearer wrong-token"]);
  });

  it("tells nobody the token before the gateway is trusted", async () => {
    const gateway = await startGateway();
    const home = folderWith();
    const refused = await edgeplug(home, ["login", `127.0.0.1:${gateway.port}`], `${TOKEN}\n`);
    expect(refused.code).toBe(81);
    expect(refused.stderr).toContain(`--trust ${authority.fingerprint} once`);
    expect([gateway.tokens.size, existsSync(pinsIn(home))]).toEqual([0, false]);
  });

  it("on a terminal asks for trust first, with the fingerprint, then for the token without showing it", async () => {
    const gateway = await startGateway();
    const home = folderWith();
    const name = `127.0.0.1:${gateway.port}`;
    const answers = ["[y/N]", "y", "Token:", TOKEN];
    const login = await typing(home, answers, ["login", name]);
    expect(login.code).toBe(0);
    expect(login.stdout).toContain(authority.fingerprint);
    expect(login.stdout).toContain("localhost, 127.0.0.1");
    expect(login.stdout).toContain("as maria (operator)");
    expect(login.stdout).not.toContain(TOKEN);
    expect((await typing(home, ["Token:", TOKEN], ["login", name])).code).toBe(0);
  });

  it.each([
    ["no", 81],
    ["", 81],
    ["^C", 130],
  ])("takes the answer %j for no", async (answer, code) => {
    const gateway = await startGateway();
    const home = folderWith();
    const refused = await typing(home, ["[y/N]", answer], ["login", `127.0.0.1:${gateway.port}`]);
    expect(refused.code).toBe(code);
    expect([gateway.tokens.size, existsSync(pinsIn(home))]).toEqual([0, false]);
  });

  it("that waits for a token on a pipe ends at the first Ctrl-C", async () => {
    const gateway = await startGateway();
    const home = folderWith();
    const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home };
    const args = [EDGEPLUG, "login", `127.0.0.1:${gateway.port}`, "--trust", authority.fingerprint];
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "ignore", "ignore"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    // trust is settled before the token is read
    while (!existsSync(pinsIn(home))) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill("SIGINT");
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130);
  });

  it.each(["plant", "sim:", "plant:50051/3f2a"])("%s is no gateway to log in at", async (name) => {
    expect((await edgeplug(folderWith(), ["login", name])).code).toBe(2);
  });
});
