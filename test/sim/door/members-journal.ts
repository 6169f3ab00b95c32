import { entryId, handle, type PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import {
  type MemberCertificate,
  signCertificate,
  signTombstone,
  verifyCertificate,
  verifyTombstone,
} from "../../../src/mesh/identity/certificate.ts";
import { type ClusterKey, generateClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import { admitKind, type Membership, membershipOf, removeKind } from "../../../src/state/journal/members.ts";
import type { Entry } from "../../../src/state/journal/types.ts";

/** The admissions and removals that a cluster has decided; a member's copy is a prefix of it. */
export class MembersJournal {
  readonly key: ClusterKey = generateClusterKey();
  readonly #entries: Entry[] = [];
  readonly #prefixes = new Map<number, Membership>();

  get length(): number {
    return this.#entries.length;
  }

  admit(peer: PeerId, name: string): MemberCertificate {
    const member = { peer, handle: handle(name), generation: 1, decision: this.length + 1 };
    const certificate = signCertificate(member, this.key);
    this.#decide(admitKind, { peer, name, handle: name }, { certificate: { ...certificate } });
    return certificate;
  }

  remove(peer: PeerId, name: string): void {
    const member = { peer, handle: handle(name), generation: 1, decision: this.length + 1 };
    this.#decide(removeKind, { peer }, { tombstone: { ...signTombstone(member, this.key) } });
  }

  /** What a copy with the first `head` decisions says. */
  membership(head: number): Membership {
    const read = this.#prefixes.get(head) ?? this.#read(head);
    this.#prefixes.set(head, read);
    return read;
  }

  #read(head: number): Membership {
    const expected = { cluster: this.key.id };
    return membershipOf(this.#entries.slice(0, head), {
      certificate: (value) => verifyCertificate(value, expected),
      tombstone: (value) => verifyTombstone(value, expected),
    });
  }

  #decide(kind: string, body: Json, result: Json): void {
    const number = { generation: 1, revision: this.length + 1 };
    this.#entries.push({
      id: entryId(`${number.revision}-${kind}`),
      kind,
      body,
      agent: null,
      state: "done",
      number,
      handed: false,
      result,
      reason: "simulated",
      openedAt: "2026-01-01T00:00:00.000Z",
      closedAt: "2026-01-01T00:00:00.000Z",
      openedNumber: number,
    });
  }
}
