/** The little of XML-RPC that Renode's robot server speaks: calls with strings and lists of strings, answers of any kind. */

export type XmlRpcValue = string | number | boolean | XmlRpcValue[] | { [name: string]: XmlRpcValue };

/** The server answered with a fault: it could not even run the method. */
export class XmlRpcFault extends Error {
  override readonly name = "XmlRpcFault";
}

export function encodeCall(method: string, params: readonly (string | readonly string[])[]): string {
  const values = params.map((param) => `<param>${encodeValue(param)}</param>`).join("");
  return `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${values}</params></methodCall>`;
}

function encodeValue(value: string | readonly string[]): string {
  if (typeof value === "string") return `<value><string>${escape(value)}</string></value>`;
  return `<value><array><data>${value.map(encodeValue).join("")}</data></array></value>`;
}

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" } as const;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function unescape(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      return ENTITIES[name as keyof typeof ENTITIES] ?? whole;
    },
  );
}

/** The result of a call; throws an XmlRpcFault, or a SyntaxError if it is no answer at all. */
export function decodeAnswer(xml: string): XmlRpcValue {
  const reader = new Reader(xml);
  reader.enter("methodResponse");
  if (reader.next === "fault") {
    reader.enter("fault");
    const fault = reader.value();
    const text = typeof fault === "object" && "faultString" in fault ? fault["faultString"] : fault;
    throw new XmlRpcFault(typeof text === "string" ? text : JSON.stringify(text));
  }
  reader.enter("params");
  reader.enter("param");
  return reader.value();
}

/** Tags and texts, one after the other. An empty element counts as one that is closed at once. */
class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(xml: string) {
    const whole = xml.replace(/<\?[^>]*\?>|<!--[\s\S]*?-->/g, "").replace(/<(\w+)\s*\/>/g, "<$1></$1>");
    this.#tokens = whole.match(/<[^>]*>|[^<]+/g) ?? [];
  }

  /** The name of the next tag: of one that closes, with its slash. */
  get next(): string {
    while (this.#tokens[this.#at]?.trim() === "") this.#at++;
    return /^<([^\s>]+)/.exec(this.#tokens[this.#at] ?? "")?.[1] ?? "";
  }

  enter(tag: string): void {
    if (this.next !== tag)
      throw new SyntaxError(`XML-RPC: expected <${tag}>, got ${this.#tokens[this.#at] ?? "the end"}`);
    this.#at++;
  }

  text(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.startsWith("<")) return "";
    this.#at++;
    return unescape(token);
  }

  value(): XmlRpcValue {
    this.enter("value");
    const value = this.#typed();
    this.enter("/value");
    return value;
  }

  #typed(): XmlRpcValue {
    const start = this.#at;
    const kind = this.next;
    if (kind === "/value" || kind === "") {
      this.#at = start; // a value without a type is a string, blanks and all
      return this.text();
    }
    this.enter(kind);
    const value =
      kind === "struct" ? this.#members() : kind === "array" ? this.#elements() : scalar(kind, this.text());
    this.enter(`/${kind}`);
    return value;
  }

  #members(): XmlRpcValue {
    const members: Record<string, XmlRpcValue> = {};
    while (this.next === "member") {
      this.enter("member");
      this.enter("name");
      const name = this.text();
      this.enter("/name");
      members[name] = this.value();
      this.enter("/member");
    }
    return members;
  }

  #elements(): XmlRpcValue {
    const elements: XmlRpcValue[] = [];
    this.enter("data");
    while (this.next === "value") elements.push(this.value());
    this.enter("/data");
    return elements;
  }
}

function scalar(kind: string, text: string): XmlRpcValue {
  if (kind === "int" || kind === "i4" || kind === "double") return Number(text);
  return kind === "boolean" ? text.trim() === "1" : text;
}
