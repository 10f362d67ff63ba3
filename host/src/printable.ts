/** Text that somebody else has made: nothing in it moves a terminal's cursor, paints, or begins a new line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, " ");
}
