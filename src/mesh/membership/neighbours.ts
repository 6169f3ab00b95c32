import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { MemberCertificate } from "../identity/certificate.ts";
import type { Greeting, Sight } from "../lobby/messages.ts";
import { maxListedClusters, maxListedFoundings, maxListedNetworks, maxSeenPeers } from "../lobby/messages.ts";
import { protocolTimes } from "./settings.ts";

/** A node whose lobby has answered: its PeerId is proved, the rest is what it says. */
export interface Neighbour {
  readonly peer: PeerId;
  /** Address and lobby port where it answered. */
  readonly address: string;
  readonly port: number;
  readonly greeting: Greeting;
  /** Its certificate, verified and its own, or null. */
  readonly certificate: MemberCertificate | null;
  /** Epoch milliseconds. */
  readonly firstSeen: number;
  readonly answeredAt: number;
  /** Askings since then that got no answer. */
  readonly failures: number;
}

/** Unanswered askings after which a neighbour is not seen any more. */
const lostAfterFailures = 3;

export function isSeen(neighbour: Neighbour, now: number): boolean {
  return now - neighbour.answeredAt <= protocolTimes.seenMs && neighbour.failures < lostAfterFailures;
}

/** A node that could take part in a founding: fresh, window open, not waiting for another cluster. */
export function isEligible({ greeting }: Neighbour): boolean {
  return greeting.state === "fresh" && greeting.window.open && greeting.joining === null;
}

/** A node without a cluster: it may be in the majority of some founding. */
function isClusterless({ greeting }: Neighbour): boolean {
  if (greeting.state === "fresh") return greeting.window.open;
  return greeting.state === "claimed" && (greeting.founding !== null || greeting.claim?.founder != null);
}

export interface ProvenCluster {
  readonly id: ClusterId;
  /** As its members call it; a name proves nothing. */
  readonly name: string;
  /** Base64 of its raw Ed25519 public key. */
  readonly publicKey: string;
  readonly members: readonly PeerId[];
  readonly lastProof: number;
}

/** Clusters that a member has proved in the last 30 s, by id. */
export function provenClusters(neighbours: Iterable<Neighbour>, now: number): ProvenCluster[] {
  const found = new Map<ClusterId, ProvenCluster>();
  for (const neighbour of neighbours) {
    const { certificate, answeredAt, peer, greeting } = neighbour;
    if (certificate === null || now - answeredAt > protocolTimes.proofMs) continue;
    const known = found.get(certificate.cluster);
    found.set(certificate.cluster, {
      id: certificate.cluster,
      name: known?.name ?? greeting.cluster?.name ?? "",
      publicKey: certificate.clusterKey,
      members: [...(known?.members ?? []), peer].sort(),
      lastProof: Math.max(known?.lastProof ?? 0, answeredAt),
    });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A founding seen in greetings. `firm`: it may be final, so no other may come about beside it. */
export interface SeenFounding {
  readonly cluster: ClusterId;
  readonly founder: PeerId | null;
  readonly firm: boolean;
}

/** Foundings that others take part in, except that of `own`. */
export function seenFoundings(
  neighbours: Iterable<Neighbour>,
  now: number,
  own: ClusterId | null,
): SeenFounding[] {
  const found = new Map<ClusterId, SeenFounding>();
  const add = (cluster: ClusterId, founder: PeerId | null, firm: boolean): void => {
    if (cluster === own) return;
    const known = found.get(cluster);
    found.set(cluster, {
      cluster,
      founder: known?.founder ?? founder,
      firm: firm || known?.firm === true,
    });
  };
  for (const neighbour of neighbours) {
    const { greeting, peer } = neighbour;
    if (greeting.state !== "claimed") continue;
    // A claim by a member means that the cluster exists, even when no member of it is seen here.
    const firm = greeting.founded || greeting.claim?.founder === null || greeting.claim?.confirmed === true;
    // What may be a cluster is remembered like one that was proven: its nodes may only have lost power together.
    const remembered = firm && now - neighbour.answeredAt <= protocolTimes.proofMs;
    if (!remembered && !isSeen(neighbour, now)) continue;
    if (greeting.founding !== null) add(greeting.founding, peer, firm);
    if (greeting.claim !== null) add(greeting.claim.cluster, greeting.claim.founder, firm);
  }
  return [...found.values()].sort(
    (a, b) => Number(b.firm) - Number(a.firm) || (a.cluster < b.cluster ? -1 : 1),
  );
}

/** What this node tells others of its view. Lists are cut at their limits, numbers are not. */
export function sightOf(
  neighbours: readonly Neighbour[],
  now: number,
  own: ClusterId | null,
  networks: readonly string[],
): Sight {
  const sees = neighbours
    .filter((neighbour) => isSeen(neighbour, now) && isClusterless(neighbour))
    .map(({ peer }) => peer)
    .sort();
  return {
    sees: sees.slice(0, maxSeenPeers),
    seesCount: sees.length,
    clusters: provenClusters(neighbours, now)
      .map(({ id }) => id)
      .slice(0, maxListedClusters),
    foundings: seenFoundings(neighbours, now, own).slice(0, maxListedFoundings),
    networks: networks.slice(0, maxListedNetworks),
  };
}
