import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type JobRecord, type JobRunner, Jobs, type JobTools } from "../../../src/daemon/jobs.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { Json } from "../../../src/ids/json.ts";

/** A store that gives copies, as the one on disk does; it can be made to fail. */
class FakeStore {
  readonly values = new Map<string, string>();
  full = false;

  get(key: string): Json | undefined {
    const text = this.values.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as Json);
  }

  put(key: string, value: Json): void {
    if (this.full) throw new MicrocephError("DISK_FULL", "no room");
    this.values.set(key, JSON.stringify(value));
  }

  delete(key: string): void {
    this.values.delete(key);
  }

  list(prefix: string): [string, Json][] {
    const keys = [...this.values.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => [key, this.get(key) ?? null]);
  }
}

let store: FakeStore;
let now: number;
let changes: JobRecord[];
let unhandled: unknown[];
const onUnhandled = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  store = new FakeStore();
  now = 1_700_000_000_000;
  changes = [];
  unhandled = [];
  process.on("unhandledRejection", onUnhandled);
});
afterEach(() => {
  process.off("unhandledRejection", onUnhandled);
  vi.useRealTimers();
});

function jobs(runners: Record<string, JobRunner>): Jobs {
  return new Jobs({
    store,
    runners,
    now: () => now,
    log: pino({ level: "silent" }),
    onChange: (job) => void changes.push(job),
  });
}

/** A runner that goes on when told to. */
function held(): {
  runner: JobRunner;
  tools: JobTools[];
  end: (result: Json) => void;
  fail: (e: Error) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<Json>();
  const tools: JobTools[] = [];
  const runner: JobRunner = (_request, given) => {
    tools.push(given);
    given.signal.addEventListener("abort", () => reject(new MicrocephError("CANCELLED", "stopping")));
    return promise;
  };
  return { runner, tools, end: resolve, fail: reject };
}

