import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "./lab.ts";

/** What was seen of the cluster while something was wrong. */
export interface Watched {
  /** Holders by the epoch that they held the lease in, as any node said. */
  readonly holders: ReadonlyMap<number, ReadonlySet<string>>;
  /** How often a node said of another that it is in a state: `n1 says n2 failed`. */
  readonly presence: ReadonlyMap<string, number>;
  readonly clusters: ReadonlySet<string>;
}

/** Look at what every node says, again and again while `work` is done. */
export async function watchWhile<T>(
  lab: Lab,
  nodes: readonly string[],
  work: () => Promise<T>,
): Promise<{ result: T; watched: Watched }> {
  const holders = new Map<number, Set<string>>();
  const presence = new Map<string, number>();
  const clusters = new Set<string>();
  let over = false;
  const look = async (node: string): Promise<void> => {
    const { lease, members, cluster } = await lab.mesh(node);
    if (cluster !== null) clusters.add(cluster.id);
    if (lease.holder !== null && lease.epoch !== null) {
      holders.set(lease.epoch, (holders.get(lease.epoch) ?? new Set()).add(lease.holder));
    }
    for (const member of members) {
      const seen = `${node} says ${member.name} ${member.presence}`;
      presence.set(seen, (presence.get(seen) ?? 0) + 1);
    }
  };
  const watching = (async (): Promise<void> => {
    while (!over) {
      // A daemon that stands still answers nobody; that is for the test to judge.
      await Promise.all(nodes.map((node) => look(node).catch(() => undefined)));
      await delay(200);
    }
  })();
  try {
    const result = await work();
    return { result, watched: { holders, presence, clusters } };
  } finally {
    over = true;
    await watching;
  }
}
