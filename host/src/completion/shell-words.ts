/** Words as bash and zsh want them in scripts. */

/** `"edgeplug board"|"edgeplug board run"`; a pattern that matches nothing if there are none. */
export function caseWords(words: readonly string[]): string {
  return words.length === 0 ? '""' : words.map((word) => `"${word}"`).join("|");
}

export function functionName(command: string): string {
  return `_${command.replaceAll("-", "_")}`;
}

/** In single quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
