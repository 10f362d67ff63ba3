// An update of a full slot in virtual time: flash times of RM0438, the line at 115,200 baud, and the main loop's work
// charged by instruction counts at 30 % of 110 MHz. Nothing here depends on the machine.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "./board.mjs";

const BAUD = 115_200;
const FULL_SLOT = 13_824;
const host = (path) => import(join(ROOT, "host/dist", path));

/** The module with a custom section behind it, so that it fills the slot to the byte. */
function filled(wasm) {
  const missing = FULL_SLOT - wasm.length;
  if (missing === 0) return wasm;
  if (missing < 6 || missing > 129)
    throw new RangeError(`${missing} bytes can't be filled by one short section`);
  const section = Buffer.alloc(missing);
  section.set([0, missing - 2, 3, ...Buffer.from("pad")]);
  return Buffer.concat([wasm, section]);
}

async function packageOf(folder, secretKey, change = (wasm) => wasm) {
  const { packAgent } = await host("index.js");
  const built = join(ROOT, "build/agents", folder);
  const { config } = await readBuilt(built);
  return packAgent(config, Uint8Array.from(change(readFileSync(join(built, "agent.wasm")))), { secretKey });
}

async function readBuilt(folder) {
  const { readAgentConfig } = await host("index.js");
  return { config: await readAgentConfig(folder) };
}

async function push(session, pkg, onStep = () => undefined) {
  const run = session.push(pkg, { timestamp: 1 });
  for (;;) {
    const step = await run.next();
    if (step.done === true) return step.value;
    onStep(step.value);
  }
}

/** {payload, wireBytes, wireMs, stagedMs, transferMs, verifyMs, ratio, scansMissed, erases, programs, steps} */
export async function measureUpdate() {
  const [{ SimBoard }, { SimTransport }, { DeviceSession }, signing] = await Promise.all([
    import("@edgeplug/sim"),
    host("transports/sim.js"),
    host("session/session.js"),
    host("signing.js"),
  ]);
  const secretKey = new Uint8Array(32).fill(7);
  const board = await SimBoard.create({ geometry: "l5", seed: 1, serial: { baud: BAUD } });
  const transport = new SimTransport("sim:", board, BAUD);
  const session = await DeviceSession.connect(transport);
  try {
    await session.addKey("publisher", signing.publicKeyOf(secretKey));
    await push(session, await packageOf("pid-biquad", secretKey));
    const pkg = await packageOf("waveform-classifier", secretKey, filled);
    const before = await session.status();
    const { counters } = session.connection;
    const bytesBefore = counters.bytesSent;
    let wireBytes = 0;
    const start = board.milliseconds;
    const steps = [];
    const result = await push(session, pkg, (step) => {
      steps.push({ at: board.milliseconds - start, ...step });
      // Begin and chunks; what comes later only asks how far the board is
      if (step.step === "begin" || step.step === "sending") wireBytes = counters.bytesSent - bytesBefore;
    });
    const after = await session.status();
    const wireMs = (wireBytes * 10_000) / BAUD;
    return {
      payload: pkg.payload.length,
      payloadBytesSent: result.payloadBytesSent,
      wireBytes,
      wireMs,
      transferMs: result.transferMs,
      stagedMs: result.stagedMs,
      verifyMs: result.stagedMs - result.transferMs,
      ratio: result.stagedMs / wireMs,
      scansMissed: after.counters.scansMissed - before.counters.scansMissed,
      signature: after.active.signature,
      steps,
    };
  } finally {
    await session.close();
  }
}
