/**
 * How calls end that gRPC itself refuses: too large, undecodable, unknown, too late. It tells a status and a sentence; callers
 * get our error in the trailer beside them, as from any call.
 */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { status } from "@grpc/grpc-js";

import { EdgePlugError, type ErrorName } from "../errors.js";
import { DETAILS_TRAILER, toServiceError } from "./wire.js";

/** Whatever ends this call. */
export function explainEnding(stream: ServerHttp2Stream): void {
  const respond = stream.respond.bind(stream);
  const sendTrailers = stream.sendTrailers.bind(stream);
  stream.respond = (headers, options) =>
    respond(explained(headers as OutgoingHttpHeaders | undefined), options);
  stream.sendTrailers = (trailers) => sendTrailers(explained(trailers) ?? {});
}

/** Headers that end a call as `error`, in one block. */
export function endingOf(error: EdgePlugError): OutgoingHttpHeaders {
  const { code, details } = toServiceError(error);
  return {
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": code,
    "grpc-message": encodeURI(details),
    [DETAILS_TRAILER]: trailerOf(error),
  };
}

function explained(headers: OutgoingHttpHeaders | undefined): OutgoingHttpHeaders | undefined {
  const code = Number(headers?.["grpc-status"] ?? status.OK);
  if (headers === undefined || code === status.OK || headers[DETAILS_TRAILER] !== undefined) return headers;
  const message = headers["grpc-message"];
  const details = typeof message === "string" ? unescaped(message) : "";
  const error = new EdgePlugError(errorOf(code, details), details === "" ? undefined : details);
  return { ...headers, [DETAILS_TRAILER]: trailerOf(error) };
}

/** gRPC escapes its sentences, but not those that name a path: and a path is whatever a caller has sent. */
function unescaped(message: string): string {
  try {
    return decodeURI(message);
  } catch {
    return message;
  }
}

function trailerOf(error: EdgePlugError): string {
  const [details] = toServiceError(error).metadata.get(DETAILS_TRAILER);
  return Buffer.from(details ?? "").toString("base64");
}

/** Requests that are too large, can't be decoded or are for a call that there isn't: the request's fault. */
function errorOf(code: status, details: string): ErrorName {
  if (code === status.UNIMPLEMENTED || code === status.NOT_FOUND) return "GATEWAY_REQUEST";
  if (code === status.RESOURCE_EXHAUSTED || (code === status.INTERNAL && /message/i.test(details))) {
    return "GATEWAY_REQUEST";
  }
  if (code === status.DEADLINE_EXCEEDED) return "TIMEOUT";
  if (code === status.CANCELLED) return "INTERRUPTED";
  if (code === status.UNAVAILABLE) return "GATEWAY_STOPPING";
  return "INTERNAL";
}