describe("Jobs", () => {
  it("keeps in mind how far a job is, and on disk what it resumes from, and the result at the end", async () => {
    const { runner, tools, end } = held();
    const made = jobs({ a: runner });
    const { id } = made.start("a", { of: 1 });
    expect(made.get(id)).toMatchObject({ kind: "a", request: { of: 1 }, state: "running", progress: 0 });
    now += 1000;
    tools[0]?.report(40, "half way");
    expect(made.list()).toMatchObject([{ progress: 40, step: "half way" }]);
    expect(jobs({}).get(id)).toMatchObject({ progress: 0, step: "starting" });
    tools[0]?.remember(["osd"]);
    const kept = { progress: 40, step: "half way", memory: ["osd"], updatedAt: "2023-11-14T22:13:21.000Z" };
    expect(jobs({}).get(id)).toMatchObject(kept);
    expect(changes.at(-1)).toMatchObject(kept);
    end({ fine: true });
    expect(await made.wait(id, 1000)).toMatchObject({
      ...{ state: "success", progress: 100, result: { fine: true }, error: null, memory: ["osd"] },
    });
  });

  it.each<[string, Error, string]>([
    ["a coded error", new MicrocephError("DISK_IN_USE", "taken"), "DISK_IN_USE"],
    ["a fault", new TypeError("undefined is no function"), "INTERNAL"],
  ])("fails with the code of %s", async (_what, error, code) => {
    const made = jobs({
      a: async () => {
        throw error;
      },
    });
    const { id } = made.start("a", null);
    expect(await made.wait(id, 1000)).toMatchObject({
      ...{ state: "failure", error: { code, message: error.message } },
    });
  });

  it("fails a job of a kind that this version does not know", async () => {
    const made = jobs({});
    const { id } = made.start("gone", null);
    expect(await made.wait(id, 1000)).toMatchObject({ state: "failure", error: { code: "INTERNAL" } });
  });

  it("takes an unfinished job up after a crash, with its memory; a finished one not", async () => {
    const before = held();
    const crashed = jobs({ a: before.runner, b: async () => null });
    const { id } = crashed.start("a", { of: 1 });
    const finished = crashed.start("b", null);
    await crashed.wait(finished.id, 1000);
    before.tools[0]?.remember({ uuid: "u" });

    const seen: Json[] = [];
    const next = jobs({
      a: async (request, tools) => {
        seen.push(request, tools.memory);
        return null;
      },
      b: async () => {
        seen.push("again");
        return null;
      },
    });
    next.resume();
    expect(await next.wait(id, 1000)).toMatchObject({ state: "success" });
    expect(seen).toEqual([{ of: 1 }, { uuid: "u" }]);
  });

  it("leaves a job running when the daemon stops, and waits for its end", async () => {
    const { runner, tools } = held();
    const made = jobs({ a: runner });
    const { id } = made.start("a", null);
    await made.stop();
    expect(tools[0]?.signal.aborted).toBe(true);
    expect(jobs({}).get(id)).toMatchObject({ state: "running", error: null });
  });

  it("stops what is begun while it stops", async () => {
    const { runner, tools } = held();
    const made = jobs({ a: runner });
    await made.stop();
    const { id } = made.start("a", null);
    expect(tools[0]?.signal.aborted).toBe(true);
    expect(await made.wait(id, 1000)).toMatchObject({ state: "running" });
  });

  it("waits no longer than asked", async () => {
    vi.useFakeTimers();
    const { runner } = held();
    const made = jobs({ a: runner });
    const { id } = made.start("a", null);
    const waited = made.wait(id, 5_000);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await waited).toMatchObject({ state: "running" });
    await made.stop();
  });

  it("leaves no timer behind when the job ends first", async () => {
    vi.useFakeTimers();
    const { runner, end } = held();
    const made = jobs({ a: runner });
    const { id } = made.start("a", null);
    const waited = made.wait(id, 5_000);
    end(null);
    expect(await waited).toMatchObject({ state: "success" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("survives a full disk: the job has failed for those who wait, and is taken up by the next run", async () => {
    const { runner, end } = held();
    const made = jobs({ a: runner });
    const { id } = made.start("a", null);
    store.full = true;
    end(null);
    expect(await made.wait(id, 1000)).toMatchObject({ state: "failure", error: { code: "DISK_FULL" } });
    expect(made.list()).toMatchObject([{ state: "failure" }]);
    expect(jobs({}).get(id)).toMatchObject({ state: "running" });
    // Rejections are told after the microtasks.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });

  it("forgets the oldest ended jobs beyond a hundred, never a running one", async () => {
    const { runner } = held();
    const made = jobs({ a: runner, b: async () => null });
    const running = made.start("a", null);
    const ended: string[] = [];
    for (let n = 0; n < 102; n += 1) {
      now += 1;
      const { id } = made.start("b", null);
      await made.wait(id, 1000);
      ended.push(id);
    }
    // Looked at when the last one began, 101 had ended before it.
    const kept = made.list().map(({ id }) => id);
    expect(kept).toEqual([running.id, ...ended.slice(1)]);
    await made.stop();
  });

  it("knows no job of another name", async () => {
    const made = jobs({});
    expect(made.get("nobody")).toBeUndefined();
    expect(await made.wait("nobody", 1000)).toBeUndefined();
  });

  it("tells of what it does once: who tells the same again wakes nobody", async () => {
    const kept = jobs({
      work: async (_request, { report }) => {
        report(10, "waiting");
        report(10, "waiting");
        report(20, "waiting");
        return null;
      },
    });
    const { id } = kept.start("work", null);
    await kept.wait(id, 1_000);
    const told = changes.map(({ progress, step, state }) => `${state} ${progress} ${step}`);
    expect(told.filter((one) => one.endsWith("waiting"))).toEqual([
      "running 10 waiting",
      "running 20 waiting",
    ]);
  });
});
