// A process that fails to log in, so many times a second, over a few connections that it keeps: as cheap for itself as it
// gets, so that it takes little of the processors that the gateway runs on.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const PATH = "/edgeplug.gateway.v1.Gateway/GetGateway";
const EMPTY_MESSAGE = Buffer.alloc(5);
const STEP_MS = 10;
/** Calls that may be without an answer. HTTP/2 lets fewer through at a time; the rest waits here, as an attacker's would. */
const MOST_OPEN = 20_000;

const [port, caFile, rate, connections] = process.argv.slice(2);
const ca = readFileSync(caFile);
let sessions = [];

function connectAll() {
  sessions = Array.from({ length: Number(connections) }, () => connect(`https://localhost:${port}`, { ca }));
  for (const session of sessions)
    session.on("error", (error) => console.error(`failed logins: ${error.message}`));
}

let [sent, answered, open, running, due] = [0, 0, 0, false, 0];
const statuses = {};

function fail() {
  const session = sessions[sent++ % sessions.length];
  open++;
  const call = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer epg_${randomBytes(32).toString("base64url")}`,
  });
  const note = (headers) => {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    answered++;
    statuses[status] = (statuses[status] ?? 0) + 1;
  };
  call.on("response", note);
  call.on("trailers", note);
  call.on("error", () => undefined);
  call.on("close", () => open--);
  call.resume();
  call.end(EMPTY_MESSAGE);
}

setInterval(() => {
  if (!running) return;
  due = Math.min(due + (Number(rate) * STEP_MS) / 1000, Number(rate) / 10);
  while (due >= 1 && open < MOST_OPEN) {
    due--;
    fail();
  }
}, STEP_MS);

process.on("message", (message) => {
  if (message === "start") {
    connectAll();
    [running, due] = [true, 0];
  }
  if (message === "stop") {
    running = false;
    for (const session of sessions) session.destroy(); // what waits is not to be answered in the next segment
  }
  if (message === "count") process.send({ sent, answered, statuses });
});
process.on("disconnect", () => process.exit());
