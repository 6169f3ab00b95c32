import { describe, expect, it } from "vitest";
import { planSeats, type SeatFacts, type SeatMember, seatTarget } from "../../../../src/ceph/plan/seats.ts";
import { Spells, steadyMs } from "../../../../src/ceph/plan/spells.ts";
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
    leaving: null,
    seats: null,
    lost: false,
    steady: true,
    ...change(index + 1),
  }));
}

function facts(change: Partial<SeatFacts> & { members: readonly SeatMember[] }): SeatFacts {
  return {
    self: peer(1),
    voters: [peer(1)],
    monitors: [name(1)],
    monitorsInQuorum: change.monitors ?? [name(1)],
    monitorsLost: [],
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

  it("takes a monitor that is lost out before it adds one that might cost the quorum", () => {
    // The first gives its seats up, the second is lost, and the fourth has a vote and no monitor yet.
    const change = (n: number): Partial<SeatMember> =>
      n === 1 ? { seats: "away" } : n === 2 ? { alive: false, lost: true } : {};
    const { next, reasons } = planSeats(
      facts({
        members: members(4, change),
        self: peer(3),
        voters: [peer(2), peer(3), peer(4)],
        monitors: [name(1), name(2), name(3)],
        monitorsInQuorum: [name(1), name(3)],
        monitorsLost: [name(2)],
      }),
    );
    expect(next).toMatchObject({ kind: "monitor-out", handle: name(2) });
    expect(reasons).toContain("no monitor is added while 2 of 3 are in quorum");
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

  it("gives a monitor beside a vote to one that has its own or gets it next", () => {
    const two = facts({ members: members(3), voters: [peer(1), peer(2)] });
    expect(planSeats(two)).toMatchObject({
      next: { kind: "voter", handle: "n3" },
      beside: { kind: "monitor", handle: "n2" },
    });
    expect(planSeats(facts({ members: members(3) }))).toMatchObject({
      next: { kind: "voter", handle: "n2" },
      beside: { kind: "monitor", handle: "n2" },
    });
    expect(planSeats({ ...two, monitors: null }).beside).toBeNull();
    const monitors = [name(1), name(2)];
    expect(planSeats({ ...two, monitors, monitorsInQuorum: monitors })).toMatchObject({
      next: { kind: "voter", handle: "n3" },
      beside: { kind: "monitor", handle: "n3" },
    });
    const all = members(3).map(({ handle }) => handle);
    expect(planSeats({ ...two, monitors: all, monitorsInQuorum: all }).beside).toBeNull();
    expect(planSeats({ ...two, monitors, monitorsInQuorum: [name(1)] }).beside).toBeNull();
  });

  it("gives no monitor beside a vote when too few would have one afterwards", () => {
    const five = { members: members(7), voters: [1, 2, 3, 4].map(peer), monitors: [name(1)] };
    expect(planSeats(facts(five))).toMatchObject({ next: { kind: "voter" }, beside: { kind: "monitor" } });
    const few = members(7, (n) => ({ alive: n === 1 || n > 4 }));
    const stuck = facts({ members: few, voters: [1, 2, 3, 4].map(peer), monitors: [name(1)] });
    expect(planSeats(stuck)).toMatchObject({ next: { kind: "voter", handle: "n5" }, beside: null });
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

describe("seats of those who are lost", () => {
  const away = (...lost: number[]) =>
    members(5, (n) => (lost.includes(n) ? { alive: false, lost: true } : {}));
  const seats = (...numbers: number[]) => ({
    voters: numbers.map(peer),
    monitors: numbers.map(name),
  });

  it("go to others one at a time: vote out, vote in, monitor out, monitor in", () => {
    let { voters, monitors } = seats(1, 2, 3);
    const taken: string[] = [];
    for (;;) {
      const there = (n: Handle): boolean => n !== name(2);
      const plan = planSeats(
        facts({
          members: away(2),
          voters,
          monitors,
          monitorsInQuorum: monitors.filter(there),
          monitorsLost: monitors.filter((n) => !there(n)),
        }),
      );
      if (plan.next === null) break;
      const { kind, peer: whose, handle } = plan.next;
      taken.push(`${kind} ${handle}`);
      if (kind === "voter") voters = [...voters, whose];
      if (kind === "voter-out") voters = voters.filter((one) => one !== whose);
      if (kind === "monitor") monitors = [...monitors, handle];
      if (kind === "monitor-out") monitors = monitors.filter((one) => one !== handle);
    }
    expect(taken).toEqual(["voter-out n2", "voter n4", "monitor-out n2", "monitor n4"]);
  });

  it("stay where nobody can take them, or nobody who has been there for a while", () => {
    const lost = { alive: false, lost: true };
    const three = planSeats(
      facts({
        members: members(3, (n) => (n === 2 ? lost : {})),
        ...seats(1, 2, 3),
        monitorsInQuorum: [name(1), name(3)],
        monitorsLost: [name(2)],
      }),
    );
    expect(three.next).toBeNull();
    expect(three.reasons.join()).toContain("n2 is lost, and no other member is there to take its vote");
    const flapping = members(4, (n) => (n === 2 ? lost : n === 4 ? { steady: false } : {}));
    expect(planSeats(facts({ members: flapping, ...seats(1, 2, 3), monitors: null })).next).toBeNull();
  });

  it("stay while the others could not decide without them", () => {
    const plan = planSeats(facts({ members: away(2, 3), ...seats(1, 2, 3), monitors: null }));
    expect(plan.next).toBeNull();
    expect(plan.reasons.join()).toContain("would be no majority");
  });

  it("are made anew where the host is there and only its monitor is lost", () => {
    const plan = planSeats(
      facts({
        members: members(3),
        ...seats(1, 2, 3),
        monitorsInQuorum: [name(1), name(2)],
        monitorsLost: [name(3)],
      }),
    );
    expect(plan.next).toMatchObject({ kind: "monitor-out", handle: "n3" });
    expect(plan.next?.reason).toContain("made anew");
  });

  it("are spread over zones: the heir comes from a zone without a seat", () => {
    const zones = ["a", "b", "c", "a", "b"];
    const people = members(5, (n) => ({
      zone: zones[n - 1] ?? null,
      ...(n === 2 ? { alive: false, lost: true } : {}),
    }));
    const plan = planSeats(facts({ members: people, ...seats(1, 3), monitors: null }));
    expect(plan.next).toMatchObject({ kind: "voter", handle: "n5" });
  });
});

describe("Spells", () => {
  it("count from the first absence while nobody stays, and end with a steady presence", () => {
    const spells = new Spells<string>();
    spells.note("a", true, 0);
    expect([spells.awayFor("a", 1_000), spells.presentFor("a", 1_000)]).toEqual([0, 1_000]);
    spells.note("a", false, 2_000);
    spells.note("a", true, 10_000);
    expect(spells.awayFor("a", 12_000)).toBe(10_000);
    spells.note("a", false, 13_000);
    expect(spells.awayFor("a", 20_000)).toBe(18_000);
    spells.note("a", true, 21_000);
    expect(spells.awayFor("a", 21_000 + steadyMs)).toBe(0);
    spells.note("a", false, 60_000);
    expect(spells.awayFor("a", 61_000)).toBe(1_000);
    spells.keepOnly(new Set());
    expect([spells.awayFor("a", 99_000), spells.presentFor("a", 99_000)]).toEqual([0, 0]);
  });
});

describe("seats of those who leave", () => {
  const three = [1, 2, 3];
  const seated = (numbers: readonly number[]): Partial<SeatFacts> => ({
    voters: numbers.map(peer),
    monitors: numbers.map(name),
    monitorsInQuorum: numbers.map(name),
  });

  it("are given to another first, then taken: the monitor before the vote", () => {
    const leaves = members(4, (n) => ({ leaving: n === 3 ? "moving" : null }));
    const given = planSeats(facts({ members: leaves, ...seated(three) }));
    expect(given.next).toMatchObject({ kind: "voter", handle: "n4" });
    const voters = [1, 2, 3, 4].map(peer);
    const next = planSeats(facts({ members: leaves, ...seated(three), voters }));
    expect(next.next).toMatchObject({ kind: "monitor", handle: "n4" });
    const taken = planSeats(facts({ members: leaves, ...seated([1, 2, 3, 4]) }));
    expect(taken.next).toMatchObject({ kind: "monitor-out", handle: "n3" });
    const last = planSeats(facts({ members: leaves, ...seated([1, 2, 4]), voters }));
    expect(last.next).toMatchObject({ kind: "voter-out", handle: "n3" });
  });

  it("are taken from the dead before others get them, if a majority is left", () => {
    const dead = members(4, (n) => (n === 3 ? { leaving: "dead", alive: false } : {}));
    const monitorsInQuorum = [1, 2].map(name);
    const first = planSeats(facts({ members: dead, ...seated(three), monitorsInQuorum }));
    expect(first.next).toMatchObject({ kind: "monitor-out", handle: "n3" });
    const unknown = planSeats(facts({ members: dead, ...seated(three), monitors: null }));
    expect(unknown.next).toMatchObject({ kind: "voter-out", handle: "n3" });
    const two = members(3, (n) => (n > 1 ? { leaving: n === 3 ? "dead" : null, alive: false } : {}));
    const stuck = planSeats(facts({ members: two, ...seated(three), monitorsInQuorum: [name(1)] }));
    expect(stuck.next).toBeNull();
    expect(stuck.reasons.join()).toContain("the voters left without n3 would be no majority");
  });

  it("stay with one that was called dead and is alive", () => {
    const alive = members(3, (n) => ({ leaving: n === 3 ? "dead" : null }));
    const plan = planSeats(facts({ members: alive, ...seated(three) }));
    expect(plan.next).toMatchObject({ kind: "monitor-out", handle: "n2" });
    expect(plan.reasons.join()).toContain("n3 was to be removed as dead, but it is alive");
  });

  it("are never all gone at once, and never held by the lease holder for good", () => {
    const all = members(2, (n) => ({ leaving: n === 1 ? "moving" : null }));
    const moved = planSeats(facts({ members: all, ...seated([1, 2]) }));
    expect(moved.next).toMatchObject({ kind: "monitor-out", handle: "n1" });
    const own = planSeats(facts({ members: all, ...seated([2]), voters: [1, 2].map(peer) }));
    expect(own).toMatchObject({ next: null, handOver: true });
    const others = planSeats(
      facts({ self: peer(2), members: all, ...seated([2]), voters: [1, 2].map(peer) }),
    );
    expect(others.next).toMatchObject({ kind: "voter-out", handle: "n1" });
  });

  /** Deterministic numbers in [0, 1). */
  function numbers(seed: number): () => number {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  it.each(Array.from({ length: 200 }, (_, seed) => seed))(
    "end where they should, whatever leaves and dies (%i)",
    (seed) => {
      const random = numbers(seed + 1);
      const pick = (count: number): number => Math.floor(random() * count);
      const count = 1 + pick(9);
      const start = Array.from({ length: seatTarget(count) }, (_, n) => n + 1);
      // As many may be dead as the seats tolerate.
      const mayDie = Math.floor((start.length - 1) / 2);
      const gone = new Set(Array.from({ length: pick(mayDie + 1) }, () => 1 + pick(count)));
      const leavers = new Set(Array.from({ length: pick(count) }, () => 1 + pick(count)));
      if (leavers.size >= count) leavers.delete(1);
      const people = members(count, (n) => ({
        alive: !gone.has(n),
        leaving: leavers.has(n) ? (gone.has(n) ? "dead" : "moving") : null,
        zone: ["a", "b", "c", null][pick(4)] ?? null,
      }));
      const works = (n: number): boolean => !gone.has(n);
      let voters = start;
      let monitors = start;
      let holder = 1 + pick(count);
      const majority = (seats: readonly number[]): boolean => seats.filter(works).length * 2 > seats.length;
      const numberOf = (handle: Handle): number => Number(handle.slice(1));
      for (let step = 0; ; step++) {
        expect(step).toBeLessThan(60);
        expect([majority(voters), majority(monitors)], `voters ${voters}, monitors ${monitors}`).toEqual([
          true,
          true,
        ]);
        // The lease is with one who stays, if such a voter is there.
        const able = voters.filter(works);
        const staying2 = able.filter((n) => !leavers.has(n));
        const self = able.includes(holder) ? holder : (staying2[0] ?? able[0] ?? 0);
        const plan = planSeats({
          self: peer(self),
          members: people,
          voters: voters.map(peer),
          monitors: monitors.map(name),
          monitorsInQuorum: monitors.filter(works).map(name),
          monitorsLost: [],
        });
        const { next } = plan;
        if (plan.handOver) {
          expect(next).toBeNull();
          holder = able.find((n) => n !== self) ?? self;
          continue;
        }
        if (next === null) break;
        const n = numberOf(next.handle);
        if (next.kind === "voter") voters = [...voters, n];
        if (next.kind === "monitor") monitors = [...monitors, n];
        if (next.kind === "voter-out") voters = voters.filter((other) => other !== n);
        if (next.kind === "monitor-out") monitors = monitors.filter((other) => other !== n);
        if (next.kind.endsWith("-out")) expect(n === self && next.kind === "voter-out").toBe(false);
      }
      const staying = people.filter(({ leaving }) => leaving === null);
      const able = staying.filter(({ alive }) => alive);
      // With enough who are alive nobody who leaves keeps a seat, and there are as many as are wanted.
      if (able.length >= seatTarget(staying.length) && able.length === staying.length) {
        for (const seats of [voters, monitors]) {
          expect(seats.filter((n) => leavers.has(n))).toEqual([]);
          expect(seats).toHaveLength(seatTarget(staying.length));
        }
      }
    },
  );
});

describe("a member whose seats are to go to another", () => {
  const wish = (n: number) =>
    n === 1 ? { seats: "away" as const } : n === 4 ? { seats: "preferred" as const } : {};
  const five = (change: Partial<SeatFacts>): SeatFacts =>
    facts({ members: members(5, wish), monitors: [name(1), name(2), name(3)], ...change });
  const three = [peer(1), peer(2), peer(3)];

  it("keeps them until the one that is asked for has them, and gives the monitor up before the vote", () => {
    expect(planSeats(five({ self: peer(2), voters: three })).next).toMatchObject({
      kind: "voter",
      peer: peer(4),
    });
    const voters = [...three, peer(4)];
    expect(planSeats(five({ self: peer(2), voters })).next).toMatchObject({ kind: "monitor", peer: peer(4) });
    const monitors = [1, 2, 3, 4].map(name);
    expect(planSeats(five({ self: peer(2), voters, monitors })).next).toMatchObject({
      kind: "monitor-out",
      peer: peer(1),
      reason: "n1 gives its seats to others",
    });
    expect(planSeats(five({ self: peer(2), voters, monitors: monitors.slice(1) })).next).toMatchObject({
      kind: "voter-out",
      peer: peer(1),
    });
    expect(
      planSeats(five({ self: peer(2), voters: voters.slice(1), monitors: monitors.slice(1) })).next,
    ).toBeNull();
  });

  it("lets another hold the lease before it loses its vote", () => {
    const plan = planSeats(five({ voters: [...three, peer(4)], monitors: [2, 3, 4].map(name) }));
    expect([plan.next, plan.handOver]).toEqual([null, true]);
  });

  it("keeps them where no other can have them", () => {
    const plan = planSeats(
      facts({ members: members(3, wish), voters: three, monitors: [1, 2, 3].map(name) }),
    );
    expect([plan.next, plan.handOver]).toEqual([null, false]);
    expect(plan.reasons.join()).toContain("n1 keeps its monitor until another has one");
  });

  it("moves the only seat of two members", () => {
    const two = (change: Partial<SeatFacts>): SeatFacts =>
      facts({ members: members(2, (n) => ({ seats: n === 1 ? "away" : "preferred" })), ...change });
    expect(planSeats(two({})).next).toMatchObject({ kind: "voter", peer: peer(2) });
    expect(planSeats(two({ voters: [peer(1), peer(2)] })).next).toMatchObject({
      kind: "monitor",
      peer: peer(2),
    });
  });
});
