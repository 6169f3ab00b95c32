import { describe, expect, it } from "vitest";
import type { z } from "zod";
import {
  crushRulesSchema,
  osdTreeSchema,
  poolsSchema,
  safeToDestroySchema,
} from "../../../../src/ceph/command/osd-schemas.ts";
import { parseAnswer, parseMonStatus } from "../../../../src/ceph/command/schemas.ts";
import { healthSchema, mdsStatSchema, statusSchema } from "../../../../src/ceph/command/status-schemas.ts";

// Shapes as Ceph 16.2.15 answers them, shortened.
const addresses = (ip: string) => ({
  addrvec: [
    { type: "v2", addr: `${ip}:3300`, nonce: 0 },
    { type: "v1", addr: `${ip}:6789`, nonce: 0 },
  ],
});
const monMap = {
  epoch: 3,
  fsid: "bd547955-84a8-4994-b000-876dd121a0d1",
  created: "2026-11-23T06:14:40.844306Z",
  mons: [
    { rank: 0, name: "n2", public_addrs: addresses("10.0.0.2"), addr: "10.0.0.2:6789/0" },
    { rank: 1, name: "n1", public_addrs: addresses("10.0.0.1"), addr: "10.0.0.1:6789/0" },
  ],
};
const monStatus = {
  name: "n1",
  rank: 1,
  state: "peon",
  election_epoch: 8,
  quorum: [0, 1],
  features: {},
  monmap: monMap,
};

describe("mon_status", () => {
  it("names the monitors in quorum and sorts the map", () => {
    expect(parseMonStatus(monStatus)).toEqual({
      name: "n1",
      rank: 1,
      state: "peon",
      electionEpoch: 8,
      quorum: ["n2", "n1"],
      monMap: {
        epoch: 3,
        fsid: "bd547955-84a8-4994-b000-876dd121a0d1",
        monitors: [
          {
            name: "n1",
            rank: 1,
            addresses: [
              { type: "v2", address: "10.0.0.1:3300" },
              { type: "v1", address: "10.0.0.1:6789" },
            ],
          },
          {
            name: "n2",
            rank: 0,
            addresses: [
              { type: "v2", address: "10.0.0.2:3300" },
              { type: "v1", address: "10.0.0.2:6789" },
            ],
          },
        ],
      },
    });
  });

  it("has no quorum and an unknown state as such", () => {
    expect(parseMonStatus({ ...monStatus, rank: -1, quorum: [], state: "dreaming" })).toMatchObject({
      quorum: [],
      state: "unknown",
    });
  });
});

describe("osd tree", () => {
  const node = (id: number, name: string, type: string, children?: number[]) => ({
    id,
    name,
    type,
    type_id: 0,
    ...(children ? { children } : { crush_weight: 1, reweight: 1, status: id === 1 ? "down" : "up" }),
  });

  it("finds host and rack above each OSD, strays without", () => {
    const tree = osdTreeSchema.parse({
      nodes: [
        node(-1, "default", "root", [-4, -3]),
        node(-4, "az.a", "rack", [-2]),
        node(-2, "n1", "host", [0]),
        { ...node(0, "osd.0", "osd"), device_class: "hdd" },
        node(-3, "n2", "host", [1]),
        node(1, "osd.1", "osd"),
        node(-5, "empty", "host", []),
      ],
      stray: [node(2, "osd.2", "osd")],
    });
    expect(tree.osds.map(({ id, host, rack, up }) => [id, host, rack, up])).toEqual([
      [0, "n1", "az.a", true],
      [1, "n2", null, false],
      [2, null, null, true],
    ]);
    expect(tree.hosts).toEqual([
      { name: "n1", rack: "az.a" },
      { name: "n2", rack: null },
      { name: "empty", rack: null },
    ]);
  });

  it("ends on a tree that is its own parent", () => {
    const tree = osdTreeSchema.parse({
      nodes: [node(-1, "a", "root", [-1, 0]), node(0, "osd.0", "osd")],
      stray: [],
    });
    expect(tree.osds[0]?.host).toBeNull();
  });
});

it("rules have the level of their last choice", () => {
  const steps = (...types: (string | undefined)[]) => [
    { op: "take", item: -1 },
    ...types.map((type) => ({ op: type === "osd" ? "choose_firstn" : "chooseleaf_firstn", type })),
    { op: "emit" },
  ];
  expect(
    crushRulesSchema.parse([
      { rule_id: 0, rule_name: "a", steps: steps("host") },
      { rule_id: 1, rule_name: "b", steps: steps("rack", "osd") },
      { rule_id: 2, rule_name: "c", steps: steps() },
    ]),
  ).toEqual([
    { id: 0, name: "a", failureDomain: "host" },
    { id: 1, name: "b", failureDomain: "osd" },
    { id: 2, name: "c", failureDomain: null },
  ]);
});

