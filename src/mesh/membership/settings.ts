/** What an operator may set, each with its effect. */
export interface MembershipSettings {
  /** Fresh nodes, the founder included, that form a cluster without a command; 2 and up. */
  readonly expect: number;
  /** Milliseconds without a new fresh node before the lowest PeerId founds: time for all to be seen. */
  readonly quietMs: number;
  /** Hours after start or `mesh join` in which a fresh node can be claimed. */
  readonly windowHours: number;
  /** Keeps the window shut until `mesh join` opens it. */
  readonly windowShut: boolean;
  /** Name of a cluster founded by this node. */
  readonly clusterName: string;
}

export const defaultMembershipSettings: MembershipSettings = {
  expect: 3,
  quietMs: 3_000,
  windowHours: 24,
  windowShut: false,
  clusterName: "microceph",
};

/** Times of the protocol, in milliseconds: the same on every node, so no setting of operators. */
export const protocolTimes = {
  /** A cluster is proven, and stands in the way of founding another, for so long after a proof. */
  proofMs: 30_000,
  /** A neighbour that did not answer for so long is not seen any more. */
  seenMs: 15_000,
  /** A claimed, unconfirmed node releases itself after so long a silence of its founder. */
  founderSilenceMs: 30_000,
  /** A provisional founder gives up after so long. */
  foundingMs: 30_000,
  /** A founder waits so long for the answers of a round when it has enough without the missing ones. */
  roundMs: 2_000,
  /** Pause between two askings of the same node by a founder. */
  retryMs: 1_000,
  /** The next PeerId in order founds after so long a wait for each lower one that does not. */
  fallbackMs: 10_000,
  /** A node known so recently that comes back does not restart the quiet time. */
  flapMs: 60_000,
  /**
   * A fresh node takes no member's claim so shortly after the first sighting of anybody: its question by mDNS was
   * answered by all, or asked a second time (after one second, RFC 6762 section 5.2).
   */
  lookAroundMs: 1_500,
  /** Deadline of one lobby request. */
  askMs: 3_000,
  /** Pause between two questions of a claimed node after its claim. */
  pollMs: 2_000,
} as const;
