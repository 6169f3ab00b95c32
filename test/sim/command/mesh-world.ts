import type { PeerId } from "../../../src/ids/ids.ts";
import type { PresenceChange } from "../../../src/mesh/presence/presence-core.ts";
import type { Rumour } from "../../../src/mesh/presence/rumour.ts";
import { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { idOf, indexOf, SimDocuments } from "./documents.ts";
import { GossipModel, gossipsub } from "./gossip-model.ts";
import { Invariant, type InvariantReport, type Summary } from "./measures.ts";
import { carriedLateMs, failedWithinMs, MeshTruth, suspectWithinMs } from "./mesh-truth.ts";
import type { SimOptions } from "./options.ts";
import { type PresenceChanges, PresenceDriver } from "./presence-driver.ts";
import { SimLinks } from "./sim-links.ts";
import { SimOverlays } from "./sim-overlays.ts";
import { calmMs, type Fault, type Timeline, warmUpMs } from "./timeline.ts";
import { type Traffic, Wire } from "./wire.ts";

interface MeshNode {
  readonly index: number;
  process: VirtualProcess;
  powered: boolean;
  /** How far its wall clock is ahead. */
  clockMs: number;
  runs: number;
  presence: PresenceDriver;
  /** Members that it believes to be gone, and whether its links are about to follow from that. */
  readonly down: Set<PeerId>;
  isLinking: boolean;
}

/** What is gossiped here: the heads of a document, or what is told of a member. */
type Hint = { readonly heads: string[] } | { readonly rumour: Rumour };

export interface MeshResult {
  readonly documents: "real" | "model";
  /** Traffic is counted from the end of the warm-up, for so long. */
  readonly measuredMs: number;
  readonly traffic: Readonly<Record<Traffic, { messages: number; bytes: number }>>;
  /** Sent by the node that sent most: a voter, above 32 nodes. */
  readonly busiestMessages: number;
  readonly converged: Summary;
  readonly suspected: Summary;
  readonly failed: Summary;
  readonly falsePositives: number;
  readonly falseSuspicions: number;
  readonly edits: number;
  readonly invariants: readonly InvariantReport[];
}

/** For tests: other documents than the size asks for, other times of presence, no way for document requests. */
export interface MeshChanges {
  readonly realDocuments?: boolean;
  readonly presence?: PresenceChanges;
  readonly muteDocuments?: boolean;
}

const epochMs = 1_700_000_000_000;

/** Members of one cluster: links, presence, gossip and the document on one virtual network. */
export class MeshWorld {
  readonly time = new VirtualTime({ settles: "when told" });
  readonly truth: MeshTruth;
  readonly #options: SimOptions;
  readonly #changes: MeshChanges;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #wire: Wire;
  readonly #nodes: MeshNode[];
  readonly #links: SimLinks;
  readonly #gossip: GossipModel;
  readonly #documents: SimDocuments;
  readonly #all: readonly number[];
  readonly #overlays: SimOverlays;
  readonly #written = new Map<string, { value: string; heads: readonly string[] }>();
  #edits = 0;

  constructor(options: SimOptions, timeline: Timeline, changes: MeshChanges = {}) {
    this.#options = options;
    this.#changes = changes;
    this.#timeline = timeline;
    this.#random = new Random(options.seed);
    this.#all = Array.from({ length: options.nodes }, (_, n) => n);
    this.#overlays = new SimOverlays(options.nodes);
    const now = (): number => this.time.now();
    this.truth = new MeshTruth(timeline, now);
    this.#wire = new Wire(options, timeline, this.#random);
    this.#nodes = this.#all.map((index) => this.#newNode(index));
    this.#links = new SimLinks(this.#nodes, {
      time: this.time,
      wire: this.#wire,
      random: this.#random,
      events: {
        connection: (self, other, up) => this.#connection(self, other, up),
        heard: (self, other) => this.#node(self).presence.heard(idOf(other)),
      },
    });
    this.#gossip = new GossipModel(
      {
        peers: (self) => this.#links.peers(self),
        send: (from, to, bytes, arrived) => void this.#links.send(from, to, "gossip", bytes, arrived),
      },
      this.#random,
      (to, from, body) => {
        const hint = body as Hint;
        if ("heads" in hint) this.#documents.hint(to, from, hint.heads);
        else this.#node(to).presence.hear(hint.rumour, idOf(from));
      },
    );
    this.#documents = new SimDocuments(
      options.nodes,
      {
        time: this.time,
        random: this.#random,
        process: (self) => this.#node(self).process,
        connected: (self) => this.#links.peerIds(self),
        send: (from, to, bytes, arrived) =>
          !changes.muteDocuments && this.#links.send(from, to, "document", bytes, arrived),
        publish: (from, heads, bytes) => this.#gossip.publish(from, { heads }, bytes),
        changed: (self) => this.#documentChanged(self),
      },
      changes.realDocuments,
    );
  }

  async run(): Promise<MeshResult> {
    for (const { index } of this.#nodes)
      this.time.after(this.#random.between(0, 5_000), null, () => this.#start(index));
    for (const fault of this.#timeline.faults) this.#plan(fault);
    this.#editLater();
    this.time.after(warmUpMs, null, () => this.#wire.reset());
    await this.time.run(this.#timeline.endsAt);
    const invariants = [...this.truth.invariants(), ...this.#lastLook()];
    await this.#documents.remove();
    const { converged, suspected, failed, falsePositives, falseSuspicions } = this.truth;
    return {
      documents: this.#documents.real ? "real" : "model",
      measuredMs: this.#timeline.endsAt - warmUpMs,
      traffic: this.#wire.counts,
      busiestMessages: this.#wire.busiest(),
      converged: converged.summary(),
      suspected: suspected.summary(),
      failed: failed.summary(),
      falsePositives,
      falseSuspicions,
      edits: this.#edits,
      invariants,
    };
  }

  #newNode(index: number): MeshNode {
    const process = new VirtualProcess(`n${index + 1}`);
    process.alive = false;
    const down = new Set<PeerId>();
    const node = { index, process, powered: false, clockMs: 0, runs: 0, down, isLinking: false };
    return Object.assign(node, { presence: undefined as never });
  }

  #start(self: number): void {
    const node = this.#node(self);
    node.process = new VirtualProcess(`n${self + 1}`);
    node.powered = true;
    node.runs += 1;
    const { process } = node;
    node.presence = new PresenceDriver(
      {
        time: this.time,
        process,
        now: () => epochMs + this.time.now() + node.clockMs,
        self: idOf(self),
        random: this.#random,
        connected: () => this.#links.peerIds(self),
        send: (way, bytes, arrived) =>
          this.#carry(self, way.map(indexOf), bytes, (there) => arrived(this.#node(there).presence)),
        publish: (rumour, bytes) => this.#gossip.publish(self, { rumour }, bytes),
        onChange: (changes) => this.#presenceChanged(self, changes),
      },
      node.runs,
      this.#changes.presence,
    );
    node.down.clear();
    node.isLinking = false;
    this.#gossip.join(self);
    node.presence.start(this.#all.map(idOf), this.#random.between(0, 250));
    this.#links.start(self);
    this.#link(self);
    this.#documents.start(self);
    const heartbeat = (): void => {
      this.#gossip.heartbeat(self);
      this.time.after(gossipsub.heartbeatMs, process, heartbeat);
    };
    this.time.after(this.#random.between(0, gossipsub.heartbeatMs), process, heartbeat);
  }

  /** Who is linked to whom follows from who is there, as it does in the daemon. */
  #link(self: number): void {
    const node = this.#node(self);
    const overlay = this.#overlays.without([...node.down]);
    this.#links.want(self, [...overlay.linked(idOf(self))].map(indexOf));
    node.presence.setOverlay(overlay);
  }

  /** Over one link after the other, as relays do. */
  #carry(
    from: number,
    [next, ...rest]: readonly number[],
    bytes: number,
    arrived: (at: number) => void,
  ): void {
    if (next === undefined) return;
    this.#links.send(from, next, "presence", bytes, () =>
      rest.length === 0 ? arrived(next) : this.#carry(next, rest, bytes, arrived),
    );
  }

  #end(self: number, how: "power" | "kill"): void {
    const node = this.#node(self);
    this.#documents.end(self);
    this.time.kill(node.process);
    this.#links.end(self, how === "kill");
    if (how === "power") node.powered = false;
  }

  #plan(fault: Fault): void {
    const { at, until } = fault;
    const when = (ms: number, run: () => void): void => this.time.after(ms, null, run);
    switch (fault.kind) {
      case "partition":
        return;
      case "pause":
        when(at, () => this.time.pause(this.#node(fault.node).process));
        when(until, () => this.time.resume(this.#node(fault.node).process));
        return;
      case "crash":
        when(at, () => this.#end(fault.node, fault.how));
        when(until, () => this.#start(fault.node));
        if (fault.how === "power") {
          const isCarried = this.#options.loss > 0 && !this.#overlays.without([]).full;
          for (const within of [suspectWithinMs, failedWithinMs]) {
            const ms = within + (isCarried ? carriedLateMs : 0);
            when(at + ms, () => this.#askPeers(fault, ms));
          }
        }
        return;
      case "clock":
        when(at, () => {
          this.#node(fault.node).clockMs += fault.byMs;
        });
    }
  }

  #askPeers(crash: Fault & { kind: "crash" }, afterMs: number): void {
    for (const self of this.#all) {
      const { process, presence } = this.#node(self);
      const state = process.alive ? presence.core.stateOf(idOf(crash.node)) : undefined;
      if (state !== undefined) this.truth.askedAfter(afterMs, crash, self, state);
    }
  }

  #connection(self: number, other: number, up: boolean): void {
    this.#node(self).presence.connection(idOf(other), up);
    this.#documents.connection(self, other, up);
  }

  #presenceChanged(self: number, changes: readonly PresenceChange[]): void {
    const node = this.#node(self);
    for (const { peer: about, to } of changes) {
      this.truth.believes(self, indexOf(about), to);
      if (to === "failed" || to === "left") node.down.add(about);
      else if (to !== "alive" || !node.down.delete(about)) continue;
      if (node.isLinking) continue;
      node.isLinking = true;
      this.time.after(0, node.process, () => {
        node.isLinking = false;
        this.#link(self);
      });
    }
  }

  /** Somebody edits the document, until shortly before the last look. */
  #editLater(): void {
    this.time.after(this.#options.editEverySeconds * 1_000 * this.#random.between(0.5, 1.5), null, () => {
      const running = this.#nodes.filter(({ process }) => process.alive && !process.paused);
      if (this.time.now() > warmUpMs / 2 && running.length > 0) {
        this.#edit(this.#random.pick(running).index, running);
      }
      if (this.time.now() < this.#timeline.endsAt - calmMs / 2) this.#editLater();
    });
  }

  #edit(self: number, running: readonly MeshNode[]): void {
    // A key has one writer, so that its last value is the one that must be there in the end.
    const key = `n${self + 1}.k${this.#random.whole(0, 5)}`;
    const value = `${this.#random.whole(0, 1e9)}`;
    const heads = this.#documents.write(self, key, value);
    this.#edits += 1;
    this.#written.set(key, { value, heads });
    this.truth.wrote(
      heads,
      running.map(({ index }) => index).filter((other) => other !== self),
    );
  }

  #documentChanged(self: number): void {
    this.truth.documentChanged(self, (heads) => this.#documents.hasHeads(self, heads));
  }

  #lastLook(): InvariantReport[] {
    const views = new Invariant("in the end every member sees all others alive");
    const equal = new Invariant("in the end all documents are equal");
    const kept = new Invariant("no accepted edit is lost");
    const [first = 0] = this.#all;
    const heads = this.#documents.heads(first).join();
    for (const self of this.#all) {
      const { presence, clockMs } = this.#node(self);
      for (const [about, { state, since }] of presence.core.view()) {
        // Where packets are lost, a suspicion of a moment is nothing.
        const momentary = state === "suspect" && epochMs + this.time.now() + clockMs - since < 5_000;
        views.check(
          state === "alive" || momentary,
          () => `n${self + 1} sees n${indexOf(about) + 1} ${state}`,
        );
      }
      equal.check(this.#documents.heads(self).join() === heads, () => `n${self + 1} differs from n1`);
      for (const [key, { value, heads: made }] of this.#written) {
        kept.check(this.#documents.has(self, key, value, made), () => `n${self + 1} has another ${key}`);
      }
    }
    return [views.report(), equal.report(), kept.report()];
  }

  #node(index: number): MeshNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    return node;
  }
}
