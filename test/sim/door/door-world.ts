import { handle, type PeerId } from "../../../src/ids/ids.ts";
import { signCertificate } from "../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import { Random, VirtualTime } from "../../support/virtual-time.ts";
import { simPeer } from "../membership/world.ts";
import { allDoorGuards, type DoorGuards, DoorNode } from "./door-node.ts";
import { MembersJournal } from "./members-journal.ts";

/** An open connection, by the two PeerIds in order. */
interface Connection {
  readonly id: string;
  readonly ends: readonly [DoorNode, DoorNode];
}

/**
 * Members come and are removed, news of it travel slowly and some are cut off meanwhile; a removed one whose key
 * is in other hands and strangers, one with the certificate of another cluster, try to get in all the time.
 * Invariants, checked whenever one side's handlers are reached:
 * - stranger: nobody that the cluster has never admitted reaches a handler of the mesh;
 * - returns: nobody reaches a handler of a member that knows of its removal.
 */
export class DoorWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly members: DoorNode[] = [];
  readonly strangers: DoorNode[] = [];
  readonly violations: { readonly rule: "stranger" | "returns"; readonly text: string }[] = [];
  reached = 0;
  readonly #journal = new MembersJournal();
  readonly #guards: DoorGuards;
  readonly #connections = new Map<string, Connection>();
  readonly #cut = new Set<DoorNode>();
  readonly #removed = new Set<DoorNode>();
  #born = 0;

  constructor(seed: number, guards: DoorGuards = allDoorGuards) {
    this.random = new Random(seed);
    this.#guards = guards;
    for (let n = 0; n < 4; n += 1) this.admit();
    for (const member of this.members) member.learn(this.#journal.length);
    this.#stranger(true);
    this.#stranger(false);
  }

  /** A new member; it knows the one that claimed it, and the others learn of it in their time. */
  admit(): void {
    const { peer, name, address } = this.#birth();
    const certificate = this.#journal.admit(peer, name);
    const claimer = this.members.find((one) => !this.#removed.has(one) && !this.#cut.has(one));
    const contacts = claimer ? [contactOf(claimer)] : [];
    const node = new DoorNode(
      { peer, name, address, certificate, head: this.#journal.length },
      { journal: this.#journal, guards: this.#guards, contacts },
    );
    // As every change of a journal: whoever it removes is cut off.
    if (claimer) this.#learn(claimer, this.#journal.length);
    this.#live(node);
    this.members.push(node);
  }

  /** The decision is made by another member, and its key is in other hands from now on. */
  remove(node: DoorNode): void {
    if (this.#removed.has(node) || this.members.length - this.#removed.size < 3) return;
    this.#journal.remove(node.peer, node.name);
    this.#removed.add(node);
    node.rogue = true;
    const decider = this.#present().find((one) => !this.#cut.has(one));
    if (decider) this.#learn(decider, this.#journal.length);
  }

  cut(node: DoorNode): void {
    this.#cut.add(node);
    for (const connection of this.#connections.values()) {
      if (connection.ends.includes(node)) this.#connections.delete(connection.id);
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  run(ms: number): Promise<void> {
    return this.time.run(this.time.now() + ms);
  }

  /** Pairs of present members without a connection. */
  apart(): string[] {
    const present = this.#present();
    return present.flatMap((a) =>
      present.flatMap((b) =>
        a.peer < b.peer && !this.#connections.has(idOf(a, b)) ? [`${a.name}-${b.name}`] : [],
      ),
    );
  }

  #present(): DoorNode[] {
    return this.members.filter((node) => !this.#removed.has(node));
  }

  #birth(): { peer: PeerId; name: string; address: string } {
    this.#born += 1;
    return {
      peer: simPeer(this.#born, 7),
      name: `n${this.#born}`,
      address: `10.77.0.${10 + this.#born}`,
    };
  }

  #stranger(certified: boolean): void {
    const { peer, name, address } = this.#birth();
    const other = generateClusterKey();
    const fields = { peer, handle: handle(name), generation: 1, decision: 1 };
    const [first] = this.members;
    const certificate = certified || !first ? signCertificate(fields, other) : first.certificate;
    const node = new DoorNode(
      { peer, name, address, certificate, head: 0 },
      { journal: this.#journal, guards: this.#guards, contacts: [] },
    );
    node.rogue = true;
    this.strangers.push(node);
    this.#live(node);
  }

  /** What a node does all its life: it introduces itself, dials, asks what is new. */
  #live(node: DoorNode): void {
    const turn = (): void => {
      const others = this.members.filter((other) => other !== node);
      if (others.length > 0) {
        const other = this.random.pick(others);
        const connection = this.#connections.get(idOf(node, other));
        if (connection) this.#ask(node, other);
        else this.#knockAndDial(node, other);
      }
      this.time.after(this.random.between(50, 400), null, turn);
    };
    this.time.after(this.random.between(0, 400), null, turn);
  }

  #knockAndDial(from: DoorNode, to: DoorNode): void {
    this.#later(from, to, () => {
      if (to.rogue && !from.rogue) return;
      const answer = to.knock(from);
      if (answer === "ok" && !from.rogue) this.#later(from, to, () => from.knock(to));
      // The gater of the dialling side looks too; a rogue has none.
      this.#later(from, to, () => {
        if (from.rogue || from.roster.admits(to.peer)) this.#handshake(from, to);
      });
    });
  }

  #handshake(from: DoorNode, to: DoorNode): void {
    this.#later(from, to, () => {
      // Both sides' gaters are asked once it is proven who is there, whatever was so when it was dialled.
      if (this.#refuses(to, from) || this.#refuses(from, to)) return;
      const id = idOf(from, to);
      if (this.#connections.has(id)) return;
      this.#connections.set(id, { id, ends: [from, to] });
      // Its first frames, and the look of the mesh at its new connection, come in any order.
      this.time.after(this.random.between(0, 5), null, () => this.#ask(from, to));
      for (const end of [to, from]) this.time.after(this.random.between(0, 5), null, () => this.#review(end));
    });
  }

  #refuses(node: DoorNode, other: DoorNode): boolean {
    return this.#guards.gater && !node.rogue && !node.roster.admits(other.peer);
  }

  /** A request over an open connection: the journal from where the asker stands. */
  #ask(from: DoorNode, to: DoorNode): void {
    this.#later(from, to, () => {
      if (!this.#connections.has(idOf(from, to)) || to.rogue) return;
      this.#handled(from, to);
      const { head } = to;
      this.#later(to, from, () => {
        if (this.#connections.has(idOf(from, to)) && !from.rogue) this.#learn(from, head);
      });
    });
  }

  #handled(from: DoorNode, by: DoorNode): void {
    this.reached += 1;
    const at = `${Math.round(this.time.now())} ms`;
    if (this.strangers.includes(from)) {
      this.violations.push({ rule: "stranger", text: `${at}: stranger ${from.name} reaches ${by.name}` });
    } else if (by.knowsRemoved(from.peer)) {
      const text = `${at}: ${from.name}, removed, reaches ${by.name}, which knows of it`;
      this.violations.push({ rule: "returns", text });
    }
  }

  #learn(node: DoorNode, head: number): void {
    if (head <= node.head) return;
    node.learn(head);
    this.#review(node);
  }

  /** The mesh cuts connections to those who are not on its roster (any more). */
  #review(node: DoorNode): void {
    if (node.rogue) return;
    for (const { id, ends } of this.#connections.values()) {
      const other = ends[0] === node ? ends[1] : ends[0];
      if (ends.includes(node) && !node.roster.admits(other.peer)) this.#connections.delete(id);
    }
  }

  #later(from: DoorNode, to: DoorNode, then: () => void): void {
    this.time.after(this.random.between(1, 40), null, () => {
      if (!this.#cut.has(from) && !this.#cut.has(to)) then();
    });
  }
}

function idOf(a: DoorNode, b: DoorNode): string {
  return a.peer < b.peer ? `${a.peer} ${b.peer}` : `${b.peer} ${a.peer}`;
}

function contactOf({ peer, address }: DoorNode): { peer: PeerId; addresses: string[]; port: number } {
  return { peer, addresses: [address], port: 7444 };
}
