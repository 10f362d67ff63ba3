/** JUnit XML as its readers see it: parsed strictly, and held against the structure that the schemas of Ant and Jenkins share. */
import { SaxesParser } from "saxes";
import { expect } from "vitest";

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** Throws at the first thing that is not well-formed XML 1.0. */
export function parseXml(text: string): Element {
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    const element = { name, attributes: { ...attributes }, children: [], text: "" };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on("closetag", () => void open.pop());
  parser.on("text", (part) => {
    const last = open.at(-1);
    if (last !== undefined) last.text += part;
  });
  parser.write(text).close();
  const [document] = root.children;
  if (document === undefined) throw new Error("there is no element");
  return document;
}

const TIME = /^\d+\.\d{3}$/;
const COUNT = /^\d+$/;
const NAME = /\S/;

/** For each element: its attributes, all of which both schemas know, and which children come in which order. */
const STRUCTURE: Readonly<Record<string, { attributes: Record<string, RegExp>; children: RegExp }>> = {
  testsuites: {
    attributes: { name: NAME, tests: COUNT, failures: COUNT, errors: COUNT, time: TIME },
    children: /^testsuite $/,
  },
  testsuite: {
    attributes: {
      ...{ id: COUNT, name: NAME, package: NAME, hostname: NAME },
      timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/,
      ...{ tests: COUNT, failures: COUNT, errors: COUNT, skipped: COUNT, time: TIME },
    },
    children: /^properties (testcase )+system-out system-err $/,
  },
  properties: { attributes: {}, children: /^(property )+$/ },
  property: { attributes: { name: NAME, value: /[^]*/ }, children: /^$/ },
  testcase: { attributes: { classname: NAME, name: NAME, time: TIME }, children: /^(failure )?$/ },
  failure: { attributes: { message: NAME, type: NAME }, children: /^$/ },
  "system-out": { attributes: {}, children: /^$/ },
  "system-err": { attributes: {}, children: /^$/ },
};

/** What CI would show of a file, which has to be right in form and in its own counts. */
export function readJunit(text: string): {
  suite: Element;
  properties: Record<string, string>;
  cases: Element[];
  /** Message and text of each failure, by the name of its case. */
  failures: Record<string, { message: string; text: string }>;
} {
  const document = parseXml(text);
  expect(document.name).toBe("testsuites");
  holdAgainst(document);
  const [suite] = document.children;
  if (suite === undefined) throw new Error("there is no suite");
  const named = (name: string): Element[] => suite.children.filter((child) => child.name === name);
  const cases = named("testcase");
  const failed = cases.filter(({ children }) => children.length > 0);
  for (const { attributes } of [document, suite])
    expect(attributes).toMatchObject({ tests: `${cases.length}`, failures: `${failed.length}` });
  expect(new Set(cases.map(({ attributes }) => attributes["name"])).size).toBe(cases.length);
  const properties = named("properties").flatMap(({ children }) => children);
  return {
    suite,
    properties: Object.fromEntries(
      properties.map(({ attributes }) => [attributes["name"] ?? "", attributes["value"] ?? ""]),
    ),
    cases,
    failures: Object.fromEntries(
      failed.map(({ attributes, children: [failure] }) => [
        attributes["name"] ?? "",
        { message: failure?.attributes["message"] ?? "", text: failure?.text ?? "" },
      ]),
    ),
  };
}

function holdAgainst(element: Element): void {
  const { name, attributes, children } = element;
  const rule = STRUCTURE[name];
  if (rule === undefined) throw new Error(`no schema knows <${name}>`);
  expect(Object.keys(attributes).sort(), name).toEqual(Object.keys(rule.attributes).sort());
  for (const [attribute, form] of Object.entries(rule.attributes))
    expect(attributes[attribute], `${attribute} of <${name}>`).toMatch(form);
  expect(children.map((child) => `${child.name} `).join(""), name).toMatch(rule.children);
  for (const child of children) holdAgainst(child);
}
