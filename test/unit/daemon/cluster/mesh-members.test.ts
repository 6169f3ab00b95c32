import { describe, expect, it } from "vitest";
import { type MeshMembersFacts, meshMembers } from "../../../../src/daemon/cluster/mesh-members.ts";
import { type PeerId, peerId } from "../../../../src/ids/ids.ts";

const peer = (letter: string): PeerId => peerId(`12D3KooW${letter.repeat(44)}`);
const [self, one, two] = [peer("a"), peer("b"), peer("c")];
const nothing: MeshMembersFacts = { self, contacts: [], members: [], tombstones: [], nodes: {} };
const contact = { peer: one, addresses: ["10.0.0.1"], port: 7444 };

describe("whom the mesh lets in", () => {
  it.each<[string, Partial<MeshMembersFacts>, unknown, PeerId[]]>([
    ["nobody", {}, [], []],
    ["the contacts, before the journal is here", { contacts: [contact] }, [contact], []],
    [
      "members, even before they have said where they are",
      { members: [one] },
      [{ peer: one, addresses: [], port: null }],
      [],
    ],
    ["not itself", { members: [self], contacts: [{ ...contact, peer: self }] }, [], []],
    [
      "a member at the contact's address until it has said more",
      { contacts: [contact], members: [one] },
      [contact],
      [],
    ],
    [
      "a member where it says that it is",
      { contacts: [contact], members: [one], nodes: { [one]: { addresses: ["10.0.0.7"], meshPort: 9 } } },
      [{ peer: one, addresses: ["10.0.0.7"], port: 9 }],
      [],
    ],
    ["nobody who is in the document only", { nodes: { [two]: { addresses: [], meshPort: 1 } } }, [], []],
    ["no contact that was removed since", { contacts: [contact], tombstones: [one] }, [], [one]],
    // It may have introduced itself before: only a denial takes that back.
    ["one removed, known otherwise or not, is denied", { tombstones: [two] }, [], [two]],
  ])("%s", (_what, facts, members, denied) => {
    const made = meshMembers({ ...nothing, ...facts });
    expect([...made.members.values()]).toEqual(members);
    expect(made.denied).toEqual(denied);
  });
});
