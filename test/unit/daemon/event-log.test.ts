import { afterEach, describe, expect, it, vi } from "vitest";
import { EventLog } from "../../../src/daemon/event-log.ts";

const now = (): number => 1_700_000_000_000;
const never = new AbortController().signal;

afterEach(() => void vi.useRealTimers());

describe("EventLog", () => {
  it("numbers events without a gap and stamps them", () => {
    const log = new EventLog({}, { now });
    expect(log.emit("a", 1)).toEqual({ seq: 1, at: "2023-11-14T22:13:20.000Z", type: "a", data: 1 });
    expect(log.emit("b", null).seq).toBe(2);
  });

  it.each([
    [0, [3, 4, 5]],
    [3, [4, 5]],
    [5, []],
    [99, []],
  ])("replays those after %i, as far back as they are kept", (since, seqs) => {
    const log = new EventLog({ limit: 3 }, { now });
    for (let n = 0; n < 5; n += 1) log.emit("a", n);
    expect(log.since(since).map(({ seq }) => seq)).toEqual(seqs);
  });

  it("tells every listener until it stops listening", () => {
    const log = new EventLog({}, { now });
    const heard: string[] = [];
    const off = log.on(({ type }) => heard.push(`one ${type}`));
    log.on(({ type }) => heard.push(`two ${type}`));
    log.emit("a", null);
    off();
    log.emit("b", null);
    expect(heard).toEqual(["one a", "two a", "two b"]);
  });

  it("is not stopped, nor who emits, by a listener that fails", () => {
    const log = new EventLog({}, { now });
    const heard: string[] = [];
    log.on(() => {
      throw new Error("a reader that is gone");
    });
    log.on(({ type }) => heard.push(type));
    expect(log.emit("a", null).seq).toBe(1);
    expect(heard).toEqual(["a"]);
  });
});

describe("EventLog.next", () => {
  it("resolves at the next event and leaves nothing behind", async () => {
    vi.useFakeTimers();
    const log = new EventLog({}, { now });
    const listening = new Set<unknown>();
    const { on } = log;
    log.on = (listener) => {
      listening.add(listener);
      const off = on.call(log, listener);
      return () => {
        listening.delete(listener);
        off();
      };
    };
    const next = log.next(never, 1000);
    expect(listening.size).toBe(1);
    log.emit("a", null);
    await next;
    expect(vi.getTimerCount()).toBe(0);
    expect(listening.size).toBe(0);
  });

  it("resolves after the time", async () => {
    vi.useFakeTimers();
    const log = new EventLog({}, { now });
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
      const log = new EventLog({}, { now });
      const stop = new AbortController();
      if (early) stop.abort();
      const next = log.next(stop.signal, 1000);
      stop.abort();
      await expect(next).rejects.toMatchObject({ code: "CANCELLED" });
      expect(vi.getTimerCount()).toBe(0);
      // Nobody listens any more.
      log.emit("a", null);
    },
  );
});
