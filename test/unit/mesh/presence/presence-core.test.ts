import { describe, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import { PresenceCore, type Testimony, timingsFor } from "../../../../src/mesh/presence/presence-core.ts";

const [a, b, c, d] = ["a", "b", "c", "d"] as unknown as [PeerId, PeerId, PeerId, PeerId];
const self = "self" as PeerId;
const tickMs = 250;

/** A core and a clock; each step lets some members answer and some witnesses speak, then ticks. */
class Scene {
  readonly core = new PresenceCore(timingsFor(1000), { peer: self, incarnation: 100 });
  now = 1_000_000;
  readonly log: string[] = [];
  readonly asked: string[] = [];
  answering = new Set<PeerId>();
  /** What witnesses say of a peer; who is missing here says nothing. */
  testimony = new Map<PeerId, Testimony>();

  constructor(members: readonly PeerId[]) {
    this.core.setMembers([...members, self], this.now);
    this.answering = new Set(members);
  }

  run(ms: number, stepMs = tickMs): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += stepMs;
      for (const peer of this.answering) {
        for (const { to } of this.core.seen(peer, 1, this.now)) this.log.push(`${peer} ${to}`);
      }
      const { changes, calls } = this.core.tick(this.now);
      for (const { peer, to } of changes) this.log.push(`${peer} ${to}`);
      for (const { about, witnesses } of calls) {
        this.asked.push(`${about}: ${witnesses.join(" ")}`);
        for (const witness of witnesses) {
          const said = this.testimony.get(witness);
          if (said === undefined) this.core.witnessSilent();
          else this.core.witnessed(about, witness, said);
        }
      }
    }
  }

  /** Ticks without any answer, each so much after the last. */
  ticks(count: number, everyMs: number): void {
    this.answering.clear();
    this.run(count * everyMs, everyMs);
  }

  state(peer: PeerId): string | undefined {
    return this.core.view().get(peer)?.state;
  }
}

function steady(members: readonly PeerId[]): Scene {
  const scene = new Scene(members);
  scene.run(2000);
  scene.log.length = 0;
  return scene;
}

const nobodyReaches = (...witnesses: PeerId[]): Map<PeerId, Testimony> =>
  new Map(witnesses.map((witness) => [witness, false]));

