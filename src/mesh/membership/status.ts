import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { Conflict } from "./admission-facts.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isSeen, type Neighbour, type ProvenCluster } from "./neighbours.ts";

export type ShownState = "fresh" | "claimed" | "member" | "removed";

/** What `mesh status` and the announcement say of this node. */
export interface MembershipStatus {
  readonly state: ShownState;
  /** The exact state, for those who must tell founding from claimed. */
  readonly lifecycle: Lifecycle["state"];
  readonly cluster: { readonly id: ClusterId; readonly name: string; readonly publicKey: string } | null;
  /** `until`: RFC 3339, or null while it is shut. */
  readonly window: { readonly open: boolean; readonly until: string | null };
  /** Why nothing has happened yet; null when it waits for nothing. */
  readonly waitingFor: string | null;
  readonly joining: ClusterId | null;
  readonly neighbours: readonly ShownNeighbour[];
  readonly clusters: readonly ProvenCluster[];
  readonly conflicts: readonly Conflict[];
}

/** One lobby that answers. */
export interface ShownNeighbour {
  readonly id: PeerId;
  readonly name: string;
  readonly version: string;
  readonly address: string;
  readonly port: number;
  readonly state: ShownState;
  readonly windowOpen: boolean;
  /** Cluster that it has proved. */
  readonly cluster: ClusterId | null;
  /** RFC 3339. */
  readonly firstSeen: string;
  readonly lastSeen: string;
}

/** A founding node has taken a first step: it is not free any more, so it shows as claimed. */
export function shownState(state: Lifecycle["state"]): ShownState {
  switch (state) {
    case "fresh":
      return "fresh";
    case "claimed":
    case "founding":
    case "founded":
      return "claimed";
    case "member":
      return "member";
    case "removed":
      return "removed";
  }
}

export function shownCluster(lifecycle: Lifecycle): MembershipStatus["cluster"] {
  switch (lifecycle.state) {
    case "claimed": {
      const { cluster, name, clusterKey } = lifecycle.claim;
      return { id: cluster, name, publicKey: clusterKey };
    }
    case "founding":
    case "founded":
      return { id: lifecycle.key.id, name: lifecycle.name, publicKey: lifecycle.key.publicKey };
    case "member": {
      const { cluster, clusterKey } = lifecycle.certificate;
      return { id: cluster, name: lifecycle.clusterName, publicKey: clusterKey };
    }
    default:
      return null;
  }
}

export function shownNeighbours(neighbours: readonly Neighbour[], now: number): ShownNeighbour[] {
  return neighbours
    .filter((one) => isSeen(one, now))
    .map(({ peer, address, port, greeting, certificate, firstSeen, answeredAt }) => ({
      id: peer,
      name: greeting.name,
      version: greeting.version,
      address,
      port,
      state: greeting.state,
      windowOpen: greeting.window.open,
      cluster: certificate?.cluster ?? null,
      firstSeen: new Date(firstSeen).toISOString(),
      lastSeen: new Date(answeredAt).toISOString(),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Clusters in sight that this node is not in. */
export function conflictsOf(lifecycle: Lifecycle, clusters: readonly ProvenCluster[]): Conflict[] {
  const list = clusters.map(({ id, name }) => `${name} (${id})`).join(", ");
  if (lifecycle.state === "fresh" && clusters.length > 1) {
    return [{ kind: "two-clusters", detail: `sees ${list}; \`microceph mesh join CLUSTER\` decides` }];
  }
  if (lifecycle.state !== "member") return [];
  return clusters
    .filter(({ id }) => id !== lifecycle.certificate.cluster)
    .map(({ id, name }) => ({
      kind: "other-cluster",
      detail: `cluster ${name} (${id}) is on this network too; clusters never merge`,
    }));
}

/** RFC 3339, or null. */
export function timeText(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
