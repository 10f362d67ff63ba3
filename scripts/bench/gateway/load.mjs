// Clients that push to all boards of a gateway: one push after another to each board, all boards at once.
import { join } from "node:path";

import { ROOT } from "../board.mjs";
import { smallPackages } from "./packages.mjs";

const host = (path) => import(join(ROOT, "host/dist", path));

export class Load {
  /** `clients` connections over TLS, to which the boards are dealt out. */
  static async start(gateway, clients) {
    const [{ createGatewayClient }, { serializePackage }, grpc, packageOf] = await Promise.all([
      host("gateway/wire.js"),
      host("package.js"),
      import("@grpc/grpc-js"),
      smallPackages(),
    ]);
    const credentials = grpc.credentials.createSsl(gateway.ca);
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${gateway.token}`);
    const connections = Array.from({ length: Math.min(clients, gateway.boards.length) }, () =>
      createGatewayClient(`127.0.0.1:${gateway.port}`, credentials, { "grpc.use_local_subchannel_pool": 1 }),
    );
    const packages = new Map();
    const bytesOf = (release) => {
      if (!packages.has(release)) packages.set(release, serializePackage(packageOf(release)));
      return packages.get(release);
    };
    return new Load(gateway.boards, connections, metadata, bytesOf);
  }

  constructor(boards, connections, metadata, bytesOf) {
    Object.assign(this, { boards, connections, metadata, bytesOf });
    /** Pushes done, by board. */
    this.done = boards.map(() => 0);
    /** {at, ms} of each push. */
    this.times = [];
  }

  get total() {
    return this.times.length;
  }

  /** Each board until it has had `each` pushes. `onPush`: after each. `stopped`: asked before each. */
  async run(each, { onPush = () => undefined, stopped = () => false } = {}) {
    const serve = async (index) => {
      while (this.done[index] < each && !stopped()) {
        const start = performance.now();
        await this.push(index, this.done[index] + 1);
        const at = performance.now();
        this.done[index]++;
        this.times.push({ at, ms: at - start });
        onPush();
      }
    };
    await Promise.all(this.boards.map((_, index) => serve(index)));
  }

  push(index, release) {
    const client = this.connections[index % this.connections.length];
    const request = { device: this.boards[index], package: this.bytesOf(release) };
    return new Promise((resolve, reject) => {
      let last;
      const call = client.deploy(request, this.metadata);
      call.on("data", (event) => (last = event));
      call.on("error", reject);
      call.on("end", () => {
        if (last?.body === "result") resolve();
        else reject(new Error(`push ${release} to board ${index}: ${JSON.stringify(last)}`));
      });
    });
  }

  close() {
    for (const client of this.connections) client.close();
  }
}
