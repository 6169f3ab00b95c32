import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterId } from "../../../../src/ids/ids.ts";
import { verifyCertificate, verifyTombstone } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey, verifyWithClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { JournalCopy } from "../../../../src/state/journal/journal-copy.ts";
import { hashOf } from "../../../../src/state/journal/record.ts";
import type { JournalRecord } from "../../../../src/state/journal/types.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { key, RecordChain } from "../../../support/journal-records.ts";
import { silent } from "../../../support/simulated-voter.ts";

let directory: string;
let store: LocalStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "copy-"));
  store = LocalStore.open(join(directory, "state.db"));
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

function opened(options: { cluster?: typeof key.id } = {}): JournalCopy {
  const copy = new JournalCopy(
    { cluster: options.cluster ?? key.id, clusterKey: key.publicKey },
    {
      store,
      verify: verifyWithClusterKey,
      proofs: {
        certificate: (value) => verifyCertificate(value, { cluster: key.id }),
        tombstone: (value) => verifyTombstone(value, { cluster: key.id }),
      },
      log: silent,
    },
  );
  copy.open();
  return copy;
}

function threeRecords(): RecordChain {
  const chain = new RecordChain();
  const entry = chain.open({ body: { n: 1 } });
  chain.add({ event: "restamp", entry });
  chain.add({ event: "done", entry });
  return chain;
}

describe("JournalCopy", () => {
  test("takes records in order, once, and has them after a reopen", () => {
    const { records } = threeRecords();
    const copy = opened();
    const heads: number[] = [];
    copy.on("change", (head) => heads.push(head.revision));
    expect(copy.head()).toBe(null);
    expect(copy.append(records.slice(0, 2))).toBe(2);
    expect(copy.append(records)).toBe(1);
    expect(copy.append(records)).toBe(0);
    expect(heads).toEqual([2, 3]);
    const again = opened();
    expect(again.head()).toEqual({ generation: 1, revision: 3 });
    expect(again.records(1, 10)).toEqual(records.slice(1));
    expect(again.records(0, 1)).toEqual(records.slice(0, 1));
    expect(again.entries().map(({ state, body }) => [state, body])).toEqual([["done", { n: 1 }]]);
    expect(again.openEntries()).toEqual([]);
    expect(again.last()).toEqual(records[2]);
    expect(again.hashAt(3)).toBe(hashOf(records[2] as JournalRecord));
  });

  test("fields that this version does not know are kept, and covered by the signature", () => {
    const chain = new RecordChain();
    chain.add({ event: "open", later: "x" } as unknown as { event: "open" });
    const copy = opened();
    expect(copy.append(chain.records)).toBe(1);
    expect(copy.records(0, 1)).toEqual(chain.records);
    expect(opened().append([{ ...chain.records[0], later: "y" }])).toBe(0);
  });

  const strangeKey = generateClusterKey();
  test.for<{ what: string; spoil: (records: JournalRecord[]) => unknown[]; taken: number; counter: string }>([
    {
      what: "a record that is missing",
      spoil: ([a, , c]) => [a, c],
      taken: 1,
      counter: "outOfOrder",
    },
    {
      what: "a changed body",
      spoil: ([a, b, c]) => [{ ...a, body: { n: 2 } }, b, c],
      taken: 0,
      counter: "badSignature",
    },
    {
      what: "a wrong hash of the one before",
      spoil: ([a, b]) => [a, { ...b, previous: "0".repeat(64) }],
      taken: 1,
      counter: "forked",
    },
    {
      what: "an earlier lease after a later one",
      spoil: ([a]) => {
        const chain = new RecordChain(a ? [a] : []);
        chain.epoch = 9;
        chain.open();
        return chain.records;
      },
      taken: 1,
      counter: "forked",
    },
    {
      what: "another key's signature",
      spoil: ([a]) => [{ ...a, signature: strangeKey.publicKey.repeat(2) }],
      taken: 0,
      counter: "badSignature",
    },
    { what: "no record at all", spoil: ([a]) => [a, "x"], taken: 1, counter: "malformed" },
    {
      what: "JSON that is nested too deep",
      spoil: ([a]) => [{ ...a, body: JSON.parse("[".repeat(20_000) + "]".repeat(20_000)) }],
      taken: 0,
      counter: "malformed",
    },
  ])("refuses $what and what follows", ({ spoil, taken, counter }) => {
    const copy = opened();
    expect(copy.append(spoil(threeRecords().records))).toBe(taken);
    expect(copy.counters()[counter]).toBe(1);
    expect(copy.head()?.revision ?? 0).toBe(taken);
  });

  test("another continuation of the same generation is refused, one of a later generation replaces", () => {
    const { records } = threeRecords();
    const copy = opened();
    copy.append(records);
    const rival = new RecordChain(records.slice(0, 1));
    rival.open({ kind: "test.rival" });
    expect(copy.append(rival.records)).toBe(0);
    expect(copy.counters().forked).toBe(1);
    const recovered = new RecordChain(records.slice(0, 1));
    recovered.generation = 2;
    recovered.epoch = 3;
    recovered.open({ kind: "test.recovered" });
    recovered.open({ kind: "test.more" });
    expect(copy.append(recovered.records)).toBe(2);
    for (const each of [copy, opened()]) {
      expect(each.head()).toEqual({ generation: 2, revision: 3 });
      expect(each.openEntries().map(({ id }) => id)).toEqual([
        "1-test.thing",
        "1000000000002-test.recovered",
        "1000000000003-test.more",
      ]);
    }
    // And the lost ones do not come back.
    expect(copy.append(records)).toBe(0);
  });

  test("members are who was admitted and not removed", () => {
    const chain = new RecordChain();
    const [a, b] = [chain.admit(1), chain.admit(2)];
    chain.open({ kind: "member.admit", body: { peer: a, name: "n9", handle: "n9" } });
    const copy = opened();
    copy.append(chain.records);
    expect(
      [...copy.members().values()].map(({ peer, handle, name, entry }) => [peer, handle, name, entry]),
    ).toEqual([
      [a, "n1", "n1", "1-member.admit"],
      [b, "n2", "n2", "3-member.admit"],
    ]);
    expect(copy.members().get(a)?.certificate.peer).toBe(a);
    chain.remove(a, "n1");
    copy.append(chain.records);
    expect([...copy.members().keys()]).toEqual([b]);
    expect(copy.tombstones().get(a)?.handle).toBe("n1");
    expect(copy.tombstones().has(b)).toBe(false);
  });

  test("damaged rows are dropped with all that follow, and can be had again", () => {
    const { records } = threeRecords();
    opened().append(records);
    store.db.exec("UPDATE journal SET record = replace(record, 'restamp', 'handed') WHERE revision = 2");
    const copy = opened();
    expect(copy.head()?.revision).toBe(1);
    expect(copy.append(records)).toBe(2);
  });

  test("a copy of another cluster is refused until it is cleared", () => {
    const copy = opened();
    copy.append(threeRecords().records);
    expect(() => opened({ cluster: clusterId("f".repeat(32)) })).toThrow(/is of cluster/);
    copy.clear();
    expect(copy.head()).toBe(null);
    expect(opened({ cluster: clusterId("f".repeat(32)) }).entries()).toEqual([]);
  });
});
