import type { Planner, Proposal } from "../../ceph/control/controller.ts";
import { kinds, lanes } from "../../ceph/control/decisions.ts";
import { rekeyedFor, revokePrefix } from "../../ceph/control/rekey.ts";
import { isPeerId } from "../../ids/ids.ts";
import { fsidOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** What a member that is gone knew is replaced, where that was asked for; the wish goes once it is done. */
export function revocationPlanner(runtime: ClusterRuntime): Planner {
  return async () => {
    const { document, journal } = runtime;
    const entries = journal.entries();
    const wishes = Object.entries(document.view().settings).filter(([name]) => name.startsWith(revokePrefix));
    if (wishes.length === 0) return [];
    const finished = rekeyedFor(entries, "done");
    const open = rekeyedFor(entries, "open");
    const tombstones = journal.tombstones();
    return wishes.flatMap(([name, peer]): Proposal[] => {
      if (!isPeerId(peer) || finished.has(peer) || fsidOf(entries) === null) {
        document.setSetting(name, null);
        return [];
      }
      const handle = tombstones.get(peer)?.handle;
      if (handle === undefined || open.has(peer)) return [];
      const reason = `${handle} is gone, and what it knew is to open nothing any more`;
      // No monitor is added, or taken out, while the monitors' own key changes.
      return [{ kind: kinds.rekey, body: { peer, handle }, agent: null, reason, lane: lanes.seats }];
    });
  };
}
