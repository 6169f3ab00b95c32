import type { Contact } from "../../mesh/lobby/messages.ts";
import type { MemberView } from "../../mesh/membership/context.ts";
import { admitKind } from "../admission-control.ts";
import { reachableAddresses } from "../interface-facts.ts";
import { honourToken } from "../token-use.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** What a member answers from in the lobby. */
export function memberView(runtime: ClusterRuntime): MemberView {
  return {
    clusterName: runtime.options.cluster.name,
    meshPort: runtime.mesh.port,
    standing: (peer) => {
      const admission = runtime.journal
        .entries()
        .findLast(
          ({ kind, body }) =>
            kind === admitKind &&
            body !== null &&
            typeof body === "object" &&
            !Array.isArray(body) &&
            body.peer === peer,
        );
      return {
        head: runtime.journal.head(),
        certificate: runtime.journal.members().get(peer)?.certificate ?? null,
        tombstone: runtime.journal.tombstones().get(peer) ?? null,
        admission: admission?.state ?? null,
        denied: runtime.document.view().approvals[peer]?.verdict === "deny",
      };
    },
    contacts: () => contactsOf(runtime),
    introduced: (fellow) => runtime.introduce(fellow),
    honourToken: (peer, secret) => honourToken(runtime, peer, secret, runtime.deps.now()),
    connected: (peer) => runtime.mesh.connected().includes(peer),
  };
}

/** Up to eight members to dial first: this one and those connected with it. */
export function contactsOf(runtime: ClusterRuntime): Contact[] {
  const own: Contact = {
    peer: runtime.self,
    addresses: reachableAddresses(runtime.deps.interfaces()).slice(0, 4),
    port: runtime.mesh.port,
  };
  const others = runtime.mesh.connected().map((peer): Contact => {
    const facts = runtime.document.view().nodes[peer];
    return { peer, addresses: [...(facts?.addresses ?? [])].slice(0, 4), port: facts?.meshPort ?? null };
  });
  return [own, ...others.filter((one) => one.addresses.length > 0)].slice(0, 8);
}
