import { createHash } from "node:crypto";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { LobbySighting } from "../../../src/mesh/membership/context.ts";
import type { Founded } from "../../../src/mesh/membership/lifecycle.ts";
import { Random, VirtualTime } from "../../support/virtual-time.ts";
import { type ControlDeps, controlCluster } from "./controller.ts";
import { Invariants } from "./invariants.ts";
import { firstHandle, SimJournal } from "./sim-journal.ts";
import { type Guards, Killed, SimNode, SimRun, unreachable } from "./sim-node.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly expect: number;
  /** Share of messages that are lost. */
  readonly drop: number;
  /** Share of messages that arrive seconds later. */
  readonly late: number;
  readonly latencyMs: readonly [number, number];
  /** From start to being sighted by another node. */
  readonly sightingMs: readonly [number, number];
  readonly guards: Guards;
  /** Two clusters are a violation: all nodes see each other at all times. */
  readonly oneLan: boolean;
  readonly trace: boolean;
  /** Indexes of nodes whose setting keeps their window shut. */
  readonly shut?: readonly number[];
}

/** Epoch milliseconds. */
const startsAt = 1_700_000_000_000;

/** A sound LAN for stories told step by step. */
export const soundLan: Omit<WorldOptions, "seed" | "nodes"> = {
  expect: 3,
  drop: 0,
  late: 0,
  latencyMs: [1, 10],
  sightingMs: [100, 1_200],
  guards: {},
  oneLan: true,
  trace: false,
};

