/** Answers a gateway that wants an operator's signature: only for what the user asked for, and only on this board. */
import { createHash } from "node:crypto";

import { EdgePlugError } from "../../errors.js";
import type { edgeplug } from "../../generated/messages.js";
import type { OperatorSigner, SignableCommand } from "../../session/board-session.js";
import { commandText, decodeCommand, NONCE_SIZE, signCommand } from "../../session/commands.js";
import type { Received } from "../wire.js";
import type { GatewayClient } from "./gateway-client.js";

export type SignatureWanted = Received<edgeplug.gateway.v1.SignatureWanted.$Properties>;

/** What may be signed at this moment. */
export interface Asked {
  /** In hex. */
  boardId: string;
  /** The package's trial is under way and waits for the host's word. */
  confirm: boolean;
  /** Manifest that may be older than the board's; undefined: none may. */
  downgradeOf: Uint8Array | undefined;
}

const DIGEST_SIZE = 16;

/** Signs and provides. Throws PROTOCOL if something else is wanted, what the signer throws, what the gateway answers. */
export async function answerWanted(
  client: GatewayClient,
  deployment: string,
  wanted: SignatureWanted,
  signer: OperatorSigner | undefined,
  asked: Asked,
): Promise<void> {
  const command = checkWanted(wanted, asked);
  if (signer === undefined) throw new EdgePlugError("LOCKED");
  const { keyId, signature } = await signCommand(signer, wanted.boardId, wanted.nonce, command);
  await client.call("provideSignature", { deployment, request: wanted.request, keyId, signature });
}

/** The command that is to be signed, if the user asked for just that. */
export function checkWanted(wanted: SignatureWanted, asked: Asked): SignableCommand {
  const board = Buffer.from(wanted.boardId).toString("hex");
  if (board !== asked.boardId) throw refusal(`a command to board ${board}`);
  if (wanted.nonce.length !== NONCE_SIZE) throw refusal("a command without a nonce");
  let command: SignableCommand;
  try {
    command = decodeCommand(wanted.command);
  } catch (error) {
    throw refusal("what is no command", error);
  }
  if (command.kind === "confirm" && asked.confirm) return command;
  if (command.kind === "allowDowngrade" && isDigestOf(command.digest, asked.downgradeOf)) return command;
  throw refusal(`the command to ${commandText(command)}`);
}

function isDigestOf(digest: Uint8Array, manifest: Uint8Array | undefined): boolean {
  if (manifest === undefined) return false;
  const own = createHash("sha512").update(manifest).digest().subarray(0, DIGEST_SIZE);
  return Buffer.compare(own, digest) === 0;
}

function refusal(what: string, cause?: unknown): EdgePlugError {
  return new EdgePlugError(
    "PROTOCOL",
    `The gateway wants ${what} signed, which nobody asked for. Nothing was signed.`,
    {
      cause,
      action: "Tell whoever runs the gateway: it, or somebody in its place, asks for more than it should.",
    },
  );
}
