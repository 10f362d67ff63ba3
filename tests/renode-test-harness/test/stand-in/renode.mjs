// Stands in for Renode where there is none: its command line, its robot server, its monitor as far as the harness uses it. What it
// is told is written into STAND_IN_LOG, a JSON text a line. STAND_IN is JSON too: { "refuse": { command start: text },
// "die": command start, "hang": command start, "mute": true, "slow": ms }.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const behaviour = JSON.parse(process.env.STAND_IN ?? "{}");

function note(entry) {
  if (process.env.STAND_IN_LOG) appendFileSync(process.env.STAND_IN_LOG, `${JSON.stringify(entry)}\n`);
}

if (process.argv.includes("--version")) {
  process.stdout.write("Renode v1.16.1.4242\n  build: stand-in\n");
  process.exit(0);
}

note({ arguments: process.argv.slice(2), pid: process.pid, temporary: process.env.TMPDIR });
if (behaviour.say) process.stderr.write(`${behaviour.say}\n`);
if (behaviour.exit !== undefined) process.exit(behaviour.exit);

// ---- the board: answers each line by itself with "> " before it -------------------------------------

const files = new Map();
let flash = Buffer.alloc(0);
let arrived = "";
let waiting = Buffer.alloc(0);
let time = 0;
let said = false;
let operations = 0;
let cut;
let powered = false;
let log;

function out(name, text) {
  const path = files.get(name);
  said ||= name === "sysbus.lpuart1";
  if (path !== undefined) appendFileSync(path, text, "latin1");
}

function boot(cause) {
  arrived = "";
  out("sysbus.lpuart1", `ready ${cause}\n`);
}

/** µs: it answers at once, and what it says ends a step. */
function run(most, after) {
  said = false;
  hear();
  const passed = said ? Math.min(most, 1000 + after) : most;
  time += passed;
  return passed;
}

function hear() {
  arrived += waiting.toString("latin1");
  waiting = Buffer.alloc(0);
  for (let end = arrived.indexOf("\n"); powered && end >= 0; end = arrived.indexOf("\n")) {
    const line = arrived.slice(0, end);
    arrived = arrived.slice(end + 1);
    serve(line);
  }
}

function serve(line) {
  if (line === "hang") {
    out("sysbus.events", "reset watchdog\n");
    boot("watchdog");
  } else if (line === "break a rule") {
    out("sysbus.events", "violation program of 0x08000000: already programmed since the last erase\n");
  } else if (line === "lose the core") {
    out("sysbus.events", "violation the core can't go on, see the log\n");
  } else if (line === "program") {
    operations++;
    if (cut?.at === operations) {
      powered = false;
      out("sysbus.events", `cut ${operations} ${cut.moment}\n`);
      return;
    }
    flash[0] = operations;
    out("sysbus.lpuart1", "done\n");
  } else {
    out("sysbus.lpuart1", `> ${line}\n`);
    out("sysbus.trace", Buffer.from([line.length, 0, 0, 0]).toString("latin1"));
  }
}

// ---- the monitor -----------------------------------------------------------------------------------

function hex(number) {
  return `0x${number.toString(16).toUpperCase().padStart(8, "0")}\r\r\n`;
}

