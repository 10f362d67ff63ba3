/** The gateway's settings: where they come from, which one counts, and what is refused. */
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { EdgePlugError } from "../../src/errors.js";
import { readConfig, type ConfigSources } from "../../src/gateway/config.js";
import { folderWith } from "../support/files.js";

const HOME = { HOME: "/home/maria" };

function fileOf(contents: string): string {
  return join(folderWith({ "gateway.toml": contents }), "gateway.toml");
}

function failure(sources: ConfigSources): EdgePlugError {
  try {
    readConfig(sources);
  } catch (error) {
    return EdgePlugError.from(error);
  }
  throw new Error("it was taken");
}

describe("the gateway's configuration", () => {
  it("has defaults for everything", () => {
    expect(readConfig({ environment: HOME })).toEqual({
      listen: { host: "0.0.0.0", port: 50051 },
      state: "/home/maria/.local/state/edgeplug-gateway",
      devices: [],
      auto: false,
      baud: 115_200,
      queue: 16,
      graceMs: 10_000,
      absenceMs: 300_000,
      metrics: { host: "127.0.0.1", port: 9464 },
      tlsCert: undefined,
      tlsKey: undefined,
      clientCa: undefined,
      names: [],
      connections: 256,
    });
  });

  it("takes a flag before the environment, and the environment before the file", () => {
    const file = fileOf(`queue = 1\ngrace = 1\nbaud = 9600\ndevice = ["/dev/ttyS0"]\n`);
    const environment = { ...HOME, EDGEPLUG_GATEWAY_QUEUE: "2", EDGEPLUG_GATEWAY_GRACE: "2" };
    expect(readConfig({ flags: { queue: "3" }, environment, file })).toMatchObject({
      queue: 3,
      graceMs: 2_000,
      baud: 9_600,
      devices: ["/dev/ttyS0"],
    });
  });

  it("reads lists from the environment with commas, and the file's name too", () => {
    const file = fileOf(`auto = true\nmetrics = "off"\nlisten = "[::1]:0"\n`);
    const environment = {
      ...HOME,
      EDGEPLUG_GATEWAY_DEVICE: "sim:, /dev/ttyUSB0",
      EDGEPLUG_GATEWAY_CONFIG: file,
    };
    expect(readConfig({ environment })).toMatchObject({
      devices: ["sim:", "/dev/ttyUSB0"],
      auto: true,
      metrics: undefined,
      listen: { host: "::1", port: 0 },
    });
  });

  it.each([
    ["an unknown key in the file", { file: fileOf("lisen = 5\n") }, "lisen in "],
    ["an unknown variable", { environment: { EDGEPLUG_GATEWAY_LISEN: "x" } }, "EDGEPLUG_GATEWAY_LISEN"],
    ["a file that is no TOML", { file: fileOf("queue = = 1\n") }, "line 1"],
    ["a text for a number", { environment: { EDGEPLUG_GATEWAY_QUEUE: "many" } }, "EDGEPLUG_GATEWAY_QUEUE"],
    ["a number out of range", { flags: { queue: "0" } }, "--queue"],
    ["a number for a list", { file: fileOf("device = 1\n") }, "device in "],
    ["an address without port", { flags: { listen: "localhost" } }, "--listen"],
    ["a port that there isn't", { flags: { listen: "localhost:70000" } }, "--listen"],
    ["neither true nor false", { environment: { EDGEPLUG_GATEWAY_AUTO: "maybe" } }, "EDGEPLUG_GATEWAY_AUTO"],
    ["a certificate without its key", { flags: { tls_cert: "a.pem" } }, "tls_key"],
  ])("refuses %s, and names it", (_what, sources: ConfigSources, named) => {
    const error = failure({ environment: HOME, ...sources });
    expect(error).toMatchObject({ code: "GATEWAY_CONFIG" });
    expect(error.message).toContain(named);
  });

  it("leaves alone what a container platform sets for a service of that name", () => {
    const environment = {
      ...HOME,
      EDGEPLUG_GATEWAY_SERVICE_HOST: "10.0.0.1",
      EDGEPLUG_GATEWAY_PORT: "tcp://10.0.0.1:50051",
      EDGEPLUG_GATEWAY_PORT_50051_TCP: "tcp://10.0.0.1:50051",
    };
    expect(readConfig({ environment })).toMatchObject({ listen: { port: 50051 } });
  });

  it("that names a file which isn't there says so", () => {
    expect(failure({ environment: HOME, file: "/nowhere/gateway.toml" })).toMatchObject({
      code: "FILE_NOT_FOUND",
    });
  });
});
