import type { Random } from "../../support/virtual-time.ts";

/** gossipsub's parameters as `src/mesh/host/gossip.ts` sets them, and its defaults for the rest. */
export const gossipsub = {
  D: 8,
  Dlo: 6,
  Dhi: 12,
  Dlazy: 6,
  heartbeatMs: 1_000,
  /** Heartbeats for which a message is offered to peers outside of the mesh. */
  offered: 3,
} as const;

/** A frame's topic, author, sequence number and signature, and its length. */
const envelopeBytes = 220;
const idBytes = 46;

export interface GossipWire {
  /** Peers that are connected, in any fixed order. */
  peers(node: number): readonly number[];
  send(from: number, to: number, bytes: number, arrived: () => void): void;
}

interface Message {
  readonly id: number;
  readonly from: number;
  readonly body: unknown;
  readonly bytes: number;
}

interface Node {
  readonly mesh: Set<number>;
  readonly seen: Set<number>;
  recent: { readonly message: Message; age: number }[];
}

/**
 * gossipsub 1.1 as far as it matters for counts and ways: a mesh of about eight per node, the author floods to
 * all that are connected, who hears something first passes it on in the mesh, and what was missed is offered.
 */
export class GossipModel {
  readonly #wire: GossipWire;
  readonly #random: Random;
  readonly #deliver: (to: number, from: number, body: unknown) => void;
  readonly #nodes = new Map<number, Node>();
  #lastId = 0;

  constructor(wire: GossipWire, random: Random, deliver: (to: number, from: number, body: unknown) => void) {
    this.#wire = wire;
    this.#random = random;
    this.#deliver = deliver;
  }

  /** The node has started, and has heard nothing. */
  join(node: number): void {
    this.#nodes.set(node, { mesh: new Set(), seen: new Set(), recent: [] });
  }

  publish(from: number, body: unknown, bodyBytes: number): void {
    this.#lastId += 1;
    const message = { id: this.#lastId, from, body, bytes: bodyBytes + envelopeBytes };
    this.#remember(from, message);
    for (const peer of this.#wire.peers(from)) this.#send(from, peer, message);
  }

  /** Once a second on each node. */
  heartbeat(self: number): void {
    const node = this.#of(self);
    const peers = this.#wire.peers(self);
    for (const peer of node.mesh) {
      if (!peers.includes(peer)) node.mesh.delete(peer);
    }
    if (node.mesh.size < gossipsub.Dlo) {
      const others = shuffled(
        peers.filter((peer) => !node.mesh.has(peer)),
        this.#random,
      );
      for (const peer of others.slice(0, gossipsub.D - node.mesh.size)) this.#graft(self, peer);
    }
    if (node.mesh.size > gossipsub.Dhi) {
      const excess = shuffled([...node.mesh], this.#random).slice(gossipsub.D);
      for (const peer of excess) {
        node.mesh.delete(peer);
        this.#wire.send(self, peer, idBytes, () => this.#of(peer).mesh.delete(self));
      }
    }
    this.#offer(self, node, peers);
  }

  #graft(self: number, peer: number): void {
    this.#of(self).mesh.add(peer);
    this.#wire.send(self, peer, idBytes, () => this.#of(peer).mesh.add(self));
  }

  #offer(self: number, node: Node, peers: readonly number[]): void {
    if (node.recent.length === 0) return;
    const others = shuffled(
      peers.filter((peer) => !node.mesh.has(peer)),
      this.#random,
    ).slice(0, gossipsub.Dlazy);
    const offered = node.recent.map(({ message }) => message);
    for (const peer of others) {
      this.#wire.send(self, peer, idBytes * offered.length, () => {
        const wanted = offered.filter(({ id }) => !this.#of(peer).seen.has(id));
        if (wanted.length === 0) return;
        this.#wire.send(peer, self, idBytes * wanted.length, () => {
          for (const message of wanted) this.#send(self, peer, message);
        });
      });
    }
    node.recent = node.recent
      .map(({ message, age }) => ({ message, age: age + 1 }))
      .filter(({ age }) => age < gossipsub.offered);
  }

  #send(from: number, to: number, message: Message): void {
    this.#wire.send(from, to, message.bytes, () => {
      const node = this.#of(to);
      if (node.seen.has(message.id)) return;
      this.#remember(to, message);
      for (const peer of node.mesh) {
        if (peer !== from && peer !== message.from) this.#send(to, peer, message);
      }
      this.#deliver(to, message.from, message.body);
    });
  }

  #remember(self: number, message: Message): void {
    const node = this.#of(self);
    node.seen.add(message.id);
    node.recent.push({ message, age: 0 });
  }

  #of(node: number): Node {
    const known = this.#nodes.get(node);
    if (known === undefined) throw new RangeError(`node ${node} has not joined`);
    return known;
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const list = [...items];
  for (let n = list.length - 1; n > 0; n -= 1) {
    const other = random.whole(0, n);
    const [a, b] = [list[n], list[other]];
    if (a === undefined || b === undefined) continue;
    list[n] = b;
    list[other] = a;
  }
  return list;
}
