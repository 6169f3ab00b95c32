/** What the choice between connections to one peer rests on. */
export interface LinkFacts {
  readonly id: string;
  /** Whether the one of the two with the lower PeerId dialled it. */
  readonly dialedByLower: boolean;
  /** Milliseconds, monotonic. */
  readonly openedAt: number;
  /** Whether the other end has been heard on it. */
  readonly proven: boolean;
}

/** Dials so close together are taken for simultaneous, milliseconds. */
export const simultaneousMs = 3000;

/**
 * Which of several connections to one peer to keep. Of simultaneous dials the lower PeerId's, so that both
 * ends choose the same; else the newest, because a peer dials again only when it has lost the older one.
 */
export function chooseLink<T extends LinkFacts>(links: readonly T[]): T | undefined {
  const proven = links.filter((link) => link.proven);
  const candidates = proven.length > 0 ? proven : links;
  const newest = Math.max(...candidates.map(({ openedAt }) => openedAt));
  return candidates
    .filter(({ openedAt }) => newest - openedAt <= simultaneousMs)
    .sort((a, b) => Number(b.dialedByLower) - Number(a.dialedByLower) || b.openedAt - a.openedAt)[0];
}
