import type { PendingNode } from "../api/contract/mesh.ts";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import { fingerprintWords } from "../mesh/identity/fingerprint.ts";
import { admissionInSight } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { resolveNode } from "./resolve-node.ts";

type InSight = ReturnType<typeof admissionInSight>["pending"][number];

/** Nodes in the lobbies of this cluster, denied ones included. */
export function inSight(cluster: ClusterRuntime): readonly InSight[] {
  return admissionInSight(cluster).pending;
}

/** The node in sight that an operator names; a member needs no approval, and cannot be refused any more. */
export function candidate(cluster: ClusterRuntime, text: string): InSight {
  try {
    return resolveNode(text, inSight(cluster));
  } catch (error) {
    const members = [...cluster.journal.members().values()];
    const member = members.find(({ peer, handle, name }) =>
      [peer, handle, name].includes(text as typeof name),
    );
    if (!isMicrocephError(error, "NOT_FOUND") || member === undefined) throw error;
    throw new MicrocephError("ALREADY_INITIALIZED", `${member.handle} is a member of this cluster already`, {
      data: { node: text },
      cause: error,
    });
  }
}

/** Before there is a cluster, the nodes in the own lobby are what there is to see. */
export function lobbyPending(daemon: Daemon): PendingNode[] {
  const status = daemon.membership.status();
  return status.neighbours
    .filter((node) => node.cluster === null)
    .map((node) => ({
      id: node.id,
      name: node.name,
      address: node.address,
      fingerprint: status.cluster === null ? "" : fingerprintWords(status.cluster.publicKey, node.id),
      windowOpen: node.windowOpen,
      seenBy: [daemon.identity.peerId],
      firstSeen: node.firstSeen,
    }));
}
