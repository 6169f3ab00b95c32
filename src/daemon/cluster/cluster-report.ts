import { z } from "zod";
import { type ConfiguredDisk, inventoryDisk, type NodeInventory } from "../../api/contract/disks.ts";
import type { Admission } from "../../api/contract/mesh.ts";
import type { PeerId } from "../../ids/ids.ts";
import { fingerprintWords } from "../../mesh/identity/fingerprint.ts";
import type { AdmissionPlan } from "../../mesh/membership/admission-facts.ts";
import { planAdmission } from "../../mesh/membership/admission-plan.ts";
import type { NodeFacts } from "../../state/document/cluster-document.ts";
import type { MeshFacts } from "../mesh-report.ts";
import { admissionFacts } from "./admission-planner.ts";
import { fsidOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** The member's part of the mesh report, from what is here: nobody is asked. */
export function clusterFacts(runtime: ClusterRuntime): Omit<MeshFacts, "now" | "self"> {
  const { journal, document, options, self, presence } = runtime;
  const view = document.view();
  const entries = journal.entries();
  const quorum = runtime.quorum.report();
  const head = journal.last();
  const voters = runtime.voters();
  const states = presence.view();
  const admission = admissionInSight(runtime);
  const { deps } = runtime;
  const timeOfDay = (steady: number | null): number | null =>
    steady === null ? null : Math.round(deps.now() - (deps.steadyNow() - steady));
  const members = [...journal.members()].map(([peer, member]): MeshFacts["members"][number] => {
    const facts = view.nodes[peer];
    const state = states.get(peer);
    return {
      id: peer,
      name: view.labels[peer]?.name ?? facts?.name ?? member.name,
      handle: member.handle,
      addresses: facts?.addresses ?? [],
      presence: peer === self ? "alive" : (state?.state ?? "suspect"),
      lastSeen: timeOfDay(peer === self ? deps.steadyNow() : (state?.lastSeen ?? null)),
      voter: voters.includes(peer),
      services: facts?.services ?? [],
      zone: view.labels[peer]?.zone ?? null,
    };
  });
  return {
    cluster: {
      id: options.cluster.id,
      name: options.cluster.name,
      fsid: fsidOf(entries),
      admission: admissionOf(runtime),
    },
    lease: {
      holder: quorum.holder,
      epoch: quorum.epoch,
      // A member of some seconds does not know the voters yet, a founder has no etcd yet: that is no lost quorum.
      quorum: voters.length === 0 || head === null ? null : quorum.ok,
      lastDecision: head === null ? null : { number: head.revision, at: head.at },
    },
    members,
    pending: admission.pending
      .filter(({ stage }) => stage !== "denied")
      .map(({ id, name, address, fingerprint, windowOpen, seenBy, firstSeen }) => ({
        id,
        name,
        address,
        fingerprint,
        windowOpen,
        seenBy: [...seenBy],
        firstSeen,
      })),
    conflicts: [
      ...admission.conflicts,
      ...admission.pending.filter(({ stage }) => stage === "denied").map(denial),
    ],
  };
}

/** The nodes in this cluster's lobbies and what is to become of them, denied ones included. */
export function admissionInSight(runtime: ClusterRuntime): AdmissionPlan {
  return planAdmission({ ...admissionFacts(runtime), outcomes: new Map(), refusals: new Map() });
}

/** A refused node is not pending: nobody has to decide on it, but it is there. */
function denial({ id, name, address }: AdmissionPlan["pending"][number]): { kind: string; detail: string } {
  const detail = `${name} (${id}) at ${address} was denied; \`microceph mesh approve ${name}\` takes that back`;
  return { kind: "denied-node", detail };
}

export function admissionOf(runtime: ClusterRuntime): Admission {
  const { mode, until } = runtime.document.view().admission;
  return { mode, until };
}

/** A member as an operator may call it. */
export interface NamedMember {
  readonly id: PeerId;
  readonly name: string;
  readonly handle: string;
  readonly alive: boolean;
}

export function namedMembers(runtime: ClusterRuntime): NamedMember[] {
  const { labels, nodes } = runtime.document.view();
  return [...runtime.journal.members()].map(([id, member]) => ({
    id,
    name: labels[id]?.name ?? nodes[id]?.name ?? member.name,
    handle: member.handle,
    alive: isAlive(runtime, id),
  }));
}

export function isAlive({ self, presence }: ClusterRuntime, peer: PeerId): boolean {
  return peer === self || presence.stateOf(peer) === "alive";
}

/** OSDs of all members, as each says of itself. */
export function configuredDisks(runtime: ClusterRuntime): ConfiguredDisk[] {
  const { nodes, labels } = runtime.document.view();
  const hosts = osdHosts(runtime);
  return (Object.entries(nodes) as [PeerId, NodeFacts][])
    .flatMap(([peer, facts]) =>
      facts.osds
        .filter(({ uuid }) => hosts.get(uuid) === peer)
        .map(({ osd, path, state, reason }) => ({
          osd,
          path,
          location: labels[peer]?.name ?? facts.name,
          ...(state === undefined ? {} : { state }),
          ...(reason === undefined ? {} : { reason }),
        })),
    )
    .sort((a, b) => a.osd - b.osd);
}

/** The OSDs of one member. */
export function osdsOf(runtime: ClusterRuntime, peer: PeerId): NodeFacts["osds"] {
  const hosts = osdHosts(runtime);
  return (runtime.document.view().nodes[peer]?.osds ?? []).filter(({ uuid }) => hosts.get(uuid) === peer);
}

/**
 * Who has each OSD, by its uuid. Of two that call one their own, as after its disk was moved to another host, it is
 * that one's which is alive, or which spoke last.
 */
export function osdHosts(runtime: ClusterRuntime): Map<string, PeerId> {
  const { nodes } = runtime.document.view();
  const byRank = (Object.entries(nodes) as [PeerId, NodeFacts][])
    .map(([peer, { osds, updatedAt }]) => ({ peer, osds, rank: `${isAlive(runtime, peer)} ${updatedAt}` }))
    .sort((a, b) => (a.rank < b.rank ? -1 : Number(a.rank > b.rank)));
  return new Map(byRank.flatMap(({ peer, osds }) => osds.map(({ uuid }) => [uuid, peer] as const)));
}

const knownDisks = z.array(inventoryDisk).max(2048);

/** The disks of all members, as each last said of itself; of a member of an earlier version none. */
export function inventories(runtime: ClusterRuntime): NodeInventory[] {
  const { nodes, labels } = runtime.document.view();
  return Object.entries(nodes)
    .map(([peer, facts]) => ({
      location: labels[peer as PeerId]?.name ?? facts.name,
      asOf: facts.updatedAt,
      disks: knownDisks.safeParse(facts.disks).data ?? [],
    }))
    .sort((a, b) => (a.location < b.location ? -1 : 1));
}

/** Words that the member and the cluster share. */
export function memberFingerprint(runtime: ClusterRuntime, peer: PeerId): string {
  return fingerprintWords(runtime.options.cluster.publicKey, peer);
}
