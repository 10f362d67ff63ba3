/** The threat model names the tests that show each defence; here each of them has to exist. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(ROOT, "docs", "threats.md"), "utf8");

/** `path/to/file`: "the test's name" */
const REFERENCE = /`([\w./-]+\.(?:test\.ts|c))`: "([^"]+)"/g;

function squeeze(text: string): string {
  return text.replace(/\s+/g, " ");
}

const references = [...squeeze(page).matchAll(REFERENCE)].map(([, file = "", name = ""]) => ({ file, name }));

/** The page's entries: a bold name at the start of a list item. */
const entries = [...page.matchAll(/^- \*\*(.+?)\*\*([\s\S]*?)(?=^- \*\*|^#|$(?![\s\S]))/gm)].map(
  ([, name = "", text = ""]) => ({ name, text: squeeze(text) }),
);

describe("the threat model", () => {
  it("has entries, and tests to show for them", () => {
    expect(entries.length).toBeGreaterThan(30);
    expect(references.length).toBeGreaterThan(40);
  });

  it.each(references)("names a test that exists: $file: $name", ({ file, name }) => {
    const path = join(ROOT, file);
    expect(existsSync(path)).toBe(true);
    // A C test's name may go over two literals, one of TypeScript may hold an escaped quote.
    const source = squeeze(readFileSync(path, "utf8").replace(/"\s*\n\s*"/g, ""));
    expect(source.includes(name), `${file} has a test called "${name}"`).toBe(true);
  });

  it.each(entries)(
    "says of $name what stops it and which test shows that, or why it does not apply",
    ({ text }) => {
      const shown = new RegExp(REFERENCE.source).test(text);
      const excused = /Does not apply:|Accepted:/.test(text);
      expect(shown || excused).toBe(true);
    },
  );
});
