import { expect, it } from "vitest";
import { servedGroupsSchema } from "../../../../src/ceph/command/osd-schemas.ts";
import { servedWithout } from "../../../../src/ceph/command/served-without.ts";
import { osdId } from "../../../../src/ids/ids.ts";

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
  ["several at once", [1, 2], [], [{ pool: 1, acting: [1, 2, 3] }], false],
  ["a place that nobody has is nobody", [1], [], [{ pool: 1, acting: [1, none, 2] }], false],
  ["one copy is enough where that is allowed", [1], [0], [{ pool: 2, acting: [0, 1, 2] }], true],
  ["of a pool that is gone nothing is asked", [1], [], [{ pool: 9, acting: [1] }], true],
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
])("%s", (_what, stopping, down, groups, expected) => {
  const osds = [0, 1, 2, 3].map((id) => ({
    ...{ id: osdId(id), uuid: "", in: true, destroyed: false },
    up: !down.includes(id),
  }));
  expect(servedWithout(stopping.map(osdId), { dump: { osds }, pools, groups })).toBe(expected);
});

it("groups are read with their pool", () => {
  const pg_stats = [{ pgid: "12.1f", acting: [3, 0], state: "active+clean" }];
  expect(servedGroupsSchema.parse({ pg_stats })).toEqual([{ pool: 12, acting: [3, 0] }]);
});
