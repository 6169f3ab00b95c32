import type { MeshStatus } from "../api/contract/mesh.ts";
import { clusterFacts } from "./cluster/cluster-report.ts";
import type { Daemon } from "./daemon.ts";
import { meshReport } from "./mesh-report.ts";
import { lobbyPending } from "./nodes-in-sight.ts";

/** What this node knows of the mesh now; nobody is asked. */
export function meshStatusOf(daemon: Daemon): MeshStatus {
  const membership = daemon.membership.status();
  const { cluster } = daemon;
  const lobby = cluster === null ? lobbyPending(daemon) : [];
  const view = cluster === null ? null : clusterFacts(cluster);
  return meshReport({
    now: daemon.now(),
    self: {
      id: daemon.identity.peerId,
      name: daemon.settings.name,
      handle: cluster?.handle ?? null,
      state: membership.state,
      window: membership.window,
      waitingFor: membership.waitingFor === null ? [] : [membership.waitingFor],
    },
    cluster: view?.cluster ?? null,
    lease: view?.lease ?? { holder: null, epoch: null, quorum: false, lastDecision: null },
    members: view?.members ?? [],
    pending: view?.pending ?? lobby,
    conflicts: [...membership.conflicts, ...(view?.conflicts ?? [])],
  });
}
