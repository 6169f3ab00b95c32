import { type ClusterId, clusterId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Greeting, Sight } from "../../../../src/mesh/lobby/messages.ts";
import type { Neighbour } from "../../../../src/mesh/membership/neighbours.ts";

/** PeerIds in the order of their letters: peer("a") < peer("b"). */
export function peer(letter: string): PeerId {
  return peerId(`12D3KooW${letter.repeat(44)}`);
}

export function cluster(digit: string): ClusterId {
  return clusterId(digit.repeat(32));
}

export const now = 1_700_000_000_000;

export const emptySight: Sight = {
  sees: [],
  seesCount: 0,
  clusters: [],
  foundings: [],
  networks: ["10.0.0.0/24"],
};

export function greeting(letter: string, changes: Partial<Greeting> = {}): Greeting {
  return {
    v: 1,
    id: peer(letter),
    name: `n-${letter}`,
    version: "1",
    state: "fresh",
    window: { open: true, until: null },
    disks: { count: 0, bytes: 0 },
    mayFound: true,
    founding: null,
    founded: false,
    claim: null,
    joining: null,
    ...emptySight,
    cluster: null,
    certificate: null,
    meshPort: null,
    ...changes,
  };
}

export function neighbour(
  letter: string,
  changes: Partial<Neighbour> = {},
  says: Partial<Greeting> = {},
): Neighbour {
  return {
    peer: peer(letter),
    address: `10.0.0.${letter.charCodeAt(0)}`,
    port: 7443,
    greeting: greeting(letter, says),
    certificate: null,
    firstSeen: now - 20_000,
    answeredAt: now,
    failures: 0,
    ...changes,
  };
}
