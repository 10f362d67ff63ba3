/** How users name a board behind a gateway: `HOST:PORT`, or `HOST:PORT/ID`; an IPv6 address stands in brackets. */
import { EdgePlugError } from "../../errors.js";

export const DEFAULT_GATEWAY_PORT = 50051;

export interface GatewayAddress {
  /** A name or an address, without brackets. */
  host: string;
  port: number;
  /** Board id, prefix of one, or a port's name at the gateway; empty: the only board there. */
  board: string;
  /** `host:port` in one spelling: what the gateway is known by here. */
  gateway: string;
}

const NAME =
  /^(\[(?<six>[0-9a-f:.]+(%[\w.-]+)?)\]|(?<host>[a-z0-9]([a-z0-9._-]*[a-z0-9])?)):(?<port>\d{1,5})(\/(?<board>.*))?$/i;
/** Words before a colon that mean something else. */
const OTHER_KINDS = new Set(["sim", "id"]);

/** Takes a name apart; undefined if it names no gateway. Throws USAGE for a port that can't be. */
export function parseGatewayName(name: string): GatewayAddress | undefined {
  const parts = NAME.exec(name)?.groups;
  if (parts === undefined) return undefined;
  const host = (parts["six"] ?? parts["host"] ?? "").toLowerCase();
  if (OTHER_KINDS.has(host)) return undefined;
  const port = Number(parts["port"]);
  if (port < 1 || port > 65_535) {
    throw new EdgePlugError("USAGE", `${name}: there is no port ${port}.`, {
      action: `Name a gateway as HOST:PORT, say plant.example:${DEFAULT_GATEWAY_PORT}.`,
    });
  }
  const gateway = parts["six"] === undefined ? `${host}:${port}` : `[${host}]:${port}`;
  return { host, port, board: parts["board"] ?? "", gateway };
}
