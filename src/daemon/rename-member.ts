import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import { resolveNode } from "./resolve-node.ts";

/**
 * Give a member another name: what people call it and see. Ceph's daemons and its host bucket keep the handle.
 * Throws NOT_FOUND, AMBIGUOUS_NODE, USAGE, and NAME_TAKEN where another is called so already.
 */
export function renameMember(
  cluster: ClusterRuntime,
  node: string,
  name: string,
): { readonly id: PeerId; readonly name: string } {
  const members = namedMembers(cluster);
  const { id } = resolveNode(node, members);
  const other = members.find((one) => one.id !== id && (one.name === name || one.handle === name));
  if (other !== undefined) {
    throw new MicrocephError("NAME_TAKEN", `${other.name} (${other.id}) is called ${name} already`, {
      data: { name, id: other.id },
    });
  }
  cluster.document.setLabels(id, { name });
  cluster.wake("name");
  return { id, name };
}
