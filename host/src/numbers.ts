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

/** Of a difference between floats the first digits are meant, the rest is rounding: `0.52`, not `0.52000046`. */
export function roundedText(value: number, digits = 4): string {
  return String(Number(value.toPrecision(digits)));
}

/** The same, but as a 32-bit float never less than the value. */
export function roundedUpText(value: number, digits = 3): string {
  const rounded = Number(value.toPrecision(digits));
  if (!(Math.fround(rounded) < value)) return String(rounded);
  const step = 10 ** (Math.floor(Math.log10(value)) + 1 - digits);
  return String(Number((rounded + step).toPrecision(digits)));
}
