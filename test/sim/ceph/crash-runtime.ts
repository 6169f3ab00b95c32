import type { CephNode } from "../../../src/ceph/control/ceph-node.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import type { Handle, PeerId } from "../../../src/ids/ids.ts";
import type { OsdRemoval } from "../../../src/state/document/cluster-document.ts";
import { removeKind } from "../../../src/state/journal/members.ts";
import type { Entry } from "../../../src/state/journal/types.ts";
import type { LocalStore } from "../../../src/state/store/local-store.ts";
import { silent } from "../../support/simulated-voter.ts";

/** What members know of each other and wish: the document, which every node has. */
export class SharedWishes {
  readonly removals: Record<string, OsdRemoval> = {};
  readonly labels: Record<PeerId, { leaving?: "moving" | "dead" }> = {};
  readonly settings: Record<string, string> = {};
  /** OSDs of each member, as it says itself. */
  readonly nodes: Record<PeerId, { osds: { uuid: string }[]; addresses: string[] }> = {};

  view() {
    return { ...this, approvals: {}, services: {} };
  }

  setRemoval(uuid: string, wish: Pick<OsdRemoval, "osd" | "mode"> | null): void {
    if (wish === null) delete this.removals[uuid];
    else this.removals[uuid] = { ...wish, at: "", by: "" as PeerId };
  }

  setSetting(name: string, value: string | null): void {
    if (value === null) delete this.settings[name];
    else this.settings[name] = value;
  }

  setFacts(): void {}

  forget(peer: PeerId): void {
    delete this.labels[peer];
    delete this.nodes[peer];
  }
}

export interface RuntimeParts {
  readonly self: PeerId;
  readonly handle: Handle;
  readonly node: CephNode;
  readonly store: LocalStore;
  readonly document: SharedWishes;
  readonly entries: () => Entry[];
  /** Everyone who ever was a member. */
  readonly everyone: ReadonlyMap<PeerId, { readonly handle: Handle }>;
  readonly addresses: (peer: PeerId) => readonly string[];
  readonly isAlive: (peer: PeerId) => boolean;
}

/** Who was removed, by the journal. */
export function removedIn(entries: readonly Entry[]): Set<string> {
  return new Set(
    entries.flatMap(({ kind, state, body }) =>
      kind === removeKind && state === "done" ? [(body as { peer: string }).peer] : [],
    ),
  );
}

/** Of a member's runtime those parts that planners and upkeep use in these worlds. */
export function runtimeOf(parts: RuntimeParts): ClusterRuntime {
  const { self, handle, node, store, document, entries, everyone, addresses, isAlive } = parts;
  return {
    ...{ self, handle, document },
    options: { settings: { name: handle, lobbyPort: 7443 }, founded: null },
    journal: {
      entries,
      members: () => {
        const removed = removedIn(entries());
        return new Map([...everyone].filter(([peer]) => !removed.has(peer)));
      },
      tombstones: () => new Map([...removedIn(entries())].map((peer) => [peer, {}])),
    },
    presence: { stateOf: (peer: PeerId) => (isAlive(peer) ? "alive" : "failed") },
    publicAddress: (peer: PeerId) => addresses(peer)[0] ?? null,
    mesh: { port: 7444, connected: () => [] },
    cephView: { answers: true, refresh: () => undefined },
    voters: () => [],
    backends: () => [],
    deps: {
      ...{ cephNode: node, store, log: silent, versions: { ceph: "19.2.0", etcd: "3.5.0" } },
      ...{ now: () => 0, steadyNow: () => performance.now(), onDisks: async () => undefined },
      ...{ disks: () => [], interfaces: () => [] },
    },
  } as unknown as ClusterRuntime;
}
