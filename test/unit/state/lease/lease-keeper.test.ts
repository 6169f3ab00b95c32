import { describe, expect, test } from "vitest";
import { leaseKey } from "../../../../src/state/lease/lease-value.ts";
import { SimulatedVoters } from "../../../support/simulated-voter.ts";

function setUp() {
  const voters = new SimulatedVoters();
  const [a, b] = [voters.voter("n1"), voters.voter("n2")];
  return { voters, a, b };
}

/** The first has taken the lease, and the second waits for it, when so many milliseconds have passed after that. */
async function holding(ms: number): Promise<ReturnType<typeof setUp>> {
  const { voters, a, b } = setUp();
  a.lease.start();
  await voters.pass(100);
  b.lease.start();
  await voters.pass(ms);
  return { voters, a, b };
}

describe("LeaseKeeper", () => {
  test("takes a free lease, renews it at a third of its time, and keeps it", async () => {
    const { voters, a, b } = await holding(6900);
    expect(a.events).toEqual(["taken 0"]);
    expect(b.events).toEqual([]);
    const kv = voters.etcd.peek(leaseKey);
    expect(a.lease.held()).toEqual({ holder: a.peer, epoch: kv?.createRevision, leaseId: kv?.lease });
    expect(b.lease.held()).toBe(null);
    expect(b.lease.holder()).toEqual(a.lease.held());
    // 6 s: every 2 s from the sending of the one before.
    const [first = 0, second = 0, third = 0] = a.renewals;
    expect([first, second - first, third - second].map((ms) => Math.round(ms / 100))).toEqual([20, 20, 20]);
    expect(a.lease.shaky()).toBe(false);
    expect(b.lease.shaky()).toBe(true);
    expect(b.lease.remaining()).toBe(0);
  });

  test("cut off: shaky at half of its time, lost at the end, and another takes it no earlier", async () => {
    const { voters, a, b } = await holding(1900);
    voters.etcd.cut("n1");
    await voters.pass(950);
    expect(a.lease.shaky()).toBe(false);
    await voters.pass(3000);
    expect(a.lease.shaky()).toBe(true);
    expect(a.lease.held()).not.toBe(null);
    await voters.pass(4000);
    expect(a.events).toEqual(["taken 0", "shaky 3", "lost 6"]);
    expect(a.lease.held()).toBe(null);
    expect(b.events).toEqual(["taken 6"]);
    voters.etcd.heal("n1");
    await voters.pass(10_000);
    expect(a.lease.holder()).toEqual(b.lease.held());
  });

  test("a gap between the clocks makes it shaky until it is renewed, at once", async () => {
    const { voters, a } = setUp();
    a.lease.start();
    await voters.pass(3000);
    expect(a.lease.shaky()).toBe(false);
    a.wallAheadMs = 3_600_000;
    expect(a.lease.shaky()).toBe(true);
    const before = a.renewals.length;
    await voters.pass(1100);
    expect(a.events).toEqual(["taken 0", "shaky 4"]);
    expect(a.renewals.length).toBe(before + 1);
    expect(a.lease.shaky()).toBe(false);
  });

  test("a revoked lease is lost and taken by another at once, without polling", async () => {
    const { voters, a, b } = await holding(900);
    const first = a.lease.held();
    expect(await voters.settle(b.lease.revokeHolder(b.peer))).toBe(false);
    expect(a.lease.held()).toEqual(first);
    const revoked = b.lease.revokeHolder(a.peer);
    await voters.pass(150);
    expect(await revoked).toBe(true);
    expect(a.lease.held()?.epoch).not.toBe(first?.epoch);
    const holder = a.lease.held() ?? b.lease.held();
    expect(holder?.epoch).toBeGreaterThan(first?.epoch ?? 0);
    expect(a.events[1]).toBe("lost 1");
  });

  test("revoking a holder that has lost the lease already touches nobody", async () => {
    const { voters, a, b } = setUp();
    a.lease.start();
    await voters.pass(100);
    b.lease.start();
    // The answer that names the old holder is on its way while the lease changes hands.
    const revoking = voters.voter("n3").lease.revokeHolder(a.peer);
    await voters.settle(a.lease.stop());
    await voters.pass(300);
    expect(await revoking).toBe(true);
    expect(b.events).toEqual(["taken 0"]);
    expect(await voters.settle(voters.voter("n3").lease.revokeHolder(a.peer))).toBe(false);
    expect(b.lease.held()).not.toBe(null);
  });

  test("revoking is tried again while etcd has no leader, and ends when the holder has another lease", async () => {
    const { voters, a, b } = await holding(900);
    const first = a.lease.held();
    voters.etcd.cut("n2");
    const revoking = b.lease.revokeHolder(a.peer);
    await voters.pass(2500);
    expect(a.lease.held()).toEqual(first);
    voters.etcd.heal("n2");
    await voters.pass(1500);
    expect(await revoking).toBe(true);
    expect(a.events).toEqual(["taken 0", "lost 4"]);

    // Its new lease is another one than that which was known when it ended.
    b.lease.stop();
    await voters.pass(1000);
    expect(a.lease.held()).not.toBe(null);
    const again = voters.voter("n3");
    again.lease.start();
    await voters.pass(500);
    voters.etcd.cut("n3");
    const late = again.lease.revokeHolder(a.peer);
    const second = a.lease.held();
    a.lease.resign();
    await voters.pass(4500);
    const third = a.lease.held();
    expect(third?.epoch).toBeGreaterThan(second?.epoch ?? 0);
    voters.etcd.heal("n3");
    await voters.pass(1500);
    expect(await late).toBe(false);
    expect(a.lease.held()).toEqual(third);
  });

  test("stopping gives it up, so that another need not wait", async () => {
    const { voters, a, b } = await holding(900);
    await voters.settle(a.lease.stop());
    await voters.pass(100);
    expect(a.events).toEqual(["taken 0", "lost 1"]);
    expect(b.events.length).toBe(1);
    expect(b.lease.held()).not.toBe(null);
  });

  test("a killed holder that comes back does not wait for its own old lease", async () => {
    const { voters, a } = setUp();
    a.lease.start();
    await voters.pass(1000);
    const before = a.lease.held();
    voters.time.kill(a.process);
    const again = voters.voter("n1");
    again.lease.start();
    await voters.pass(200);
    expect(again.events).toEqual(["taken 1"]);
    expect(again.lease.held()?.epoch).toBeGreaterThan(before?.epoch ?? 0);
  });

  test.for([
    { answerLost: 0.5, requestLost: 0, appliedLate: 0, slow: 0 },
    { answerLost: 0, requestLost: 0, appliedLate: 0.5, slow: 0 },
  ])("whatever comes of its calls, nobody holds it for good without knowing: %o", async (faults) => {
    const { voters, a, b } = setUp();
    voters.etcd.faults = faults;
    a.lease.start();
    b.lease.start();
    await voters.pass(60_000);
    voters.etcd.faults = { answerLost: 0, requestLost: 0, appliedLate: 0, slow: 0 };
    await voters.pass(30_000);
    const holders = [a, b].filter(({ lease }) => lease.held() !== null);
    expect(holders.length).toBe(1);
    expect(holders[0]?.lease.held()?.epoch).toBe(voters.etcd.peek(leaseKey)?.createRevision);
  });

  test("without a majority nobody takes it; stop ends all the same", async () => {
    const { voters, a } = setUp();
    voters.etcd.cut("n2");
    voters.etcd.cut("n3");
    a.lease.start();
    await voters.pass(30_000);
    expect(a.events).toEqual([]);
    await voters.settle(a.lease.stop());
  });
});
