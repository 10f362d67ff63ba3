import { Agent, request } from "node:http";
import { resolve } from "node:path";

import { HarnessError } from "./board.js";
import { decodeAnswer, encodeCall } from "./xml-rpc.js";

/** Real ms that a command may take: a cold .NET compiles for long before it loads a platform. */
const LIMIT = 120_000;
/** How much of a command a message shows. */
const SHOWN = 120;

/** Renode's monitor, by its robot server: one command after the other, each with its answer. */
export class RenodeMonitor {
  // the server answers one request at a time, whatever comes
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly port: number) {}

  /** What the command prints, without colours. Throws EMULATOR_REFUSED with Renode's own words, TIMEOUT after `limit` real ms. */
  async execute(command: string, limit = LIMIT): Promise<string> {
    const body = encodeCall("run_keyword", ["ExecuteCommand", [command]]);
    const answer = decodeAnswer(await this.#post(body, command, limit));
    if (typeof answer !== "object" || Array.isArray(answer))
      throw new HarnessError("EMULATOR_REFUSED", `Renode gave no answer to: ${short(command)}`);
    if (answer["status"] === "PASS") return text(answer["return"]);
    throw new HarnessError(
      "EMULATOR_REFUSED",
      `Renode refused: ${short(command)}\n${reason(answer, command)}`,
    );
  }

  close(): void {
    this.#agent.destroy();
  }

  async #post(body: string, command: string, limit: number): Promise<string> {
    try {
      return await this.#send(body, limit);
    } catch (error) {
      if (error instanceof NoAnswer)
        throw new HarnessError(
          "TIMEOUT",
          `Renode did not come back within ${limit} ms from: ${short(command)}`,
        );
      // the server closes a connection that was idle for long; it has not read the request then
      if (!(error instanceof StaleConnection)) throw gone(error, command);
      return this.#send(body, limit).catch((again: unknown) => Promise.reject(gone(again, command)));
    }
  }

  #send(body: string, limit: number): Promise<string> {
    return new Promise((fulfil, reject) => {
      const call = request(
        {
          host: "127.0.0.1",
          port: this.port,
          method: "POST",
          path: "/",
          agent: this.#agent,
          headers: { "Content-Type": "text/xml", "Content-Length": Buffer.byteLength(body) },
        },
        (answer) => {
          let xml = "";
          answer.setEncoding("utf8");
          answer.on("data", (part: string) => (xml += part));
          answer.on("error", reject);
          answer.on("end", () => {
            if (answer.statusCode === 200) fulfil(xml);
            else reject(new Error(`its robot server answered ${answer.statusCode ?? "nothing"}`));
          });
        },
      );
      call.on("error", (error: NodeJS.ErrnoException) => {
        const stale = call.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
        reject(stale ? new StaleConnection(error.message) : error);
      });
      const timer = setTimeout(() => call.destroy(new NoAnswer()), limit);
      call.once("close", () => {
        clearTimeout(timer);
      });
      call.end(body);
    });
  }
}

class StaleConnection extends Error {}

class NoAnswer extends Error {}

function gone(cause: unknown, command: string): HarnessError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HarnessError("EMULATOR_ENDED", `Renode did not answer to: ${short(command)} (${why})`, {
    cause,
  });
}

/** Renode names the exception and repeats the command before it says what is wrong. */
function reason(answer: object, command: string): string {
  const error = "error" in answer ? text(answer.error) : "";
  return error
    .replace(/^\w*Exception: /, "")
    .replaceAll(command, short(command))
    .trim();
}

function text(value: unknown): string {
  return (typeof value === "string" ? value : "")
    .replace(/\r+\n?/g, "\n")
    .replace(/\n{2,}/g, "\n")
    .trim();
}

function short(command: string): string {
  return command.length <= SHOWN ? command : `${command.slice(0, SHOWN)}…`;
}

/** A path, or any other text, as the monitor reads it. */
export function quoted(value: string): string {
  if (/["\r\n]/.test(value))
    throw new TypeError(`Renode's monitor can't take this text: ${JSON.stringify(value)}`);
  return `"${value}"`;
}

/**
 * A file's path, from this process's folder on: Renode looks in places of its own. One that begins with @ is as the monitor
 * takes it, and may lie in Renode's own folders.
 */
export function pathOf(path: string): string {
  return path.startsWith("@") ? path : quoted(resolve(path));
}
