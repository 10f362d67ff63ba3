/**
 * Turns wrong logins away before gRPC has any work with them: whoever fails a thousand times a second is not to cost what a
 * call costs. It only refuses; who gets past it is looked at again like everybody.
 */
import {
  constants,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { TLSSocket } from "node:tls";

import { EdgePlugError } from "../errors.js";
import type { Remote } from "./connections.js";
import { endingOf, explainEnding } from "./endings.js";
import type { Peer, Refusal } from "./logins.js";
import { SERVICE_NAME } from "./wire.js";

const PATH = `/${SERVICE_NAME}/`;
const BEARER = /^Bearer +(\S+) *$/i;
/** Refusals in a window that are answered at once. */
const AT_ONCE = 16;
const WINDOW_MS = 250;
/**
 * Of the rest, so many at a window's end. HTTP/2 allows a connection only so many open calls: who waits for answers can't ask
 * for more, so that this is also all that failed logins can cost.
 */
const LATER = 40;
/** Calls that may wait. */
const MOST_HELD = 4_096;
/** Different answers that are kept ready. */
const MOST_ANSWERS = 64;

/** What stands behind `Bearer ` in the metadata; "" if that is no token, undefined if there is nothing. */
export function bearerOf(authorization: unknown): string | undefined {
  return typeof authorization === "string" ? (BEARER.exec(authorization)?.[1] ?? "") : undefined;
}

export class FrontGate {
  private readonly answers = new Map<string, OutgoingHttpHeaders>();
  private readonly certificates = new WeakMap<Http2Session, { der: Uint8Array | undefined }>();
  /** Calls to be answered later, in the order in which they came. */
  private readonly held: { stream: ServerHttp2Stream; answer: OutgoingHttpHeaders }[] = [];
  /** Calls of this window that were answered at once. */
  private atOnce = 0;
  private window: NodeJS.Timeout | undefined;

  /** `refuse` tells what speaks against a caller, and counts it; `admitted` hears of connections with a good login. */
  constructor(
    private readonly refuse: (peer: Peer) => Refusal | undefined,
    private readonly admitted: (remote: Remote) => void,
  ) {}

  /** Stands before whatever listens to this server's calls now. */
  guard(server: Http2SecureServer): void {
    const behind = server.listeners("stream") as ((...args: unknown[]) => void)[];
    server.removeAllListeners("stream");
    server.on("stream", (stream, headers, ...rest) => {
      try {
        if (this.isTurnedAway(stream, headers)) return;
        explainEnding(stream);
        for (const listener of behind) listener.call(server, stream, headers, ...rest);
      } catch (error) {
        // A defect that one call meets must not end everybody else's: an event's listener has nobody above it.
        process.emitWarning(error instanceof Error ? error : String(error));
        stream.on("error", () => undefined); // what it is closed with
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      }
    });
  }

  private isTurnedAway(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    if (headers[":path"]?.startsWith(PATH) !== true) return false;
    const refusal = this.refuse(this.peerOf(stream, headers));
    if (refusal !== undefined) this.turnAway(stream, this.answerTo(refusal));
    else if (stream.session !== undefined) this.admitted(stream.session.socket);
    return refusal !== undefined;
  }

  private peerOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Peer {
    const { session } = stream;
    // as gRPC reads metadata: the first of several values
    const bearer = bearerOf(headers.authorization?.split(",")[0]?.trim());
    if (session === undefined) return { address: "", bearer };
    return { address: session.socket.remoteAddress ?? "", bearer, certificate: this.certificateOf(session) };
  }

  /** The client certificate that TLS verified; looked for once a connection. */
  private certificateOf(session: Http2Session): Uint8Array | undefined {
    let known = this.certificates.get(session);
    if (known === undefined) {
      const { socket } = session;
      const verified = socket instanceof TLSSocket && socket.authorized;
      known = { der: verified ? socket.getPeerCertificate().raw : undefined };
      this.certificates.set(session, known);
    }
    return known.der;
  }

  /**
   * A caller who never ends the request is not closed: right behind the answer that would make the answer vanish, and who
   * leaves calls open has fewer to ask with.
   */
  private turnAway(stream: ServerHttp2Stream, answer: OutgoingHttpHeaders): void {
    stream.on("error", () => undefined); // a caller who doesn't wait
    stream.resume(); // the request is of no interest
    this.window ??= setTimeout(() => this.endWindow(), WINDOW_MS).unref();
    if (this.held.length >= MOST_HELD || this.atOnce < AT_ONCE) {
      this.atOnce++;
      send(stream, answer);
    } else {
      this.held.push({ stream, answer });
    }
  }

  private endWindow(): void {
    this.atOnce = 0;
    const due = this.held.splice(0, LATER);
    for (const { stream, answer } of due) send(stream, answer);
    this.window = due.length === 0 ? undefined : setTimeout(() => this.endWindow(), WINDOW_MS).unref();
  }

  /** Headers that end a call with the error, as gRPC sends them. */
  private answerTo({ name, message, detail }: Refusal): OutgoingHttpHeaders {
    const key = `${name} ${message}`;
    const known = this.answers.get(key);
    if (known !== undefined) return known;
    const answer = endingOf(new EdgePlugError(name, message, { detail }));
    if (this.answers.size >= MOST_ANSWERS) this.answers.clear();
    this.answers.set(key, answer);
    return answer;
  }
}

function send(stream: ServerHttp2Stream, answer: OutgoingHttpHeaders): void {
  if (!stream.destroyed && !stream.closed) stream.respond(answer, { endStream: true });
}
