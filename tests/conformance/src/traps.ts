/** Why a call or a module trapped: the specification's words in its tests, and the engine's. */

/** The engine's words, and those of the specification's tests that mean the same. */
const SAME: Readonly<Record<string, readonly string[]>> = {
  "out of bounds table access": ["out of bounds table access", "undefined element"],
};

/**
 * Whether the engine's reason is the expected one. The tests may give the beginning of the specification's words, or go on
 * behind them ("uninitialized element 2").
 */
export function sameTrap(expected: string, reason: string): boolean {
  const names = SAME[reason] ?? [reason];
  return (
    expected !== "" && names.some((name) => name.startsWith(expected) || expected.startsWith(`${name} `))
  );
}
