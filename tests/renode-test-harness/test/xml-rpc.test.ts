import { describe, expect, it } from "vitest";

import { decodeAnswer, encodeCall, XmlRpcFault } from "../src/xml-rpc.js";

function answer(value: string): string {
  return `<?xml version="1.0"?><methodResponse><params><param>${value}</param></params></methodResponse>`;
}

describe("XML-RPC", () => {
  it("calls with strings and lists, whatever is in them", () => {
    expect(encodeCall("run_keyword", ["ExecuteCommand", ['a < b & "c"']])).toBe(
      '<?xml version="1.0"?><methodCall><methodName>run_keyword</methodName><params>' +
        "<param><value><string>ExecuteCommand</string></value></param>" +
        '<param><value><array><data><value><string>a &lt; b &amp; "c"</string></value></data></array></value></param>' +
        "</params></methodCall>",
    );
  });

  it("reads values of every kind", () => {
    const value = answer(`<value><struct>
      <member><name>text</name><value><string>&lt;a&gt; &amp; &quot;b&quot; &#x41;&#66;&apos;</string></value></member>
      <member><name>plain</name><value> kept as it is </value></member>
      <member><name>empty</name><value><string /></value></member>
      <member><name>number</name><value><int>-7</int></value></member>
      <member><name>more</name><value><double>2.5</double></value></member>
      <member><name>yes</name><value><boolean>1</boolean></value></member>
      <member><name>list</name><value><array><data><value><i4>1</i4></value><value>two</value></data></array></value></member>
    </struct></value>`);
    expect(decodeAnswer(value)).toEqual({
      text: `<a> & "b" AB'`,
      plain: " kept as it is ",
      empty: "",
      number: -7,
      more: 2.5,
      yes: true,
      list: [1, "two"],
    });
  });

  it("throws what the server calls a fault, with its text", () => {
    const fault = `<methodResponse><fault><value><struct>
      <member><name>faultCode</name><value><int>1</int></value></member>
      <member><name>faultString</name><value><string>Keyword "X" not found</string></value></member>
    </struct></value></fault></methodResponse>`;
    expect(() => decodeAnswer(fault)).toThrow(XmlRpcFault);
    expect(() => decodeAnswer(fault)).toThrow('Keyword "X" not found');
  });

  it.each(["", "<html>busy</html>", "<methodResponse><params>", answer("<value><struct><name>x")])(
    "refuses what is no answer: %s",
    (text) => {
      expect(() => decodeAnswer(text)).toThrow(SyntaxError);
    },
  );
});
