import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { Agent, type Fence, type Order, type Step, type Undo } from "../../../../src/ceph/control/agent.ts";
import type { EntryId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { DecisionNumber } from "../../../../src/state/journal/types.ts";

const log = pino({ level: "silent" });

class FakeFence implements Fence {
  highest = 0;
  readonly results = new Map<EntryId, Json>();
  readonly cancelled = new Set<EntryId>();

  check(entry: EntryId, number: DecisionNumber): ReturnType<Fence["check"]> {
    if (this.results.has(entry)) return { verdict: "done", result: this.results.get(entry) ?? null };
    if (number.revision < this.highest || this.cancelled.has(entry)) return { verdict: "stale" };
    this.highest = number.revision;
    return { verdict: "obey" };
  }

  finish(entry: EntryId, _number: DecisionNumber, result: Json): void {
    this.results.set(entry, result);
  }

  acknowledgeCancel(entry: EntryId): boolean {
    if (this.results.has(entry)) return false;
    this.cancelled.add(entry);
    return true;
  }
}

function order(revision: number, entry = "1-a"): Order {
  return {
    entry: entry as EntryId,
    kind: "a",
    number: { generation: 1, revision },
    body: null,
    payload: null,
  };
}

function agent(
  step: Step,
  confirm: () => Promise<boolean> = async () => true,
  undo: Undo = async () => true,
): { agent: Agent; fence: FakeFence } {
  const fence = new FakeFence();
  return { agent: new Agent({ fence, confirm, steps: { a: step }, undo: { a: undo }, log }), fence };
}

describe("Agent", () => {
  it("does an order once, however often it is given", async () => {
    let runs = 0;
    const made = agent(async () => {
      runs += 1;
      return { runs };
    });
    const both = await Promise.all([made.agent.obey(order(1)), made.agent.obey(order(1))]);
    expect(both).toEqual([{ runs: 1 }, { runs: 1 }]);
    expect(runs).toBe(1);
  });

  it("refuses a number below the highest it obeyed", async () => {
    const made = agent(async () => null);
    await made.agent.obey(order(5, "5-a"));
    await expect(made.agent.obey(order(4, "4-a"))).rejects.toMatchObject({ code: "STALE_DECISION" });
  });

  it("breaks off before the irreversible act when the decision is no longer open", async () => {
    let acted = false;
    const made = agent(
      async (_order, { confirm }) => {
        await confirm();
        acted = true;
        return null;
      },
      async () => false,
    );
    await expect(made.agent.obey(order(1))).rejects.toMatchObject({ code: "STALE_DECISION" });
    expect(acted).toBe(false);
    expect(made.fence.results.size).toBe(0);
  });

  it("never carries out what it has promised to cancel", async () => {
    const made = agent(async () => null);
    expect(await made.agent.cancel(order(1))).toBe(true);
    await expect(made.agent.obey(order(2))).rejects.toMatchObject({ code: "STALE_DECISION" });
  });

  it("does not promise to cancel what is done", async () => {
    const made = agent(async () => null);
    await made.agent.obey(order(1));
    expect(await made.agent.cancel(order(1))).toBe(false);
  });

  it("waits for a step in flight before it promises, and then keeps its result", async () => {
    let finish = (): void => undefined;
    const made = agent(async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return "did it";
    });
    const obeyed = made.agent.obey(order(1));
    const cancelled = made.agent.cancel(order(1));
    finish();
    expect(await obeyed).toBe("did it");
    expect(await cancelled).toBe(false);
  });

  it("takes back what was begun before it promises, and promises nothing when that is impossible", async () => {
    const interrupted: Step = async () => {
      throw new Error("interrupted");
    };
    let begun = true;
    const able = agent(interrupted, undefined, async () => {
      begun = false;
      return true;
    });
    await able.agent.obey(order(1)).catch(() => undefined);
    expect(await able.agent.cancel(order(1))).toBe(true);
    expect(begun).toBe(false);
    const unable = agent(interrupted, undefined, async () => false);
    await unable.agent.obey(order(1)).catch(() => undefined);
    expect(await unable.agent.cancel(order(1))).toBe(false);
    expect(unable.fence.cancelled.size).toBe(0);
  });

  it("begins nothing of what is being taken back at the same time", async () => {
    const { promise: takenBack, resolve: takeBack } = Promise.withResolvers<boolean>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    let begun = 0;
    const made = agent(
      async () => {
        begun += 1;
        return null;
      },
      undefined,
      () => {
        ask();
        return takenBack;
      },
    );
    const cancelled = made.agent.cancel(order(1));
    await asked;
    const late = made.agent.obey(order(1));
    takeBack(true);
    expect(await cancelled).toBe(true);
    await expect(late).rejects.toMatchObject({ code: "STALE_DECISION" });
    expect(begun).toBe(0);
  });

  it("takes back once at a time when it is asked twice, and stops only after that", async () => {
    let under = 0;
    let most = 0;
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const made = agent(
      async () => null,
      undefined,
      async () => {
        under += 1;
        most = Math.max(most, under);
        await gate;
        under -= 1;
        return true;
      },
    );
    const both = Promise.all([made.agent.cancel(order(1)), made.agent.cancel(order(1)).catch(() => "late")]);
    const stopped = made.agent.stop().then(() => under);
    open();
    expect(await stopped).toBe(0);
    expect(await both).toEqual([true, "late"]);
    expect(most).toBe(1);
  });

  it("refuses orders and cancellations once it stops", async () => {
    const made = agent(async () => null);
    await made.agent.stop();
    await expect(made.agent.obey(order(1))).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(made.agent.cancel(order(1))).rejects.toMatchObject({ code: "CANCELLED" });
  });
});
