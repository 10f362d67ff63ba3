/** Numbers as people read them. */

/** `13,824` */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 scan`, `2 scans` */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Digits that tell any two 32-bit floats apart. */
const FLOAT_DIGITS = 9;

/** The shortest decimal that stands for the same 32-bit float: `0.1`, not `0.10000000149011612`. */
export function floatText(value: number): string {
  for (let digits = 1; digits < FLOAT_DIGITS; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Object.is(Math.fround(short), value)) return String(short);
  }
  return String(Number(value.toPrecision(FLOAT_DIGITS)));
}
