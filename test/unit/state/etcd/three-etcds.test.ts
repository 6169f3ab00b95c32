import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { Voter } from "../../../../src/state/etcd/peer-sockets.ts";
import { addLearner, promoteLearner, removeMember } from "../../../../src/state/etcd/voters.ts";
import { LeaseKeeper } from "../../../../src/state/lease/lease-keeper.ts";
import { EtcdCluster, type EtcdHost, quiet, until } from "../../../support/etcd-cluster.ts";

const cluster = new EtcdCluster();
const hosts = [1, 2, 3].map((number) => cluster.host(number));
const [n1, n2, n3] = hosts as [EtcdHost, EtcdHost, EtcdHost];
const voters: Voter[] = hosts.map(({ handle, peer }) => ({ handle, peer }));
const change = { deadlineMs: 15_000 };
const keepers = new Map(
  hosts.map((host) => [
    host,
    new LeaseKeeper(
      { self: host.peer, ttlSeconds: 2 },
      { etcd: host.client, now: () => performance.now(), log: quiet },
    ),
  ]),
);
const keeper = (host: EtcdHost): LeaseKeeper => {
  const found = keepers.get(host);
  if (!found) throw new Error("no keeper");
  return found;
};
const holderOf = (candidates: EtcdHost[]) => candidates.find((host) => keeper(host).held() !== null);

async function join(host: EtcdHost, others: EtcdHost[]): Promise<void> {
  const members = [...others, host].map(({ handle, peer }) => ({ handle, peer }));
  for (const other of others) await other.sockets.setVoters(members);
  await addLearner(n1.client, host.handle, change);
  // Once more, as after a crash: nothing changes.
  expect(await addLearner(n1.client, host.handle, change)).toHaveLength(members.length);
  await host.start("existing", members);
  await promoteLearner(n1.client, host.handle, change);
  await promoteLearner(n1.client, host.handle, change);
}

beforeAll(async () => {
  await n1.start("new", []);
  await join(n2, [n1]);
  await join(n3, [n1, n2]);
}, 30_000);
afterAll(async () => {
  await Promise.all([...keepers.values()].map((each) => each.stop()));
  await cluster.stop();
});

describe("three etcds joined by sockets", () => {
  test("a learner becomes a voter, over sockets that the daemon carries", async () => {
    // n3 itself learns of its promotion with the log, a moment after the leader.
    await until("n3 has heard of its promotion", () =>
      n3.client.memberList().then(
        (members) => members.length === 3 && members.every((member) => !member.learner),
        (error: unknown) => {
          if (isMicrocephError(error, "NOT_READY")) return false;
          throw error;
        },
      ),
    );
    const members = await n3.client.memberList();
    expect(members.map((member) => [member.name, member.learner]).sort()).toEqual([
      ["n1", false],
      ["n2", false],
      ["n3", false],
    ]);
    expect(n1.sockets.counters().accepted).toBeGreaterThan(0);
    expect(n1.sockets.counters().inbound).toBeGreaterThan(0);
  });

  test("a voter that is cut off decides nothing and still reads", async () => {
    await n3.sockets.setVoters([]);
    await n1.sockets.setVoters(voters.slice(0, 2));
    await n2.sockets.setVoters(voters.slice(0, 2));
    // Without its outbound sockets, and with the others' gone, nothing reaches it.
    await until("the cut is felt", async () => {
      const read = n3.client.range("/x", { deadlineMs: 300 });
      return read.then(
        () => false,
        (error: unknown) =>
          isMicrocephError(error, "DEADLINE_EXCEEDED") || isMicrocephError(error, "NO_QUORUM"),
      );
    });
    const read = await n3.client.range("/x", { serializable: true });
    expect(read.kvs).toEqual([]);
    await n1.client.txn({ compare: [], success: [{ do: "put", key: "/x", value: "1" }], failure: [] });
    for (const host of hosts) await host.sockets.setVoters(voters);
    await until("healed", async () =>
      n3.client.range("/x", { deadlineMs: 1000 }).then(
        ({ kvs }) => kvs[0]?.value === "1",
        () => false,
      ),
    );
  });

  test("the lease goes to another when its holder and its etcd are killed, and at once when revoked", async () => {
    for (const each of keepers.values()) each.start();
    await until("somebody holds the lease", () => holderOf(hosts) !== undefined);
    const first = holderOf(hosts) as EtcdHost;
    const firstLease = keeper(first).held();
    const others = hosts.filter((host) => host !== first);
    await until("renewed through whichever etcd leads", () => keeper(first).remaining() > 1500, 5000);

    // Presence says that the holder has failed.
    const [second] = others as [EtcdHost];
    expect(await keeper(second).revokeHolder(second.peer)).toBe(false);
    const lost = new Promise((resolve) => keeper(first).on("lost", resolve));
    expect(await keeper(second).revokeHolder(first.peer)).toBe(true);
    expect(await lost).toEqual(firstLease);
    await until("taken again", () => holderOf(hosts) !== undefined);

    const holder = holderOf(hosts) as EtcdHost;
    const epoch = keeper(holder).held()?.epoch ?? 0;
    expect(epoch).toBeGreaterThan(firstLease?.epoch ?? 0);
    const rest = hosts.filter((host) => host !== holder);
    process.kill(holder.process.pid ?? 0, "SIGSTOP");
    await until("the holder knows that it is shaky", () => keeper(holder).shaky());
    await holder.kill();
    await until("another holds the lease", () => holderOf(rest) !== undefined);
    expect(keeper(holderOf(rest) as EtcdHost).held()?.epoch).toBeGreaterThan(epoch);
    expect(keeper(holder).held()).toBe(null);
  });

  test("a member that was removed while it was down is told so when it comes back", async () => {
    const [down, up] = [...hosts].sort((a) => (a.process.pid === null ? -1 : 1)) as [EtcdHost, EtcdHost];
    expect(down.process.pid).toBe(null);
    await removeMember(up.client, down.handle, change);
    // Once more, as after a crash: nothing changes.
    await removeMember(up.client, down.handle, change);
    expect(await up.client.memberList()).toHaveLength(2);
    let cause: unknown = null;
    const starting = down.start("existing", voters);
    down.process.onExit((report) => {
      cause = report.cause;
    });
    // It runs until the others have told it.
    await starting.catch((error: unknown) => {
      if (!isMicrocephError(error, "STATE_CORRUPT")) throw error;
      cause = error.data.cause;
    });
    await until("it knows", () => cause !== null);
    expect(cause).toBe("removed");
  });
});
