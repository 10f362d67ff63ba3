/** The flash model's own log of its operations, one a line: `NUMBER KIND ADDRESS SIZE TIME [DATA]`. */
import type { Chip } from "./chip.js";
import type { Operation } from "./history.js";

/** One line of the log. */
export interface LoggedOperation extends Operation {
  /** From 1, over all boots. */
  readonly number: number;
}

const LINE = /^(\d+) (erase|program) (0x[0-9a-f]+) (\d+) (\d+)(?: ([0-9a-f]+))?$/i;

/** Reads a log; TIME is virtual microseconds, DATA bytes in the order of their addresses. Throws for a line that is none. */
export function parseFlashLog(text: string, chip: Chip): LoggedOperation[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const [, number, word, address, size, micros, data = ""] = LINE.exec(line.trim()) ?? [];
    const kind = word?.toLowerCase();
    if (kind !== "erase" && kind !== "program") throw new Error(`no line of a flash log: ${line}`);
    const operation = {
      number: Number(number),
      kind,
      address: Number(address) - chip.base,
      size: Number(size),
      atMs: Number(micros) / 1000,
      area: chip.areaOf(Number(address) - chip.base),
      data: Uint8Array.from(Buffer.from(data, "hex")),
    } as const;
    if (operation.data.length !== (kind === "program" ? operation.size : 0))
      throw new Error(`${operation.data.length} bytes of data in a flash log: ${line}`);
    return operation;
  });
}

/** The operations after the first `count`; throws if the log has forgotten one of them. Times count from `begun`. */
export function since(log: readonly LoggedOperation[], count: number, begun: number): Operation[] {
  const found = log.filter(({ number }) => number > count);
  found.forEach(({ number }, at) => {
    if (number !== count + at + 1)
      throw new Error(`operation ${count + at + 1} is missing from the flash log`);
  });
  return found.map(({ atMs, kind, address, size, area, data }) => ({
    ...{ kind, address, size, area, data },
    atMs: atMs - begun,
  }));
}
