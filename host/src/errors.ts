/** The one error class of host library and commands, over the error list that the firmware shares. */
import { ERRORS } from "./generated/errors.js";
import { printable } from "./printable.js";

export type ErrorName = keyof typeof ERRORS;

/** One line of proto/errors.json. */
export interface ErrorInfo {
  readonly code: number;
  readonly name: string;
  readonly severity: string;
  readonly cause: string;
  readonly action: string;
  readonly exit: number;
}

export interface ErrorOptions {
  /** The error underneath, kept for --debug. */
  cause?: unknown;
  /** Replaces the list's suggested action where more is known. */
  action?: string;
}

/** The error as `--json` prints it. */
export interface ErrorReport {
  error: string;
  name: string;
  severity: string;
  message: string;
  action: string;
  exit: number;
}

const BY_CODE: ReadonlyMap<number, ErrorName> = new Map(
  (Object.keys(ERRORS) as ErrorName[]).map((name) => [ERRORS[name].code, name]),
);

/** `EP3001` for 3001. */
export function errorId(code: number): string {
  return `EP${String(code).padStart(4, "0")}`;
}

/** What the list says of a numeric code, or undefined for one that this version doesn't know. */
export function errorInfo(code: number): ErrorInfo | undefined {
  const name = BY_CODE.get(code);
  return name === undefined ? undefined : ERRORS[name];
}

/**
 * A failure with a stable code, a cause in words and a suggested action.
 *
 *     throw new EdgePlugError("PORT_NOT_FOUND", "/dev/ttyUSB7 does not exist");
 */
export class EdgePlugError extends Error {
  override readonly name = "EdgePlugError";
  /** Name in errors.json: `BUSY`. */
  readonly code: ErrorName;
  /** `EP3001` */
  readonly id: string;
  readonly severity: string;
  /** What to do about it, one line. */
  readonly action: string;
  /** The exit code of a command that ends with it. */
  readonly exit: number;
  /** A figure that belongs to the error (a size, an offset, an index), 0 where there is none. */
  readonly detail: number;

  /** Without `message` the list's own cause stands. */
  constructor(code: ErrorName, message?: string, options: ErrorOptions & { detail?: number } = {}) {
    const info: ErrorInfo = ERRORS[code];
    super(message ?? info.cause, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.id = errorId(info.code);
    this.severity = info.severity;
    this.action = options.action ?? info.action;
    this.exit = info.exit;
    this.detail = options.detail ?? 0;
  }

  /** The error that a Response carries. */
  static fromBoard(errorCode: number, detail = 0, message = ""): EdgePlugError {
    const name = BY_CODE.get(errorCode);
    if (name === undefined) {
      return new EdgePlugError(
        "PROTOCOL",
        `The board answers with an unknown error, ${errorId(errorCode)}.`,
        { detail },
      );
    }
    const { cause } = ERRORS[name];
    if (message === "") return new EdgePlugError(name, cause, { detail });
    return new EdgePlugError(name, `${cause.replace(/\.$/, "")}: ${printable(message)}`, { detail });
  }

  /** Any thrown value as an EdgePlugError; what is none counts as a defect of the tool. */
  static from(error: unknown): EdgePlugError {
    if (error instanceof EdgePlugError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new EdgePlugError("INTERNAL", message, { cause: error });
  }

  toJSON(): ErrorReport {
    return {
      error: this.id,
      name: this.code,
      severity: this.severity,
      message: this.message,
      action: this.action,
      exit: this.exit,
    };
  }
}