describe("presence", () => {
  it("begins as suspect and becomes alive with the first answer", () => {
    const scene = new Scene([a, b]);
    expect(scene.core.view().get(a)).toEqual({ state: "suspect", since: scene.now, lastSeen: null });
    scene.run(tickMs);
    expect(scene.log).toEqual(["a alive", "b alive"]);
    expect(scene.core.view().get(a)).toEqual({ state: "alive", since: scene.now, lastSeen: scene.now });
  });

  it("suspects within 3 s of silence and fails within 10 s when two witnesses agree", () => {
    const scene = steady([a, b, c]);
    scene.answering.delete(c);
    scene.testimony = nobodyReaches(a, b);
    scene.run(1750);
    expect(scene.state(c)).toBe("alive");
    scene.run(1250);
    expect(scene.state(c)).toBe("suspect");
    scene.run(1500);
    expect(scene.state(c)).toBe("suspect");
    scene.run(1500);
    expect(scene.log).toEqual(["c suspect", "c failed"]);
    expect(scene.asked[0]).toBe("c: a b");
  });

  it.each<[string, [PeerId, Testimony][], string]>([
    ["one of two witnesses does not speak", [[a, false]], "suspect"],
    [
      "one of two doubts itself",
      [
        [a, false],
        [b, null],
      ],
      "suspect",
    ],
    ["none speaks", [], "suspect"],
    [
      "one reaches it",
      [
        [a, false],
        [b, true],
        [d, false],
      ],
      "suspect",
    ],
    [
      "two do not reach it, a third is silent",
      [
        [a, false],
        [d, false],
      ],
      "failed",
    ],
  ])("with three possible witnesses: %s", (_, testimony, state) => {
    const scene = steady([a, b, c, d]);
    scene.answering.delete(c);
    scene.testimony = new Map(testimony);
    scene.run(30_000);
    expect(scene.state(c)).toBe(state);
  });

  it("needs only the witness that is left, and none when nobody is", () => {
    const one = steady([a, b]);
    one.answering.delete(b);
    one.run(20_000);
    expect(one.state(b)).toBe("suspect");
    one.testimony = nobodyReaches(a);
    one.run(2000);
    expect(one.state(b)).toBe("failed");
    // Cut off from all: both fail, on this node's own word, later.
    const alone = steady([a, b]);
    alone.ticks(30, tickMs);
    expect(alone.log).toEqual(["a suspect", "b suspect"]);
    alone.ticks(10, tickMs);
    expect(alone.log).toEqual(["a suspect", "b suspect", "a failed", "b failed"]);
  });

  it("does not count what a witness said long ago", () => {
    const scene = steady([a, b, c]);
    scene.answering.delete(c);
    scene.testimony = nobodyReaches(a);
    scene.run(4000);
    scene.testimony = new Map();
    scene.run(10_000);
    scene.testimony = nobodyReaches(b);
    scene.run(3000);
    expect(scene.state(c)).toBe("suspect");
    scene.testimony = nobodyReaches(a, b);
    scene.run(2000);
    expect(scene.state(c)).toBe("failed");
  });

  it("asks at most three, in turns, once a second", () => {
    const others = ["w0", "w1", "w2", "w3", "w4"] as unknown as PeerId[];
    const scene = steady([...others, c]);
    scene.testimony = new Map(others.map((peer) => [peer, null]));
    scene.answering.delete(c);
    scene.run(4750);
    expect(scene.asked).toEqual(["c: w0 w1 w2", "c: w1 w2 w3", "c: w2 w3 w4"]);
  });

  it("takes an answer as refutation at any time", () => {
    const scene = steady([a, b]);
    scene.ticks(48, tickMs);
    expect(scene.state(b)).toBe("failed");
    scene.answering.add(b);
    scene.run(tickMs);
    expect(scene.state(b)).toBe("alive");
    scene.answering.delete(b);
    scene.run(1750);
    expect(scene.state(b)).toBe("alive");
  });

  it("fails one that never answered, later than one that did", () => {
    const scene = new Scene([a]);
    scene.ticks(31, tickMs);
    expect(scene.state(a)).toBe("suspect");
    scene.run(500);
    expect(scene.log).toEqual(["a failed"]);
    expect(scene.core.view().get(a)?.lastSeen).toBeNull();
  });

  it("suspects nobody for the time in which this node itself stood still", () => {
    const scene = steady([a, b]);
    scene.now += 60_000;
    expect(scene.core.tick(scene.now).changes).toEqual([]);
    scene.run(1000);
    expect(scene.log).toEqual([]);
    // Also when its clock is set back or forward.
    scene.now -= 3_600_000;
    scene.run(1000);
    scene.now += 7_200_000;
    scene.run(1000);
    expect(scene.log).toEqual([]);
  });

  it("takes a pulse as a sign of life, but not of one that left", () => {
    const scene = steady([a, b]);
    scene.ticks(20, tickMs);
    expect(scene.core.heard(a, scene.now).map(({ to }) => to)).toEqual(["alive"]);
    scene.core.left(b, 1, scene.now);
    expect(scene.core.heard(b, scene.now)).toEqual([]);
    expect(scene.state(b)).toBe("left");
  });

  it("keeps one that left as left, until it is back in another run", () => {
    const scene = steady([a, b]);
    expect(scene.core.left(a, 1, scene.now).map(({ to }) => to)).toEqual(["left"]);
    // Its last answers are still on their way.
    scene.run(20_000);
    expect(scene.state(a)).toBe("left");
    expect(scene.core.seen(a, 2, scene.now).map(({ to }) => to)).toEqual(["alive"]);
    // A goodbye of the former run, come late.
    expect(scene.core.left(a, 1, scene.now)).toEqual([]);
  });

  it("forgets who is no longer a member, and ignores strangers and itself", () => {
    const scene = steady([a, b]);
    scene.core.setMembers([b, self], scene.now);
    expect([...scene.core.view().keys()]).toEqual([b]);
    expect(scene.core.seen(a, 1, scene.now)).toEqual([]);
    expect(scene.core.left(a, 1, scene.now)).toEqual([]);
    scene.core.witnessed(a, b, false);
    expect(scene.core.has(a)).toBe(false);
    expect(scene.core.has(self)).toBe(false);
  });
});

