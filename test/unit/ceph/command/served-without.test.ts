import { expect, it } from "vitest";
import type { OsdDump, PlacementGroup, Pool } from "../../../../src/ceph/command/commands.ts";
import { placementGroupsSchema } from "../../../../src/ceph/command/osd-schemas.ts";
import { servedWithout } from "../../../../src/ceph/command/served-without.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type OsdId, osdId } from "../../../../src/ids/ids.ts";

const none = 2_147_483_647;
const pools = [
  { id: 1, minSize: 2 },
  { id: 2, minSize: 1 },
];

it.each([
  [
    "what was served by one that is down now counts without it",
    [1],
    [0],
    [{ pool: 1, acting: [0, 1, 2] }],
    false,
  ],
  ["what has enough others is served", [1], [0], [{ pool: 1, acting: [1, 2, 3] }], true],
  ["several at once", [1, 2], [0], [{ pool: 1, acting: [1, 2, 3] }], false],
  ["a place that nobody has is nobody", [1], [0], [{ pool: 1, acting: [1, none, 2] }], false],
  ["one copy is enough where that is allowed", [1], [0], [{ pool: 2, acting: [0, 1, 2] }], true],
  ["of a pool that is gone nothing is asked", [1], [0], [{ pool: 9, acting: [1] }], true],
  [
    "all groups are asked",
    [1],
    [0],
    [
      { pool: 2, acting: [1, 2] },
      { pool: 1, acting: [0, 1, 3] },
    ],
    false,
  ],
])("%s", async (_what, stopping, down, groups, expected) => {
  const { ceph } = cluster(down, groups);
  expect(await servedWithout(stopping.map(osdId), ceph)).toBe(expected);
});

/** Four OSDs, of which some are down: of those Ceph tells no groups. */
function cluster(down: readonly number[], groups: readonly Omit<PlacementGroup, "state">[]) {
  const asked: OsdId[] = [];
  const osds = [0, 1, 2, 3].map((id) => ({
    ...{ id: osdId(id), uuid: "", in: true, destroyed: false },
    up: !down.includes(id),
  }));
  const ceph = {
    osdDump: async () => ({ osds }) as unknown as OsdDump,
    pools: async () => pools as Pool[],
    placementGroupsOf: async (osd: OsdId) => {
      asked.push(osd);
      if (down.includes(osd)) throw new MicrocephError("CEPH_REFUSED", "osd is not up");
      return groups.map((group) => ({ ...group, state: "active+clean" }));
    },
  };
  return { ceph, asked };
}

it("asks for nothing of OSDs that are down, nor while all are up", async () => {
  const one = cluster([1], [{ pool: 1, acting: [1, 2, 3] }]);
  expect(await servedWithout([1, 2].map(osdId), one.ceph)).toBe(false);
  expect(one.asked).toEqual([2]);
  const none = cluster([], [{ pool: 1, acting: [1, 2, 3] }]);
  expect(await servedWithout([1, 2].map(osdId), none.ceph)).toBe(true);
  expect(none.asked).toEqual([]);
});

it("does not know what Ceph does not tell, and hides no other error", async () => {
  const { ceph } = cluster([0], []);
  const failing = (code: "CEPH_REFUSED" | "DEADLINE_EXCEEDED") => ({
    ...ceph,
    placementGroupsOf: async () => Promise.reject(new MicrocephError(code, "no")),
  });
  expect(await servedWithout([osdId(1)], failing("CEPH_REFUSED"))).toBeNull();
  await expect(servedWithout([osdId(1)], failing("DEADLINE_EXCEEDED"))).rejects.toThrow("no");
});

it("groups are read with their pool", () => {
  const pg_stats = [{ pgid: "12.1f", acting: [3, 0], state: "active+clean" }];
  expect(placementGroupsSchema.parse({ pg_stats })).toEqual([
    { pool: 12, acting: [3, 0], state: "active+clean" },
  ]);
  const unnamed = { pg_stats: [{ ...pg_stats[0], pgid: "x" }] };
  expect(() => placementGroupsSchema.parse(unnamed)).toThrow();
});
