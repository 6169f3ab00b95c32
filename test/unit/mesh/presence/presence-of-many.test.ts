import { describe, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import { PresenceCore, timingsFor } from "../../../../src/mesh/presence/presence-core.ts";
import type { Rumour, RumourKind } from "../../../../src/mesh/presence/rumour.ts";
import { supersedes } from "../../../../src/mesh/presence/rumour.ts";
import { digestsOf, partOf } from "../../../../src/mesh/presence/view-digest.ts";

const self = "self" as PeerId;
const near = ["near-1", "near-2", "near-3"] as unknown as PeerId[];
const [near1, near2, near3] = near as [PeerId, PeerId, PeerId];
const [far, far2] = ["far-1", "far-2"] as unknown as [PeerId, PeerId];
const everyone = [self, ...near, far, far2];
const tickMs = 250;

function rumour(kind: RumourKind, peer: PeerId, incarnation = 1, witnesses: readonly PeerId[] = []): Rumour {
  return { kind, peer, incarnation, witnesses };
}

/** This node watches the near ones, all near ones watch each other and it, and two of them the far ones. */
class Scene {
  readonly core = new PresenceCore(timingsFor(1000), { peer: self, incarnation: 100 });
  now = 1_000_000;
  answering = new Set(near);
  readonly told: string[] = [];

  constructor() {
    this.core.setMembers(everyone, this.now);
    const watchersOf = (peer: PeerId): PeerId[] =>
      peer === far || peer === far2 ? [near1, near2] : [self, ...near].filter((other) => other !== peer);
    this.core.watch({ peers: new Set(near), watchersOf }, this.now);
    for (const peer of everyone.slice(1)) this.hear(rumour("alive", peer), peer);
    this.run(2000);
    this.told.length = 0;
  }

  hear(heard: Rumour, by: PeerId): string[] {
    const changes = this.core.hear(heard, by, this.now);
    this.#take();
    return changes.map(({ peer, to }) => `${peer} ${to}`);
  }

  run(ms: number, testimony: ReadonlyMap<PeerId, boolean> = new Map()): string[] {
    const log: string[] = [];
    for (const end = this.now + ms; this.now < end; ) {
      this.now += tickMs;
      for (const peer of this.answering) this.core.seen(peer, 1, this.now);
      const { changes, calls } = this.core.tick(this.now);
      for (const { peer, to } of changes) log.push(`${peer} ${to}`);
      for (const { about, witnesses } of calls) {
        for (const witness of witnesses) {
          const said = testimony.get(witness);
          if (said !== undefined) this.core.witnessed(about, witness, said);
        }
      }
      this.#take();
    }
    return log;
  }

  state(peer: PeerId): string | undefined {
    return this.core.view().get(peer)?.state;
  }

  #take(): void {
    for (const { kind, peer, witnesses } of this.core.takeRumours()) {
      this.told.push(`${kind} ${peer} ${witnesses.join(" ")}`.trim());
    }
  }
}

