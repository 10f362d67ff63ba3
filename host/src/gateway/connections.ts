/**
 * The gateway's connections, so many at a time. When all are taken, the one that has been there longest without a login makes
 * room: silent or half-open ones must not keep anybody out.
 */
import type { Socket } from "node:net";

/** The far end of a connection. */
export interface Remote {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
}

export class Connections {
  private readonly all = new Map<string, Socket>();
  /** Nobody has logged in on these; in the order in which they came. */
  private readonly strangers = new Map<string, Socket>();

  constructor(private readonly most: number) {}

  /** False, and closed, if there is no room for it. */
  take(socket: Socket): boolean {
    if (this.all.size >= this.most) {
      const [oldest] = this.strangers;
      if (oldest === undefined) {
        socket.destroy();
        return false;
      }
      this.forget(oldest[0], oldest[1]);
      oldest[1].destroy();
    }
    const key = keyOf(socket);
    this.all.set(key, socket);
    this.strangers.set(key, socket);
    socket.once("close", () => this.forget(key, socket));
    return true;
  }

  /** Somebody has logged in on it. */
  admit(remote: Remote): void {
    this.strangers.delete(keyOf(remote));
  }

  get size(): number {
    return this.all.size;
  }

  destroy(): void {
    for (const socket of this.all.values()) socket.destroy();
  }

  /** The system may have given its port to another connection already. */
  private forget(key: string, socket: Socket): void {
    if (this.all.get(key) !== socket) return;
    this.all.delete(key);
    this.strangers.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: Remote): string {
  return `${remoteAddress ?? ""} ${remotePort ?? 0}`;
}
