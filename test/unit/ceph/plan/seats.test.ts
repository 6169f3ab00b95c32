import { describe, expect, it } from "vitest";
import { planSeats, type SeatFacts, type SeatMember, seatTarget } from "../../../../src/ceph/plan/seats.ts";
import type { Handle, PeerId } from "../../../../src/ids/ids.ts";

const peer = (n: number): PeerId => `peer-${n}` as PeerId;
const name = (n: number): Handle => `n${n}` as Handle;

function members(count: number, change: (n: number) => Partial<SeatMember> = () => ({})): SeatMember[] {
  return Array.from({ length: count }, (_, index) => ({
    peer: peer(index + 1),
    handle: name(index + 1),
    zone: null,
    alive: true,
    admitted: index + 1,
    ...change(index + 1),
  }));
}

function facts(change: Partial<SeatFacts> & { members: readonly SeatMember[] }): SeatFacts {
  return {
    voters: [peer(1)],
    monitors: [name(1)],
    monitorsInQuorum: change.monitors ?? [name(1)],
    ...change,
  };
}

describe("seatTarget", () => {
  it.each([
    [1, 1],
    [2, 1],
    [3, 3],
    [6, 3],
    [7, 5],
    [12, 5],
  ])("%i members want %i seats", (count, seats) => {
    expect(seatTarget(count)).toBe(seats);
  });
});

describe("planSeats", () => {
  it("keeps one seat on two members, because two voters tolerate nothing", () => {
    expect(planSeats(facts({ members: members(2) })).next).toBeNull();
  });

  it("starts to grow only when both new seats can be filled", () => {
    const one = planSeats(facts({ members: members(3, (n) => ({ alive: n !== 3 })) }));
    expect(one.next).toBeNull();
    expect(one.reasons.join()).toContain("2 more voters are wanted, 1 members");
    expect(planSeats(facts({ members: members(3) })).next).toMatchObject({ kind: "voter", peer: peer(2) });
  });

  it("finishes a growth that was begun: two voters want the third", () => {
    const plan = planSeats(facts({ members: members(3), voters: [peer(1), peer(2)] }));
    expect(plan.next).toMatchObject({ kind: "voter", peer: peer(3) });
  });

  it("adds monitors after the voters, one at a time, on the voters", () => {
    const voters = [peer(1), peer(3), peer(4)];
    const first = planSeats(facts({ members: members(5), voters }));
    expect(first.next).toMatchObject({ kind: "monitor", handle: "n3" });
    const second = planSeats(
      facts({
        members: members(5),
        voters,
        monitors: [name(1), name(3)],
        monitorsInQuorum: [name(1), name(3)],
      }),
    );
    expect(second.next).toMatchObject({ kind: "monitor", handle: "n4" });
  });

  it("adds no monitor while one is out of quorum", () => {
    const voters = [peer(1), peer(2), peer(3)];
    const plan = planSeats(
      facts({
        members: members(3),
        voters,
        monitors: [name(1), name(2)],
        monitorsInQuorum: [name(1)],
      }),
    );
    expect(plan.next).toBeNull();
    expect(plan.reasons.join()).toContain("n2 is out of quorum");
  });

  it("waits for Ceph before it plans monitors", () => {
    const voters = [peer(1), peer(2), peer(3)];
    expect(planSeats(facts({ members: members(3), voters, monitors: null })).next).toBeNull();
  });

  it("spreads over zones before it looks at age", () => {
    const zones = ["a", "a", "b", "c"];
    const plan = planSeats(facts({ members: members(4, (n) => ({ zone: zones[n - 1] ?? null })) }));
    expect(plan.next).toMatchObject({ peer: peer(3) });
  });

  it("seats everything from seven members on in five", () => {
    const voters = [peer(1), peer(2), peer(3)];
    const monitors = [name(1), name(2), name(3)];
    const plan = planSeats(facts({ members: members(7), voters, monitors, monitorsInQuorum: monitors }));
    expect(plan).toMatchObject({ target: 5, next: { kind: "voter", peer: peer(4) } });
  });
});
