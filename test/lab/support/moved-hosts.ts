import { type LabCluster, minutes } from "./cluster.ts";
import type { Lab } from "./lab.ts";

/** Monitors in quorum and running OSDs are where their hosts are now, and every ceph.conf knows. */
export async function settledAt(
  { lab, cluster }: { readonly lab: Lab; readonly cluster: LabCluster },
  expected: ReadonlyMap<string, string>,
  seenBy: string,
): Promise<void> {
  const hosts = [...expected.keys()];
  await lab.waitFor(
    `monitors and OSDs at ${[...expected.values()].join(", ")}, seen from ${seenBy}`,
    async (note) => {
      const { quorum_names, monmap } = await cluster.cephJson<QuorumStatus>(seenBy, "quorum_status");
      const monitors = new Map(monmap.mons.map(({ name, addr }) => [name, addr.split(":")[0]]));
      const { osds } = await cluster.cephJson<OsdDump>(seenBy, "osd", "dump");
      const served = osds.map(({ up, public_addr }) => `${up} ${public_addr.split(":")[0]}`).sort();
      const configs = await Promise.all(
        hosts.map((node) => lab.run(node, ["grep", "mon host", "/var/lib/microceph/conf/ceph.conf"])),
      );
      note({ quorum_names, monitors: [...monitors], served, configs });
      return (
        quorum_names.length === 3 &&
        hosts.every((name) => monitors.get(name) === expected.get(name)) &&
        `${served}` === `${[...expected.values()].map((ip) => `1 ${ip}`).sort()}` &&
        configs.every((config) => [...expected.values()].every((ip) => config.includes(`${ip}:`)))
      );
    },
    { ...minutes(6), everyMs: 1000 },
  );
  await cluster.formed(hosts);
  await cluster.healthy(seenBy);
}

interface QuorumStatus {
  readonly quorum_names: readonly string[];
  readonly monmap: { readonly mons: readonly { readonly name: string; readonly addr: string }[] };
}

interface OsdDump {
  readonly osds: readonly { readonly up: number; readonly public_addr: string }[];
}
