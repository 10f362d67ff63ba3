/** Signed commands made byte by byte, as the link page has them: nothing here is shared with who sends them in earnest. */
import { keyId, publicKeyOf, sign } from "edgeplug";
import { edgeplug } from "edgeplug/messages";

import { OPERATOR } from "./agents.js";

export type Command = Omit<edgeplug.Request.$Properties, "id">;

/** What an operator signs for, besides the command itself. */
export interface Occasion {
  /** 12 bytes. */
  readonly boardId: Uint8Array;
  /** 8 bytes, of the last challenge. */
  readonly nonce: Uint8Array;
}

export function encodeCommand(command: Command): Uint8Array {
  return edgeplug.Request.encode(command).finish();
}

/** `command`, or bytes in its place, under a signature by `key` (secret; default: the operator's). */
export function signedCommand(
  { boardId, nonce }: Occasion,
  command: Command | Uint8Array,
  key: Uint8Array = OPERATOR,
): edgeplug.SignedCommand.$Properties {
  const bytes = command instanceof Uint8Array ? command : encodeCommand(command);
  const message = Buffer.concat([Buffer.from("EdgePlug command v1\0"), boardId, nonce, bytes]);
  return { command: bytes, nonce, keyId: keyId(publicKeyOf(key)), signature: sign(message, key) };
}
