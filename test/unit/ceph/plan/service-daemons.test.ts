import { describe, expect, it } from "vitest";
import { planDaemons } from "../../../../src/ceph/plan/service-daemons.ts";
import type { Handle, PeerId } from "../../../../src/ids/ids.ts";

const members = [1, 2, 3, 4].map((n) => ({
  peer: `peer-${n}` as PeerId,
  handle: `n${n}` as Handle,
  alive: n !== 2,
  lost: false,
}));

describe("planDaemons", () => {
  it("places up to the limit of each type, monitor hosts first, dead members never", () => {
    const steps = planDaemons({ members, monitors: ["n4" as Handle], placed: [], limit: { mgr: 3, mds: 3 } });
    expect(steps.map((step) => `${step.type}.${step.handle}`)).toEqual([
      "mgr.n4",
      "mgr.n1",
      "mgr.n3",
      "mds.n4",
      "mds.n1",
      "mds.n3",
    ]);
  });

  it("counts what is placed and does not place twice", () => {
    const placed = [
      { type: "mgr", handle: "n1" as Handle },
      { type: "mgr", handle: "n4" as Handle },
      { type: "mgr", handle: "n2" as Handle },
      { type: "mds", handle: "n1" as Handle },
    ] as const;
    const steps = planDaemons({ members, monitors: [], placed, limit: { mgr: 2, mds: 2 } });
    expect(steps.map((step) => `${step.type}.${step.handle}`)).toEqual(["mds.n3"]);
  });

  it("counts no more what a member runs that is lost, and says so", () => {
    const placed = (["n1", "n2", "n3"] as Handle[]).map((handle) => ({ type: "mgr" as const, handle }));
    const lost = members.map((one) => ({ ...one, lost: one.handle === "n2" }));
    const steps = planDaemons({ members: lost, monitors: [], placed, limit: { mgr: 3, mds: 3 } });
    expect(steps.filter(({ type }) => type === "mgr")).toMatchObject([
      { handle: "n4", reason: expect.stringContaining("that of n2 is lost") },
    ]);
    expect(steps.filter(({ handle }) => handle === "n2")).toEqual([]);
  });
});
