import type { ClientConfigRow, clientConfigRequest } from "../api/contract/ceph-config.ts";
import type { Shape } from "../api/contract/shape.ts";
import { allHosts, clientOptionPrefix, clientOptions } from "./cluster/client-options.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { resolveNode } from "./resolve-node.ts";

/** What librbd is told on members' hosts, as the document says. */
export function listClientConfig(cluster: ClusterRuntime): ClientConfigRow[] {
  const names = new Map(namedMembers(cluster).map(({ handle, name }): [string, string] => [handle, name]));
  return clientOptions(cluster.document.view().settings)
    .flatMap(({ host, key, value }) => {
      const shown = host === allHosts ? "*" : names.get(host);
      return shown === undefined ? [] : [{ key, value, host: shown }];
    })
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.host < b.host ? -1 : 1));
}

/** Null unsets it. Throws NOT_FOUND, AMBIGUOUS_NODE. */
export function setClientConfig(
  cluster: ClusterRuntime,
  key: string,
  value: string | null,
  host: Shape<typeof clientConfigRequest>["host"],
): ClientConfigRow[] {
  const place = host === "*" ? allHosts : resolveNode(host, namedMembers(cluster)).handle;
  cluster.document.setSetting(`${clientOptionPrefix}${place}.${key}`, value);
  return listClientConfig(cluster);
}
