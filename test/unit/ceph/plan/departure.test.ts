import { describe, expect, it } from "vitest";
import { type DepartureFacts, planDepartures } from "../../../../src/ceph/plan/departure.ts";
import type { SeatMember } from "../../../../src/ceph/plan/seats.ts";
import { handle, type PeerId } from "../../../../src/ids/ids.ts";

const absence = { lost: false, steady: true };

function member(name: string, change: Partial<SeatMember> = {}): SeatMember {
  const peer = `peer-${name}` as PeerId;
  return {
    peer,
    handle: handle(name),
    zone: null,
    alive: true,
    admitted: 1,
    leaving: null,
    seats: null,
    ...absence,
    ...change,
  };
}

function facts(leaver: Partial<SeatMember>, change: Partial<DepartureFacts> = {}): DepartureFacts {
  const members = [member("n1"), member("n2"), member("n3", leaver)];
  return { self: members[0]?.peer as PeerId, members, etcd: [], monitors: [], osds: new Map(), ...change };
}

describe("members that leave", () => {
  it("are forgotten once they carry nothing", () => {
    const { ready, reasons } = planDepartures(facts({ leaving: "moving" }));
    expect([ready.map(({ handle }) => handle), reasons]).toEqual([["n3"], []]);
  });

  it("are forgotten when they are dead, and nobody waits for them", () => {
    expect(planDepartures(facts({ leaving: "dead", alive: false })).ready).toHaveLength(1);
  });

  it.each<[RegExp, Partial<SeatMember>, Partial<DepartureFacts>]>([
    [/has a vote still/, { leaving: "moving" }, { etcd: ["n3"] }],
    [/has a monitor still/, { leaving: "moving" }, { monitors: ["n1", "n3"] }],
    [/monitors do not answer/, { leaving: "moving" }, { monitors: null }],
    [/has osd.2, osd.5 still/, { leaving: "moving" }, { osds: new Map([["n3", [2, 5]]]) }],
    [/but it is alive/, { leaving: "dead", alive: true }, {}],
  ])("wait: %s", (why, leaver, change) => {
    const { ready, reasons } = planDepartures(facts(leaver, change));
    expect(ready).toEqual([]);
    expect(reasons.join()).toMatch(why);
  });

  it("never leave nobody behind", () => {
    const members = [member("n1", { leaving: "moving" }), member("n2", { alive: false })];
    const { ready, reasons } = planDepartures(facts({}, { members }));
    expect([ready, reasons]).toEqual([[], ["n1 is the last member"]]);
  });
});
