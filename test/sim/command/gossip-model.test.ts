import { describe, expect, test } from "vitest";
import { Random, VirtualTime } from "../../support/virtual-time.ts";
import { GossipModel, gossipsub } from "./gossip-model.ts";

/** Members with links of about this degree (0: every pair), after so many heartbeats that meshes are settled. */
class Members {
  readonly time = new VirtualTime();
  readonly random = new Random(1);
  readonly gossip: GossipModel;
  readonly heard = new Map<number, number>();
  /** Messages lost on purpose. */
  loses: (from: number, to: number) => boolean = () => false;
  copies = 0;
  readonly #peers: number[][];

  constructor(count: number, degree: number) {
    const links = Array.from({ length: count }, () => new Set<number>());
    const link = (a: number, b: number): void => {
      if (a === b) return;
      links[a]?.add(b);
      links[b]?.add(a);
    };
    for (let a = 0; a < count; a += 1) {
      link(a, (a + 1) % count);
      if (degree === 0) for (let b = 0; b < a; b += 1) link(a, b);
      while (degree > 0 && (links[a]?.size ?? 0) < degree) link(a, this.random.whole(0, count - 1));
    }
    this.#peers = links.map((set) => [...set].sort((a, b) => a - b));
    this.gossip = new GossipModel(
      {
        peers: (node) => this.#peers[node] ?? [],
        send: (from, to, _bytes, arrived) => {
          this.copies += 1;
          if (!this.loses(from, to)) this.time.after(1, null, arrived);
        },
      },
      this.random,
      (to) => this.heard.set(to, this.time.now()),
    );
    for (let node = 0; node < count; node += 1) this.gossip.join(node);
    this.pass(8);
  }

  pass(heartbeats: number): void {
    for (let beat = 0; beat < heartbeats; beat += 1) {
      for (const [node] of this.#peers.entries()) {
        this.time.after(beat * gossipsub.heartbeatMs, null, () => this.gossip.heartbeat(node));
      }
    }
  }
}

// Measured with real gossipsub, all nodes on one core, so that a copy's cost in processor time is what counts:
// copies, divided by the time until the last node had it, must come to about the same for all sizes.
const measured: readonly [nodes: number, degree: number, lastMs: number][] = [
  [10, 0, 5.7],
  [50, 0, 27],
  [100, 8, 115],
  [300, 8, 346],
];

describe("the model of gossipsub", () => {
  test.each(measured)(
    "%i members of degree %i: as many copies as were measured",
    async (count, degree, lastMs) => {
      const members = new Members(count, degree);
      await members.time.run(9_000);
      members.copies = 0;
      members.gossip.publish(0, "hint", 200);
      // Before the next heartbeat offers it again.
      await members.time.run(9_500);
      expect(members.heard.size).toBe(count - 1);
      const msPerCopy = lastMs / members.copies;
      expect(msPerCopy, `${members.copies} copies`).toBeGreaterThan(0.04);
      expect(msPerCopy, `${members.copies} copies`).toBeLessThan(0.3);
    },
  );

  test("what the mesh did not bring is offered at the next heartbeats", async () => {
    const members = new Members(40, 0);
    await members.time.run(9_000);
    members.loses = (_from, to) => to === 7 && members.time.now() < 9_400;
    members.gossip.publish(0, "hint", 200);
    await members.time.run(9_500);
    expect(members.heard.has(7)).toBe(false);
    members.pass(4);
    await members.time.run(15_000);
    expect(members.heard.has(7)).toBe(true);
  });
});
