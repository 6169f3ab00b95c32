import { describe, expect, it } from "vitest";
import { difference, type Identity, recordSet } from "../../../src/discovery/core/record-set.ts";
import { dataBytes, identityOf, type ResourceRecord, tieBreak } from "../../../src/discovery/core/records.ts";
import { decodeText, encodeText } from "../../../src/discovery/core/text-record.ts";
import { records, serviceName } from "./simulated-lan.ts";

const identity: Identity = {
  serviceName,
  instance: "n1 abc",
  host: "n1",
  port: 7000,
  text: encodeText({ st: "a" }),
};

describe("records", () => {
  it("has data as on the wire, names uncompressed", () => {
    expect([...dataBytes({ type: "PTR", data: "ab.c" })]).toEqual([2, 97, 98, 1, 99, 0]);
    const location = { priority: 1, weight: 2, port: 258, target: "n" };
    expect([...dataBytes({ type: "SRV", data: location })]).toEqual([0, 1, 0, 2, 1, 2, 1, 110, 0]);
    expect([...dataBytes({ type: "TXT", data: [Uint8Array.of(7, 8), new Uint8Array()] })]).toEqual([
      2, 7, 8, 0,
    ]);
  });

  it("knows equal records by folded names and data, whatever TTL and flush bit", () => {
    const one = records.location("N1", "Host");
    expect(identityOf(records.location("n1", "hOST", 7000, 3))).toBe(identityOf(one));
    expect(identityOf(records.location("n1", "host", 7001))).not.toBe(identityOf(one));
  });

  const a = (address: string): ResourceRecord => records.address("n1", address);
  it.each([
    // The example of RFC 6762 section 8.2: 200 > 99, although 99 is greater than 200 as text.
    ["RFC 6762 section 8.2", [a("169.254.200.50")], [a("169.254.99.200")], 1],
    ["equal sets in another order", [a("10.0.0.1"), a("10.0.0.2")], [a("10.0.0.2"), a("10.0.0.1")], 0],
    ["the longer set of otherwise equal ones", [a("10.0.0.1"), a("10.0.0.2")], [a("10.0.0.1")], 1],
    ["type before data", [records.location("n1", "a")], [a("250.0.0.1")], 1],
    ["data as unsigned bytes", [a("128.0.0.1")], [a("127.0.0.1")], 1],
    ["the shorter data of a common start", [records.text("n1", ["a"])], [records.text("n1", ["a", "b"])], -1],
  ])("breaks a tie: %s", (_what, ours, theirs, sign) => {
    expect(Math.sign(tieBreak(ours, theirs))).toBe(sign);
    expect(Math.sign(tieBreak(theirs, ours))).toBe(-sign + 0);
  });
});

describe("the record set", () => {
  it("has TTLs and flush bits by kind, and addresses of the link only", () => {
    const set = recordSet(identity, ["10.0.0.1", "fd00::1"]);
    const shown = set.all.map(({ type, name, ttl, flush }) => `${type} ${name} ${ttl} ${flush}`);
    expect(shown).toEqual([
      `PTR ${serviceName} 4500 false`,
      "PTR _services._dns-sd._udp.local 4500 false",
      `SRV n1 abc.${serviceName} 120 true`,
      `TXT n1 abc.${serviceName} 4500 true`,
      "A n1.local 120 true",
      "AAAA n1.local 120 true",
    ]);
  });

  it("says a changed set as a whole, and takes leave of what nothing replaces", () => {
    const before = recordSet(identity, ["10.0.0.1", "10.0.0.2", "fd00::1"]);
    const after = recordSet({ ...identity, text: encodeText({ st: "b" }) }, ["10.0.0.1"]);
    const { said, withdrawn } = difference(before, after);
    expect(said.map(({ type }) => type)).toEqual(["TXT", "A"]);
    expect(withdrawn.map(({ type, ttl, data }) => [type, ttl, data])).toEqual([["AAAA", 0, "fd00::1"]]);
    expect(difference(before, before)).toEqual({ said: [], withdrawn: [] });
  });
});

describe("the TXT record", () => {
  const text = (strings: readonly Uint8Array[]): string[] =>
    strings.map((one) => new TextDecoder().decode(one));

  it("has txtvers first and is never without a string", () => {
    expect(text(encodeText({ id: "x", txtvers: "1", st: "" }))).toEqual(["txtvers=1", "id=x", "st="]);
    expect(encodeText({})).toEqual([new Uint8Array()]);
  });

  it.each([
    ["an empty key", { "": "x" }],
    ["a long key", { abcdefghij: "x" }],
    ["a key with =", { "a=": "x" }],
    ["a key outside ASCII", { ä: "x" }],
    ["a value over 255 bytes", { n: "ä".repeat(127) }],
    ["more than 1300 bytes in all", Object.fromEntries([..."abcdef"].map((key) => [key, "x".repeat(250)]))],
  ])("refuses %s", (_what, txt) => expect(() => encodeText(txt)).toThrow(TypeError));

  it("is read with lower-case keys, the first one wins, strings without key are ignored", () => {
    const strings = ["St=a", "sT=b", "flag", "=x", "", "e=", "eq=a=b", "__proto__=x"].map((one) =>
      new TextEncoder().encode(one),
    );
    const read = decodeText(strings);
    expect(Object.entries(read)).toEqual([
      ["st", "a"],
      ["flag", ""],
      ["e", ""],
      ["eq", "a=b"],
      ["__proto__", "x"],
    ]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });
});
