import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { verifyWithClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { JournalCopy } from "../../../../src/state/journal/journal-copy.ts";
import { JournalSync } from "../../../../src/state/journal/journal-sync.ts";
import type { DecisionNumber, JournalRecord } from "../../../../src/state/journal/types.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { agentPeer, holder, key, RecordChain } from "../../../support/journal-records.ts";
import { silent } from "../../../support/simulated-voter.ts";

let directory: string;
const nodes: { store: LocalStore; sync: JournalSync }[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sync-"));
});
afterEach(async () => {
  for (const { store, sync } of nodes.splice(0)) {
    await sync.stop();
    store.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

/** For a busy machine; what is waited for takes milliseconds. */
const patience = { timeout: 10_000, interval: 5 };

interface Node {
  readonly peer: PeerId;
  readonly copy: JournalCopy;
  readonly sync: JournalSync;
  readonly published: DecisionNumber[];
  asked: number;
}

const mesh = new Map<PeerId, Node>();

function node(peer: PeerId, records: readonly JournalRecord[], everyMs = 60_000): Node {
  const store = LocalStore.open(join(directory, `${peer}.db`));
  const proofs = { certificate: () => undefined, tombstone: () => undefined };
  const copy = new JournalCopy(
    { cluster: key.id, clusterKey: key.publicKey },
    { store, verify: verifyWithClusterKey, proofs, log: silent },
  );
  copy.open();
  copy.append(records);
  const published: DecisionNumber[] = [];
  const sync = new JournalSync(
    { everyMs },
    {
      copy,
      connected: () => [...mesh.keys()].filter((other) => other !== peer),
      publishHead: (head) => published.push(head),
      random: () => 0,
      log: silent,
      request: async (to: PeerId, body: Json) => {
        const other = mesh.get(to);
        if (!other) throw new Error("unreachable");
        made.asked += 1;
        return JSON.parse(JSON.stringify(other.sync.handle(peer, body)));
      },
    },
  );
  const made: Node = { peer, copy, sync, published, asked: 0 };
  mesh.set(peer, made);
  nodes.push({ store, sync });
  return made;
}

function pair(a: readonly JournalRecord[], b: readonly JournalRecord[]): [Node, Node] {
  mesh.clear();
  const [first, second] = [node(holder, a), node(agentPeer, b)];
  first.sync.start();
  second.sync.start();
  return [first, second];
}

function chainOf(count: number, size = 10): RecordChain {
  const chain = new RecordChain();
  for (let index = 0; index < count; index += 1) chain.open({ reason: "x".repeat(size) });
  return chain;
}

test("a new connection brings a copy up, page by page", async () => {
  const { records } = chainOf(450);
  const [, behind] = pair(records, records.slice(0, 3));
  await vi.waitFor(() => expect(behind.copy.head()?.revision).toBe(450), patience);
  // 447 records, 200 at a time, and the question that finds no more.
  expect(behind.asked).toBe(4);
  // What was pulled is no news to anybody.
  expect(behind.published).toEqual([]);
});

test("it knows whom it has heard since its start", async () => {
  const { records } = chainOf(3);
  const [first, second] = pair(records, []);
  expect(second.sync.hasHeard(first.peer)).toBe(false);
  await vi.waitFor(() => expect(second.sync.hasHeard(first.peer)).toBe(true), patience);
  expect(second.copy.head()?.revision).toBe(3);
});

test("a hint that is news makes it ask; one that is none, or nonsense, does not", async () => {
  const chain = chainOf(2);
  const [ahead, behind] = pair(chain.records, chain.records);
  await vi.waitFor(() => expect([ahead.asked, behind.asked]).toEqual([1, 1]), patience);
  for (const hint of [
    { generation: 1, revision: 2 },
    { generation: 0, revision: 9 },
    null,
    "x",
    { revision: 9 },
  ]) {
    behind.sync.onHead(ahead.peer, hint);
  }
  chain.open();
  ahead.copy.append(chain.records);
  expect(ahead.published).toEqual([{ generation: 1, revision: 3 }]);
  behind.sync.onHead(ahead.peer, { generation: 1, revision: 3 });
  await vi.waitFor(() => expect(behind.copy.head()?.revision).toBe(3), patience);
  expect(behind.asked).toBe(3);
});

test("a lost hint is made good by asking now and then", async () => {
  mesh.clear();
  const chain = chainOf(1);
  const ahead = node(holder, chain.records);
  const behind = node(agentPeer, chain.records, 20);
  behind.sync.start();
  chain.open();
  ahead.copy.append(chain.records);
  await vi.waitFor(() => expect(behind.copy.head()?.revision).toBe(2), patience);
});

test("replies stay small enough for one message", () => {
  const { records } = chainOf(60, 900);
  const big = new RecordChain(records);
  for (let index = 0; index < 20; index += 1) big.open({ body: "y".repeat(100_000) });
  const [ahead] = pair(big.records, []);
  const reply = ahead.sync.handle(agentPeer, { after: 0, hash: "", limit: 1000 });
  expect(JSON.stringify(reply).length).toBeLessThan(1_200_000);
  expect(() => ahead.sync.handle(agentPeer, { after: -1, hash: "", limit: 1 })).toThrow();
});

test("after a recovery the lost end of the journal is replaced", async () => {
  const { records } = chainOf(300);
  const recovered = new RecordChain(records.slice(0, 250));
  recovered.generation = 2;
  recovered.open();
  const [, stranded] = pair(recovered.records, records);
  await vi.waitFor(() => expect(stranded.copy.head()).toEqual({ generation: 2, revision: 251 }), patience);
});

test("two journals that nobody recovered from each other are left alone, without end of questions", async () => {
  const { records } = chainOf(3);
  const rival = new RecordChain(records.slice(0, 1));
  for (let index = 0; index < 4; index += 1) rival.open({ kind: "test.rival" });
  const [a, b] = pair(records, rival.records);
  await vi.waitFor(() => expect([a.asked, b.asked]).toEqual([2, 1]), patience);
  await a.sync.stop();
  await b.sync.stop();
  expect([a.copy.head()?.revision, b.copy.head()?.revision]).toEqual([3, 5]);
  expect([a.asked, b.asked]).toEqual([2, 1]);
});
