/** Everything but the push: questions to a board, and ways back. */
import { access, readFile, rename, writeFile } from "node:fs/promises";

import {
  agentLine,
  helloLines,
  helloRecord,
  hex,
  historyLine,
  historyRecord,
  slotName,
  slotRecord,
  slotText,
  statusLines,
  statusRecord,
  type BoardSession,
  type CommandOptions,
  type RequestOptions,
} from "edgeplug/device";
import { EdgePlugError } from "edgeplug/errors";

import { count } from "./progress.js";
import type { Report } from "./report.js";

export async function info(session: BoardSession, report: Report, options: RequestOptions): Promise<void> {
  const status = await session.status(options);
  const slots = await session.slots(options);
  for (const [label, text] of helloLines(session.hello)) report.line(label, text);
  report.line(...agentLine(status));
  for (const [index, slot] of slots.entries()) report.line(`slot ${slotName(index)}`, slotText(slot));
  report.record({
    event: "info",
    ...helloRecord(session.hello),
    safeMode: status.safeMode,
    activeSlot: status.active === null ? null : slotName(status.activeSlot),
    slots: slots.map(slotRecord),
  });
}

export async function status(session: BoardSession, report: Report, options: RequestOptions): Promise<void> {
  const now = await session.status(options);
  for (const [label, text] of statusLines(now)) report.line(label, text);
  report.record({ event: "status", ...statusRecord(now) });
}

export async function history(session: BoardSession, report: Report, options: RequestOptions): Promise<void> {
  for (const entry of await session.history(options)) {
    report.line(...historyLine(entry), { event: "history", ...historyRecord(entry) });
  }
}

export async function rollback(
  session: BoardSession,
  report: Report,
  options: CommandOptions & { allowDowngrade: boolean },
): Promise<void> {
  const { allowDowngrade, ...rest } = options;
  const now = await session.execute({ kind: "rollback", allowDowngrade }, rest);
  const agent =
    now.active === null
      ? "no agent"
      : `${now.active.name} ${now.active.version} (swap ${now.active.swapNumber})`;
  report.success("running", `${agent} runs again`, { event: "result", ok: true, ...statusRecord(now) });
}

export async function abort(session: BoardSession, report: Report, options: CommandOptions): Promise<void> {
  const now = await session.execute({ kind: "abort" }, options);
  report.success("aborted", agentLine(now)[1], { event: "result", ok: true, ...statusRecord(now) });
}

export async function confirm(session: BoardSession, report: Report, options: CommandOptions): Promise<void> {
  const now = await session.execute({ kind: "confirm" }, options);
  report.success("confirmed", agentLine(now)[1], { event: "result", ok: true, ...statusRecord(now) });
}

/** Looks before the board is asked: a refusal should not cost a transfer. */
export async function checkSaveTarget(file: string, force: boolean): Promise<void> {
  if (force) return;
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) throw new EdgePlugError("FILE_EXISTS", `${file} exists already.`);
}

export async function save(
  session: BoardSession,
  report: Report,
  options: RequestOptions & { file: string },
): Promise<void> {
  const saved = await session.save(options);
  // Whole or not at all, also if the disk is full.
  const partial = `${options.file}.${process.pid}.part`;
  try {
    await writeFile(partial, saved.bytes);
    await rename(partial, options.file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new EdgePlugError("FILE_UNREADABLE", `${options.file} can't be written: ${String(code)}.`, {
      cause: error,
      action: "Name a file in a folder that can be written to.",
    });
  }
  const { name, version } = saved.package.manifest;
  report.success(
    "saved",
    `${name} ${version} (swap ${saved.swapNumber}), ${count(saved.bytes.length)} bytes, to ${options.file}`,
    {
      event: "result",
      ok: true,
      file: options.file,
      size: saved.bytes.length,
      name,
      version,
      swapNumber: saved.swapNumber,
    },
  );
}

/** The bytes of `616263` or `@file`. */
export async function requestBytes(data: string): Promise<Uint8Array> {
  if (data.startsWith("@")) {
    try {
      return await readFile(data.slice(1));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const name = code === "ENOENT" ? "FILE_NOT_FOUND" : "FILE_UNREADABLE";
      throw new EdgePlugError(name, `${data.slice(1)} can't be read: ${String(code)}.`, { cause: error });
    }
  }
  if (data.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(data)) {
    throw new EdgePlugError("USAGE", `"${data}" is not an even number of hex digits.`, {
      action: "Pass hex digits, or @ and a file's name.",
    });
  }
  return Buffer.from(data, "hex");
}

export async function request(
  session: BoardSession,
  report: Report,
  options: RequestOptions & { bytes: Uint8Array },
): Promise<void> {
  if (options.bytes.length > session.hello.maxChunk) {
    throw new EdgePlugError(
      "REQUEST_SIZE",
      `The request has ${count(options.bytes.length)} bytes; the board takes ${session.hello.maxChunk}.`,
    );
  }
  const reply = await session.call(options.bytes, options);
  const data = hex(reply.data);
  report.text([data]);
  report.record({ event: "reply", data, swapNumber: reply.swapNumber });
}
