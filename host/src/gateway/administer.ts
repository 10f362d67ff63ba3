/** Commands on a state folder, whether or not a gateway runs on it. */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

import { EdgePlugError } from "../errors.js";
import { Administration, type OperationName, type Operations } from "./administration.js";
import { AuditLog } from "./audit.js";
import { askGateway } from "./control.js";
import { FolderLock } from "./folder-lock.js";
import { LoginStore } from "./login-store.js";
import { GatewayState } from "./state.js";

/** A running gateway does it itself, so that it counts from its next call on; else it is done here. */
export async function administer<N extends OperationName>(
  folder: string,
  operation: N,
  input: Operations[N]["input"],
): Promise<Operations[N]["output"]> {
  checkFolder(folder);
  const fields: Record<string, unknown> = { ...input };
  const who = localUser();
  const owner = FolderLock.ownerOf(folder);
  if (owner?.kind === "gateway") return askGateway(folder, owner.pid, { operation, input: fields, who });
  return withState(folder, async (state) => {
    const audit = AuditLog.openIn(state);
    try {
      return await new Administration({ state, store: new LoginStore(state), audit }).perform(
        operation,
        fields,
        who,
      );
    } finally {
      audit.close();
    }
  });
}

/** Opens a folder that no gateway works in. Throws GATEWAY_STATE, GATEWAY_CONFIG. */
export async function withState<T>(folder: string, act: (state: GatewayState) => T | Promise<T>): Promise<T> {
  checkFolder(folder);
  const state = GatewayState.open(folder, "command");
  try {
    return await act(state);
  } finally {
    state.close();
  }
}

/** As the audit log names who works on the gateway's machine. */
export function localUser(): string {
  try {
    return `local:${userInfo().username}`;
  } catch {
    return `local:${process.getuid?.() ?? "unknown"}`; // a user without an entry in passwd
  }
}

function checkFolder(folder: string): void {
  if (existsSync(join(folder, "gateway.db"))) return;
  throw new EdgePlugError("GATEWAY_CONFIG", `No gateway has run in ${folder} yet.`, {
    action: "Name its state folder with --state, or start `edgeplug gateway` there first.",
  });
}
