import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import {
  Controller,
  type ControllerDeps,
  type Executor,
  type Planner,
  type Proposal,
} from "../../../../src/ceph/control/controller.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { EntryId } from "../../../../src/ids/ids.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

const log = pino({ level: "silent" });

/** A journal in memory that records what was asked of it, in order. */
class FakeJournal {
  readonly calls: string[] = [];
  readonly entries: Entry[] = [];
  readonly #waiters: (() => void)[] = [];

  async open(draft: {
    kind: string;
    body: Entry["body"];
    agent: Entry["agent"];
    reason: string;
  }): Promise<Entry> {
    const number = { generation: 1, revision: this.entries.length + 1 };
    const entry: Entry = {
      ...draft,
      id: `${number.revision}-${draft.kind}` as EntryId,
      state: "open",
      number,
      openedNumber: number,
      handed: false,
      result: null,
      openedAt: "2026-01-01T00:00:00Z",
      closedAt: null,
    };
    this.entries.push(entry);
    this.#note(`open ${entry.id}`);
    return entry;
  }

  async close(id: EntryId, state: "done" | "abandoned"): Promise<Entry> {
    const index = this.entries.findIndex((entry) => entry.id === id);
    const entry = this.entries[index];
    if (!entry) throw new Error(`no entry ${id}`);
    const closed: Entry = { ...entry, state };
    this.entries[index] = closed;
    this.#note(`${state} ${id}`);
    return closed;
  }

  async restampOpen(): Promise<Entry[]> {
    this.#note("restamp");
    return this.openEntries();
  }

  openEntries(): Entry[] {
    return this.entries.filter((entry) => entry.state === "open");
  }

  #note(call: string): void {
    this.calls.push(call);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Resolves once the call was made. */
  async until(call: string, count = 1): Promise<void> {
    while (this.calls.filter((made) => made === call).length < count) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }
}

const wanted = (kind: string, lane = "seats"): Proposal => ({
  kind,
  body: null,
  agent: null,
  reason: "r",
  lane,
});
const done: Executor = async () => ({ state: "done", result: null, reason: "fine" });

let running: Controller[] = [];
afterEach(async () => {
  await Promise.all(running.map((controller) => controller.stop()));
  running = [];
});

function controller(
  journal: FakeJournal,
  parts: {
    planner: Planner;
    executors: Record<string, Executor>;
    epoch?: () => number | null;
    laneOf?: (entry: Entry) => string;
  },
): Controller {
  const deps: ControllerDeps = {
    epoch: parts.epoch ?? (() => 7),
    writer: journal,
    openEntries: () => journal.openEntries(),
    laneOf: parts.laneOf ?? (() => "seats"),
    planners: { only: parts.planner },
    executors: parts.executors,
    now: () => performance.now(),
    log,
  };
  const made = new Controller(
    { idleMs: 20, retryMs: { first: 5, longest: 20 }, repeatMs: { first: 3_600_000, longest: 3_600_000 } },
    deps,
  );
  running.push(made);
  made.start();
  return made;
}

