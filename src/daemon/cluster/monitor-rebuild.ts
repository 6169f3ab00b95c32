import { z } from "zod";
import { monitorAddresses, speakV2Only } from "../../ceph/config/monitor-address.ts";
import type { Planner, Proposal } from "../../ceph/control/controller.ts";
import { kinds, lanes, type RebuildBody, rebuildBody } from "../../ceph/control/decisions.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import { fsidOf, networksOf } from "./cluster-facts.ts";
import { isAlive } from "./cluster-report.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** Setting that holds the wish until the journal has it. */
const wishKey = "monitors.rebuild";

const wishSchema = z.object({
  /** Names the wish: at most one decision follows from it. */
  id: z.string().min(1).max(64),
  /** Hosts of OSDs that will not be asked, because they are lost. */
  lost: z.array(z.custom<PeerId>(isPeerId)).max(100),
});
export type RebuildWish = z.infer<typeof wishSchema>;

export function wishRebuild(runtime: ClusterRuntime, wish: RebuildWish): void {
  runtime.document.setSetting(wishKey, JSON.stringify(wish));
}

/** The wish that nothing has followed from yet. */
export function rebuildWishOf(settings: Readonly<Record<string, string>>): RebuildWish | null {
  try {
    return wishSchema.parse(JSON.parse(settings[wishKey] ?? ""));
  } catch {
    return null;
  }
}

/** What followed from the wish. */
export function rebuildFor(entries: readonly Entry[], wish: string): Entry | undefined {
  return entries.findLast(
    ({ kind, body }) => kind === kinds.rebuild && rebuildBody.safeParse(body).data?.wish === wish,
  );
}

/** A member with OSDs, or without. */
export interface OsdHost {
  readonly peer: PeerId;
  readonly handle: string;
  readonly alive: boolean;
  readonly osds: number;
}

/** Why the monitors cannot be rebuilt from these hosts now; null when they can. */
export function rebuildRefusal(hosts: readonly OsdHost[], lost: readonly PeerId[]): string | null {
  const holding = hosts.filter(({ osds }) => osds > 0);
  const away = holding.filter(({ peer, alive }) => !alive && !lost.includes(peer));
  if (away.length > 0) {
    const names = away.map(({ handle }) => handle).join(", ");
    return `${names} has OSDs and does not answer; what the newest map says may be there alone. If it is gone for good, name it with --lost`;
  }
  if (!holding.some(({ alive }) => alive)) return "no member within reach has an OSD";
  return null;
}

/** An OSD that went to another host with its disk counts there, whatever its former host last said. */
export function osdHosts(runtime: ClusterRuntime): OsdHost[] {
  const { nodes } = runtime.document.view();
  const members = [...runtime.journal.members()].map(([peer, { handle }]) => ({
    ...{ peer, handle },
    alive: isAlive(runtime, peer),
    uuids: nodes[peer]?.osds.map(({ uuid }) => uuid) ?? [],
  }));
  const there = new Set(members.flatMap(({ alive, uuids }) => (alive ? uuids : [])));
  return members.map(({ uuids, ...member }) => ({
    ...member,
    osds: member.alive ? uuids.length : uuids.filter((uuid) => !there.has(uuid)).length,
  }));
}

/** One decision for each wish; the holder of the lease is the one that builds. */
export function monitorRebuildPlanner(runtime: ClusterRuntime): Planner {
  return async () => {
    const { document, journal, self, handle, deps } = runtime;
    const wish = rebuildWishOf(document.view().settings);
    if (wish === null) return [];
    const entries = journal.entries();
    const networks = networksOf(entries);
    const address = runtime.publicAddress(self);
    const hosts = osdHosts(runtime);
    const followed = rebuildFor(entries, wish.id);
    if (followed?.state === "open") return [];
    if (
      followed !== undefined ||
      networks === null ||
      fsidOf(entries) === null ||
      rebuildRefusal(hosts, wish.lost)
    ) {
      document.setSetting(wishKey, null);
      return [];
    }
    if (address === null) return [];
    const v2Only = speakV2Only(deps.cephNode.access?.monitors ?? []);
    const asked = hosts.filter(({ alive, osds }) => alive && osds > 0);
    const body: RebuildBody = {
      publicNetwork: networks.publicNetwork,
      clusterNetwork: networks.clusterNetwork,
      monitors: [{ name: handle, peer: self, addresses: monitorAddresses(address, v2Only) }],
      ...{ builder: self, handle, wish: wish.id },
      hosts: asked.map((host) => ({ peer: host.peer, handle: host.handle as RebuildBody["handle"] })),
    };
    const reason = `all monitors are lost; the OSDs of ${asked.map((host) => host.handle).join(", ")} have the maps`;
    const proposal: Proposal = {
      ...{ kind: kinds.rebuild, body: body as unknown as Json, agent: self, reason, lane: lanes.rebuild },
    };
    return [proposal];
  };
}
