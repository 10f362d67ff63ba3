/** Fields of requests, judged before anything is done. Every function throws GATEWAY_REQUEST and names the field. */
import { EdgePlugError } from "../errors.js";

const LONGEST_NAME = 256;
/** Control characters would tear lines of logs apart. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

export function invalid(field: string, why: string): EdgePlugError {
  return new EdgePlugError("GATEWAY_REQUEST", `The request's ${field} ${why}.`);
}

/** A device or deployment as somebody names it. */
export function nameField(value: string, field: string): string {
  if (value === "") throw invalid(field, "is empty");
  return optionalName(value, field);
}

export function optionalName(value: string, field: string): string {
  if (value.length > LONGEST_NAME)
    throw invalid(field, `has ${value.length} characters, not up to ${LONGEST_NAME}`);
  if (CONTROL.test(value)) throw invalid(field, "has control characters");
  return value;
}

/** 0 stands for `otherwise`. */
export function limitField(value: number, field: string, otherwise: number, most: number): number {
  if (value > most) throw invalid(field, `is ${value}, at most ${most} are possible`);
  return value === 0 ? otherwise : value;
}

export function bytesField(value: Uint8Array, field: string, ...sizes: readonly number[]): Uint8Array {
  if (!sizes.includes(value.length)) {
    throw invalid(field, `has ${value.length} bytes, not ${sizes.join(" or ")}`);
  }
  return Uint8Array.from(value);
}

export function atMost(value: Uint8Array, field: string, most: number): Uint8Array {
  if (value.length > most) throw invalid(field, `has ${value.length} bytes, not up to ${most}`);
  return Uint8Array.from(value);
}
