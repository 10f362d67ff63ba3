/** Health and reflection, by callers that know nothing of the gateway but its address: no proto file of ours is read here. */
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import * as grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromObject, loadSync, type PackageDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { folderWith } from "../support/files.js";
import { TestGateway, type Caller } from "../support/test-gateway.js";

const SERVICE = "edgeplug.gateway.v1.Gateway";
const require = createRequire(import.meta.url);
const HEALTH_PROTO = join(
  dirname(require.resolve("grpc-health-check")),
  "../../proto/health/v1/health.proto",
);
const REFLECTION_PROTO = join(
  dirname(require.resolve("@grpc/reflection")),
  "../proto/grpc/reflection/v1/reflection.proto",
);

let gateway: TestGateway;
let viewer: Caller;
let nobody: Caller;
let board = "";

beforeAll(async () => {
  gateway = await TestGateway.start();
  viewer = gateway.caller("viewer");
  nobody = gateway.caller("viewer");
  nobody.metadata.remove("authorization");
  [board = ""] = await gateway.boards();
});
afterAll(() => gateway.stop());

function method(
  definitions: PackageDefinition,
  service: string,
  name: string,
): grpc.MethodDefinition<object, object> {
  return (definitions[service] as grpc.ServiceDefinition)[name] as grpc.MethodDefinition<object, object>;
}

/** One call by its definition, whoever gave it. */
function invoke(
  caller: Caller,
  { path, ...definition }: grpc.MethodDefinition<object, object>,
  request: object,
): Promise<object> {
  return new Promise((resolve, reject) => {
    caller.client.makeUnaryRequest(
      path,
      definition.requestSerialize,
      definition.responseDeserialize,
      request,
      caller.metadata,
      {},
      (error, reply) => (error === null ? resolve(reply ?? {}) : reject(error)),
    );
  });
}

/** What reflection answers to one question. */
function ask(caller: Caller, question: object): Promise<Record<string, unknown>> {
  const definitions = loadSync(REFLECTION_PROTO, { keepCase: true, oneofs: true, defaults: true });
  const { path, requestSerialize, responseDeserialize } = method(
    definitions,
    "grpc.reflection.v1.ServerReflection",
    "ServerReflectionInfo",
  );
  return new Promise((resolve, reject) => {
    const stream = caller.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      caller.metadata,
      {},
    );
    stream.on("data", (reply: Record<string, unknown>) => {
      stream.end();
      resolve(reply);
    });
    stream.on("error", reject);
    stream.write(question);
  });
}

describe("health", () => {
  const definitions = loadSync(HEALTH_PROTO, { keepCase: true, enums: String });
  const check = (caller: Caller, service: string): Promise<object> =>
    invoke(caller, method(definitions, "grpc.health.v1.Health", "Check"), { service });

  it("is told without a login, for the server and for the service", async () => {
    expect(await check(nobody, "")).toEqual({ status: "SERVING" });
    expect(await check(nobody, SERVICE)).toEqual({ status: "SERVING" });
    await expect(check(nobody, "no.such.Service")).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
  });
});

describe("reflection", () => {
  it("asks for a login", async () => {
    await expect(ask(nobody, { list_services: "*" })).rejects.toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
    });
  });

  it("names the service", async () => {
    const reply = await ask(viewer, { list_services: "*" });
    expect(JSON.stringify(reply)).toContain(SERVICE);
  });

  it("tells enough to call it, so that a generic client needs no proto file", async () => {
    const files = new Map<string, Buffer>();
    const collect = async (question: object): Promise<void> => {
      const reply = await ask(viewer, question);
      const { file_descriptor_proto: list } = reply["file_descriptor_response"] as {
        file_descriptor_proto: Buffer[];
      };
      for (const bytes of list) {
        const file = decodeFile(bytes);
        if (files.has(file.name)) continue;
        files.set(file.name, bytes);
        for (const dependency of file.dependency ?? []) {
          if (!files.has(dependency)) await collect({ file_by_filename: dependency });
        }
      }
    };
    await collect({ file_containing_symbol: SERVICE });
    const set = { file: [...files.values()].map(decodeFile) };
    const definitions = loadFileDescriptorSetFromObject(set, { defaults: true, enums: String });
    const list = await invoke(viewer, method(definitions, SERVICE, "ListDevices"), {});
    expect(list).toMatchObject({ devices: [{ id: board, state: "DEVICE_STATE_READY" }] });
    const status = await invoke(viewer, method(definitions, SERVICE, "GetStatus"), { device: board });
    expect(status).toMatchObject({ safeMode: true });
    await expect(
      invoke(viewer, method(definitions, SERVICE, "Rollback"), { device: board }),
    ).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
  });
});

interface FileDescriptor {
  name: string;
  dependency?: string[];
}

/** By protobufjs' own descriptor of descriptors. */
function decodeFile(bytes: Buffer): FileDescriptor {
  const type = protobuf.Root.fromJSON(
    require("protobufjs/google/protobuf/descriptor.json") as protobuf.INamespace,
  ).lookupType("google.protobuf.FileDescriptorProto");
  return type.toObject(type.decode(bytes)) as FileDescriptor;
}

const hasGrpcurl = spawnSync("grpcurl", ["-version"]).error === undefined;

describe.skipIf(!hasGrpcurl)("grpcurl (skipped where none is installed)", () => {
  it("lists the service and calls it", () => {
    const ca = join(folderWith({ "ca.pem": gateway.running.caPem }), "ca.pem");
    writeFileSync(ca, gateway.running.caPem);
    const [token] = viewer.metadata.get("authorization");
    const base = ["-cacert", ca, "-H", `authorization: ${String(token)}`];
    const run = (...args: string[]): string =>
      execFileSync("grpcurl", [...base, ...args], { encoding: "utf8" });
    expect(run(gateway.address, "list")).toContain(SERVICE);
    expect(run("-d", "{}", gateway.address, `${SERVICE}/ListDevices`)).toContain(board);
  });
});
