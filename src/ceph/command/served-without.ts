import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { CallOptions, CephCommands, PlacementGroup } from "./commands.ts";

/**
 * Whether each placement group of these OSDs is served by enough others that are up, by the OSD map of now. null while
 * Ceph cannot tell.
 */
export async function servedWithout(
  stopping: readonly OsdId[],
  ceph: Pick<CephCommands, "osdDump" | "pools" | "placementGroupsOf">,
  call?: CallOptions,
): Promise<boolean | null> {
  const { osds } = await ceph.osdDump(call);
  if (osds.every(({ up }) => up)) return true;
  const left = new Set<number>(osds.filter(({ id, up }) => up && !stopping.includes(id)).map(({ id }) => id));
  const minSizes = new Map((await ceph.pools(call)).map(({ id, minSize }) => [id, minSize]));
  const isServed = ({ pool, acting }: PlacementGroup): boolean =>
    acting.filter((osd) => left.has(osd)).length >= (minSizes.get(pool) ?? 0);
  // One that is down serves nothing already, and Ceph tells nothing of it.
  for (const { id } of osds.filter(({ id, up }) => up && stopping.includes(id))) {
    try {
      if (!(await ceph.placementGroupsOf(id, call)).every(isServed)) return false;
    } catch (error) {
      if (isMicrocephError(error, "CEPH_REFUSED")) return null;
      throw error;
    }
  }
  return true;
}
