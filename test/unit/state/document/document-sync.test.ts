import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { clusterId, type PeerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { DocumentSync } from "../../../../src/state/document/document-sync.ts";
import { chooseSyncPeers, retryDelay } from "../../../../src/state/document/sync-peers.ts";
import { SimNetwork } from "../../../sim/document-network.ts";
import { cluster, hash, peer, seeded, silent, type TestNode, TestNodes } from "./fixture.ts";

let nodes: TestNodes;
let network: SimNetwork;
beforeEach(() => {
  vi.useFakeTimers();
  nodes = new TestNodes();
  network = new SimNetwork(seeded(1), { loss: 0, delay: 4 });
});
afterEach(async () => {
  await network.end();
  vi.useRealTimers();
  nodes.remove();
});

const asks = { v: 1, cluster, epoch: 1 } as const;

/** A sync whose transport is the given function. */
function syncOf(
  node: TestNode,
  request: (peer: PeerId, body: Json, signal: AbortSignal) => Promise<Json> = () =>
    Promise.reject(new Error("no")),
  connected: () => PeerId[] = () => [peer(30)],
): DocumentSync {
  return new DocumentSync({
    document: node.document,
    request,
    connected,
    publishHeads: () => undefined,
    log: silent,
    now: () => Date.now(),
    random: seeded(1),
  });
}

/** Some 3.3 MB of base64 when it travels: 90 entries of 50,000 hexadecimal digits. */
function writeIncompressible(node: TestNode, name: string): void {
  for (let n = 0; n < 90; n += 1) {
    let text = "";
    for (let m = 0; text.length < 50_000; m += 1) text += hash(`${name} ${n} ${m}`);
    node.document.setService(`${name}${n}`, text);
  }
}

describe("two members", () => {
  test("a write is at the other within 200 ms, in a few small messages", async () => {
    const [a, b] = [network.add(), network.add()];
    await network.pass(5_000);
    network.sent.requests = 0;
    network.sent.largest = 0;
    a.node.document.setSetting("x", "1");
    await network.pass(200);
    expect(b.node.document.view().settings).toEqual({ x: "1" });
    await network.pass(1_000);
    expect(network.sent.requests).toBeLessThanOrEqual(5);
    expect(network.sent.largest).toBeLessThan(1_000);
  });

  test("twenty writes in a row are one exchange", async () => {
    const [a, b] = [network.add(), network.add()];
    await network.pass(5_000);
    network.sent.requests = 0;
    for (let n = 0; n < 20; n += 1) a.node.document.setSetting("x", `${n}`);
    await network.pass(1_200);
    expect(b.node.document.view().settings).toEqual({ x: "19" });
    expect(network.sent.requests).toBeLessThanOrEqual(5);
  });

  test("equal documents cost one small request each in 20 to 40 s", async () => {
    network.add();
    network.add();
    await network.pass(5_000);
    network.sent.requests = 0;
    await network.pass(600_000);
    expect(network.sent.requests).toBeGreaterThanOrEqual(2 * 15);
    expect(network.sent.requests).toBeLessThanOrEqual(2 * 30);
    expect(network.sent.hints).toBe(0);
  });

  test("a long history travels in frames below 3 MiB", async () => {
    const [a, b] = [network.add(), network.add()];
    network.partition(() => true);
    writeIncompressible(a.node, "a");
    network.heal();
    expect(await network.converged(60_000)).toBeDefined();
    expect(b.node.document.view().services).toEqual(a.node.document.view().services);
    expect(network.sent.largest).toBeGreaterThan(2 * 1024 * 1024);
    expect(network.sent.largest).toBeLessThan(3 * 1024 * 1024);
    // And the other way, asked for instead of told.
    await b.sync.stop();
    writeIncompressible(b.node, "b");
    a.sync.onHeads(b.node.self, b.node.document.heads());
    expect(await network.converged(60_000)).toBeDefined();
    expect(Object.keys(a.node.document.view().services)).toHaveLength(180);
  });

  test("one that lost its document asks until it has it, and says so meanwhile", async () => {
    const [a, b] = [network.add(), network.add()];
    a.node.document.setSetting("x", "1");
    await network.pass(2_000);
    network.crash(b);
    b.node.store.db.exec("UPDATE document SET snapshot = x''; DELETE FROM document_change");
    network.partition(() => true);
    network.restart(b);
    await network.pass(60_000);
    expect(b.node.document.refetching).toBe(true);
    network.heal();
    await network.pass(1_000);
    expect(b.node.document.refetching).toBe(false);
    expect(b.node.document.view().settings).toEqual({ x: "1" });
  });

  test("two that lost it do not take each other's word for it", async () => {
    const [a, b] = [network.add(), network.add()];
    for (const member of [a, b]) network.crash(member);
    for (const member of [a, b]) {
      member.node.store.db.exec("UPDATE document SET snapshot = x''; DELETE FROM document_change");
      network.restart(member);
    }
    await network.pass(120_000);
    expect([a, b].map((member) => member.node.document.refetching)).toEqual([true, true]);
  });

  test("the other's restart, which forgets its session, costs nothing but a new one", async () => {
    const [a, b] = [network.add(), network.add()];
    a.node.document.setSetting("x", "1");
    await network.pass(2_000);
    // The links stay up, as seen from a.
    await b.sync.stop();
    b.node.restart();
    b.up = false;
    network.restart(b);
    a.node.document.setSetting("y", "1");
    b.node.document.setSetting("z", "1");
    expect(await network.converged(5_000)).toBeDefined();
    expect(Object.keys(b.node.document.view().settings)).toEqual(["x", "y", "z"]);
  });
});

describe("ten members", () => {
  test("one edit makes fewer messages than telling it along every link would", async () => {
    for (let n = 0; n < 10; n += 1) network.add();
    await network.pass(5_000);
    network.sent.requests = 0;
    network.members[0]?.node.document.setSetting("x", "1");
    expect(await network.converged(2_000)).toBeDefined();
    await network.pass(2_000);
    expect(network.sent.requests).toBeLessThan(90);
  });
});

describe("a chain of members", () => {
  test("passes news on from one to the next without any hint", async () => {
    for (let n = 0; n < 5; n += 1) network.add();
    network.partition((a, b) => Math.abs(a - b) > 1);
    await network.pass(5_000);
    for (const member of network.members) member.sync.onHeads = () => undefined;
    network.members[0]?.node.document.setSetting("x", "1");
    await network.pass(2_000);
    expect(network.members.map((member) => member.node.document.view().settings.x)).toEqual(
      Array(5).fill("1"),
    );
  });
});

describe("hints", () => {
  test("a hint alone brings what the pushes did not", async () => {
    const [a, b] = [network.add(), network.add()];
    await network.pass(5_000);
    await a.sync.stop();
    a.node.document.setSetting("x", "1");
    b.sync.onHeads(a.node.self, a.node.document.heads());
    await network.pass(1_000);
    expect(b.node.document.view().settings).toEqual({ x: "1" });
  });

  test.each<[string, Json]>([
    ["no list", { heads: [] }],
    ["no hashes", ["x"]],
    ["too many", Array.from({ length: 5000 }, (_, n) => hash(`${n}`))],
  ])("%s is dropped and counted", (_, body) => {
    const sync = syncOf(nodes.add());
    sync.start();
    sync.onHeads(peer(30), body);
    expect(sync.counters()).toMatchObject({ hints: 0, hints_dropped: 1 });
    return sync.stop();
  });

  test("a flood of them, and a peer that fails, cost an exchange with back-off", async () => {
    let requests = 0;
    const sync = syncOf(nodes.add(), () => {
      requests += 1;
      return Promise.reject(new Error("no answer"));
    });
    sync.start();
    for (let n = 0; n < 600; n += 1) {
      sync.onHeads(peer(30), [hash(`${n}`)]);
      await vi.advanceTimersByTimeAsync(100);
    }
    // In 60 s: after about 1, 2, 4, 8, 16 and 30 s, half of it by chance.
    expect(requests).toBeGreaterThan(3);
    expect(requests).toBeLessThan(10);
    await sync.stop();
  });
});

describe("requests", () => {
  test.each<[string, Json, string]>([
    ["nothing", null, "request"],
    ["another version", { ...asks, v: 2, kind: "heads", heads: [] }, "request"],
    ["an unknown kind", { ...asks, kind: "compact" }, "request"],
    ["another cluster", { ...asks, cluster: clusterId("f".repeat(32)), kind: "heads", heads: [] }, "cluster"],
    ["another epoch", { ...asks, epoch: 2, kind: "heads", heads: [] }, "epoch"],
    ["heads that are none", { ...asks, kind: "heads", heads: ["zz"] }, "request"],
    [
      "a session from its middle",
      { ...asks, kind: "sync", session: "s", n: 3, part: 0, of: 1, data: null, heads: [] },
      "session",
    ],
    ["a part of nothing", { ...asks, kind: "more", session: "s", part: 1 }, "session"],
    [
      "more parts than allowed",
      { ...asks, kind: "sync", session: "s", n: 0, part: 0, of: 17, data: "", heads: [] },
      "request",
    ],
    [
      "a part too long",
      { ...asks, kind: "sync", session: "s", n: 0, part: 0, of: 1, data: "A".repeat(2_097_156), heads: [] },
      "request",
    ],
    [
      "no base64",
      { ...asks, kind: "sync", session: "s", n: 0, part: 0, of: 1, data: "?", heads: [] },
      "request",
    ],
    [
      "rubbish",
      { ...asks, kind: "sync", session: "s", n: 0, part: 0, of: 1, data: "AAAA", heads: [] },
      "damaged",
    ],
  ])("%s is refused and counted", async (_, body, reason) => {
    const node = nodes.add();
    const sync = syncOf(node);
    const before = node.document.heads();
    expect(await sync.handle(peer(30), body)).toEqual({ v: 1, kind: "refused", reason });
    expect(sync.counters()).toMatchObject({ [`refused_${reason}`]: 1, answered: 0 });
    expect(node.document.heads()).toEqual(before);
  });

  test("fields of a later version do no harm", async () => {
    const sync = syncOf(nodes.add());
    const reply = await sync.handle(peer(30), { ...asks, kind: "heads", heads: [], colour: "green" });
    expect(reply).toMatchObject({ kind: "heads" });
  });

  test("a flood is refused, other members are still answered, and it ends by itself", async () => {
    const sync = syncOf(nodes.add());
    const ask = { ...asks, kind: "heads", heads: [] };
    const kinds: string[] = [];
    for (let n = 0; n < 300; n += 1)
      kinds.push(((await sync.handle(peer(30), ask)) as { kind: string }).kind);
    expect(kinds.filter((kind) => kind === "heads")).toHaveLength(200);
    expect(await sync.handle(peer(31), ask)).toMatchObject({ kind: "heads" });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await sync.handle(peer(30), ask)).toMatchObject({ kind: "heads" });
  });

  test("many members together are held back too", async () => {
    const sync = syncOf(nodes.add());
    let answered = 0;
    for (let n = 0; n < 1_000; n += 1) {
      const reply = await sync.handle(peer(30 + (n % 10)), { ...asks, kind: "heads", heads: [] });
      if ((reply as { kind: string }).kind === "heads") answered += 1;
    }
    expect(answered).toBe(800);
  });

  test("a full disk is told as such, and the next session works", async () => {
    const [a, b] = [nodes.add(), nodes.add()];
    a.document.setService("big", Array.from({ length: 800 }, (_, n) => hash(`${n}`)).join(""));
    const sync = syncOf(b);
    const client = syncOf(
      a,
      (_, body) => sync.handle(a.self, body),
      () => [b.self],
    );
    const { page_count: pages } = b.store.db.prepare("PRAGMA page_count").get() as { page_count: number };
    b.store.db.exec(`PRAGMA max_page_count = ${pages}`);
    client.start();
    await vi.advanceTimersByTimeAsync(500);
    expect(client.counters()).toMatchObject({ failures: 1 });
    expect(b.document.view().services).toEqual({});
    b.store.db.exec("PRAGMA max_page_count = 1000000");
    await vi.advanceTimersByTimeAsync(3_000);
    expect(b.document.view().services).toHaveProperty("big");
    await client.stop();
  });
});

