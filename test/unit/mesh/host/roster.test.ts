import { describe, expect, it } from "vitest";
import { handle, type PeerId } from "../../../../src/ids/ids.ts";
import { Roster } from "../../../../src/mesh/host/roster.ts";
import { type MemberCertificate, signCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { peer } from "../membership/fixtures.ts";

const key = generateClusterKey();
const self = peer("a");
const contactOf = (id: PeerId) => ({ peer: id, addresses: ["10.77.0.12"], port: 7001 });
const certified = (id: PeerId, by = key): MemberCertificate =>
  signCertificate({ peer: id, handle: handle("n2"), generation: 1, decision: 3 }, by);

function rosterOf(...members: PeerId[]): Roster {
  const roster = new Roster(self, key.id);
  roster.setMembers(new Map(members.map((id) => [id, contactOf(id)])));
  return roster;
}

describe("Roster", () => {
  it("admits members, not itself, not strangers", () => {
    const roster = rosterOf(self, peer("b"));
    expect([self, peer("b"), peer("c")].map((id) => roster.admits(id))).toEqual([false, true, false]);
    expect(roster.contacts()).toEqual([contactOf(peer("b"))]);
  });

  it("admits the holder of a certificate of this cluster, and no other", () => {
    const roster = rosterOf();
    expect(roster.introduce(certified(peer("b"), generateClusterKey()), contactOf(peer("b")))).toBe(false);
    expect(roster.introduce(certified(peer("c")), contactOf(peer("b")))).toBe(false);
    expect(roster.admits(peer("b"))).toBe(false);
    expect(roster.introduce(certified(peer("b")), contactOf(peer("b")))).toBe(true);
    expect(roster.admits(peer("b"))).toBe(true);
  });

  it("keeps an introduction until the journal names the peer, and then goes by the journal", () => {
    const roster = rosterOf();
    roster.introduce(certified(peer("b")), contactOf(peer("b")));
    roster.setMembers(new Map([[peer("c"), contactOf(peer("c"))]]));
    expect(roster.admits(peer("b"))).toBe(true);
    roster.setMembers(new Map([[peer("b"), contactOf(peer("b"))]]));
    roster.setMembers(new Map());
    expect(roster.admits(peer("b"))).toBe(false);
  });

  it("never again admits one that is denied, named or introduced", () => {
    const roster = rosterOf(peer("b"));
    roster.deny(peer("b"));
    expect(roster.admits(peer("b"))).toBe(false);
    roster.setMembers(new Map([[peer("b"), contactOf(peer("b"))]]));
    expect(roster.introduce(certified(peer("b")), contactOf(peer("b")))).toBe(false);
    expect(roster.admits(peer("b"))).toBe(false);
    expect(roster.contacts()).toEqual([]);
  });
});
