import { describe, expect, it } from "vitest";
import { type CrushFacts, planFailureDomain } from "../../../../src/ceph/plan/failure-domain.ts";
import { minSizeFor, type ProfileFacts, planPoolProfile } from "../../../../src/ceph/plan/pool-profile.ts";

const limits = { settleMs: 5_000, nearfullRatio: 0.85 };
const gib = 2 ** 20;

function hosts(count: number, usedKiB = 1_000, sizeKiB = gib): CrushFacts["osds"] {
  return Array.from({ length: count }, (_, n) => ({ host: `n${n + 1}`, rack: null, sizeKiB, usedKiB }));
}

function crush(change: Partial<CrushFacts>): CrushFacts {
  return {
    defaultRule: "microceph_auto_osd",
    wish: { level: "auto", downgrade: false },
    pools: [
      { name: ".mgr", rule: "microceph_auto_osd", size: 3 },
      { name: "mine", rule: "custom", size: 3 },
    ],
    osds: hosts(3),
    stableMs: 60_000,
    ...change,
  };
}

describe("planFailureDomain", () => {
  it("steps from osd to host at three hosts and takes only our pools along", () => {
    expect(planFailureDomain(crush({}), limits).next).toMatchObject({
      from: "osd",
      to: "host",
      pools: [".mgr"],
    });
  });

  it.each([
    ["two hosts are not enough", { osds: hosts(2) }, "2 hosts have OSDs, 3 are needed"],
    ["hosts that have just appeared", { stableMs: 100 }, "just changed"],
    ["a user's own default rule", { defaultRule: "custom" }, "not ours"],
    ["no default rule", { defaultRule: null }, "not ours"],
    [
      "a pool of four copies on three hosts",
      { pools: [{ name: "p", rule: "microceph_auto_osd", size: 4 }] },
      "4 are needed",
    ],
    ["host rule with no racks", { defaultRule: "microceph_auto_host" }, "0 racks have OSDs"],
  ] as const)("stays: %s", (_why, change, reason) => {
    const plan = planFailureDomain(crush(change), limits);
    expect(plan.next).toBeNull();
    expect(plan.reasons.join()).toContain(reason);
  });

  const wish = (level: "auto" | "osd" | "host" | "rack", downgrade = false) => ({
    wish: { level, downgrade },
  });

  it.each([
    ["to a wider level that was asked for", { ...wish("host") }, "host"],
    [
      "to a narrower one that was confirmed",
      { defaultRule: "microceph_auto_host", ...wish("osd", true) },
      "osd",
    ],
    [
      "from rack down, whatever is there",
      { defaultRule: "microceph_auto_rack", ...wish("host", true), osds: hosts(1) },
      "host",
    ],
  ] as const)("goes %s", (_what, change, to) => {
    expect(planFailureDomain(crush(change), limits).next?.to).toBe(to);
  });

  it.each([
    [
      "a narrower level without a confirmation",
      { defaultRule: "microceph_auto_host", ...wish("osd") },
      "confirmation",
    ],
    ["at the level that was asked for, though more would be possible", { ...wish("osd") }, "an operator set"],
    ["a wider level for which there is too little", { ...wish("rack") }, "0 racks have OSDs"],
    [
      "racks, while a host is in no zone",
      {
        defaultRule: "microceph_auto_host",
        osds: hosts(4).map((osd, n) => ({ ...osd, rack: n === 3 ? null : `az.${n}` })),
      },
      "n4 is in no zone",
    ],
  ] as const)("stays: %s", (_what, change, reason) => {
    const plan = planFailureDomain(crush(change), limits);
    expect(plan.next).toBeNull();
    expect(plan.reasons.join()).toContain(reason);
  });

  it("takes pools of all our rules along, and none of a user's", () => {
    const pools = [
      { name: "a", rule: "microceph_auto_osd", size: 3 },
      { name: "b", rule: "microceph_auto_host", size: 3 },
      { name: "c", rule: "theirs", size: 3 },
    ];
    const osds = hosts(3).map((osd, n) => ({ ...osd, rack: `r${n}` }));
    const plan = planFailureDomain(crush({ defaultRule: "microceph_auto_host", pools, osds }), limits);
    expect(plan.next?.pools).toEqual(["a", "b"]);
  });

  it("stays when a small host would pass nearfull", () => {
    const osds = [
      { host: "n1", rack: null, sizeKiB: 4 * gib, usedKiB: gib },
      { host: "n2", rack: null, sizeKiB: 4 * gib, usedKiB: gib },
      { host: "n3", rack: null, sizeKiB: gib, usedKiB: gib / 2 },
    ];
    // Three copies on three hosts: each holds 2.5 GiB / 3 = 0.83 GiB, of 1 GiB on n3. Ratio 0.83 passes, 0.8 does not.
    expect(planFailureDomain(crush({ osds }), limits).next).not.toBeNull();
    expect(planFailureDomain(crush({ osds }), { ...limits, nearfullRatio: 0.8 }).next).toBeNull();
  });

  it("steps from host to rack at three racks", () => {
    const osds = hosts(3).map((osd, n) => ({ ...osd, rack: `r${n}` }));
    const plan = planFailureDomain(crush({ defaultRule: "microceph_auto_host", osds, pools: [] }), limits);
    expect(plan.next).toMatchObject({ from: "host", to: "rack" });
  });
});

describe("planPoolProfile", () => {
  const facts = (change: Partial<ProfileFacts>): ProfileFacts => ({
    members: 1,
    osds: 3,
    stableMs: 60_000,
    defaultSize: 3,
    ourPools: [],
    ...change,
  });

  it.each([
    ["three OSDs on one node keep the default", {}, null],
    ["no OSD, no opinion", { osds: 0 }, null],
    ["one OSD keeps one copy", { osds: 1 }, { size: 1, minSize: 1 }],
    ["two OSDs keep two", { osds: 2, members: 2 }, { size: 2, minSize: 1 }],
    [
      "growth raises the default and our pools",
      { osds: 3, defaultSize: 1, ourPools: [{ name: ".mgr", size: 1 }] },
      { size: 3, minSize: 2, pools: [".mgr"] },
    ],
    ["three members always want three", { members: 3, osds: 1 }, null],
    ["nothing while OSDs are being added", { osds: 1, stableMs: 10 }, null],
    ["a larger pool is left alone", { osds: 1, defaultSize: 1, ourPools: [{ name: ".mgr", size: 3 }] }, null],
  ] as const)("%s", (_what, change, expected) => {
    const step = planPoolProfile(facts(change), 5_000);
    if (expected === null) expect(step).toBeNull();
    else expect(step).toMatchObject(expected);
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 3],
  ])("size %i has min_size %i", (size, min) => {
    expect(minSizeFor(size)).toBe(min);
  });
});
