/**
 * The least of a debugger: stops a board under QEMU and puts a branch to itself where one of its functions begins. The
 * core is lost from there on, as to a hardware fault, until the watchdog resets it; a reset loads the image anew.
 */
import { execFileSync } from "node:child_process";

import { GdbStub } from "./gdb-stub.js";

/** `b .`, as it lies in memory. */
export const HANG = [0xfe, 0xe7] as const;
/** The first instruction's new bytes: a branch to itself, or one that is none, permanently, and faults. */
const SPOILT = { hang: HANG, fault: [0x00, 0xde] } as const;

const tables = new Map<string, string>();

/** Where the linker put a function. */
export function addressOf(elf: string, symbol: string): number {
  const table = tables.get(elf) ?? execFileSync("arm-none-eabi-nm", [elf], { encoding: "utf8" });
  tables.set(elf, table);
  const line = table.split("\n").find((text) => text.endsWith(` ${symbol}`));
  if (line === undefined) throw new Error(`${elf} has no ${symbol}`);
  return Number.parseInt(line, 16) & ~1;
}

/** Overwrites the first instruction at `address`; `path` is the unix socket of QEMU's gdb stub. */
export async function spoil(path: string, address: number, how: "hang" | "fault"): Promise<void> {
  const stub = await GdbStub.open(path);
  try {
    await stub.write(address, Uint8Array.from(SPOILT[how]));
    await stub.detach(); // lets the board go on
  } finally {
    stub.close();
  }
}
