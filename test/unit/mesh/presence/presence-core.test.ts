import { describe, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import { PresenceCore, timingsFor } from "../../../../src/mesh/presence/presence-core.ts";

const [a, b, c, d] = ["a", "b", "c", "d"] as unknown as [PeerId, PeerId, PeerId, PeerId];
const tickMs = 250;

/** A core and a clock; each step lets some members answer and some witnesses speak, then ticks. */
class Scene {
  readonly core = new PresenceCore(timingsFor(1000));
  now = 1_000_000;
  readonly log: string[] = [];
  readonly asked: string[] = [];
  answering = new Set<PeerId>();
  /** What witnesses say of a peer; who is missing here says nothing. */
  testimony = new Map<PeerId, boolean>();

  constructor(members: readonly PeerId[]) {
    this.core.setMembers(members, this.now);
    this.answering = new Set(members);
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += tickMs;
      for (const peer of this.answering) {
        for (const { to } of this.core.seen(peer, `${peer}-1`, this.now)) this.log.push(`${peer} ${to}`);
      }
      const { changes, calls } = this.core.tick(this.now);
      for (const { peer, to } of changes) this.log.push(`${peer} ${to}`);
      for (const { about, witnesses } of calls) {
        this.asked.push(`${about}: ${witnesses.join(" ")}`);
        for (const witness of witnesses) {
          const said = this.testimony.get(witness);
          if (said !== undefined) this.core.witnessed(about, witness, said);
        }
      }
    }
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
    scene.testimony = new Map([
      [a, false],
      [b, false],
    ]);
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

  it.each<[string, [PeerId, boolean][], string]>([
    ["one of two witnesses does not speak", [[a, false]], "suspect"],
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
    scene.run(20_000);
    expect(scene.state(c)).toBe(state);
  });

  it("needs only the witness that is left, and none when nobody is", () => {
    const one = steady([a, b]);
    one.answering.delete(b);
    one.run(20_000);
    expect(one.state(b)).toBe("suspect");
    one.testimony.set(a, false);
    one.run(2000);
    expect(one.state(b)).toBe("failed");
    // Cut off from all: both fail, on this node's own word.
    const alone = steady([a, b]);
    alone.answering.clear();
    alone.run(7500);
    expect(alone.log).toEqual(["a suspect", "b suspect"]);
    alone.run(750);
    expect(alone.log).toEqual(["a suspect", "b suspect", "a failed", "b failed"]);
  });

  it("does not count what a witness said long ago", () => {
    const scene = steady([a, b, c]);
    scene.answering.delete(c);
    scene.testimony = new Map([
      [a, false],
      [b, false],
    ]);
    scene.run(3000);
    scene.testimony.clear();
    scene.run(20_000);
    expect(scene.state(c)).toBe("failed");
    const forgotten = steady([a, b, c]);
    forgotten.answering.delete(c);
    forgotten.testimony = new Map([[a, false]]);
    forgotten.run(4000);
    forgotten.testimony = new Map();
    forgotten.run(10_000);
    forgotten.testimony = new Map([[b, false]]);
    forgotten.run(3000);
    expect(forgotten.state(c)).toBe("suspect");
  });

  it("asks at most three, in turns, once a second", () => {
    const others = ["w0", "w1", "w2", "w3", "w4"] as unknown as PeerId[];
    const scene = steady([...others, c]);
    scene.answering.delete(c);
    scene.run(4750);
    expect(scene.asked).toEqual(["c: w0 w1 w2", "c: w1 w2 w3", "c: w2 w3 w4"]);
  });

  it("takes an answer as refutation at any time", () => {
    const scene = steady([a, b]);
    scene.answering.clear();
    scene.run(9000);
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
    scene.answering.clear();
    scene.run(7750);
    expect(scene.state(a)).toBe("suspect");
    scene.run(500);
    expect(scene.log).toEqual(["a failed"]);
    expect(scene.core.view().get(a)?.lastSeen).toBeNull();
  });

  it("suspects nobody for the time in which this node itself stood still", () => {
    const scene = steady([a, b]);
    scene.now += 60_000;
    const { changes } = scene.core.tick(scene.now);
    expect(changes).toEqual([]);
    scene.run(1000);
    expect(scene.log).toEqual([]);
    // Also when its clock is set back or forward.
    scene.now -= 3_600_000;
    scene.run(1000);
    scene.now += 7_200_000;
    scene.run(1000);
    expect(scene.log).toEqual([]);
  });

  it("is slow to suspect while this node itself is short of CPU", () => {
    const scene = steady([a, b]);
    scene.answering.clear();
    const ticks = (count: number, everyMs: number): void => {
      for (let i = 0; i < count; i += 1) {
        scene.now += everyMs;
        scene.core.tick(scene.now);
      }
    };
    // With the tick of its last sign of life, eight: two seconds of waking time, however long they took.
    ticks(7, 2000);
    expect(scene.state(a)).toBe("alive");
    ticks(2, 2000);
    expect(scene.state(a)).toBe("suspect");
  });

  it("takes a pulse as a sign of life, but not of one that left", () => {
    const scene = steady([a, b]);
    scene.answering.clear();
    scene.run(5000);
    expect(scene.core.heard(a, scene.now).map(({ to }) => to)).toEqual(["alive"]);
    scene.core.left(b, "b-1", scene.now);
    expect(scene.core.heard(b, scene.now)).toEqual([]);
    expect(scene.state(b)).toBe("left");
  });

  it("keeps one that left as left, until it is back in another run", () => {
    const scene = steady([a, b]);
    expect(scene.core.left(a, "a-1", scene.now).map(({ to }) => to)).toEqual(["left"]);
    // Its last answers are still on their way.
    scene.run(20_000);
    expect(scene.state(a)).toBe("left");
    expect(scene.core.seen(a, "a-2", scene.now).map(({ to }) => to)).toEqual(["alive"]);
  });

  it("forgets who is no longer a member, and ignores strangers", () => {
    const scene = steady([a, b]);
    scene.core.setMembers([b], scene.now);
    expect([...scene.core.view().keys()]).toEqual([b]);
    expect(scene.core.seen(a, "a-1", scene.now)).toEqual([]);
    expect(scene.core.left(a, "a-1", scene.now)).toEqual([]);
    scene.core.witnessed(a, b, false);
    expect(scene.core.has(a)).toBe(false);
  });
});
