/**
 * Ranks of an NFS service: those in use, and so many of the lowest others that there are `wanted` in all. Clients are
 * spread over these, whether a gateway has each of them now or not.
 */
export function nfsRanks(used: ReadonlySet<number>, wanted: number): number[] {
  const ranks = new Set(used);
  for (let rank = 0; ranks.size < wanted; rank += 1) ranks.add(rank);
  return [...ranks].sort((a, b) => a - b);
}
