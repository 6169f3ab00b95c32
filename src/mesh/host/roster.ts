import type { ClusterId, PeerId } from "../../ids/ids.ts";
import { type MemberCertificate, verifyCertificate } from "../identity/certificate.ts";

/** Where a member can be dialled; `port` null or no addresses: it has to dial us. */
export interface MemberContact {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
  readonly port: number | null;
}

/** Whom the mesh lets in: what the gater, the dialer and gossip go by. */
export class Roster {
  readonly #self: PeerId;
  readonly #cluster: ClusterId;
  readonly #members = new Map<PeerId, MemberContact>();
  readonly #introduced = new Map<PeerId, MemberContact>();
  readonly #denied = new Set<PeerId>();

  constructor(self: PeerId, cluster: ClusterId) {
    this.#self = self;
    this.#cluster = cluster;
  }

  /** All members; this node itself may be among them. */
  setMembers(members: ReadonlyMap<PeerId, MemberContact>): void {
    this.#members.clear();
    for (const [peer, contact] of members) {
      if (peer === this.#self) continue;
      this.#members.set(peer, contact);
      this.#introduced.delete(peer);
    }
  }

  /**
   * Let the holder of a certificate in until `setMembers` names it or `deny` is called. @returns whether that
   * changed anything: a certificate that does not verify for this cluster is ignored
   */
  introduce(certificate: MemberCertificate, contact: MemberContact): boolean {
    const { peer } = contact;
    const expected = { cluster: this.#cluster, peer };
    if (peer === this.#self || verifyCertificate(certificate, expected) === undefined) return false;
    if (this.#members.has(peer) || this.#denied.has(peer)) return false;
    this.#introduced.set(peer, contact);
    return true;
  }

  /** Never again, whatever `setMembers` says: it was removed, and a removed key does not return. */
  deny(peer: PeerId): void {
    this.#denied.add(peer);
    this.#introduced.delete(peer);
  }

  admits(peer: PeerId): boolean {
    return !this.#denied.has(peer) && (this.#members.has(peer) || this.#introduced.has(peer));
  }

  /** All that are let in. */
  contacts(): MemberContact[] {
    return [...this.#members.values(), ...this.#introduced.values()].filter(({ peer }) => this.admits(peer));
  }
}
