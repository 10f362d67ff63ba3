/** Numbers as people read them. */

/** `13,824` */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 scan`, `2 scans` */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
