/** Errors on their way through gRPC: a status code for generic clients, and in the trailer the error of errors.json. */
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";

import { EdgePlugError, errorId, errorInfo, type ErrorName } from "../errors.js";
import { ERRORS } from "../generated/errors.js";
import { edgeplug } from "../generated/messages.js";

const { ErrorDetail, StatusDetails } = edgeplug.gateway.v1;

export const DETAILS_TRAILER = "grpc-status-details-bin";
const DETAIL_TYPE = "type.googleapis.com/edgeplug.gateway.v1.ErrorDetail";
/** Trailers share one header block of at most 8 KiB. */
const LONGEST_TEXT = 1_000;

/** Errors that are the request's fault, those of packages among them. */
const INVALID: readonly ErrorName[] = [
  "USAGE",
  "GATEWAY_REQUEST",
  "DEVICE_AMBIGUOUS",
  "PACKAGE_FORMAT",
  "PACKAGE_EMPTY",
  "PACKAGE_TRUNCATED",
  "PACKAGE_TOO_LARGE",
  "PAYLOAD_CRC",
  "PAYLOAD_DIGEST",
  "MANIFEST",
];
const UNAVAILABLE: readonly ErrorName[] = [
  "GATEWAY_STOPPING",
  "GATEWAY_UNREACHABLE",
  "PORT_NOT_FOUND",
  "PORT_PERMISSION",
  "PORT_BUSY",
  "PORT_LOST",
  "NO_BOARD",
  "BOARD_RESET",
];

const CODES: Partial<Record<ErrorName, status>> = {
  GATEWAY_LOGIN: status.UNAUTHENTICATED,
  GATEWAY_ROLE: status.PERMISSION_DENIED,
  GATEWAY_LIMIT: status.RESOURCE_EXHAUSTED,
  QUEUE_FULL: status.RESOURCE_EXHAUSTED,
  DEVICE_UNKNOWN: status.NOT_FOUND,
  DEPLOYMENT_UNKNOWN: status.NOT_FOUND,
  TIMEOUT: status.DEADLINE_EXCEEDED,
  INTERRUPTED: status.CANCELLED,
  ABORTED: status.ABORTED,
  UNSUPPORTED: status.UNIMPLEMENTED,
  GATEWAY_STATE: status.INTERNAL,
  AUDIT_BROKEN: status.INTERNAL,
  INTERNAL: status.INTERNAL,
  EMULATOR: status.INTERNAL,
  ...Object.fromEntries(INVALID.map((name) => [name, status.INVALID_ARGUMENT])),
  ...Object.fromEntries(UNAVAILABLE.map((name) => [name, status.UNAVAILABLE])),
};

/** What a caller without our trailer is told by the bare status. */
const WITHOUT_DETAILS: Partial<Record<status, ErrorName>> = {
  [status.UNAVAILABLE]: "GATEWAY_UNREACHABLE",
  [status.UNAUTHENTICATED]: "GATEWAY_LOGIN",
  [status.PERMISSION_DENIED]: "GATEWAY_ROLE",
  [status.RESOURCE_EXHAUSTED]: "GATEWAY_LIMIT",
  [status.INVALID_ARGUMENT]: "GATEWAY_REQUEST",
  [status.OUT_OF_RANGE]: "GATEWAY_REQUEST",
  [status.UNIMPLEMENTED]: "GATEWAY_REQUEST",
  [status.DEADLINE_EXCEEDED]: "TIMEOUT",
  [status.CANCELLED]: "INTERRUPTED",
};

export function toErrorDetail(error: EdgePlugError): edgeplug.gateway.v1.ErrorDetail.$Properties {
  return {
    code: ERRORS[error.code].code,
    name: error.code,
    message: error.message.slice(0, LONGEST_TEXT),
    action: error.action.slice(0, LONGEST_TEXT),
    detail: error.detail,
  };
}

/** A code that this version doesn't know keeps its words. */
export function fromErrorDetail(detail: edgeplug.gateway.v1.ErrorDetail.$Properties): EdgePlugError {
  const code = detail.code ?? 0;
  const info = errorInfo(code);
  const message = detail.message ?? "";
  const action = detail.action ? { action: detail.action } : {};
  if (info === undefined) {
    return new EdgePlugError("GATEWAY_REQUEST", `The gateway answers ${errorId(code)}: ${message}`, action);
  }
  return new EdgePlugError(info.name as ErrorName, message === "" ? undefined : message, {
    ...action,
    detail: detail.detail ?? 0,
  });
}

/** The error as a call ends with it. */
export function toServiceError(error: EdgePlugError): ServiceError {
  const code = CODES[error.code] ?? status.FAILED_PRECONDITION;
  const text = error.message.replace(/\s+/g, " ").slice(0, LONGEST_TEXT);
  const value = ErrorDetail.encode(toErrorDetail(error)).finish();
  const trailer = StatusDetails.encode({
    code,
    message: text,
    details: [{ type_url: DETAIL_TYPE, value }],
  }).finish();
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(trailer));
  return Object.assign(new Error(text), { code, details: text, metadata });
}

/** The error that a failed call stands for: the gateway's own if it sent one, else by the status. */
export function fromServiceError(error: unknown): EdgePlugError {
  if (error instanceof EdgePlugError) return error;
  if (!isServiceError(error)) return EdgePlugError.from(error);
  const detail = detailOf(error);
  if (detail !== undefined) return fromErrorDetail(detail);
  const text = error.details === "" ? error.message : error.details;
  if (error.code === status.UNAVAILABLE && /certificate|altnames|self.signed/i.test(text)) {
    return new EdgePlugError("GATEWAY_CERTIFICATE", sentence(text), { cause: error });
  }
  const tooLarge = error.code === status.RESOURCE_EXHAUSTED && /message larger/i.test(text);
  const name = tooLarge ? "GATEWAY_REQUEST" : WITHOUT_DETAILS[error.code];
  if (name === undefined) {
    return new EdgePlugError("INTERNAL", `The gateway answered ${status[error.code]}: ${sentence(text)}`, {
      cause: error,
    });
  }
  if (error.code === status.UNIMPLEMENTED) {
    return new EdgePlugError(name, `The gateway does not know this call: ${sentence(text)}`, {
      cause: error,
      action: "Use a tool and a gateway of the same version.",
    });
  }
  return new EdgePlugError(name, sentence(text), { cause: error });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

function detailOf(error: ServiceError): edgeplug.gateway.v1.ErrorDetail | undefined {
  const [trailer] = error.metadata.get(DETAILS_TRAILER);
  if (!(trailer instanceof Buffer)) return undefined;
  try {
    for (const any of StatusDetails.decode(trailer).details) {
      if (any.type_url === DETAIL_TYPE) return ErrorDetail.decode(any.value ?? new Uint8Array());
    }
  } catch {
    return undefined; // not ours
  }
  return undefined;
}

function sentence(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
