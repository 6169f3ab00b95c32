import type { Admission, MeshStatus, NodeState, PendingNode, Presence } from "../api/contract/mesh.ts";
import type { ClusterId, Fsid, Handle, PeerId } from "../ids/ids.ts";

/** What this daemon knows, gathered without waiting for anyone. */
export interface MeshFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly self: {
    readonly id: PeerId;
    readonly name: string;
    readonly handle: Handle | null;
    readonly state: NodeState;
    readonly window: { readonly open: boolean; readonly until: string | null };
    readonly waitingFor: readonly string[];
  };
  readonly cluster: {
    readonly id: ClusterId;
    readonly name: string;
    readonly fsid: Fsid | null;
    readonly admission: Admission;
  } | null;
  readonly lease: {
    readonly holder: PeerId | null;
    readonly epoch: number | null;
    /** Whether a majority of the voters answered lately; null while this node has not heard who they are. */
    readonly quorum: boolean | null;
    readonly lastDecision: { readonly number: number; readonly at: string } | null;
  };
  readonly members: readonly {
    readonly id: PeerId;
    readonly name: string;
    readonly handle: Handle;
    readonly addresses: readonly string[];
    readonly presence: Presence;
    readonly lastSeen: number | null;
    readonly voter: boolean;
    readonly services: readonly string[];
    readonly zone: string | null;
  }[];
  readonly pending: readonly PendingNode[];
  readonly conflicts: readonly { readonly kind: string; readonly detail: string }[];
}

/** The public report of what this node knows of the mesh. */
export function meshReport(facts: MeshFacts): MeshStatus {
  const { self, cluster, lease } = facts;
  return {
    asOf: new Date(facts.now).toISOString(),
    cluster,
    self: { ...self, waitingFor: self.waitingFor.length === 0 ? null : self.waitingFor.join("; ") },
    lease: {
      holder: lease.holder,
      epoch: lease.epoch,
      quorum: cluster === null || lease.quorum === null ? "none" : lease.quorum ? "ok" : "lost",
      lastDecision: lease.lastDecision,
    },
    members: [...facts.members]
      .sort((a, b) => (a.handle < b.handle ? -1 : 1))
      .map((member) => ({
        ...member,
        addresses: [...member.addresses],
        services: [...member.services],
        lastSeen: member.lastSeen === null ? null : new Date(member.lastSeen).toISOString(),
      })),
    pending: [...facts.pending],
    conflicts: facts.conflicts.map(({ kind, detail }) => ({ kind, detail })),
  };
}
