/** Which key signs what, told from the key file before anything is signed or sent. */
import { EdgePlugError } from "../errors.js";
import type { KeyRole } from "../keys.js";

const SIGNS: Record<KeyRole, string> = {
  publisher: "packages, never commands",
  operator: "commands, never packages",
};

/** Throws KEY_ROLE if the file `path` says that its key is of another role; one that says nothing may be any. */
export function requireKeyRole(path: string, found: KeyRole | undefined, wanted: KeyRole): void {
  if (found === undefined || found === wanted) return;
  const article = (role: KeyRole): string => (role === "operator" ? "an operator" : "a publisher");
  throw new EdgePlugError("KEY_ROLE", `${path} is ${article(found)} key, and those sign ${SIGNS[found]}.`, {
    action: `Use ${article(wanted)} key: \`edgeplug keygen --role ${wanted}\` makes one.`,
  });
}