it("pools say whether they are erasure coded and who uses them", () => {
  const pool = { pool_id: 1, pool_name: "p", type: 3, size: 5, min_size: 4, crush_rule: 2, pg_num: 32 };
  expect(poolsSchema.parse([{ ...pool, application_metadata: { rbd: {} } }])).toEqual([
    { id: 1, name: "p", size: 5, minSize: 4, crushRule: 2, pgNum: 32, erasure: true, applications: ["rbd"] },
  ]);
});

it("a cluster without a pool or manager has a status", () => {
  const status = {
    fsid: monMap.fsid,
    health: { status: "HEALTH_WARN", checks: {}, mutes: [] },
    quorum_names: ["n1"],
    monmap: { epoch: 1, num_mons: 1 },
    osdmap: { epoch: 1, num_osds: 0, num_up_osds: 0, num_in_osds: 0 },
    pgmap: {},
    mgrmap: { available: false, num_standbys: 0 },
  };
  expect(statusSchema.parse(status)).toMatchObject({
    epochs: { monitors: 1, osds: 1 },
    pgs: { total: 0, states: {} },
    bytes: { total: 0 },
    mgr: { available: false },
  });
  const { epoch: _, ...osdmap } = status.osdmap;
  expect(statusSchema.parse({ ...status, osdmap }).epochs).toEqual({ monitors: 1, osds: null });
});

it("health lists its checks", () => {
  const summary = { message: "OSD count 1 < osd_pool_default_size 3", count: 2 };
  expect(
    healthSchema.parse({
      status: "HEALTH_WARN",
      checks: { TOO_FEW_OSDS: { severity: "HEALTH_WARN", summary, muted: true } },
    }),
  ).toEqual({
    status: "HEALTH_WARN",
    checks: [{ code: "TOO_FEW_OSDS", severity: "HEALTH_WARN", ...summary, muted: true }],
  });
});

it("metadata servers with a rank are told from standbys", () => {
  const info = {
    gid_1: { name: "n1", rank: 0, state: "up:active" },
    gid_2: { name: "n2", rank: 0, state: "up:standby-replay" },
  };
  const waiting = { gid_4: { name: "n4", rank: 0, state: "up:reconnect" } };
  const replaying = { gid_5: { name: "n5", rank: 0, state: "up:clientreplay" } };
  const fsmap = {
    standbys: [{ name: "n3", rank: -1, state: "up:standby" }],
    filesystems: [
      { mdsmap: { fs_name: "cfs", in: [0], info } },
      { mdsmap: { fs_name: "two", in: [0, 1], info } },
      { mdsmap: { fs_name: "late", in: [0], info: waiting } },
      { mdsmap: { fs_name: "later", in: [0], info: replaying } },
      { mdsmap: { fs_name: "none", in: [0], info: {} } },
    ],
  };
  expect(mdsStatSchema.parse({ fsmap })).toEqual({
    active: ["n1", "n1", "n4", "n5"],
    standby: ["n3", "n2", "n2"],
    waiting: ["n4", "n5"],
    fileSystems: ["cfs", "two", "late", "later", "none"],
    unserved: ["two", "late", "later", "none"],
  });
});

it.each<[z.ZodType, unknown]>([
  [healthSchema, null],
  [healthSchema, { status: "HEALTH_FINE", checks: {} }],
  [poolsSchema, [{ pool_name: "x".repeat(2000) }]],
  [osdTreeSchema, { nodes: "many" }],
])("another shape is refused with a code", (schema, value) => {
  expect(() => parseAnswer("it", schema, value)).toThrowError(
    expect.objectContaining({ code: "CEPH_REFUSED" }),
  );
});

describe("whether an OSD may be destroyed", () => {
  const none = { safe_to_destroy: [], active: [], missing_stats: [], stored_pgs: [] };
  // As Ceph 16 answers in JSON, always with exit code 0.
  it.each<[string, Partial<Record<keyof typeof none, number[]>>, boolean | null]>([
    ["is said by name only", { safe_to_destroy: [3] }, true],
    ["is denied while it serves data", { active: [3] }, false],
    ["is denied while it holds data that is not whole elsewhere", { stored_pgs: [3] }, false],
    ["is not known without its statistics", { missing_stats: [3] }, null],
    ["is not known from an answer about others", { safe_to_destroy: [1, 2] }, null],
    ["is not known from an empty answer", {}, null],
  ])("%s", (_what, lists, expected) => {
    expect(safeToDestroySchema(3).parse({ ...none, ...lists })).toBe(expected);
  });

  it("is nothing to be guessed from another form of answer", () => {
    expect(safeToDestroySchema(3).safeParse(null).success).toBe(false);
    expect(safeToDestroySchema(3).safeParse({ safe_to_destroy: [3] }).success).toBe(false);
  });
});
