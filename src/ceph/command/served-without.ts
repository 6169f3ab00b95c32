import type { OsdId } from "../../ids/ids.ts";
import type { OsdDump, Pool } from "./commands.ts";

/** A placement group, and the OSDs that served it when it was last heard of. */
export interface ServedGroup {
  readonly pool: number;
  readonly acting: readonly number[];
}

/** Whether each of these placement groups is served by enough OSDs that are up now, without those that are to stop. */
export function servedWithout(
  stopping: readonly OsdId[],
  facts: {
    readonly dump: Pick<OsdDump, "osds">;
    readonly pools: readonly Pick<Pool, "id" | "minSize">[];
    readonly groups: readonly ServedGroup[];
  },
): boolean {
  const left = new Set<number>(
    facts.dump.osds.filter(({ id, up }) => up && !stopping.includes(id)).map(({ id }) => id),
  );
  const minSizes = new Map(facts.pools.map(({ id, minSize }) => [id, minSize]));
  return facts.groups.every(
    ({ pool, acting }) => acting.filter((osd) => left.has(osd)).length >= (minSizes.get(pool) ?? 0),
  );
}
