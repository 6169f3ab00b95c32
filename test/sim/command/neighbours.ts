import { Random } from "../../support/virtual-time.ts";

/** Up to so many members every pair is connected (DESIGN, Size). */
export const fullMeshUpTo = 32;
const ring = 2;
const chords = 2;

/** With whom each member keeps a connection: all, or above the limit about eight others and the voters. */
export function neighboursIn(nodes: number, seed: number): readonly (readonly number[])[] {
  const links = Array.from({ length: nodes }, () => new Set<number>());
  const link = (a: number, b: number): void => {
    if (a === b) return;
    links[a]?.add(b);
    links[b]?.add(a);
  };
  const random = new Random(seed ^ 0x9e19);
  const voters = nodes >= 7 ? 5 : 3;
  for (let self = 0; self < nodes; self += 1) {
    if (nodes <= fullMeshUpTo) {
      for (let other = 0; other < self; other += 1) link(self, other);
      continue;
    }
    for (let step = 1; step <= ring; step += 1) link(self, (self + step) % nodes);
    for (let n = 0; n < chords; n += 1) link(self, random.whole(0, nodes - 1));
    for (let voter = 0; voter < voters; voter += 1) link(self, voter);
  }
  return links.map((others) => [...others].sort((a, b) => a - b));
}
