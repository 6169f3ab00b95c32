import type { PeerId } from "../../../src/ids/ids.ts";
import { Overlay } from "../../../src/mesh/overlay/overlay.ts";
import { LocalHealth } from "../../../src/mesh/presence/local-health.ts";
import type { PresenceState } from "../../../src/mesh/presence/presence-core.ts";
import { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { idOf, indexOf } from "../command/documents.ts";
import { type PresenceChanges, PresenceDriver } from "../command/presence-driver.ts";

/** What keeps a member that is there from being taken for gone; each can be switched off. */
export interface PresenceGuards {
  /** Two others must not reach it either. */
  readonly witnesses: boolean;
  /** A member that was late itself abstains as a witness. */
  readonly selfDoubt: boolean;
  /** A member that hears that it is gone says that it is there. */
  readonly refutation: boolean;
}

export const allPresenceGuards: PresenceGuards = { witnesses: true, selfDoubt: true, refutation: true };

class NoDoubt extends LocalHealth {
  override get stretch(): number {
    return 1;
  }
  override get stretchOfSuspicion(): number {
    return 1;
  }
  override get doubts(): boolean {
    return false;
  }
}

interface Node {
  readonly process: VirtualProcess;
  readonly presence: PresenceDriver;
}

/** Presence alone, the real core on each node, with links that are cut and mended by hand. */
class PresenceWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly violations: string[] = [];
  readonly #nodes: Node[];
  readonly #all: readonly number[];
  readonly #overlay: Overlay;
  readonly #cut = new Set<string>();

  constructor(count: number, seed: number, guards: PresenceGuards) {
    this.random = new Random(seed);
    this.#all = Array.from({ length: count }, (_, index) => index);
    const members = this.#all.map(idOf);
    this.#overlay = new Overlay({ members, voters: members.slice(0, 3), down: new Set() });
    const changes: PresenceChanges = {
      ...(guards.witnesses ? {} : { timings: { witnessesNeeded: 0 }, asksNobody: true }),
      ...(guards.selfDoubt ? {} : { health: () => new NoDoubt() }),
      isMute: !guards.refutation,
    };
    this.#nodes = this.#all.map((self) => this.#start(self, members, changes));
  }

  state(observer: number, about: number): PresenceState | undefined {
    return this.#of(observer).presence.core.stateOf(idOf(about));
  }

  /** No link between the two, in that time. */
  cut(a: number, b: number, at: number, until = Number.POSITIVE_INFINITY): void {
    this.time.after(at, null, () => this.#cut.add(`${a} ${b}`).add(`${b} ${a}`));
    if (until !== Number.POSITIVE_INFINITY) {
      this.time.after(until, null, () => {
        this.#cut.delete(`${a} ${b}`);
        this.#cut.delete(`${b} ${a}`);
        for (const [one, other] of [
          [a, b],
          [b, a],
        ] as const)
          this.#of(one).presence.connection(idOf(other), true);
      });
    }
  }

  isolate(self: number, at: number, until: number): void {
    for (const other of this.#all) if (other !== self) this.cut(self, other, at, until);
  }

  pause(self: number, at: number, until: number): void {
    this.time.after(at, null, () => this.time.pause(this.#of(self).process));
    this.time.after(until, null, () => this.time.resume(this.#of(self).process));
  }

  #start(self: number, members: readonly PeerId[], changes: PresenceChanges): Node {
    const process = new VirtualProcess(`n${self + 1}`);
    const linked = [...this.#overlay.linked(idOf(self))];
    const presence = new PresenceDriver(
      {
        time: this.time,
        process,
        random: this.random,
        now: () => 1_700_000_000_000 + this.time.now(),
        self: idOf(self),
        connected: () => linked.filter((peer) => !this.#cut.has(`${self} ${indexOf(peer)}`)),
        send: (way, _bytes, arrived) => this.#carry(self, way.map(indexOf), arrived),
        publish: (rumour) => {
          // Over members that are left: from each to its links.
          const heard = new Set([self]);
          for (const from of heard) {
            for (const peer of this.#overlay.linked(idOf(from))) {
              const to = indexOf(peer);
              if (heard.has(to) || this.#cut.has(`${from} ${to}`)) continue;
              heard.add(to);
              const node = this.#of(to);
              this.time.after(this.random.between(1, 20), node.process, () =>
                node.presence.hear(rumour, idOf(self)),
              );
            }
          }
        },
        onChange: (all) => {
          for (const { peer, to, reason } of all) {
            if (to !== "failed") continue;
            const when = Math.round(this.time.now());
            this.violations.push(
              `${when} ms: n${self + 1} believes that n${indexOf(peer) + 1} failed: ${reason}`,
            );
          }
        },
      },
      1,
      changes,
    );
    this.time.after(0, null, () => {
      presence.start(members, this.random.between(0, 250));
      presence.setOverlay(this.#overlay);
    });
    return { process, presence };
  }

  #carry(from: number, [next, ...rest]: readonly number[], arrived: (there: PresenceDriver) => void): void {
    if (next === undefined || this.#cut.has(`${from} ${next}`)) return;
    const { process, presence } = this.#of(next);
    this.time.after(this.random.between(1, 20), process, () => {
      if (rest.length === 0) arrived(presence);
      else this.#carry(next, rest, arrived);
    });
  }

  #of(index: number): Node {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    return node;
  }
}

/** Two members without a link, in a cluster where all others reach both. */
export async function brokenLink(seed: number, guards: PresenceGuards): Promise<string[]> {
  const world = new PresenceWorld(5, seed, guards);
  world.cut(0, 1, world.random.between(15_000, 20_000));
  await world.time.run(60_000);
  return world.violations;
}

/** The same, and those that could testify were stopped for so long that their links were given up. */
export async function slowWitnesses(seed: number, guards: PresenceGuards): Promise<string[]> {
  const world = new PresenceWorld(4, seed, guards);
  const at = world.random.between(15_000, 20_000);
  world.cut(0, 1, at);
  for (const witness of [2, 3]) {
    const until = at + world.random.between(1_000, 2_000);
    world.pause(witness, at - world.random.between(8_000, 10_000), until);
    // Awake again, and its link to the one is dialled again; that to the other was not lost.
    world.cut(witness, 1, at - 5_000, until + world.random.between(4_500, 5_000));
  }
  await world.time.run(60_000);
  return world.violations.filter((text) => text.includes("n1 believes that n2 failed"));
}

/** One of forty was cut off from all for so long that they took it for gone, and is back. */
export async function backFromIsolation(seed: number, guards: PresenceGuards): Promise<string[]> {
  const count = 40;
  const world = new PresenceWorld(count, seed, guards);
  const lost = world.random.whole(0, count - 1);
  const at = world.random.between(30_000, 35_000);
  world.isolate(lost, at, at + 15_000);
  await world.time.run(at + 60_000);
  const believed = Array.from({ length: count }, (_, other) => other).filter(
    (other) => other !== lost && world.state(other, lost) !== "alive",
  );
  return believed.map((other) => `n${other + 1} still sees n${lost + 1} ${world.state(other, lost)}`);
}
