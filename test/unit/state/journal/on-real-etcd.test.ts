import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyCertificate, verifyTombstone } from "../../../../src/mesh/identity/certificate.ts";
import { signWithClusterKey, verifyWithClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { Decider } from "../../../../src/state/journal/decider.ts";
import { JournalCopy } from "../../../../src/state/journal/journal-copy.ts";
import { JournalFeed } from "../../../../src/state/journal/journal-feed.ts";
import { LeaseKeeper } from "../../../../src/state/lease/lease-keeper.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { EtcdCluster, quiet, testPeer, until } from "../../../support/etcd-cluster.ts";
import { key } from "../../../support/journal-records.ts";

const cluster = new EtcdCluster();
const host = cluster.host(1);
const stop: (() => Promise<void> | void)[] = [];

beforeAll(() => host.start("new", []));
afterAll(async () => {
  for (const each of stop) await each();
  await cluster.stop();
});

/** A node's parts on the one etcd: as if each had its own. */
function node(number: number) {
  const store = LocalStore.open(join(cluster.root, `${number}.db`));
  const proofs = {
    certificate: (value: unknown) => verifyCertificate(value, { cluster: key.id }),
    tombstone: (value: unknown) => verifyTombstone(value, { cluster: key.id }),
  };
  const copy = new JournalCopy(
    { cluster: key.id, clusterKey: key.publicKey },
    { store, verify: verifyWithClusterKey, proofs, log: quiet },
  );
  copy.open();
  const etcd = host.client;
  const lease = new LeaseKeeper(
    { self: testPeer(number), ttlSeconds: 5 },
    { etcd, now: () => performance.now(), log: quiet },
  );
  const feed = new JournalFeed({ etcd, copy, log: quiet });
  const decider = new Decider(
    { cluster: key.id, generation: 1 },
    { etcd, lease, copy, clusterKey: () => key, sign: signWithClusterKey, now: Date.now, log: quiet },
  );
  feed.start();
  stop.push(
    () => lease.stop(),
    () => feed.stop(),
    () => store.close(),
  );
  return { copy, lease, feed, decider };
}

test("decisions of one holder after the other reach every copy, verified", async () => {
  const [a, b] = [node(1), node(2)];
  a.lease.start();
  await until("taken", () => a.lease.held() !== null);
  b.lease.start();
  await a.decider.restampOpen();
  const draft = { kind: "ceph.mon", body: { handle: "n2" }, agent: testPeer(2), reason: "second" };
  const entry = await a.decider.open(draft);
  expect(a.copy.entry(entry.id)).toEqual(entry);
  await a.decider.handed(entry.id);
  expect(await b.decider.confirm(entry.id, entry.number)).toBe(true);
  await a.decider.putSecret("ceph", { adminKey: "k" });

  // The holder gives up without a word; its order is still on its way to the agent.
  const lost = new Promise((resolve) => a.lease.on("lost", resolve));
  await b.lease.revokeHolder(testPeer(1));
  await lost;
  await until("changed hands", () => b.lease.held() !== null || a.lease.held() !== null);
  const [next, last] = b.lease.held() ? [b, a] : [a, b];
  const [stamped] = await next.decider.restampOpen();
  expect(stamped).toMatchObject({ id: entry.id, handed: true, number: { generation: 1, revision: 3 } });
  expect(await last.decider.confirm(entry.id, entry.number)).toBe(false);
  await next.decider.close(entry.id, "done", { result: { epoch: 2 }, reason: "in quorum" });
  expect(await next.decider.getSecret("ceph")).toEqual({ adminKey: "k" });
  await expect(last.decider.open(draft)).rejects.toMatchObject({ code: "LEASE_LOST" });

  await until("fed", () => last.copy.head()?.revision === 4);
  expect(last.copy.records(0, 10)).toEqual(next.copy.records(0, 10));
  expect(last.copy.entry(entry.id)).toMatchObject({ state: "done", result: { epoch: 2 } });
  const late = node(3);
  await until("caught up", () => late.copy.head()?.revision === 4);
});
