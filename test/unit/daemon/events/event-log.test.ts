import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MeshEvent } from "../../../../src/api/contract/events.ts";
import { EventLog } from "../../../../src/daemon/events/event-log.ts";
import { EventRing } from "../../../../src/state/store/event-ring.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";
import { quietLog } from "../../mesh/support/quiet-log.ts";

const now = (): number => 1_700_000_000_000;
const never = new AbortController().signal;
const reason = "";

let folder: string;
let store: LocalStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "events-"));
  store = LocalStore.open(join(folder, "state.db"));
});
afterEach(() => {
  vi.useRealTimers();
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A log as a start of the daemon makes it. */
function start(limit = 10_000): EventLog {
  return new EventLog({ ring: new EventRing({ limit }, { store }), self: "me", now, log: quietLog });
}

function lines(read: ReturnType<EventLog["read"]>): MeshEvent[] {
  const kept = read.events.map(({ line }) => JSON.parse(line) as MeshEvent);
  return read.gap === null ? kept : [read.gap, ...kept];
}
const seqs = (read: ReturnType<EventLog["read"]>): number[] => lines(read).map(({ seq }) => seq);

function emitMany(log: EventLog, count: number): void {
  for (let n = 0; n < count; n += 1) log.emit("claim.released", { reason: String(n) });
}

describe("a stream of events", () => {
  it("is numbered without a gap and stamped", () => {
    const log = start();
    const at = "2023-11-14T22:13:20.000Z";
    expect(log.emit("quorum.lost", {})).toEqual({ seq: 1, at, node: "me", type: "quorum.lost", data: {} });
    expect(log.emit("quorum.restored", {}, { node: "other" })).toMatchObject({ seq: 2, node: "other" });
  });

  it("is repeated from any number", () => {
    const log = start();
    emitMany(log, 5);
    expect(seqs(log.read(0, 10))).toEqual([1, 2, 3, 4, 5]);
    expect(seqs(log.read(3, 10))).toEqual([4, 5]);
    expect(seqs(log.read(1, 2))).toEqual([2, 3]);
    expect(seqs(log.read(5, 10))).toEqual([]);
  });

  it("is repeated from disk beyond what is in memory", () => {
    const log = start();
    emitMany(log, 2_000);
    expect(seqs(log.read(10, 3))).toEqual([11, 12, 13]);
    expect(seqs(log.read(1_998, 9))).toEqual([1_999, 2_000]);
    let after = 0;
    for (let page = log.read(after, 256); page.events.length > 0; page = log.read(after, 256)) {
      expect(seqs(page)[0]).toBe(after + 1);
      after = seqs(page).at(-1) ?? after;
    }
    expect(after).toBe(2_000);
  });

  it("says what it has no longer, and how to go on", () => {
    const log = start(600);
    emitMany(log, 1_000);
    log.flush();
    const [gap, first] = lines(log.read(7, 2));
    expect(gap).toMatchObject({
      type: "events.gap",
      seq: 400,
      data: { from: 8, to: 400, reason: "not-kept" },
    });
    expect(first?.seq).toBe(401);
    expect(log.read(400, 1).gap).toBeNull();
  });

  it("says that a number was never given, and begins anew", () => {
    const log = start();
    emitMany(log, 2);
    const [gap, ...rest] = lines(log.read(77, 10));
    expect(gap).toMatchObject({ seq: 0, data: { from: 3, to: 77, reason: "unknown-number" } });
    expect(rest.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it("goes on after an orderly restart with the next number", () => {
    const first = start();
    emitMany(first, 3);
    first.close();
    const second = start();
    expect(second.emit("quorum.lost", {}).seq).toBe(4);
    expect(seqs(second.read(1, 10))).toEqual([2, 3, 4]);
  });

  it("never uses a number twice after a crash, and says what may be lost", () => {
    const first = start();
    first.emit("quorum.lost", {});
    // In nobody's memory but the readers': the batch is not written when the process is killed.
    const lastGiven = first.emit("quorum.restored", {}).seq;
    const second = start();
    const [, gap] = lines(second.read(0, 10));
    expect(gap?.seq).toBeGreaterThan(lastGiven);
    expect(gap).toMatchObject({ type: "events.gap", data: { from: 2, reason: "crash" } });
    const third = start();
    expect(third.emit("quorum.lost", {}).seq).toBeGreaterThan(second.head);
  });

  it("is written once for all that come within a moment", async () => {
    vi.useFakeTimers();
    const log = start();
    emitMany(log, 1);
    log.flush();
    const transaction = vi.spyOn(store, "transaction");
    emitMany(log, 500);
    expect(transaction).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(100);
    expect(transaction).toHaveBeenCalledTimes(1);
    expect(new EventRing({ limit: 1_000 }, { store }).read(0, 1_000)).toHaveLength(501);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(transaction).toHaveBeenCalledTimes(1);
  });

  it("goes on from memory when the disk is full", () => {
    const log = start();
    log.emit("quorum.lost", {});
    vi.spyOn(store, "transaction").mockImplementation(() => {
      throw new Error("no room");
    });
    emitMany(log, 5_000);
    log.flush();
    expect(seqs(log.read(4_999, 10))).toEqual([5_000, 5_001]);
    expect(log.counters().lost).toBeGreaterThan(3_000);
  });

  it("keeps with the events how far their sources were read", () => {
    const first = start();
    first.setCursor("journal/c", 17);
    first.flush();
    expect(start().cursor("journal/c")).toBe(17);
    expect(start().cursor("journal/other")).toBeUndefined();
  });

  it("tells every listener until it stops listening, whatever another one does", () => {
    const log = start();
    const heard: string[] = [];
    log.on(() => {
      throw new Error("a reader that is gone");
    });
    const off = log.on(({ seq }) => heard.push(`one ${seq}`));
    log.on(({ seq }) => heard.push(`two ${seq}`));
    log.emit("claim.released", { reason });
    off();
    log.emit("claim.released", { reason });
    expect(heard).toEqual(["one 1", "two 1", "two 2"]);
  });
});

describe("EventLog.next", () => {
  it("resolves at the next event and leaves nothing behind", async () => {
    const log = start();
    log.emit("quorum.lost", {});
    log.flush();
    vi.useFakeTimers();
    const next = log.next(never, 1000);
    expect(vi.getTimerCount()).toBe(1);
    log.emit("quorum.restored", {});
    await next;
    log.flush();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("resolves after the time", async () => {
    vi.useFakeTimers();
    const log = start();
    let over = false;
    const next = log.next(never, 1000).then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await next;
    expect(over).toBe(true);
  });

  it.each([true, false])(
    "throws CANCELLED when the signal aborts (before it was called: %s)",
    async (early) => {
      vi.useFakeTimers();
      const log = start();
      const stop = new AbortController();
      if (early) stop.abort();
      const next = log.next(stop.signal, 1000);
      stop.abort();
      await expect(next).rejects.toMatchObject({ code: "CANCELLED" });
      expect(vi.getTimerCount()).toBe(0);
    },
  );
});
