export interface ProfileFacts {
  readonly members: number;
  /** OSDs that are in. */
  readonly osds: number;
  /** Milliseconds for which the number of OSDs has not changed. */
  readonly stableMs: number;
  /** Size that new pools get now. */
  readonly defaultSize: number;
  /** Pools made by Ceph itself or by us, never a user's. */
  readonly ourPools: readonly { readonly name: string; readonly size: number }[];
}

export interface ProfileStep {
  readonly size: number;
  readonly minSize: number;
  /** Our pools to raise to the size. */
  readonly pools: readonly string[];
  readonly reason: string;
}

/** Copies kept with a full set of OSDs. */
export const fullSize = 3;

/** Copies that must be written before a write is acknowledged. */
export function minSizeFor(size: number): number {
  return size >= 3 ? size - 1 : 1;
}

/**
 * The honest pool profile of a small cluster: as many copies as there are OSDs, up to three. From three
 * members on it is always three. Existing pools are only ever raised: redundancy is never shrunk here.
 */
export function planPoolProfile(facts: ProfileFacts, settleMs: number): ProfileStep | null {
  if (facts.osds === 0) return null;
  const size = facts.members >= 3 ? fullSize : Math.min(fullSize, facts.osds);
  const pools = facts.ourPools
    .filter((pool) => pool.size < Math.min(size, facts.osds))
    .map((pool) => pool.name);
  if (size === facts.defaultSize && pools.length === 0) return null;
  if (facts.stableMs < settleMs) return null;
  const reason = `${facts.members} members with ${facts.osds} OSDs keep ${size} copies`;
  return { size, minSize: minSizeFor(size), pools, reason };
}
