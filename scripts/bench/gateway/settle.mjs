// Loaded into the gateway's process before its command: collects garbage when it is told to, so that what is left is memory
// in use. Needs --expose-gc.
process.on("message", async (message) => {
  if (message !== "settle") return;
  for (let round = 0; round < 4; round++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50)); // finalizers run in between
  }
  const { heapUsed, external } = process.memoryUsage();
  process.send({ heapUsed, external });
});
process.channel.unref();
