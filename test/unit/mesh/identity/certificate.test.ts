import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../../src/ids/canonical-json.ts";
import type { Handle } from "../../../../src/ids/ids.ts";
import {
  maxCertificateBytes,
  signCertificate,
  signTombstone,
  verifyCertificate,
  verifyTombstone,
} from "../../../../src/mesh/identity/certificate.ts";
import {
  clusterIdOf,
  generateClusterKey,
  signWithClusterKey,
  verifyWithClusterKey,
} from "../../../../src/mesh/identity/cluster-key.ts";
import { generateIdentity } from "../../../../src/mesh/identity/node-identity.ts";

const key = generateClusterKey();
const other = generateClusterKey();
const { peerId: peer } = await generateIdentity();
const { peerId: stranger } = await generateIdentity();
const member = { peer, handle: "n1" as Handle, generation: 1, decision: 7 };
const certificate = signCertificate(member, key);

/** Base64 of the same bytes with its last, unused bits set. */
function otherSpelling(base64: string): string {
  const next = { A: "B", Q: "R", g: "h", w: "x" }[base64.at(-3) ?? ""];
  return `${base64.slice(0, -3)}${next}==`;
}

describe("member certificate", () => {
  it("is accepted as signed, also after a trip through JSON with its keys in another order", () => {
    const shuffled = Object.fromEntries(Object.entries(certificate).reverse());
    expect(verifyCertificate(JSON.parse(JSON.stringify(shuffled)))).toEqual(certificate);
    expect(verifyCertificate(certificate, { cluster: key.id, peer })).toEqual(certificate);
  });

  it.each([
    ["peer", stranger],
    ["handle", "n2"],
    ["generation", 2],
    ["decision", 8],
    ["cluster", other.id],
    ["clusterKey", other.publicKey],
    ["v", 2],
    ["extra", "field"],
    ["signature", signCertificate({ ...member, decision: 8 }, key).signature],
    ["signature", ""],
    ["signature", certificate.signature.replace(/=+$/, "")],
    ["signature", otherSpelling(certificate.signature)],
    ["decision", "7"],
  ])("is refused with another %s", (field, value) => {
    expect(verifyCertificate({ ...certificate, [field]: value })).toBeUndefined();
  });

  it("is refused when the key of another cluster signs in its name", () => {
    const forged = signCertificate(member, { ...other, id: key.id });
    expect(verifyCertificate(forged)).toBeUndefined();
    expect(verifyCertificate({ ...forged, clusterKey: key.publicKey })).toBeUndefined();
  });

  it("is refused where another cluster or peer is expected", () => {
    expect(verifyCertificate(certificate, { cluster: other.id })).toBeUndefined();
    expect(verifyCertificate(certificate, { peer: stranger })).toBeUndefined();
  });

  it("does not pass for a tombstone, nor a tombstone for it", () => {
    const tombstone = signTombstone(member, key);
    expect(verifyTombstone(tombstone, { cluster: key.id })).toEqual(tombstone);
    expect(verifyCertificate(tombstone)).toBeUndefined();
    expect(verifyTombstone({ ...certificate, tombstone: true })).toBeUndefined();
    const { tombstone: _, ...rest } = tombstone;
    expect(verifyCertificate(rest)).toBeUndefined();
  });

  it("keeps fields of a later version, up to its size limit", () => {
    const signed = (note: string) => {
      const { signature: _, ...body } = { ...certificate, note };
      return { ...body, signature: signWithClusterKey(key, "member-certificate", canonicalJson(body)) };
    };
    expect(verifyCertificate(signed("later"))).toMatchObject({ note: "later" });
    expect(verifyCertificate(signed("x".repeat(maxCertificateBytes)))).toBeUndefined();
  });

  it.each([[null], ["text"], [[]], [{}], [{ ...certificate, extra: Number.NaN }]])("refuses %j", (value) => {
    expect(verifyCertificate(value)).toBeUndefined();
    expect(verifyTombstone(value)).toBeUndefined();
  });
});

describe("cluster key", () => {
  it("has as id the first half of the hash of its public key", () => {
    // RFC 8032, section 7.1, TEST 1.
    const raw = Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex");
    expect(clusterIdOf(raw.toString("base64"))).toBe("21fe31dfa154a261626bf854046fd227");
    expect(clusterIdOf(key.publicKey)).toBe(key.id);
  });

  it("signs for one domain and one text", () => {
    const signature = signWithClusterKey(key, "journal-record", "text");
    expect(verifyWithClusterKey(key.publicKey, "journal-record", "text", signature)).toBe(true);
    expect(verifyWithClusterKey(key.publicKey, "journal-record", Buffer.from("text"), signature)).toBe(true);
    expect(verifyWithClusterKey(key.publicKey, "tombstone", "text", signature)).toBe(false);
    expect(verifyWithClusterKey(key.publicKey, "journal-record", "texts", signature)).toBe(false);
    expect(verifyWithClusterKey(other.publicKey, "journal-record", "text", signature)).toBe(false);
    expect(verifyWithClusterKey("nonsense", "journal-record", "text", signature)).toBe(false);
    expect(verifyWithClusterKey(key.publicKey, "journal-record", "text", "nonsense")).toBe(false);
    expect(() => signWithClusterKey(key, "two words", "text")).toThrow(TypeError);
  });
});

describe("canonical JSON", () => {
  it.each([
    [{ b: 1, a: [{ d: null, c: "é\n" }] }, '{"a":[{"c":"é\\n","d":null}],"b":1}'],
    [{ a: undefined, b: true }, '{"b":true}'],
    [{ "10": 1, "9": 2, a: -0 }, '{"10":1,"9":2,"a":0}'],
  ])("of %j", (value, text) => expect(canonicalJson(value)).toBe(text));

  it("refuses what JSON has no form for", () => {
    expect(() => canonicalJson({ a: Number.NaN })).toThrow(TypeError);
    expect(() => canonicalJson([() => 1])).toThrow(TypeError);
  });
});
