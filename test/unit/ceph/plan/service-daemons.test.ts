import { describe, expect, it } from "vitest";
import { planDaemons, surplusDaemons } from "../../../../src/ceph/plan/service-daemons.ts";
import type { Handle, PeerId } from "../../../../src/ids/ids.ts";

const members = [1, 2, 3, 4].map((n) => ({
  peer: `peer-${n}` as PeerId,
  handle: `n${n}` as Handle,
  alive: n !== 2,
  ...{ lost: false, away: false, preferred: false },
}));
const open = false;

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
      { type: "mgr", handle: "n1" as Handle, open },
      { type: "mgr", handle: "n4" as Handle, open },
      { type: "mgr", handle: "n2" as Handle, open },
      { type: "mds", handle: "n1" as Handle, open },
    ] as const;
    const steps = planDaemons({ members, monitors: [], placed, limit: { mgr: 2, mds: 2 } });
    expect(steps.map((step) => `${step.type}.${step.handle}`)).toEqual(["mds.n3"]);
  });

  it("counts no more what a member runs that is lost, and says so", () => {
    const placed = (["n1", "n2", "n3"] as Handle[]).map((handle) => ({ type: "mgr" as const, handle, open }));
    const lost = members.map((one) => ({ ...one, lost: one.handle === "n2" }));
    const steps = planDaemons({ members: lost, monitors: [], placed, limit: { mgr: 3, mds: 3 } });
    expect(steps.filter(({ type }) => type === "mgr")).toMatchObject([
      { handle: "n4", reason: expect.stringContaining("that of n2 is lost") },
    ]);
    expect(steps.filter(({ handle }) => handle === "n2")).toEqual([]);
  });
});

describe("a member that is to give up what it runs", () => {
  const alive = members.map((one) => ({ ...one, alive: true }));
  const wished = alive.map((one) => ({ ...one, away: one.handle === "n1", preferred: one.handle === "n4" }));
  const limit = { mgr: 3, mds: 0 };
  const run = (...handles: string[]) =>
    handles.map((handle) => ({ type: "mgr" as const, handle: handle as Handle, open }));

  it("is followed by the one that is asked for, and gives it up only then", () => {
    const before = {
      members: wished,
      monitors: ["n2", "n3"] as Handle[],
      placed: run("n1", "n2", "n3"),
      limit,
    };
    expect(planDaemons(before)).toMatchObject([{ type: "mgr", handle: "n4" }]);
    expect(surplusDaemons(before)).toEqual([]);
    const begun = {
      ...before,
      placed: [...before.placed, { type: "mgr", handle: "n4" as Handle, open: true }],
    } as const;
    expect([planDaemons(begun), surplusDaemons(begun)]).toEqual([[], []]);
    const after = { ...before, placed: run("n1", "n2", "n3", "n4") };
    expect(planDaemons(after)).toEqual([]);
    expect(surplusDaemons(after)).toMatchObject([{ type: "mgr", handle: "n1" }]);
  });

  it("keeps it while one of the others is dead, or where every member runs one", () => {
    const placed = run("n1", "n2", "n3", "n4");
    const dead = wished.map((one) => ({ ...one, alive: one.handle !== "n3" }));
    expect(surplusDaemons({ members: dead, monitors: [], placed, limit })).toEqual([]);
    const three = wished.slice(0, 3);
    expect(surplusDaemons({ members: three, monitors: [], placed: run("n1", "n2", "n3"), limit })).toEqual(
      [],
    );
  });
});

describe("managers and metadata servers that people ask for", () => {
  const alive = members.map((one) => ({ ...one, alive: true }));
  const limit = { mgr: 2, mds: 2 };
  const run = (...handles: string[]) =>
    handles.map((handle) => ({ type: "mds" as const, handle: handle as Handle, open }));
  const peers = (...numbers: number[]) => numbers.map((n) => `peer-${n}` as PeerId);
  const facts = (placed: ReturnType<typeof run>, targets: PeerId[], off: PeerId[], who = alive) => ({
    ...{ members: who, monitors: ["n1", "n2"] as Handle[], placed, limit: { ...limit, mgr: 0 } },
    wishes: { mgr: { targets: [], off: [] }, mds: { targets, off } },
  });
  const planned = (...asked: Parameters<typeof facts>): string[][] => {
    const told = facts(...asked);
    return [planDaemons(told), surplusDaemons(told)].map((steps) => steps.map(({ handle }) => handle));
  };

  it("run there, and no more elsewhere than there are to be", () => {
    expect(planned([], peers(4), [])).toEqual([["n4", "n1"], []]);
    // One that was not asked for goes once the one that was runs.
    expect(planned(run("n1", "n2"), peers(4), [])).toEqual([["n4"], []]);
    expect(planned(run("n1", "n2", "n4"), peers(4), [])).toEqual([[], ["n2"]]);
    expect(planned(run("n1", "n4"), peers(4), [])).toEqual([[], []]);
    expect(planned(run("n1"), peers(1, 3, 4), [])).toEqual([["n3", "n4"], []]);
  });

  it("go where none is wanted, once another runs, and do not come back", () => {
    expect(planned(run("n1", "n2"), [], peers(1))).toEqual([["n3"], ["n1"]]);
    expect(planned(run("n2", "n3"), [], peers(1))).toEqual([[], []]);
    expect(planned(run("n1"), [], peers(1, 2, 3, 4))).toEqual([[], []]);
    const dead = alive.map((one) => ({ ...one, alive: one.handle === "n1" }));
    expect(planned(run("n1", "n2"), [], peers(1), dead)).toEqual([[], []]);
  });
});
