import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { RebuildPlan, RebuildReply } from "../api/contract/monitor-rebuild.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import type { Json } from "../ids/json.ts";
import { fsidOf } from "./cluster/cluster-facts.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import {
  osdHosts,
  rebuildFor,
  rebuildRefusal,
  rebuildWishOf,
  wishRebuild,
} from "./cluster/monitor-rebuild.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { resolveNode } from "./resolve-node.ts";
import { runtimeOf } from "./runtime-of.ts";

/** Milliseconds for which the journal may come here later than the document. */
const lagMs = 20_000;

const memorySchema = z.object({ wish: z.string(), wished: z.boolean() });

/** What `ceph.mon-rebuild` leaves in the journal. */
const resultSchema = z.object({
  hosts: z.array(z.object({ host: z.string(), osds: z.array(z.int()), left: z.array(z.string()) })),
  fileSystems: z.array(z.string()),
});

/** Why it cannot be done, whatever is declared lost; null when it can. Whoever acts on it asks the monitors once more. */
function refusal(cluster: ClusterRuntime): string | null {
  if (fsidOf(cluster.journal.entries()) === null) return "there is no Ceph yet";
  if (!cluster.quorum.report().ok) {
    return "no majority of the voters is there to decide it; that comes first: microceph cluster recover --dry-run";
  }
  const { answers, looks, health } = cluster.cephView;
  if (looks === 0) return "the monitors have not been asked yet since this daemon started";
  if (!answers) return null;
  return `the monitors answer (${health?.monitors.inQuorum ?? 0} in quorum): nothing has to be rebuilt`;
}

/** What rebuilding the monitors of what the OSDs have would do. */
export function planMonitorRebuild(daemon: Daemon): RebuildPlan {
  const cluster = runtimeOf(daemon);
  const hosts = osdHosts(cluster);
  const names = new Map(namedMembers(cluster).map(({ id, name }) => [id, name]));
  const away = hosts.filter(({ osds, alive }) => osds > 0 && !alive);
  const lost = away.map(({ peer }) => peer);
  return {
    refused: refusal(cluster) ?? rebuildRefusal(hosts, lost),
    hosts: hosts.map(({ peer, osds, handle }) => ({
      name: names.get(peer) ?? handle,
      presence: peer === cluster.self ? "alive" : (cluster.presence.stateOf(peer) ?? "failed"),
      osds,
    })),
    lost: lost.map((peer) => names.get(peer) ?? peer),
    steps: [
      "every OSD within reach is stopped for a moment, gives the cluster's maps and its key, and is started again; data is only read",
      "one monitor is made of them, under another key, so that no former monitor can come back beside it",
      "former monitors' stores are set aside, not removed; the other monitors are made anew from the first",
      "managers, metadata servers, gateways and OSDs are made known again; so are file systems, by their pools",
      "NOT known again: keys of other users (`ceph auth`), settings (`ceph config`), the dashboard's users and modules, and the keys of encrypted disks: those that are locked now stay locked. A node that was restored from a backup gives them back",
    ],
  };
}

function declared(cluster: ClusterRuntime, names: readonly string[]): PeerId[] {
  const members = namedMembers(cluster);
  const lost = names.map((name) => resolveNode(name, members, "dead"));
  for (const { id, name } of lost) {
    const state = id === cluster.self ? "alive" : (cluster.presence.stateOf(id) ?? "failed");
    if (state === "alive")
      throw new MicrocephError("RECOVERY_REFUSED", `${name} is alive: its OSDs are asked`);
  }
  return lost.map(({ id }) => id);
}

/** Refuse at once what could not be rebuilt. Throws RECOVERY_REFUSED, NOT_FOUND. */
export function checkMonitorRebuild(daemon: Daemon, names: readonly string[]): void {
  const cluster = runtimeOf(daemon);
  const lost = declared(cluster, names);
  const why = refusal(cluster) ?? rebuildRefusal(osdHosts(cluster), lost);
  if (why !== null) throw new MicrocephError("RECOVERY_REFUSED", why);
}

/**
 * The job of `cluster recover --monitors-from-osds`: the wish goes into the document, one decision follows from it,
 * and its end is the job's. Throws RECOVERY_REFUSED.
 */
export async function rebuildMonitors(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const { document, journal } = cluster;
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    memory = { wish: randomUUID(), wished: false };
    tools.remember({ ...memory });
  }
  const { wish } = memory;
  if (!memory.wished) {
    const { lost } = request as { lost: string[] };
    if (rebuildFor(journal.entries(), wish) === undefined) {
      wishRebuild(cluster, { id: wish, lost: declared(cluster, lost) });
    }
    tools.remember({ ...memory, wished: true });
    cluster.wake("rebuild");
  }
  let goneSince: number | null = null;
  for (;;) {
    const entry = rebuildFor(journal.entries(), wish);
    if (entry?.state === "done") {
      const { hosts, fileSystems } = resultSchema.parse(entry.result);
      const [monitor] = (entry.body as { monitors: { name: string }[] }).monitors;
      const reply: RebuildReply = { monitor: monitor?.name ?? "", hosts, file_systems: fileSystems };
      return reply as unknown as Json;
    }
    if (entry?.state === "abandoned") throw new MicrocephError("RECOVERY_REFUSED", entry.reason);
    const isGone = entry === undefined && rebuildWishOf(document.view().settings)?.id !== wish;
    goneSince = isGone ? (goneSince ?? performance.now()) : null;
    if (goneSince !== null && performance.now() - goneSince > lagMs) {
      const why = rebuildRefusal(osdHosts(cluster), []) ?? "another rebuild was asked for";
      throw new MicrocephError("RECOVERY_REFUSED", why);
    }
    tools.report(
      entry === undefined ? 5 : 30,
      entry === undefined
        ? "waiting for the holder of the lease"
        : "OSDs give their maps, and a monitor is made of them",
    );
    await daemon.events.next(tools.signal, 1_000);
  }
}