describe("a member that doubts itself", () => {
  it("counts a tick for the time in which it got no CPU, and stretches what is left", () => {
    const scene = steady([a, b]);
    // Eight ticks of waking time would be two seconds, however long they took.
    scene.ticks(9, 2000);
    expect(scene.core.stretch).toBeGreaterThan(2);
    expect(scene.state(a)).toBe("alive");
  });

  it.each([
    ["every second tick is late by 0.9 s", 900, "alive"],
    ["every second tick is on time", tickMs, "suspect"],
  ])("is slow to suspect: %s", (_, lateMs, state) => {
    const scene = steady([a, b, c, d]);
    scene.answering.delete(a);
    for (let waking = 0; waking < 2750; waking += 2 * tickMs) {
      scene.run(lateMs, lateMs);
      scene.run(tickMs);
    }
    expect(scene.state(a)).toBe(state);
  });

  it("abstains as a witness after it was late, and is trusted again after calm intervals", () => {
    const scene = steady([a, b, c]);
    scene.testimony = nobodyReaches(a, b);
    scene.answering.delete(c);
    scene.run(1750);
    expect(scene.core.testify(c)).toBe(false);
    expect(scene.core.testify(a)).toBe(true);
    scene.run(2000, 2000);
    expect(scene.core.testify(c)).toBeNull();
    // What it does hear it may say.
    expect(scene.core.testify(a)).toBe(true);
    scene.run(6000);
    expect(scene.core.testify(c)).toBe(false);
  });

  it("takes the silence of most at once for its own fault, that of one for the other's", () => {
    const one = steady([a, b, c, d]);
    one.answering.delete(a);
    one.testimony = nobodyReaches(b, c, d);
    one.run(4000);
    expect(one.core.stretch).toBe(1);
    const most = steady([a, b, c, d]);
    most.answering = new Set([a]);
    most.testimony = nobodyReaches(a, b, c);
    most.run(4500);
    expect(most.core.stretch).toBeGreaterThanOrEqual(1.5);
    expect(most.core.testify(d)).toBeNull();
    // 5 s would do otherwise.
    most.run(1500);
    expect(most.state(d)).toBe("suspect");
  });

  it("takes it for its own fault when no witness answers", () => {
    const scene = steady([a, b, c, d]);
    scene.answering.delete(d);
    scene.run(8000);
    expect(scene.core.stretch).toBe(1.75);
    expect(scene.core.testify(d)).toBeNull();
    scene.testimony = nobodyReaches(a, b, c);
    scene.run(6000);
    expect(scene.core.stretch).toBe(1);
  });

  it("still fails all within 10 s when nobody is left to ask", () => {
    const scene = steady([a, b, c, d]);
    scene.ticks(40, tickMs);
    expect([a, b, c, d].map((peer) => scene.state(peer))).toEqual(Array(4).fill("failed"));
  });
});

describe("refutation", () => {
  it("answers an accusation with a higher incarnation, once", () => {
    const { core, now } = steady([a, b]);
    core.hear({ kind: "failed", peer: self, incarnation: 100, witnesses: [a, b] }, a, now);
    expect(core.incarnation).toBe(101);
    expect(core.takeRumours()).toEqual([{ kind: "alive", peer: self, incarnation: 101, witnesses: [] }]);
    core.hear({ kind: "suspect", peer: self, incarnation: 100, witnesses: [a] }, b, now);
    expect(core.incarnation).toBe(101);
    expect(core.takeRumours()).toEqual([]);
  });

  it("says once more that it is there to those who missed it, in a while", () => {
    const scene = steady([a, b]);
    scene.core.accused(0);
    expect(scene.core.takeRumours()).toHaveLength(1);
    scene.core.accused(0);
    expect(scene.core.takeRumours()).toHaveLength(0);
    scene.run(10_000);
    scene.core.accused(0);
    expect(scene.core.takeRumours()).toHaveLength(1);
    expect(scene.core.incarnation).toBe(100);
  });

  it("tells one that is failed so in the next ping, until it is back in a higher incarnation", () => {
    const scene = steady([a, b, c]);
    scene.answering.delete(c);
    scene.testimony = nobodyReaches(a, b);
    scene.run(6000);
    expect(scene.state(c)).toBe("failed");
    expect(scene.core.accusation(c)).toBe(1);
    expect(scene.core.accusation(a)).toBeUndefined();
    scene.core.seen(c, 2, scene.now);
    expect(scene.core.accusation(c)).toBeUndefined();
  });

  it("puts a run whose clock was set back above the one before, so that its goodbye counts", () => {
    const { core, now } = steady([a, b]);
    core.seen(a, 50, now);
    core.seen(a, 20, now);
    expect(core.left(a, 20, now)).toEqual([]);
    expect(core.accusation(a)).toBe(50);
    core.seen(a, 51, now);
    expect(core.accusation(a)).toBeUndefined();
    expect(core.left(a, 51, now).map(({ to }) => to)).toEqual(["left"]);
    // And so does this node when it hears of a run of its own that was before.
    core.hear({ kind: "alive", peer: self, incarnation: 100, witnesses: [] }, a, now);
    expect(core.incarnation).toBe(100);
    core.hear({ kind: "alive", peer: self, incarnation: 500, witnesses: [] }, a, now);
    expect(core.incarnation).toBe(501);
  });

  it("ends when this node leaves", () => {
    const { core, now } = steady([a, b]);
    core.leave();
    expect(core.takeRumours()).toMatchObject([{ kind: "left", peer: self }]);
    core.hear({ kind: "left", peer: self, incarnation: 100, witnesses: [] }, a, now);
    expect(core.incarnation).toBe(100);
    expect(core.takeRumours()).toEqual([]);
  });
});
