/** Where CRUSH puts the copies of each placement group of a pool: OSD ids by group, as `crushtool --test` prints. */
export type Mapping = ReadonlyMap<number, readonly number[]>;

/** Lines such as `CRUSH rule 0 x 5 [2,1]`; others are passed over. */
export function parseMapping(text: string): Mapping {
  const mapping = new Map<number, readonly number[]>();
  for (const match of text.matchAll(/^CRUSH rule \d+ x (\d+) \[([\d,]*)\]$/gm)) {
    const osds = (match[2] ?? "").split(",").filter((id) => id !== "");
    mapping.set(Number(match[1]), osds.map(Number));
  }
  return mapping;
}

/** Copies that are somewhere else afterwards: each is written anew, in whatever order the set names its OSDs. */
export function movedCopies(before: Mapping, after: Mapping): number {
  let moved = 0;
  for (const [group, osds] of after) {
    const old = new Set(before.get(group) ?? []);
    moved += osds.filter((osd) => !old.has(osd)).length;
  }
  return moved;
}

/** Bytes that move when so many copies of a pool's groups do, its data being spread evenly over its groups. */
export function movedBytes(
  copies: number,
  pool: { readonly pgNum: number; readonly storedBytes: number },
): number {
  return pool.pgNum === 0 ? 0 : Math.round((copies * pool.storedBytes) / pool.pgNum);
}
