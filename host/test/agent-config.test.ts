import { describe, expect, it } from "vitest";

import { parseAgentConfig, readAgentConfig } from "../src/agent/config.js";
import { EdgePlugError } from "../src/errors.js";
import { folderWith } from "./support/files.js";

const MINIMAL = { name: "a", version: "1", release: 1 };

function refusal(value: unknown): string {
  try {
    parseAgentConfig(value);
    return "nothing";
  } catch (error) {
    if (!(error instanceof EdgePlugError)) throw error;
    expect(error.code).toBe("AGENT_CONFIG");
    return error.message;
  }
}

describe("agent.json", () => {
  it("needs a name, a version and a release; the rest has defaults", () => {
    const config = parseAgentConfig(MINIMAL);
    expect(config).toMatchObject({
      kind: "control",
      board: "any",
      onTrap: "hold",
      securityVersion: 0,
      scanDivider: 1,
      checkScans: 10_000,
      limits: { memory: 4096, stackSlots: 128, callDepth: 16, ioBuffer: 0 },
    });
    expect(config.limits.fuel).toBeUndefined();
    expect(parseAgentConfig({ ...MINIMAL, kind: "request" }).limits.ioBuffer).toBe(512);
    for (const field of Object.keys(MINIMAL))
      expect(refusal({ ...MINIMAL, [field]: undefined })).toContain(`agent.json: ${field}: expected`);
  });

  it.each<[object, string]>([
    [{ name: "" }, "name: expected a text that is not empty"],
    [{ name: "ä".repeat(11) }, "name: expected at most 20 bytes of text, found 22 bytes"],
    [{ version: 1 }, "version: expected a text, found 1"],
    [{ release: 0 }, "release: expected a whole number from 1 to 4294967295, found 0"],
    [{ release: 1.5 }, "release: expected a whole number"],
    [{ release: "1" }, 'release: expected a whole number from 1 to 4294967295, found "1"'],
    [{ kind: "plc" }, 'kind: expected one of "control", "request", found "plc"'],
    [{ board: "esp32" }, 'board: expected one of "any", "sim", "qemu", "stm32l552"'],
    [{ onTrap: true }, "onTrap: expected one of"],
    [{ inputs: {} }, "inputs: expected a list, found {}"],
    [{ inputs: [{}] }, "inputs[0].name: expected a text, it is missing"],
    [{ inputs: new Array(9).fill({ name: "x", min: 0, max: 1 }) }, "inputs: expected at most 8 entries"],
    [{ inputs: [{ name: "x", min: 0, max: 1, slew: 1 }] }, "inputs[0].slew is no field"],
    [{ outputs: new Array(7).fill({ name: "x", min: 0, max: 1 }) }, "outputs: expected at most 6 entries"],
    [{ outputs: [{ name: "x", min: 2, max: 1 }] }, "outputs[0].min: expected at most max (1), found 2"],
    [
      { outputs: [{ name: "x", min: 0, max: 1, failSafe: 2 }] },
      "outputs[0].failSafe: expected a number from 0 to 1",
    ],
    [
      { outputs: [{ name: "x", min: 0, max: 1, slew: -1 }] },
      "outputs[0].slew: expected a number of at least 0",
    ],
    [{ limits: { memory: 12 } }, "limits.memory: expected a multiple of 8, found 12"],
    [{ limits: { memory: 20_000 } }, "limits.memory: expected a whole number from 0 to 16384"],
    [{ limits: { fule: 12 } }, "limits.fule is no field"],
    [{ limits: [] }, "limits: expected an object, found []"],
    [
      { kind: "request", limits: { ioBuffer: 0 } },
      "limits.ioBuffer: expected at least 1 for a request agent",
    ],
    [{ stateId: 1 }, "stateId: state passes through the io buffer"],
    [{ trial: { attempts: 4 } }, "trial.attempts: expected a whole number from 0 to 3"],
    [
      { trial: { healthyScans: 500, deadlineScans: 400 } },
      "trial.healthyScans: expected at most the deadline of 400",
    ],
    [{ trial: { confirmByHost: 1 } }, "trial.confirmByHost: expected true or false"],
    [{ scanDivider: 0 }, "scanDivider: expected a whole number from 1"],
    [{ vectors: [{ inputs: [1] }] }, "vectors[0].inputs: expected at most 0 entries"],
    [{ vectors: [{ request: "text:" }] }, "vectors[0].request is no field"],
    [
      { kind: "request", vectors: [{ request: "abc", reply: "hex:" }] },
      'vectors[0].request: expected "hex:"',
    ],
    [
      { kind: "request", vectors: [{ request: "hex:abc", reply: "hex:" }] },
      'vectors[0].request: expected "hex:"',
    ],
    [
      { kind: "request", vectors: [{ request: `text:${"x".repeat(129)}`, reply: "hex:" }] },
      "vectors[0].request: expected at most 128 bytes, found 129",
    ],
    [{ colour: "red" }, "colour is no field that EdgePlug knows"],
  ])("with %j is refused by name", (changes, message) => {
    expect(refusal({ ...MINIMAL, ...changes })).toContain(message);
  });

  it.each([[null], [[]], ["text"], [1]])("that is %j is refused", (value) => {
    expect(refusal(value)).toContain("expected an object");
  });

  it("is refused when it is no JSON, and missed when it isn't there", async () => {
    await expect(readAgentConfig(folderWith({ "agent.json": "{,}" }))).rejects.toMatchObject({
      code: "AGENT_CONFIG",
    });
    await expect(readAgentConfig(folderWith())).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(readAgentConfig(folderWith({ "agent.json/x": "" }))).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
  });
});