/** The network and its nodes on virtual time. Killed nodes lose memory and keep their store. */
export class World {
  readonly options: WorldOptions;
  readonly time = new VirtualTime({ startsAt });
  readonly random: Random;
  readonly nodes: SimNode[];
  readonly journals = new Map<string, SimJournal>();
  readonly invariants: Invariants;
  readonly notes: string[] = [];
  /** Pairs of node indexes that cannot reach each other now, as "low-high". */
  readonly cut = new Set<string>();
  /** Pairs that never sight each other by mDNS. */
  readonly hidden = new Set<string>();

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    const peers = Array.from({ length: options.nodes }, (_, i) => simPeer(options.seed, i)).sort();
    // PeerIds have nothing to do with the order of the machines.
    const order = peers.map((peer) => ({ peer, key: this.random.next() })).sort((a, b) => a.key - b.key);
    this.nodes = order.map(({ peer }, i) => new SimNode(i, peer));
    this.invariants = new Invariants(this);
  }

  node(peer: PeerId): SimNode | undefined {
    return this.nodes.find((one) => one.peer === peer);
  }

  /** Nodes in the order of their PeerIds. */
  byPeer(): SimNode[] {
    return [...this.nodes].sort((a, b) => (a.peer < b.peer ? -1 : 1));
  }

  start(node: SimNode): void {
    if (node.run !== null) return;
    this.note(node, "start");
    const run = new SimRun(node, this);
    node.run = run;
    try {
      run.membership.start();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    this.#controlLater(node, run);
    for (const other of this.nodes) {
      if (other === node) continue;
      this.#sightLater(node, other);
      if (other.run !== null) this.#sightLater(other, node);
    }
  }

  kill(node: SimNode): void {
    if (node.run === null) return;
    this.note(node, "killed");
    node.run.alive = false;
    node.run = null;
    node.killAtStep = null;
  }

  /** Clean stop: mDNS goodbye. */
  stop(node: SimNode): void {
    if (node.run === null) return;
    this.kill(node);
    for (const { run } of this.nodes) {
      const sighting = run?.seen.get(node.name);
      if (run === null || run === undefined || sighting === undefined) continue;
      run.seen.delete(node.name);
      for (const listener of run.listeners.lost) listener(sighting);
    }
  }

  pause(node: SimNode, milliseconds: number): void {
    this.note(node, `paused for ${Math.round(milliseconds)} ms`);
    node.pausedUntil = this.time.now() + milliseconds;
  }

  isCut(a: SimNode, b: SimNode): boolean {
    return this.cut.has(pair(a, b));
  }

  /** Run something in a node, later if it is paused, never if that run was killed. */
  whenAwake(node: SimNode, run: SimRun, action: () => void): void {
    if (!run.alive) return;
    if (node.pausedUntil > this.time.now()) {
      this.time.after(node.pausedUntil - this.time.now(), null, () => this.whenAwake(node, run, action));
      return;
    }
    try {
      action();
    } catch (error) {
      if (!(error instanceof Killed)) this.invariants.fail(`a node threw: ${String(error)}`);
    }
  }

  /** A point where a node can be killed. */
  step(node: SimNode, run: SimRun, name: string): void {
    if (!run.alive) throw new Killed();
    node.steps += 1;
    if (node.stepNames.length < 400) node.stepNames.push(name);
    if (node.killAtStep === null || node.steps < node.killAtStep) return;
    this.note(node, `kill at step ${node.steps}: ${name}`);
    this.kill(node);
    throw new Killed();
  }

  persisted(node: SimNode): void {
    this.note(node, `disk: ${JSON.stringify(node.durable).slice(0, 160)}`);
    this.invariants.persisted(node);
  }

  note(node: SimNode | null, text: string): void {
    if (!this.options.trace) return;
    this.notes.push(`${(this.time.elapsed() / 1000).toFixed(3)} ${node?.name ?? "-"} ${text}`);
  }

  /** One request and one reply over the lobby. */
  ask(
    from: SimNode,
    run: SimRun,
    target: { readonly address: string; readonly port: number; readonly expect?: PeerId },
    request: Json,
    deadlineMs: number,
  ): Promise<{ peer: PeerId; reply: Json }> {
    return new Promise((resolve, reject) => {
      const kind = (request as { kind?: string }).kind ?? "?";
      // What a killed process asked is never answered to it.
      if (this.#dies(from, run, `before send ${kind}`)) return;
      const to = this.nodes.find(({ address }) => address === target.address);
      const settle = (action: () => void): void => this.whenAwake(from, run, action);
      this.time.after(deadlineMs, null, () =>
        settle(() => reject(new MicrocephError("DEADLINE_EXCEEDED", "no answer in time"))),
      );
      const reached = to !== undefined && !this.isCut(from, to) && !this.random.chance(this.options.drop);
      if (reached) {
        this.invariants.sent(from, to, request);
        this.time.after(this.#latency(), null, () => {
          const other = to.run;
          if (other === null) return settle(() => reject(unreachable("connection refused")));
          this.whenAwake(to, other, () => this.#serve(from, to, other, request, settle, resolve, reject));
        });
      }
      this.#dies(from, run, `after send ${kind}`);
    });
  }

  #dies(node: SimNode, run: SimRun, name: string): boolean {
    try {
      this.step(node, run, name);
      return false;
    } catch (error) {
      if (error instanceof Killed) return true;
      throw error;
    }
  }

  #serve(
    from: SimNode,
    to: SimNode,
    other: SimRun,
    request: Json,
    settle: (action: () => void) => void,
    resolve: (answer: { peer: PeerId; reply: Json }) => void,
    reject: (error: Error) => void,
  ): void {
    const kind = (request as { kind?: string }).kind ?? "?";
    void other.membership.handleLobby({ peer: from.peer, address: from.address }, request).then((reply) => {
      try {
        this.step(to, other, `before reply ${kind}`);
        if (this.random.chance(this.options.drop) || this.isCut(from, to)) return;
        this.invariants.sent(to, from, reply);
        this.time.after(this.#latency(), null, () => settle(() => resolve({ peer: to.peer, reply })));
        this.step(to, other, `after reply ${kind}`);
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        // The connection breaks when its process dies.
        this.time.after(this.#latency(), null, () => settle(() => reject(unreachable("connection reset"))));
      }
    });
  }

  #latency(): number {
    const [low, high] = this.options.latencyMs;
    return this.random.chance(this.options.late)
      ? this.random.between(1_000, 8_000)
      : this.random.between(low, high);
  }

  /** The TXT of a node has changed: those who see it hear of it soon. */
  announce(node: SimNode, run: SimRun): void {
    for (const other of this.nodes) {
      if (!other.run?.seen.has(node.name)) continue;
      const sighting = this.#sighting(node, run);
      this.time.after(this.random.between(20, 150), null, () => {
        const to = other.run;
        if (to === null || this.isCut(node, other) || !to.seen.has(node.name)) return;
        to.seen.set(node.name, sighting);
        this.whenAwake(other, to, () => {
          for (const listener of to.listeners.changed) listener(sighting);
        });
      });
    }
  }

  #sightLater(seer: SimNode, seen: SimNode): void {
    const { run } = seer;
    if (run === null || this.hidden.has(pair(seer, seen))) return;
    const [low, high] = this.options.sightingMs;
    this.time.after(this.random.between(low, high), null, () => {
      const target = seen.run;
      if (!run.alive || target === null) return;
      if (this.isCut(seer, seen)) return this.#sightLater(seer, seen);
      const sighting = this.#sighting(seen, target);
      const event = run.seen.has(seen.name) ? "changed" : "seen";
      run.seen.set(seen.name, sighting);
      this.whenAwake(seer, run, () => {
        for (const listener of run.listeners[event]) listener(sighting);
      });
    });
  }

  #sighting(node: SimNode, run: SimRun): LobbySighting {
    return {
      instance: node.name,
      addresses: [node.address],
      port: 7443,
      txt: run.alive && node.run === run ? run.membership.announcement() : {},
    };
  }

  /** The founder's daemon: etcd starts, the journal gets its first entries, the founder its certificate. */
  founded(node: SimNode, run: SimRun, founded: Founded): void {
    const later = (ms: number, action: () => void): void => {
      this.time.after(ms, null, () => this.whenAwake(node, run, action));
    };
    later(this.random.between(200, 600), () => {
      const journal =
        this.journals.get(founded.key.id) ??
        new SimJournal(founded.key, founded.name, node.peer, founded.acceptors);
      this.step(node, run, "before journal");
      this.journals.set(founded.key.id, journal);
      this.step(node, run, "after journal");
      later(20, () => {
        if (!journal.members().has(node.peer)) {
          const entry = journal.open(node.peer, node.name, firstHandle(node.name), this.time.now());
          journal.done(entry.entry);
        }
        const certificate = journal.members().get(node.peer)?.certificate;
        if (certificate === undefined || run.membership.lifecycle.state !== "founded") return;
        run.membership.admitted({ certificate, clusterName: founded.name, contacts: [] });
      });
    });
  }

  #controlLater(node: SimNode, run: SimRun): void {
    this.time.after(this.random.between(300, 600), null, () => {
      if (!run.alive) return;
      this.whenAwake(node, run, () => controlCluster(this.#controlDeps(node, run)));
      this.#controlLater(node, run);
    });
  }

  #controlDeps(node: SimNode, run: SimRun): ControlDeps {
    return {
      world: this,
      node,
      run,
      rpc: (to, action) => {
        if (this.isCut(node, to) || this.random.chance(this.options.drop)) return;
        this.time.after(this.#latency(), null, () => {
          const other = to.run;
          if (other !== null) this.whenAwake(to, other, () => action(other));
        });
      },
    };
  }
}

export function pair(a: SimNode, b: SimNode): string {
  return `${Math.min(a.index, b.index)}-${Math.max(a.index, b.index)}`;
}

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** A made-up PeerId: the lobby's transport proves identities, and there is none here. */
export function simPeer(seed: number, index: number): PeerId {
  const digest = createHash("sha512").update(`${seed}/${index}`).digest();
  const text = Array.from({ length: 44 }, (_, i) => alphabet[(digest[i] ?? 0) % 58]).join("");
  const peer = `12D3KooW${text}`;
  if (!isPeerId(peer)) throw new TypeError(peer);
  return peer;
}