const COMMANDS = [
  [/^logFile "(.*)" true$/, (path) => void writeFileSync((log = path), "the log's first line\n")],
  [
    /^(\S+) CreateFileBackend "(.*)" true$/,
    (name, path) => void (files.set(name, path), writeFileSync(path, "")),
  ],
  [/^emulation CreateHostLine "hostLine" \d+$/, () => ""],
  [
    /^hostLine Send "([0-9a-f]*)"$/,
    (text) => void (waiting = Buffer.concat([waiting, Buffer.from(text, "hex")])),
  ],
  [/^hostLine Clear$/, () => void (waiting = Buffer.alloc(0))],
  [/^hostLine Run (\d+) (\d+)$/, (most, after) => hex(run(Number(most), Number(after)))],
  [/^emulation RunFor "(.*)"$/, (seconds) => void run(Number(seconds) * 1e6, Infinity)],
  [/^sysbus\.flashController LoadImage "(.*)"$/, (path) => void (flash = readFileSync(path))],
  [/^sysbus\.flashController SaveImage "(.*)"$/, (path) => void writeFileSync(path, flash)],
  [/^sysbus\.flashController Operations$/, () => hex(operations)],
  [
    /^sysbus\.flashController CutAt (\d+) "(\w+)" (\d+)$/,
    (n, moment) => void (cut = { at: operations + Number(n), moment }),
  ],
  [/^sysbus\.flashController CancelCut$/, () => void (cut = undefined)],
  [/^sysbus\.flashController PowerOff$/, () => void (powered = false)],
  [
    /^sysbus\.flashController PowerOn$/,
    () => void ((powered = true), (waiting = Buffer.alloc(0)), boot("power")),
  ],
  [/^sysbus\.rcc PinReset$/, () => void (out("sysbus.events", "reset pin\n"), boot("pin"))],
  [/^sysbus LoadELF "(.*)"$/, (path) => (existsSync(path) ? "" : refuse(`File does not exist: ${path}`))],
  [/^sysbus\.pwm Duty (\d)$/, (channel) => `${10 * channel}.5\r\n`],
  [
    /^sysbus ReadBytes 0x([0-9a-f]+) (\d+)$/,
    (address, count) =>
      `[\r\r\n${Array.from({ length: Number(count) }, (_, i) => `0x${((Number.parseInt(address, 16) + i) & 255).toString(16).padStart(2, "0").toUpperCase()}, `).join("")}\r\r\n]\r\r\n`,
  ],
  [
    /^sysbus SaveMemory 0x([0-9a-f]+) (\d+) @?"?([^"]*)"?$/,
    (address, count, path) =>
      void writeFileSync(
        path,
        Uint8Array.from({ length: Number(count) }, (_, i) => Number.parseInt(address, 16) + i),
      ),
  ],
  [/^(include|mach|machine|macro|emulation|connector|logLevel|sysbus) .*$/, () => ""],
  [/^sysbus\.(cpu VectorTableOffset|adc SetVoltage) .*$/, () => ""],
  [/^colours$/, () => "<a & b>\r\n"],
];

class Refused extends Error {}

function refuse(text) {
  throw new Refused(text);
}

function execute(command) {
  for (const [start, text] of Object.entries(behaviour.refuse ?? {}))
    if (command.startsWith(start)) refuse(text);
  for (const [pattern, run] of COMMANDS) {
    const match = pattern.exec(command);
    if (match) return run(...match.slice(1)) ?? "";
  }
  return refuse(`No such command or device: ${command.split(" ")[0]}`);
}

// ---- the robot server ------------------------------------------------------------------------------

function escape(text) {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("\r", "&#xD;");
}

function struct(members) {
  const parts = Object.entries(members).map(
    ([name, text]) =>
      `<member>\n<name>${name}</name>\n<value>${text === "" ? "<string />" : `<string>${escape(text)}</string>`}</value>\n</member>`,
  );
  return `<?xml version="1.0"?>\n<methodResponse><params><param><value><struct>${parts.join("\n")}</struct></value></param></params></methodResponse>`;
}

function answer(command) {
  try {
    return struct({ return: execute(command), status: "PASS" });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const text = `KeywordException: Could not execute command '${command}': ${error.message}\r\n\n`;
    return struct({ status: "FAIL", error: text, traceback: "at somewhere" });
  }
}

function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const strings = [...body.matchAll(/<string>([\s\S]*?)<\/string>/g)].map(([, text]) => unescape(text));
    const [keyword, command = ""] = strings;
    note({ keyword, command, time });
    if (behaviour.die !== undefined && command.startsWith(behaviour.die)) {
      if (log !== undefined) appendFileSync(log, "the log's last words\n");
      process.stderr.write("it has fallen over\n");
      process.exit(3);
    }
    if (behaviour.hang !== undefined && command.startsWith(behaviour.hang)) return;
    response.setHeader("Content-Type", "text/xml");
    response.end(answer(command));
  });
});

if (!behaviour.mute) {
  server.listen(0, "127.0.0.1", () => {
    const folder = join(process.env.TMPDIR, `renode-${process.pid}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "robot_port"), String(server.address().port));
  });
}
setInterval(() => undefined, 1000);
