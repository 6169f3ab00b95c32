import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LobbyExchange } from "../../../../src/daemon/cluster/lobby-exchange.ts";
import { clusterId, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { NeighbourReport } from "../../../../src/mesh/membership/neighbour-report.ts";

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const peer = (n: number): PeerId =>
  peerId(`12D3KooW${"x".repeat(42)}${alphabet[Math.floor(n / 58)]}${alphabet[n % 58]}`);
const self = peer(0);
const fellow = peer(1);

function report(of: PeerId, change: Partial<NeighbourReport> = {}): NeighbourReport {
  return {
    ...{ peer: of, name: "n", version: "0", address: "10.0.0.9", port: 7443, state: "fresh" },
    ...{ windowOpen: true, joining: null, claim: null, founding: null, clusters: [], proven: null },
    ...{ disks: { count: 0, bytes: 0 }, firstSeenAgoMs: 0, answeredAgoMs: 0 },
    ...change,
  };
}

let own: NeighbourReport[];
let now: number;
let published: Json[];
let changes: number;
let exchange: LobbyExchange;

function make(publish: (body: Json) => Promise<void>, maxBytes = 16 * 1024): LobbyExchange {
  return new LobbyExchange({
    self,
    own: () => own,
    publish,
    maxBytes,
    now: () => now,
    onChange: () => {
      changes += 1;
    },
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  own = [report(peer(7))];
  now = 1000;
  published = [];
  changes = 0;
  exchange = make(async (body) => void published.push(body));
});
afterEach(() => {
  exchange.stop();
  vi.useRealTimers();
});

const alive = (): boolean => true;

describe("telling the others", () => {
  it("at the start, now and then, and not after the stop", () => {
    exchange.start();
    expect(published).toEqual([own]);
    vi.advanceTimersByTime(5_000);
    expect(published).toHaveLength(2);
    exchange.stop();
    vi.advanceTimersByTime(60_000);
    expect(published).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each<[string, Partial<NeighbourReport>, number]>([
    ["an age", { answeredAgoMs: 900, firstSeenAgoMs: 900 }, 1],
    ["its disks", { disks: { count: 3, bytes: 1 } }, 1],
    ["its state", { state: "claimed" }, 2],
    ["its window", { windowOpen: false }, 2],
    ["its wish", { joining: clusterId("0123456789abcdef0123456789abcdef") }, 2],
  ])("at once when what matters changed: %s", (_what, change, told) => {
    exchange.changed();
    own = [report(peer(7), change)];
    exchange.changed();
    expect(published).toHaveLength(told);
    expect(changes).toBe(told);
  });

  it("is not stopped by a mesh that cannot publish", async () => {
    const lonely = make(() => Promise.reject(new Error("nobody is connected")));
    lonely.changed();
    await vi.advanceTimersByTimeAsync(0);
    expect(changes).toBe(1);
  });

  it("tells of a crowd as much as fits into one message, the first ones first", () => {
    own = Array.from({ length: 128 }, (_, n) => report(peer(n), { name: "ü".repeat(60) }));
    exchange.start();
    const [told] = published as NeighbourReport[][];
    const bytes = Buffer.byteLength(JSON.stringify(told));
    expect(bytes).toBeLessThanOrEqual(16 * 1024);
    // One more would not have fitted.
    expect(bytes + Buffer.byteLength(JSON.stringify(own[0])) + 1).toBeGreaterThan(16 * 1024);
    expect(told).toEqual(own.slice(0, told?.length));
  });
});

describe("hearing the others", () => {
  it.each<[string, unknown]>([
    ["no list", { peer: fellow }],
    ["nothing", null],
    ["too long a list", Array.from({ length: 129 }, (_, n) => ({ ...report(peer(n)) }))],
    ["a node without a name", [{ ...report(peer(7)), name: 7 }]],
    ["a port that is none", [{ ...report(peer(7)), port: 0 }]],
    ["an age below zero", [{ ...report(peer(7)), answeredAgoMs: -1 }]],
    ["a PeerId that is none", [{ ...report(peer(7)), peer: "n7" }]],
  ])("counts and drops what cannot be read: %s", (_what, body) => {
    exchange.receive(fellow, body as Json);
    expect(exchange.dropped).toBe(1);
    expect(changes).toBe(0);
    expect([...exchange.reports(alive).keys()]).toEqual([self]);
  });

  it("keeps the newest report of each, with its time", () => {
    exchange.receive(fellow, [report(peer(8))] as unknown as Json);
    now += 10;
    exchange.receive(fellow, [report(peer(9))] as unknown as Json);
    expect(changes).toBe(2);
    expect(exchange.reports(alive).get(fellow)).toEqual({ at: 1010, neighbours: [report(peer(9))] });
    expect(exchange.reports(alive).get(self)).toEqual({ at: 1010, neighbours: own });
  });

  it("leaves out who is not alive, and has them again when they are", () => {
    exchange.receive(fellow, []);
    expect(exchange.reports(() => false).has(fellow)).toBe(false);
    expect(exchange.reports(alive).has(fellow)).toBe(true);
  });

  it.each([
    [20_000, true],
    [20_001, false],
  ])("after %i ms of silence a report is known: %s", (ms, known) => {
    exchange.receive(fellow, []);
    now += ms;
    expect(exchange.reports(alive).has(fellow)).toBe(known);
  });
});
