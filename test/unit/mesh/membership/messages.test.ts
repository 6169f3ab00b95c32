import { describe, expect, it } from "vitest";
import { entryId, handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { signCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import {
  frameBytes,
  greetingSchema,
  maxLobbyFrameBytes,
  parseLobbyRequest,
} from "../../../../src/mesh/lobby/messages.ts";
import { founderClaim, isFounderClaimProved } from "../../../../src/mesh/membership/claim-proof.ts";
import { admission } from "../../../../src/mesh/membership/lobby-door.ts";
import { greeting, peer } from "./fixtures.ts";

const key = generateClusterKey();
const certificate = signCertificate(
  { peer: peer("x"), handle: handle("x"), generation: 1, decision: 2 },
  key,
);

describe("parseLobbyRequest", () => {
  it.each([
    [{ v: 1, kind: "hello" }],
    [{ v: 1, kind: "hello", port: 7443, later: "unknown fields are fine" }],
    [{ ...founderClaim(key, "one", peer("a"), peer("b")) }],
    [
      {
        v: 1,
        kind: "claim",
        as: "member",
        certificate: { ...certificate },
        clusterName: "one",
        entry: entryId("3-member.admit"),
        number: { generation: 1, revision: 3 },
      },
    ],
    [{ v: 1, kind: "confirm", cluster: key.id }],
    [{ v: 1, kind: "release", cluster: key.id, certificate: null, upTo: null }],
    [{ v: 1, kind: "claim-status", cluster: key.id, number: null }],
  ])("takes %o", (request) => {
    expect(parseLobbyRequest(request)).toMatchObject({ ok: true });
  });

  it.each([
    [null, "bad-request"],
    [[], "bad-request"],
    ["hello", "bad-request"],
    [{ v: 2, kind: "hello" }, "bad-version"],
    [{ v: 1, kind: "constructor" }, "unknown-kind"],
    [{ v: 1, kind: "gossip" }, "unknown-kind"],
    [{ v: 1, kind: "hello", port: 0 }, "bad-request"],
    [{ v: 1, kind: "hello", padding: "x".repeat(maxLobbyFrameBytes) }, "too-large"],
    [{ v: 1, kind: "confirm", cluster: "../../etc" }, "bad-request"],
    [{ v: 1, kind: "claim", as: "king" }, "bad-request"],
  ])("refuses %o as %s", (request, error) => {
    expect(parseLobbyRequest(request as Json)).toEqual({ ok: false, error });
  });
});

describe("a greeting", () => {
  it("with everything at its limit fits one frame", () => {
    const full = greeting("x", {
      name: "é".repeat(63),
      version: "v".repeat(63),
      state: "member",
      window: { open: true, until: new Date().toISOString() },
      sees: Array.from({ length: 24 }, () => peer("x")),
      clusters: Array.from({ length: 4 }, () => key.id),
      foundings: Array.from({ length: 8 }, () => ({ cluster: key.id, founder: peer("x"), firm: true })),
      networks: Array.from({ length: 8 }, () => "2001:db8:1234:5678:9abc:def0:1234:0/112"),
      cluster: { id: key.id, name: "é".repeat(63) },
      certificate: { ...certificate },
      claim: {
        cluster: key.id,
        founder: peer("x"),
        confirmed: true,
        entry: entryId("1234567890123456-member.admit"),
      },
      joining: key.id,
      founding: key.id,
      meshPort: 65535,
    });
    expect(greetingSchema.safeParse(full).success).toBe(true);
    expect(frameBytes(full as unknown as Json)).toBeLessThanOrEqual(maxLobbyFrameBytes);
  });

  it("loses what could steer a terminal", () => {
    const parsed = greetingSchema.parse(greeting("x", { name: "a\u001b[31mb\u0007\u202ec" }));
    expect(parsed.name).toBe("a[31mbc");
  });
});

describe("admission", () => {
  it("leaves contacts out until it fits one frame", () => {
    const contacts = Array.from({ length: 8 }, () => ({
      peer: peer("x"),
      addresses: Array.from(
        { length: 6 },
        () => "2001:db8:1234:5678:9abc:def0:1234:5678%enp0s31f6.1234-long-name",
      ),
      port: 7444,
    }));
    const message = admission("request", certificate, "one", contacts);
    expect(frameBytes(message)).toBeLessThanOrEqual(maxLobbyFrameBytes);
    expect((message as { contacts: unknown[] }).contacts.length).toBeGreaterThan(4);
    expect(parseLobbyRequest(message).ok).toBe(true);
  });
});

describe("a founder's claim", () => {
  const claim = founderClaim(key, "one", peer("a"), peer("b"));

  it("holds for that founder, that node and that cluster only", () => {
    expect(isFounderClaimProved(claim, peer("a"), peer("b"))).toBe(true);
    expect(isFounderClaimProved(claim, peer("c"), peer("b"))).toBe(false);
    expect(isFounderClaimProved(claim, peer("a"), peer("c"))).toBe(false);
    const other = generateClusterKey();
    expect(isFounderClaimProved({ ...claim, cluster: other.id }, peer("a"), peer("b"))).toBe(false);
    expect(
      isFounderClaimProved(
        { ...claim, cluster: other.id, clusterKey: other.publicKey },
        peer("a"),
        peer("b"),
      ),
    ).toBe(false);
    expect(isFounderClaimProved({ ...claim, clusterKey: "AAAA" }, peer("a"), peer("b"))).toBe(false);
  });
});
