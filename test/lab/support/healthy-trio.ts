import type { UpOptions } from "../../../scripts/lab/lab-hosts.ts";
import { LabCluster, minutes } from "./cluster.ts";
import { Lab } from "./lab.ts";

export const trio = ["n1", "n2", "n3"];

/** Three hosts in one healthy cluster, with a pool `data` of three copies, and something in it. */
export async function healthyTrio(
  purpose: string,
  options: UpOptions & { readonly devices?: boolean } = {},
): Promise<{ lab: Lab; cluster: LabCluster }> {
  const lab = await Lab.up(purpose, { ...options, nodes: 3 });
  const cluster = new LabCluster(lab);
  await cluster.formedWithDisks(trio, options.devices === true ? (node) => lab.disk(node, "1G") : undefined);
  await cluster.settled("n1");
  await lab.waitFor(
    "copies on three hosts",
    async (note) => {
      const rule = await cluster.defaultRule("n1");
      const size = (await cluster.ceph("n1", "config", "get", "mon", "osd_pool_default_size")).trim();
      note({ rule, size });
      return rule.name === "microceph_auto_host" && size === "3";
    },
    minutes(3),
  );
  await cluster.ceph("n1", "osd", "pool", "create", "data", "8");
  await cluster.ceph("n1", "osd", "pool", "application", "enable", "data", "test");
  await cluster.put("n1", "data", "before", "written when all was well");
  await cluster.healthy("n1");
  return { lab, cluster };
}