describe("what is kept", () => {
  test("is freed when a peer leaves", async () => {
    const [a, b] = [network.add(), network.add()];
    await network.pass(1_000);
    expect(a.sync.counters().peers).toBe(1);
    network.partition(() => true);
    expect(a.sync.counters().peers).toBe(0);
    expect(b.sync.counters().peers).toBe(0);
    const gone = { ...asks, kind: "sync", session: "s", n: 1, part: 0, of: 1, data: null, heads: [] };
    expect(await b.sync.handle(a.node.self, gone)).toMatchObject({ reason: "session" });
  });

  test("is freed when nobody said that the peer left", async () => {
    let connected = [peer(30)];
    const sync = syncOf(
      nodes.add(),
      () => Promise.reject(new Error("no")),
      () => connected,
    );
    sync.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(sync.counters().peers).toBe(1);
    connected = [];
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sync.counters().peers).toBe(0);
    await sync.stop();
  });

  test("stop ends what is under way, and nothing moves afterwards", async () => {
    let aborted = false;
    const sync = syncOf(
      nodes.add(),
      (_, __, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            setTimeout(() => reject(signal.reason), 5);
          });
        }),
    );
    sync.start();
    await vi.advanceTimersByTimeAsync(500);
    let stopped = false;
    const stopping = sync.stop().then(() => {
      stopped = true;
    });
    expect(aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(4);
    expect(stopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await stopping;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("chooseSyncPeers", () => {
  const all = (n: number): PeerId[] => Array.from({ length: n }, (_, each) => peer(each));

  test.each([0, 1, 2, 7])("of %i takes all the others", (n) => {
    expect(chooseSyncPeers(peer(0), all(n), () => 0)).toEqual(all(n).slice(1));
  });

  test.each([
    [10, [8, 9, 11, 12]],
    [0, [18, 19, 1, 2]],
    [19, [17, 18, 0, 1]],
  ])("of 20, %i takes its neighbours on the ring and two others", (self, neighbours) => {
    const chosen = chooseSyncPeers(peer(self), all(20), seeded(3));
    expect(chosen.slice(0, 4)).toEqual(neighbours.map(peer));
    expect(new Set(chosen).size).toBe(6);
    expect(chosen).not.toContain(peer(self));
  });

  test("neighbours have each other", () => {
    for (let a = 0; a < 20; a += 1) {
      for (const b of chooseSyncPeers(peer(a), all(20), () => 0).slice(0, 4)) {
        expect(chooseSyncPeers(b, all(20), () => 0).slice(0, 4), `${a} and ${b}`).toContain(peer(a));
      }
    }
  });
});

test.each([
  [1, 500, 1_000],
  [2, 1_000, 2_000],
  [6, 15_000, 30_000],
  [1_000, 15_000, 30_000],
])("after %i failures the next try is in %i to %i ms", (failures, low, high) => {
  expect(retryDelay(failures, () => 0)).toBe(low);
  expect(retryDelay(failures, () => 1)).toBe(high);
});
