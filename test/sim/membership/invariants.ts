import type { PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import { durableCluster, type SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

export class Violation extends Error {}

interface FoundedCluster {
  readonly id: string;
  readonly founder: SimNode;
  readonly nodes: readonly SimNode[];
}

/** What must hold after every step; each check runs where it could first be broken. */
export class Invariants {
  readonly #world: World;
  readonly #held = new Map<PeerId, Set<string>>();
  readonly founded: FoundedCluster[] = [];
  violation: string | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  fail(text: string): void {
    this.violation ??= text;
    this.#world.note(null, `VIOLATION ${text}`);
  }

  /** A node's disk has changed. */
  persisted(node: SimNode): void {
    const state = node.durable;
    if (state.state === "member" && state.certificate !== undefined) {
      const held = this.#held.get(node.peer) ?? new Set();
      held.add(state.certificate.cluster);
      this.#held.set(node.peer, held);
      if (held.size > 1) this.fail(`${node.name} has held certificates of ${held.size} clusters`);
      if (state.certificate.peer !== node.peer) this.fail(`${node.name} holds another node's certificate`);
    }
    if (state.state === "founded") this.#checkFounding(node);
    this.#checkAcceptors();
  }

  /** A message leaves: no certificate for a node that has not durably accepted a claim of its cluster. */
  sent(from: SimNode, to: SimNode, message: Json): void {
    const { kind, status, certificate } = message as {
      kind?: string;
      status?: string;
      certificate?: { peer: string; cluster: string } | null;
    };
    if (JSON.stringify(message).includes("privateKey")) this.fail(`${from.name} sends a private key`);
    if (kind !== "admit" && status !== "admitted") return;
    if (certificate?.peer !== to.peer)
      this.fail(`${from.name} hands ${to.name} a certificate of another node`);
    if (certificate != null && durableCluster(to.durable) !== certificate.cluster) {
      this.fail(`${from.name} hands a certificate to ${to.name}, which holds no claim of that cluster`);
    }
  }

  #checkFounding(node: SimNode): void {
    const { key, acceptors = [] } = node.durable;
    if (key === undefined || this.founded.some(({ id }) => id === key.id)) return;
    const nodes = [node, ...acceptors.flatMap((peer) => this.#world.node(peer) ?? [])];
    const { expect, oneLan } = this.#world.options;
    if (nodes.length < expect) this.fail(`${node.name} founds with ${nodes.length} of ${expect} nodes`);
    const now = this.#world.time.now();
    for (const other of this.founded) {
      const inSight = other.nodes.filter(
        ({ run, pausedUntil }) => run !== null && pausedUntil <= now && now - run.startedAt > 10_000,
      );
      if (oneLan && inSight.length > 0) {
        this.fail(`${node.name} founds a second cluster beside that of ${other.founder.name}`);
      }
    }
    this.founded.push({ id: key.id, founder: node, nodes });
  }

  /** A founded cluster has at least `expect` nodes on whose disks it is written. */
  #checkAcceptors(): void {
    for (const { id, nodes, founder } of this.founded) {
      const bound = nodes.filter(({ durable }) => durableCluster(durable) === id);
      if (bound.length < this.#world.options.expect) {
        this.fail(
          `the cluster of ${founder.name} is held by ${bound.length} of its ${nodes.length} founders`,
        );
      }
    }
  }
}
