import { describe, expect, it } from "vitest";
import {
  nextRelease,
  planRolling,
  type RollingFacts,
  type RunningDaemon,
  refusedLeap,
  shortVersion,
} from "../../../../src/ceph/plan/rolling.ts";

const old = "ceph version 16.2.15 (618f44) pacific (stable)";
const fresh = "ceph version 18.2.7 (6b0e98) reef (stable)";

function daemon(type: RunningDaemon["type"], id: string, change: Partial<RunningDaemon> = {}): RunningDaemon {
  return { type, id, host: id, running: old, active: false, down: false, ...change };
}

function facts(change: Partial<RollingFacts> = {}): RollingFacts {
  return {
    daemons: [
      daemon("rgw", "n1"),
      daemon("mds", "n1", { active: true }),
      daemon("mds", "n2"),
      daemon("osd", "10", { host: "n1" }),
      daemon("osd", "2", { host: "n1" }),
      daemon("osd", "1", { host: "n2" }),
      daemon("mgr", "n1", { active: true }),
      daemon("mgr", "n2"),
      daemon("mon", "n2"),
      daemon("mon", "n1"),
    ],
    installed: new Map([
      ["n1", fresh],
      ["n2", fresh],
    ]),
    requiredRelease: "pacific",
    ...change,
  };
}
const names = (steps: readonly { type: string; id: string }[]): string =>
  steps.map(({ type, id }) => `${type}.${id}`).join(" ");

describe("planRolling", () => {
  it("restarts monitors, managers, OSDs host by host, metadata servers, gateways; standbys before the active", () => {
    expect(names(planRolling(facts(), false))).toBe(
      "mon.n1 mon.n2 mgr.n2 mgr.n1 osd.2 osd.10 osd.1 mds.n2 mds.n1 rgw.n1",
    );
  });

  it("leaves alone what runs what its host has installed, unless all are asked for", () => {
    const half = facts({
      installed: new Map([
        ["n1", old],
        ["n2", fresh],
      ]),
    });
    expect(names(planRolling(half, false))).toBe("mon.n2 mgr.n2 osd.1 mds.n2");
    expect(planRolling(half, true)).toHaveLength(10);
  });

  it("leaves alone what does not run: it may have been stopped on purpose", () => {
    const { daemons } = facts();
    const stopped = daemons.map((one) => (one.id === "10" ? { ...one, down: true } : one));
    expect(names(planRolling(facts({ daemons: stopped }), true))).not.toContain("osd.10");
    // It counts all the same for what may join from then on.
    const old = stopped.map((one) => (one.id === "10" ? { ...one, host: "n9" } : one));
    expect(nextRelease(facts({ daemons: old }))).toBeNull();
  });

  it("restarts mirrors and NFS gateways last; a gateway by what its own host says of it", () => {
    const nfs = { running: "nfs-ganesha 4.3", installed: "nfs-ganesha 4.3" };
    const daemons = [
      daemon("nfs", "n2", { ...nfs, running: "an earlier one" }),
      daemon("nfs", "n1", nfs),
      daemon("cephfs-mirror", "n1"),
      daemon("rbd-mirror", "n1"),
      daemon("rgw", "n1"),
    ];
    expect(names(planRolling(facts({ daemons }), false))).toBe(
      "rgw.n1 rbd-mirror.n1 cephfs-mirror.n1 nfs.n2",
    );
    expect(names(planRolling(facts({ daemons }), true))).toMatch(/nfs\.n1 nfs\.n2$/);
    expect(planRolling(facts({ daemons }), false).at(-1)).toMatchObject({ installed: nfs.installed });
    expect(refusedLeap(facts({ daemons }))).toBeNull();
  });

  it("leaves out hosts that do not answer", () => {
    expect(names(planRolling(facts({ installed: new Map([["n2", fresh]]) }), true))).toBe(
      "mon.n2 mgr.n2 osd.1 mds.n2",
    );
  });
});

describe("the release that all OSDs will run", () => {
  it("is the newer one, once every host has it", () => {
    expect(nextRelease(facts())).toBe("reef");
    expect(nextRelease(facts({ installed: new Map([["n1", fresh]]) }))).toBeNull();
    expect(nextRelease(facts({ requiredRelease: "reef" }))).toBeNull();
    expect(nextRelease(facts({ requiredRelease: "squid" }))).toBeNull();
    expect(nextRelease(facts({ daemons: [] }))).toBeNull();
    expect(
      nextRelease(
        facts({
          installed: new Map([
            ["n1", "garbage"],
            ["n2", "garbage"],
          ]),
        }),
      ),
    ).toBeNull();
  });
});

describe("what must not run", () => {
  const installedEverywhere = (version: string) =>
    facts({
      installed: new Map([
        ["n1", version],
        ["n2", version],
      ]),
    });

  it("is more than two releases ahead, or any behind", () => {
    expect(refusedLeap(facts())).toBeNull();
    expect(refusedLeap(installedEverywhere(old))).toBeNull();
    expect(refusedLeap(installedEverywhere("ceph version 19.2.3 (c92aeb) squid (stable)"))).toContain(
      "two releases",
    );
    expect(refusedLeap(installedEverywhere("ceph version 15.2.17 (8a8282) octopus (stable)"))).toContain(
      "cannot go back",
    );
  });

  it("is measured from what OSDs are still allowed to be", () => {
    const later = installedEverywhere(fresh);
    expect(refusedLeap({ ...later, requiredRelease: "octopus" })).toContain("the cluster is at octopus");
    expect(refusedLeap({ ...later, requiredRelease: "" })).toBeNull();
    expect(refusedLeap(installedEverywhere("garbage"))).toBeNull();
  });
});

it("a version is shown without what only Ceph's developers need", () => {
  expect([shortVersion(fresh), shortVersion("whatever")]).toEqual(["18.2.7", "whatever"]);
});
