import type { PeerId } from "../../ids/ids.ts";
import type { MemberContact } from "../../mesh/host/mesh-host.ts";
import type { Contact } from "../../mesh/lobby/messages.ts";

export interface MeshMembersFacts {
  readonly self: PeerId;
  /** Where to find fellow members before the journal and the document are here. */
  readonly contacts: readonly Contact[];
  /** By the journal. */
  readonly members: Iterable<PeerId>;
  readonly tombstones: Iterable<PeerId>;
  /** What the members say of themselves. */
  readonly nodes: Readonly<
    Record<PeerId, { readonly addresses: readonly string[]; readonly meshPort: number } | undefined>
  >;
}

/** Whom the mesh lets in and dials, and whom it refuses whatever else speaks for them. */
export function meshMembers(facts: MeshMembersFacts): {
  readonly members: ReadonlyMap<PeerId, MemberContact>;
  readonly denied: readonly PeerId[];
} {
  const { self, contacts, nodes } = facts;
  const members = new Map<PeerId, MemberContact>();
  const add = (peer: PeerId, addresses: readonly string[], port: number | null): void => {
    if (peer !== self) members.set(peer, { peer, addresses: [...addresses], port });
  };
  for (const { peer, addresses, port } of contacts) add(peer, addresses, port);
  for (const peer of facts.members) {
    const said = nodes[peer];
    if (said) add(peer, said.addresses, said.meshPort);
    else if (!members.has(peer)) add(peer, [], null);
  }
  // One that introduced itself before the journal came here with its removal is no member for that.
  const denied = [...facts.tombstones];
  for (const peer of denied) members.delete(peer);
  return { members, denied };
}
