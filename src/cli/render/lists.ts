import type { ClusterMember } from "../../api/contract/cluster.ts";
import type { Table } from "./table.ts";
import { naturally } from "./words.ts";

/** `microceph cluster list`. */
export function clusterTable(members: readonly ClusterMember[]): Table {
  return {
    header: ["NAME", "ADDRESS", "ROLE", "FINGERPRINT", "STATUS", "PRESENCE", "LAST SEEN"],
    rows: [...members]
      .sort((a, b) => naturally(a.name, b.name))
      .map(({ name, address, role, fingerprint, status, presence, last_heartbeat }) => [
        ...[name, address, role, fingerprint, status],
        presence,
        last_heartbeat === null ? "never" : last_heartbeat.replace(/\.\d+Z$/, "Z"),
      ]),
  };
}
