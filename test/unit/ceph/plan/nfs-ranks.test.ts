import { expect, it } from "vitest";
import { nfsRanks } from "../../../../src/ceph/plan/nfs-ranks.ts";

it.each<[number[], number, number[]]>([
  [[], 0, []],
  [[], 2, [0, 1]],
  [[1], 2, [0, 1]],
  [[0, 2], 2, [0, 2]],
  [[2], 3, [0, 1, 2]],
  [[0, 1, 2], 1, [0, 1, 2]],
])("ranks in use %j, of %i that are wanted: %j", (used, wanted, all) => {
  expect(nfsRanks(new Set(used), wanted)).toEqual(all);
});
