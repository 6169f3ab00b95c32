import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  lookEveryMs,
  type QuorumReport,
  QuorumView,
  type QuorumViewDeps,
} from "../../../../src/daemon/cluster/quorum-view.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";

const peer = (letter: string): PeerId => peerId(`12D3KooW${letter.repeat(44)}`);
const [self, one, two] = [peer("a"), peer("b"), peer("c")];
const lease = { holder: one, epoch: 7 };

let voters: PeerId[];
let reachable: PeerId[];
let heard: QuorumReport[];
let unhandled: unknown[];
let view: QuorumView;
const onUnhandled = (error: unknown): void => void unhandled.push(error);

function make(change: Partial<QuorumViewDeps>): QuorumView {
  view = new QuorumView({
    self,
    voters: () => voters,
    isVoter: () => true,
    look: async () => lease,
    ask: async () => null,
    isReachable: (of) => reachable.includes(of),
    isLinked: (of) => reachable.includes(of),
    onChange: (report) => void heard.push(report),
    ...change,
  });
  return view;
}

const cutOff = async (): Promise<never> => {
  throw new MicrocephError("NO_QUORUM", "no leader");
};
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
  voters = [self, one, two];
  reachable = [one, two];
  heard = [];
  unhandled = [];
  process.on("unhandledRejection", onUnhandled);
});
afterEach(async () => {
  await view.stop();
  process.off("unhandledRejection", onUnhandled);
  vi.useRealTimers();
});

describe("QuorumView", () => {
  it.each<[string, { elsewhere: boolean; voter: boolean; looks: number; silent: boolean }]>([
    ["while another voter's does", { elsewhere: true, voter: true, looks: 3, silent: true }],
    ["for a moment only", { elsewhere: true, voter: true, looks: 2, silent: false }],
    ["when no other's does either", { elsewhere: false, voter: true, looks: 3, silent: false }],
    ["as that of a learner", { elsewhere: true, voter: false, looks: 3, silent: false }],
  ])("calls its own etcd silent or not, when it does not answer %s", async (_what, given) => {
    if (!given.voter) voters = [one, two];
    make({ look: cutOff, ask: async () => (given.elsewhere ? { ...lease, ok: true } : null) }).start();
    await settle();
    for (let look = 1; look < given.looks; look += 1) await vi.advanceTimersByTimeAsync(lookEveryMs);
    expect(view.ownSilent).toBe(given.silent);
  });

  it.each<[string, PeerId[], PeerId[], PeerId[]]>([
    ["those with a link only, when they know", [one], [], [one]],
    ["the others, too, when those don't know", [one], [one], [one, two]],
    ["all when there is no link", [], [], [one, two]],
  ])("asks %s", async (_what, linked, ignorant, wanted) => {
    const asked: PeerId[] = [];
    const ask = async (of: PeerId): Promise<Json> => {
      asked.push(of);
      return ignorant.includes(of) ? null : { ...lease, ok: true };
    };
    make({ isVoter: () => false, ask, isLinked: (of) => linked.includes(of) }).start();
    await settle();
    expect(asked).toEqual(wanted);
    expect(view.report()).toMatchObject({ ok: true, holder: one });
  });

  it("calls its own etcd silent no longer once it answers again", async () => {
    let answers = false;
    make({
      look: async () => (answers ? lease : cutOff()),
      ask: async () => ({ ...lease, ok: true }),
    }).start();
    await vi.advanceTimersByTimeAsync(3 * lookEveryMs);
    expect(view.ownSilent).toBe(true);
    answers = true;
    await vi.advanceTimersByTimeAsync(lookEveryMs);
    expect(view.ownSilent).toBe(false);
  });

  it("says what the own etcd says, once per change, and looks again now and then", async () => {
    let looks = 0;
    make({
      look: async () => {
        looks += 1;
        return lease;
      },
    }).start();
    await settle();
    expect(view.report()).toEqual({ ...lease, ok: true });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(looks).toBe(2);
    expect(heard).toEqual([{ ...lease, ok: true }]);
  });

  it.each<[string, Partial<QuorumViewDeps>]>([
    ["no voter", { isVoter: () => false }],
    ["a learner, or cut off", { look: cutOff }],
  ])("asks the voters that can be reached: %s", async (_what, change) => {
    const asked: PeerId[] = [];
    reachable = [two];
    make({
      ...change,
      ask: async (of) => {
        asked.push(of);
        return { ...lease, ok: true, more: "of a later version" };
      },
    }).start();
    await settle();
    expect(asked).toEqual([two]);
    expect(view.report()).toEqual({ ...lease, ok: true });
  });

  it.each<[string, Json | Error]>([
    ["one that cannot tell", { holder: null, epoch: null, ok: false }],
    ["one that answers nonsense", { holder: "n1", epoch: "7", ok: true }],
    ["one that does not answer", new Error("gone")],
  ])("takes the next voter's word after %s", async (_what, first) => {
    make({
      isVoter: () => false,
      ask: async (of) => {
        if (of !== one) return { ...lease, ok: true };
        if (first instanceof Error) throw first;
        return first;
      },
    }).start();
    await settle();
    expect(view.report()).toEqual({ ...lease, ok: true });
  });

  it("is lost at once without a majority in reach, whatever was last heard", async () => {
    make({}).start();
    await settle();
    reachable = [];
    expect(view.report()).toEqual({ ...lease, ok: false });
    reachable = [two];
    expect(view.report().ok).toBe(true);
  });

  it.each<[string, PeerId[], PeerId[], boolean]>([
    ["none known", [], [], false],
    ["itself alone", [self], [], true],
    ["one of two", [self, one], [], false],
    ["two of four", [self, one, two, peer("d")], [one], false],
    ["three of five, itself none", [one, two, peer("d"), peer("e"), peer("f")], [one, two, peer("d")], true],
  ])("counts voters: %s", async (_what, known, connected, ok) => {
    make({}).start();
    await settle();
    voters = known;
    reachable = connected;
    expect(view.report().ok).toBe(ok);
  });

  it("keeps who held it when nobody can tell any more", async () => {
    let cut = false;
    make({
      look: async () => (cut ? cutOff() : lease),
      ask: () => Promise.reject(new Error("gone")),
    }).start();
    await settle();
    cut = true;
    view.refresh();
    await settle();
    expect(view.report()).toEqual({ ...lease, ok: false });
    expect(heard).toHaveLength(2);
  });

  it("answers others with what its own etcd says, and nothing when it has none", async () => {
    make({}).start();
    await settle();
    expect(await view.answer()).toEqual({ ...lease, ok: true });
    await view.stop();
    make({ isVoter: () => false, ask: async () => ({ ...lease, ok: true }) }).start();
    await settle();
    expect(await view.answer()).toEqual({ holder: null, epoch: null, ok: false });
  });

  it("looks one at a time, and its stop ends the look and waits for it", async () => {
    let looks = 0;
    let ended = false;
    make({
      look: (signal) => {
        looks += 1;
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            ended = true;
            reject(new Error("aborted"));
          });
        });
      },
    }).start();
    view.refresh();
    await settle();
    expect(looks).toBe(1);
    await view.stop();
    expect(ended).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("outlives a listener that fails", async () => {
    make({
      onChange: () => {
        throw new Error("a fault elsewhere");
      },
    }).start();
    await settle();
    vi.useRealTimers();
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
    expect(view.report().ok).toBe(true);
  });
});
