import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { NetworksReply, NetworksShown, networksChange } from "../api/contract/networks.ts";
import type { Shape } from "../api/contract/shape.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { parseNetworks } from "../mesh/membership/public-network.ts";
import { networksOf } from "./cluster/cluster-facts.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { networksFor, wishNetworks } from "./cluster/networks.ts";
import type { Daemon } from "./daemon.ts";
import { addressIn } from "./interface-facts.ts";
import type { JobTools } from "./jobs.ts";
import { runtimeOf } from "./runtime-of.ts";
import { restartInTurn } from "./upgrade.ts";

type Change = Shape<typeof networksChange>;
type Networks = Pick<NetworksShown, "publicNetwork" | "clusterNetwork">;

const memorySchema = z.object({
  wish: z.string(),
  publicNetwork: z.string(),
  clusterNetwork: z.string().nullable(),
  /** OSDs have to be restarted. */
  restart: z.boolean(),
});

/** The networks of Ceph, and where each member is in them. Throws NOT_READY before a cluster is founded. */
export function showNetworks(cluster: ClusterRuntime): NetworksShown {
  const { publicNetwork, clusterNetwork } = networksNow(cluster);
  const members = namedMembers(cluster)
    .map(({ id, name: node }) => {
      const addresses = [...cluster.addressesOf(id)];
      const at = addressIn(addresses, publicNetwork);
      const back = clusterNetwork === null ? at : addressIn(addresses, clusterNetwork);
      return { node, public: at, cluster: back, addresses };
    })
    .sort((a, b) => (a.node < b.node ? -1 : 1));
  return { publicNetwork, clusterNetwork, members };
}

function networksNow(cluster: ClusterRuntime): Networks {
  const networks = networksOf(cluster.journal.entries());
  if (networks === null) throw new MicrocephError("NOT_READY", "the cluster is being founded");
  return { publicNetwork: networks.publicNetwork, clusterNetwork: networks.clusterNetwork };
}

/** What the networks are after a change. Throws USAGE, SETTING_REFUSED. */
export function checkNetworksChange(cluster: ClusterRuntime, change: Change): Networks {
  const now = networksNow(cluster);
  const publicNetwork = change.publicNetwork ?? now.publicNetwork;
  const clusterNetwork = change.clusterNetwork === undefined ? now.clusterNetwork : change.clusterNetwork;
  // All of one family: an OSD listens in IPv4 or in IPv6.
  parseNetworks([publicNetwork, ...(clusterNetwork === null ? [] : [clusterNetwork])].join(","));
  const { nodes } = cluster.document.view();
  for (const { id, name } of namedMembers(cluster)) {
    const addresses = cluster.addressesOf(id);
    const before = addressIn(addresses, now.publicNetwork);
    const after = addressIn(addresses, publicNetwork);
    if (before !== null && after !== before) {
      const where = after === null ? "would be in none of these" : `would be at ${after} instead`;
      throw new MicrocephError(
        "SETTING_REFUSED",
        `${name} is at ${before} in the public network and ${where}: keep its subnet, before new ones; a host moves to another subnet when its address changes`,
        { data: { node: name } },
      );
    }
    const hasOsds = (nodes[id]?.osds.length ?? 0) > 0;
    if (clusterNetwork !== null && hasOsds && addressIn(addresses, clusterNetwork) === null) {
      throw new MicrocephError(
        "SETTING_REFUSED",
        `${name} has OSDs and no address in ${clusterNetwork} (it has ${addresses.join(", ") || "none"})`,
        { data: { node: name } },
      );
    }
  }
  return { publicNetwork, clusterNetwork };
}

/**
 * The job of `cluster network set`: one decision, which every member's ceph.conf follows; after another cluster network
 * the OSDs are restarted in turn. Throws SETTING_REFUSED, UPGRADE_BLOCKED.
 */
export async function changeNetworks(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const cluster = runtimeOf(daemon);
  const change = request as unknown as Change;
  const restart = async (): Promise<string[]> => {
    const { restarted } = await restartInTurn(daemon, { types: ["osd"], all: true, force: false }, tools);
    return restarted;
  };
  const isRestarting = tools.memory !== null && !memorySchema.safeParse(tools.memory).success;
  if (isRestarting) return answer(networksNow(cluster), await restart());
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  let memory = memorySchema.safeParse(tools.memory).data;
  if (memory === undefined) {
    const before = networksNow(cluster);
    const after = checkNetworksChange(cluster, change);
    memory = {
      ...{ ...after, wish: randomUUID() },
      restart: after.clusterNetwork !== before.clusterNetwork,
    };
    if (after.publicNetwork === before.publicNetwork && !memory.restart) return answer(after, []);
    tools.remember({ ...memory });
  }
  const { wish, publicNetwork, clusterNetwork } = memory;
  for (;;) {
    const followed = networksFor(cluster.journal.entries(), wish);
    if (followed?.state === "done") break;
    if (followed?.state === "abandoned") throw new MicrocephError("SETTING_REFUSED", followed.reason);
    // Said again after a crash; and when another member said something else at the same time.
    if (followed === undefined) wishNetworks(cluster, { wish, publicNetwork, clusterNetwork });
    cluster.wake("networks");
    tools.report(10, "every member's ceph.conf follows");
    await daemon.events.next(tools.signal, 1_000);
  }
  const pending = memory.restart && change.skip_restart;
  const restarted = memory.restart && !change.skip_restart ? await restart() : [];
  return answer({ publicNetwork, clusterNetwork }, restarted, pending);
}

function answer({ publicNetwork, clusterNetwork }: Networks, restarted: string[], pending = false): Json {
  const reply: NetworksReply = { publicNetwork, clusterNetwork, restarted, pending };
  return reply as unknown as Json;
}