describe("presence of many members", () => {
  it("asks only the watchers of a silent one, tells all of suspicion and verdict, each once", () => {
    const scene = new Scene();
    scene.answering.delete(near3);
    const reaches = new Map([near1, near2].map((peer) => [peer, false]));
    expect(scene.run(3000, reaches)).toEqual([`${near3} suspect`]);
    expect(scene.told).toEqual([`suspect ${near3} ${near1} ${near2}`]);
    expect(scene.run(20_000, reaches)).toEqual([`${near3} failed`]);
    expect(scene.told.slice(1)).toEqual([`failed ${near3} ${near1} ${near2}`]);
  });

  it("keeps a suspicion that no witness shares to itself", () => {
    const scene = new Scene();
    scene.answering.delete(near3);
    expect(scene.run(20_000, new Map([[near1, true]]))).toEqual([`${near3} suspect`]);
    expect(scene.told).toEqual([]);
  });

  it("keeps a suspicion to itself while it doubts itself", () => {
    const scene = new Scene();
    scene.answering = new Set([near1]);
    scene.run(8000, new Map([[near1, false]]));
    expect(scene.state(near3)).toBe("suspect");
    expect(scene.told.filter((text) => text.startsWith("suspect"))).toEqual([]);
  });

  it("believes of far ones what is told, and never watches them", () => {
    const scene = new Scene();
    scene.run(60_000);
    expect(scene.state(far)).toBe("alive");
    expect(scene.hear(rumour("suspect", far, 1, [near2]), near1)).toEqual([`${far} suspect`]);
    scene.run(2000);
    expect(scene.hear(rumour("failed", far, 1, [near1, near2]), near1)).toEqual([`${far} failed`]);
    // Late news of the same run, and of a former one.
    expect(scene.hear(rumour("suspect", far, 1, [near2]), near1)).toEqual([]);
    expect(scene.hear(rumour("alive", far, 1), far)).toEqual([]);
    expect(scene.hear(rumour("alive", far, 2), far)).toEqual([`${far} alive`]);
    expect(scene.hear(rumour("failed", far, 1, [near1, near2]), near1)).toEqual([]);
    expect(scene.hear(rumour("left", far, 2), far)).toEqual([`${far} left`]);
  });

  it("lets a far one refute before it believes a verdict out of the blue", () => {
    const scene = new Scene();
    const verdict = rumour("failed", far, 1, [near1, near2]);
    expect(scene.hear(verdict, near1)).toEqual([`${far} suspect`]);
    expect(scene.run(1250)).toEqual([]);
    expect(scene.hear(rumour("alive", far, 2), far)).toEqual([`${far} alive`]);
    expect(scene.run(10_000)).toEqual([]);
    expect(scene.hear({ ...verdict, incarnation: 2 }, near1)).toEqual([`${far} suspect`]);
    expect(scene.run(1500)).toEqual([`${far} failed`]);
  });

  it.each<[string, PeerId[], string]>([
    ["without witnesses", [], "suspect"],
    ["with one", [near2], "suspect"],
    ["with the same one twice", [near2, near2], "suspect"],
    ["with strangers", ["x", "y"] as unknown as PeerId[], "suspect"],
    ["with itself", [far, near2], "suspect"],
    ["with two", [near2, near3], "failed"],
  ])("a verdict %s counts as %s", (_, witnesses, state) => {
    const scene = new Scene();
    // Told by a third: two watchers are left that could testify.
    scene.hear(rumour("failed", far, 1, witnesses), far2);
    scene.run(1500);
    expect(scene.state(far)).toBe(state);
  });

  it("does not believe ill of one that it hears, and fails it as soon as it no longer does", () => {
    const scene = new Scene();
    expect(scene.hear(rumour("failed", near3, 1, [near1, near2]), near1)).toEqual([]);
    expect(scene.state(near3)).toBe("alive");
    // It is told, for it to refute.
    expect(scene.core.accusation(near3)).toBe(1);
    scene.answering.delete(near3);
    expect(scene.run(2750)).toEqual([`${near3} suspect`, `${near3} failed`]);
  });

  it("asks one that others don't know to say that it is there", () => {
    const core = new PresenceCore(timingsFor(1000), { peer: self, incarnation: 100 });
    core.setMembers(everyone, 0);
    core.watch({ peers: new Set(near), watchersOf: () => near }, 0);
    core.seen(near1, 1, 0);
    expect(core.accusation(near1)).toBe(0);
    core.hear(rumour("alive", near1), near1, 0);
    expect(core.accusation(near1)).toBeUndefined();
  });

  it("believes others of a new neighbour until it has seen it", () => {
    const scene = new Scene();
    const watchersOf = (): PeerId[] => near;
    scene.core.watch({ peers: new Set([...near, far]), watchersOf }, scene.now);
    // The link is only being made.
    expect(scene.run(7000)).toEqual([]);
    expect(scene.core.testify(far)).toBeNull();
    expect(scene.hear(rumour("suspect", far, 1, [near2]), near1)).toEqual([`${far} suspect`]);
    scene.core.seen(far, 2, scene.now);
    expect(scene.state(far)).toBe("alive");
    expect(scene.run(2500)).toEqual([`${far} suspect`]);
    expect(scene.core.testify(far)).toBe(false);
  });

  it("goes by what is told of one that it no longer watches", () => {
    const scene = new Scene();
    scene.answering.delete(near3);
    scene.run(3000);
    expect(scene.state(near3)).toBe("suspect");
    const watchersOf = (): PeerId[] => near;
    const changes = scene.core.watch({ peers: new Set([near1, near2]), watchersOf }, scene.now);
    expect(changes.map(({ peer, to }) => `${peer} ${to}`)).toEqual([`${near3} alive`]);
  });

  it("compares in parts, and learns what it missed", () => {
    const one = new Scene();
    const two = new Scene();
    expect(one.core.digests().filter((digest, part) => digest !== two.core.digests()[part])).toEqual([]);
    one.hear(rumour("failed", far, 1, [near1, near2]), near1);
    const parts = one.core
      .digests()
      .flatMap((digest, part) => (digest === two.core.digests()[part] ? [] : [part]));
    expect(parts).toEqual([partOf(far)]);
    const records = one.core.records(new Set(parts));
    expect(records.length).toBeLessThan(everyone.length);
    for (const record of records) two.hear(record, near1);
    two.run(1500);
    expect(two.state(far)).toBe("failed");
    expect(two.core.digests()).toEqual(one.core.digests());
  });

  it("has the same digest whatever the order, and another for another state", () => {
    const states = everyone.map((peer) => [peer, "alive"] as const);
    expect(digestsOf([...states].reverse())).toEqual(digestsOf(states));
    expect(digestsOf([...states.slice(1), [self, "left"]])).not.toEqual(digestsOf(states));
  });
});

describe("of two rumours", () => {
  it.each<[Rumour, Rumour, boolean]>([
    [rumour("alive", far, 2), rumour("left", far, 1), true],
    [rumour("failed", far, 1), rumour("alive", far, 2), false],
    [rumour("suspect", far, 1), rumour("alive", far, 1), true],
    [rumour("failed", far, 1), rumour("suspect", far, 1), true],
    [rumour("alive", far, 1), rumour("suspect", far, 1), false],
    [rumour("failed", far, 1), rumour("failed", far, 1), false],
    [rumour("left", far, 1), rumour("failed", far, 1), true],
  ])("%o over %o: %s", (one, other, holds) => {
    expect(supersedes(one, other)).toBe(holds);
  });
});