describe("Controller", () => {
  it("re-stamps what is open before it decides anything", async () => {
    const journal = new FakeJournal();
    let asked = false;
    const planner: Planner = async () => {
      if (asked) return [];
      asked = true;
      return [wanted("a")];
    };
    controller(journal, { planner, executors: { a: done } });
    await journal.until("done 1-a");
    expect(journal.calls).toEqual(["restamp", "open 1-a", "done 1-a"]);
  });

  it("does nothing without the lease", async () => {
    const journal = new FakeJournal();
    let passes = 0;
    const planner: Planner = async () => [wanted("a")];
    const held: (number | null)[] = [null, null, 3];
    controller(journal, {
      planner,
      executors: { a: done },
      epoch: () => {
        passes += 1;
        return held[Math.min(passes - 1, 2)] ?? null;
      },
    });
    await journal.until("restamp");
    expect(journal.calls[0]).toBe("restamp");
    expect(passes).toBeGreaterThan(2);
  });

  it("holds a wide lane and those within it apart, and lets those within go side by side", async () => {
    const journal = new FakeJournal();
    const untilStopped: Executor = (_entry, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    let asked = 0;
    const planner: Planner = async () => {
      asked += 1;
      if (asked > 1) return [];
      return [wanted("a", "seats/votes"), wanted("b", "seats/monitors"), wanted("c"), wanted("d", "seats2")];
    };
    const lanes: Record<string, string> = { a: "seats/votes", b: "seats/monitors", c: "seats", d: "seats2" };
    controller(journal, {
      planner,
      executors: { a: untilStopped, b: untilStopped, c: untilStopped, d: untilStopped },
      laneOf: ({ kind }) => lanes[kind] ?? "",
    });
    await journal.until("open 3-d");
    expect(journal.openEntries().map(({ kind }) => kind)).toEqual(["a", "b", "d"]);
  });

  it("keeps one decision at a time in a lane", async () => {
    const journal = new FakeJournal();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: Executor = async () => {
      await gate;
      return { state: "done", result: null, reason: "fine" };
    };
    let asked = 0;
    let seenTwice = (): void => undefined;
    const twice = new Promise<void>((resolve) => {
      seenTwice = resolve;
    });
    const planner: Planner = async () => {
      asked += 1;
      if (asked === 3) seenTwice();
      return asked > 3 ? [] : [wanted("a"), wanted("a")];
    };
    const made = controller(journal, { planner, executors: { a: slow } });
    await journal.until("open 1-a");
    made.wake();
    await twice;
    expect(journal.openEntries()).toHaveLength(1);
    release();
    await journal.until("done 1-a");
  });

  it("takes up an open entry again after its executor failed", async () => {
    const journal = new FakeJournal();
    let tries = 0;
    let asked = false;
    controller(journal, {
      planner: async () => {
        if (asked) return [];
        asked = true;
        return [wanted("a")];
      },
      executors: {
        a: async () => {
          tries += 1;
          if (tries < 3) throw new MicrocephError("PEER_UNREACHABLE", "not now");
          return { state: "done", result: null, reason: "third time" };
        },
      },
    });
    await journal.until("done 1-a");
    expect(tries).toBe(3);
  });

  it("tells what is under way to stop when the lease is lost, and re-stamps under the next", async () => {
    const journal = new FakeJournal();
    let epoch: number | null = 1;
    let aborted = 0;
    let begun = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const executor: Executor = async (_entry, signal) => {
      if (epoch === 2) return { state: "done", result: null, reason: "by the next" };
      begun();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted += 1;
      return { state: "done", result: null, reason: "too late" };
    };
    let asked = false;
    const made = controller(journal, {
      planner: async () => {
        if (asked) return [];
        asked = true;
        return [wanted("a")];
      },
      executors: { a: executor },
      epoch: () => epoch,
    });
    await started;
    epoch = null;
    made.leaseLost();
    epoch = 2;
    made.wake();
    await journal.until("done 1-a");
    expect(aborted).toBe(1);
    expect(journal.calls).toEqual(["restamp", "open 1-a", "restamp", "done 1-a"]);
  });

  it("does not make the same decision over and over", async () => {
    const journal = new FakeJournal();
    let asked = 0;
    let enough = (): void => undefined;
    const often = new Promise<void>((resolve) => {
      enough = resolve;
    });
    controller(journal, {
      planner: async () => {
        asked += 1;
        if (asked === 5) enough();
        return [wanted("a")];
      },
      executors: { a: done },
    });
    await journal.until("done 1-a");
    await often;
    expect(journal.entries).toHaveLength(1);
  });

  it("carries out nothing when the lease went while the decision was written", async () => {
    const journal = new FakeJournal();
    const { promise: written, resolve: write } = Promise.withResolvers<void>();
    const { promise: writing, resolve: begin } = Promise.withResolvers<void>();
    const open = journal.open.bind(journal);
    journal.open = async (draft) => {
      begin();
      await written;
      return open(draft);
    };
    let epoch: number | null = 1;
    let carriedOut = 0;
    const made = controller(journal, {
      planner: async () => [wanted("a")],
      executors: {
        a: async () => {
          carriedOut += 1;
          return { state: "done", result: null, reason: "too late" };
        },
      },
      epoch: () => epoch,
    });
    await writing;
    epoch = null;
    made.leaseLost();
    write();
    await journal.until("open 1-a");
    await made.stop();
    expect(carriedOut).toBe(0);
  });

  it("waits at its stop for what is under way", async () => {
    const journal = new FakeJournal();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    let ended = false;
    const made = controller(journal, {
      planner: async () => [wanted("a")],
      executors: {
        a: async (_entry, signal) => {
          begin();
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          await new Promise((resolve) => setImmediate(resolve));
          ended = true;
          throw new MicrocephError("CANCELLED", "stopped");
        },
      },
    });
    await begun;
    await made.stop();
    expect(ended).toBe(true);
    expect(journal.openEntries()).toHaveLength(1);
  });
});
