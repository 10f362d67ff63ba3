import { crc32 } from "node:zlib";

import { simulate } from "@edgeplug/testing";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url);

test("requests of every size get their CRC-32", async () => {
  const agent = await simulate(folder);
  for (let size = 0; size <= 512; size++) {
    const request = Uint8Array.from({ length: size }, (_, at) => at * size);
    const reply = Buffer.from(agent.request(request).bytes);
    expect(reply.readUInt32BE()).toBe(crc32(request));
  }
});

test("a text is taken as UTF-8", async () => {
  const agent = await simulate(folder);
  expect(Buffer.from(agent.request("123456789").bytes).toString("hex")).toBe("cbf43926");
});
