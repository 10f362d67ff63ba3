/** How this side logs in at a gateway: a token, a client certificate, or both. */
import { readFileSync } from "node:fs";

import { EdgePlugError } from "../../errors.js";
import { PerGatewayFile } from "./config-folder.js";

export interface LoginOptions {
  /** File that holds a token and nothing else. */
  tokenFile?: string | undefined;
  /** Takes precedence over EDGEPLUG_TOKEN and what `edgeplug login` keeps, not over the file. */
  token?: string | undefined;
  /** PEM files; both or neither. */
  clientCert?: string | undefined;
  clientKey?: string | undefined;
}

export interface LoginMeans {
  token?: string | undefined;
  /** PEM. */
  certificate?: { cert: Buffer; key: Buffer } | undefined;
}

const LONGEST_TOKEN = 1_000;

export function keptTokens(): PerGatewayFile<string> {
  return new PerGatewayFile("gateway-tokens.json", (value) => typeof value === "string");
}

/** Throws FILE_NOT_FOUND, FILE_UNREADABLE, USAGE or GATEWAY_LOGIN (no token at all, or what can be none). */
export function loginMeans(gateway: string, options: LoginOptions): LoginMeans {
  const certificate = clientCertificate(options);
  const token = chooseToken(gateway, options);
  if (token === undefined && certificate === undefined) {
    throw new EdgePlugError("GATEWAY_LOGIN", `There is no token for ${gateway}.`, {
      action: `Run \`edgeplug login ${gateway}\`, pass --token-file, or set EDGEPLUG_TOKEN.`,
    });
  }
  return { token, certificate };
}

/** A token as it came from a file, an environment or a person. `source` is for the message. */
export function cleanToken(text: string, source: string): string {
  const token = text.trim();
  if (token === "" || token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
    throw new EdgePlugError("GATEWAY_LOGIN", `${source} holds no token.`, {
      action: "A token is one line, as `edgeplug gateway token add` prints it.",
    });
  }
  return token;
}

function chooseToken(gateway: string, options: LoginOptions): string | undefined {
  if (options.tokenFile !== undefined) {
    return cleanToken(read(options.tokenFile).toString("utf8"), options.tokenFile);
  }
  if (options.token !== undefined) return cleanToken(options.token, "The token option");
  const { EDGEPLUG_TOKEN: fromEnvironment } = process.env;
  if (fromEnvironment !== undefined && fromEnvironment !== "") {
    return cleanToken(fromEnvironment, "EDGEPLUG_TOKEN");
  }
  return keptTokens().get(gateway);
}

function clientCertificate({ clientCert, clientKey }: LoginOptions): LoginMeans["certificate"] {
  if (clientCert === undefined || clientKey === undefined) return undefined;
  return { cert: read(clientCert), key: read(clientKey) };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const name = code === "ENOENT" ? "FILE_NOT_FOUND" : "FILE_UNREADABLE";
    throw new EdgePlugError(name, `${file} can't be read: ${String(code)}.`, { cause: error });
  }
}
