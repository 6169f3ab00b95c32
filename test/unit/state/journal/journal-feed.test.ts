import { expect, test } from "vitest";
import { type EtcdApi, WatchCompacted } from "../../../../src/state/etcd/etcd-api.ts";
import { JournalFeed } from "../../../../src/state/journal/journal-feed.ts";
import { recordKey } from "../../../../src/state/journal/keys.ts";
import type { JournalRecord } from "../../../../src/state/journal/types.ts";
import { RecordChain } from "../../../support/journal-records.ts";
import { MemoryCopy } from "../../../support/memory-copy.ts";
import { SimulatedVoters, silent } from "../../../support/simulated-voter.ts";

function setUp() {
  const voters = new SimulatedVoters();
  const { etcd, process } = voters.voter("n1");
  const writer = voters.voter("n2").etcd;
  const copy = new MemoryCopy();
  const sleep = (ms: number, signal: AbortSignal) => voters.time.sleep(ms, process, signal);
  const write = (record: JournalRecord) =>
    voters.settle(
      writer.txn({
        compare: [],
        success: [{ do: "put", key: recordKey(record.revision), value: JSON.stringify(record) }],
        failure: [],
      }),
    );
  return { voters, etcd, copy, sleep, write };
}

test("brings what is there and then what comes, also when the writer was faster", async () => {
  const { voters, etcd, copy, sleep, write } = setUp();
  const chain = new RecordChain();
  for (let count = 0; count < 3; count += 1) chain.open();
  for (const record of chain.records) await write(record);
  const feed = new JournalFeed({ etcd, copy, log: silent, sleep });
  feed.start();
  await voters.pass(200);
  expect(copy.records.length).toBe(3);
  chain.open();
  copy.append(chain.records);
  for (const record of [
    ...chain.records.slice(3),
    chain.add({ event: "open", entry: "5-test.thing" as never }),
  ]) {
    await write(record);
  }
  await voters.pass(200);
  expect(copy.records.length).toBe(5);
  await voters.settle(feed.stop());
});

test("reads anew when the history that it wants is gone", async () => {
  const { voters, etcd, copy, sleep, write } = setUp();
  const chain = new RecordChain();
  chain.open();
  await write(chain.records[0] as JournalRecord);
  let watches = 0;
  const compacted: EtcdApi = {
    ...etcd,
    watch: async (...call) => {
      watches += 1;
      if (watches > 1) return etcd.watch(...call);
      // Written and compacted before the watch begins.
      await sleep(1000, call[3]);
      throw new WatchCompacted(99);
    },
  };
  const feed = new JournalFeed({ etcd: compacted, copy, log: silent, sleep });
  feed.start();
  await voters.pass(500);
  chain.open();
  await write(chain.records[1] as JournalRecord);
  expect(copy.records.length).toBe(1);
  await voters.pass(1000);
  expect(copy.records.length).toBe(2);
  chain.open();
  await write(chain.records[2] as JournalRecord);
  await voters.pass(100);
  expect(copy.records.length).toBe(3);
  expect(watches).toBe(2);
  await voters.settle(feed.stop());
});

test("works in a minority, and takes nothing that does not continue the copy", async () => {
  const { voters, etcd, copy, sleep, write } = setUp();
  const chain = new RecordChain();
  chain.open();
  await write(chain.records[0] as JournalRecord);
  voters.etcd.cut("n2");
  voters.etcd.cut("n3");
  const feed = new JournalFeed({ etcd, copy, log: silent, sleep });
  feed.start();
  await voters.pass(500);
  expect(copy.records.length).toBe(1);
  voters.etcd.heal("n2");
  const rival = new RecordChain();
  rival.open();
  rival.open({ kind: "test.rival" });
  await write({ ...(rival.records[1] as JournalRecord), previous: "0".repeat(64) });
  await voters.pass(30_000);
  expect(copy.records.length).toBe(1);
  await voters.settle(feed.stop());
});
