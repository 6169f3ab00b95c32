import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { InterfaceFact } from "./cidr.ts";
import { isEligible, isSeen, type Neighbour, type ProvenCluster, type SeenFounding } from "./neighbours.ts";
import { choosePublicNetwork, type ReachedNode } from "./public-network.ts";
import { protocolTimes } from "./settings.ts";

/** What a fresh node knows when it asks itself whether to found a cluster. */
export interface ElectionFacts {
  readonly self: PeerId;
  readonly now: number;
  readonly expect: number;
  readonly quietMs: number;
  readonly windowOpen: boolean;
  /** Epoch milliseconds until which it founds nothing after a failed attempt. */
  readonly restsUntil: number;
  readonly joining: ClusterId | null;
  readonly neighbours: readonly Neighbour[];
  readonly clusters: readonly ProvenCluster[];
  readonly foundings: readonly SeenFounding[];
  /** Sighted lobbies that have neither answered nor failed to answer yet. */
  readonly untried: number;
  readonly interfaces: readonly InterfaceFact[];
  /** Since when the set of fresh nodes is what it is. */
  readonly quietSince: number;
}

export type Election =
  | { readonly verdict: "found"; readonly network: string; readonly nodes: readonly PeerId[] }
  | {
      readonly verdict: "wait";
      /** What an operator is told. */
      readonly reason: string;
      /** When time alone may change the verdict; null: only an event does. */
      readonly wakeAt: number | null;
    };

/**
 * Whether this fresh node founds now: lowest PeerId of the fresh nodes that have answered, at least `expect`
 * of them on one subnet, the set unchanged for the quiet time, and no cluster or other founding in sight.
 */
export function electFounder(facts: ElectionFacts): Election {
  const { self, now, expect } = facts;
  if (facts.joining !== null) {
    return wait(`waits to be claimed by cluster ${facts.joining}, as \`microceph mesh join\` asked`);
  }
  if (!facts.windowOpen) return wait("its window is closed: `microceph mesh join` opens it");
  const [cluster, second] = facts.clusters;
  if (cluster !== undefined && second !== undefined) {
    const list = facts.clusters.map(({ id, name }) => `${name} (${id})`).join(", ");
    return wait(`sees more than one cluster: ${list}; \`microceph mesh join CLUSTER\` decides`);
  }
  if (cluster !== undefined)
    return wait(
      `waits for cluster ${cluster.name} (${cluster.id}) to claim it; where its admission is by approval, one of its members must approve this node`,
    );
  const peers = facts.neighbours.filter((one) => isSeen(one, now) && isEligible(one));
  const names = peers.map(nameOf).join(", ");
  const founding = facts.foundings[0];
  if (founding !== undefined) {
    const founder = facts.neighbours.find(({ peer }) => peer === founding.founder);
    const who =
      founder === undefined ? `a node that is not seen here (${founding.founder})` : nameOf(founder);
    return wait(`a cluster is being founded by ${who}`);
  }
  if (peers.length + 1 < expect) {
    const sees = peers.length === 0 ? "no other fresh node" : `${peers.length} (${names})`;
    return wait(
      `sees ${sees}; a cluster forms by itself from ${expect} fresh nodes: start more of them, ` +
        "or run `microceph cluster bootstrap` here",
    );
  }
  const choice = choosePublicNetwork(facts.interfaces, peers.map(reached));
  if (choice === undefined || choice.nodes.length + 1 < expect) {
    return wait(`${expect} fresh nodes share no subnet (seen: ${names}); check their addresses`);
  }
  const group = peers.filter(({ peer }) => choice.nodes.includes(peer));
  const before = group.filter(({ peer, greeting }) => peer < self && greeting.mayFound);
  const [first] = before.sort((a, b) => (a.peer < b.peer ? -1 : 1));
  if (now < facts.restsUntil) {
    return wait("rests after an attempt to found a cluster that failed", facts.restsUntil);
  }
  if (facts.untried > 0) return wait(`waits for ${facts.untried} sighted nodes to answer`);
  // A lower one that does not found (it may see too few) must not hold up the others for ever.
  const turn = facts.quietSince + facts.quietMs + before.length * protocolTimes.fallbackMs;
  if (now < turn) {
    const what = first === undefined ? "listens for more nodes" : `waits for ${nameOf(first)} to found`;
    return wait(`${what}; fresh nodes seen: ${names}`, turn);
  }
  return { verdict: "found", network: choice.network, nodes: choice.nodes };
}

export function reached({ peer, address, greeting }: Neighbour): ReachedNode {
  return { peer, address, networks: greeting.networks };
}

function nameOf({ greeting, peer }: Neighbour): string {
  return `${greeting.name || "?"} (…${peer.slice(-6)})`;
}

function wait(reason: string, wakeAt: number | null = null): Election {
  return { verdict: "wait", reason, wakeAt };
}

/** Since when the set of fresh nodes has been quiet. */
export interface Quiet {
  readonly since: number;
  readonly present: ReadonlySet<PeerId>;
  /** When each node was last among them. */
  readonly known: ReadonlyMap<PeerId, number>;
}

export function quietFrom(now: number): Quiet {
  return { since: now, present: new Set(), known: new Map() };
}

/**
 * Fold a new set in. A newcomer starts the quiet time again, and so does the loss of a lower PeerId, whose
 * part another takes over; one that only flaps does not.
 */
export function trackQuiet(quiet: Quiet, present: ReadonlySet<PeerId>, self: PeerId, now: number): Quiet {
  const known = new Map([...quiet.known].filter(([, at]) => now - at < protocolTimes.flapMs));
  const newcomer = [...present].some((peer) => !known.has(peer));
  const lower = [...quiet.present].some((peer) => peer < self && !present.has(peer));
  for (const peer of present) known.set(peer, now);
  return { since: newcomer || lower ? now : quiet.since, present, known };
}
