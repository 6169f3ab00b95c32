import type { PeerId } from "../../ids/ids.ts";
import {
  type ClusterKey,
  clusterIdOf,
  signWithClusterKey,
  verifyWithClusterKey,
} from "../identity/cluster-key.ts";
import { type FounderClaimRequest, lobbyVersion } from "../lobby/messages.ts";

const domain = "founder-claim";

/** A provisional founder's claim of one node. */
export function founderClaim(
  key: ClusterKey,
  name: string,
  founder: PeerId,
  claimed: PeerId,
): FounderClaimRequest {
  return {
    v: lobbyVersion,
    kind: "claim",
    as: "founder",
    cluster: key.id,
    clusterKey: key.publicKey,
    name,
    signature: signWithClusterKey(key, domain, signedText(key.id, founder, claimed)),
  };
}

/** Whether the holder of the cluster's key made this claim, for this founder and this node. */
export function isFounderClaimProved(
  request: FounderClaimRequest,
  founder: PeerId,
  claimed: PeerId,
): boolean {
  try {
    if (clusterIdOf(request.clusterKey) !== request.cluster) return false;
  } catch {
    return false;
  }
  const text = signedText(request.cluster, founder, claimed);
  return verifyWithClusterKey(request.clusterKey, domain, text, request.signature);
}

function signedText(cluster: string, founder: PeerId, claimed: PeerId): string {
  return `${cluster}\0${founder}\0${claimed}`;
}
