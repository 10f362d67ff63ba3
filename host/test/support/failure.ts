/** What tests ask of promises that must not come true. */
import { expect } from "vitest";

import { EdgePlugError } from "../../src/errors.js";

/** The error that a promise ends with, which must be one of ours. */
export async function failure(promise: Promise<unknown>): Promise<EdgePlugError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EdgePlugError);
  return error as EdgePlugError;
}

/** The error that a call ends with, at once or by its promise. */
export async function failureOf(call: () => unknown): Promise<EdgePlugError> {
  return failure(
    (async () => {
      await call();
    })(),
  );
}
