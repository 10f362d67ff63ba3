/** Boards that the gateway has seen, over restarts; of those long gone, the oldest are forgotten. */
import { edgeplug } from "../generated/messages.js";
import { toSlotInfo } from "../session/messages.js";
import type { BoardMemory } from "./gateway-board.js";
import type { GatewayState } from "./state.js";

const TABLE = `CREATE TABLE boards (
  id TEXT PRIMARY KEY,
  port TEXT NOT NULL,
  board_class INTEGER NOT NULL,
  runtime_version TEXT NOT NULL,
  locked INTEGER NOT NULL,
  active BLOB,
  seen_ms INTEGER NOT NULL,
  problem TEXT NOT NULL
)`;
const KEPT = 1_000;

export class BoardsStore {
  private readonly saved = new Map<string, string>();

  constructor(private readonly state: GatewayState) {
    state.migrate("boards", [TABLE]);
    state.run("DELETE FROM boards WHERE id NOT IN (SELECT id FROM boards ORDER BY seen_ms DESC LIMIT ?)", [
      KEPT,
    ]);
  }

  all(): BoardMemory[] {
    return this.state.all("SELECT * FROM boards", []).map((row) => {
      const active = row["active"];
      return {
        id: String(row["id"]),
        port: String(row["port"]),
        boardClass: Number(row["board_class"]),
        runtimeVersion: String(row["runtime_version"]),
        locked: row["locked"] === 1,
        active: active instanceof Uint8Array ? toSlotInfo(edgeplug.SlotInfo.decode(active)) : null,
        seenMs: Number(row["seen_ms"]),
        problem: String(row["problem"]),
      };
    });
  }

  /**
   * Keeps a board if anything but the time is new. Boards in memory (`sim:` without a file) are another one after each
   * start, and are not kept. Throws GATEWAY_STATE.
   */
  save(board: Readonly<BoardMemory>): void {
    if (isInMemory(board.port)) return;
    const { seenMs, ...facts } = board;
    const known = JSON.stringify(facts);
    if (this.saved.get(board.id) === known) return;
    const { id, port, boardClass, runtimeVersion, locked, active, problem } = facts;
    this.state.run("INSERT OR REPLACE INTO boards VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
      id,
      port,
      boardClass,
      runtimeVersion,
      Number(locked),
      active === null ? null : edgeplug.SlotInfo.encode(active).finish(),
      seenMs,
      problem,
    ]);
    this.saved.set(id, known);
  }
}

/** `sim:`, or `sim:#2` for the second of them. */
export function isInMemory(port: string): boolean {
  return /^sim:(#\d+)?$/.test(port);
}
