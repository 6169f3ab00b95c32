import { vi } from "vitest";
import { MicrocephError } from "../../src/errors/microceph-error.ts";
import type { PeerId } from "../../src/ids/ids.ts";
import type { Json } from "../../src/ids/json.ts";
import { DocumentSync } from "../../src/state/document/document-sync.ts";
import { silent, type TestNode, TestNodes } from "../unit/state/document/fixture.ts";

export interface SimMember {
  readonly node: TestNode;
  sync: DocumentSync;
  up: boolean;
}

export interface SimFaults {
  /** Chance that a request, or its answer, or a hint is lost. */
  loss: number;
  /** Milliseconds on the way, at most. */
  delay: number;
}

/** Milliseconds until a request that got no answer fails. */
const deadline = 2_000;

/**
 * Members in one process on a virtual clock (vitest's fake timers must be on): links that come and go, losses
 * and delays drawn from a seeded source. Counts and weighs what is sent.
 */
export class SimNetwork {
  readonly members: SimMember[] = [];
  readonly faults: SimFaults;
  readonly sent = { requests: 0, hints: 0, largest: 0 };
  readonly #nodes = new TestNodes();
  readonly #random: () => number;
  #cut: (a: number, b: number) => boolean = () => false;

  constructor(random: () => number, faults: SimFaults) {
    this.#random = random;
    this.faults = faults;
  }

  add(): SimMember {
    const node = this.#nodes.add();
    const member: SimMember = { node, sync: undefined as never, up: true };
    this.members.push(member);
    this.#boot(member);
    this.#tellLinks(member);
    return member;
  }

  /** The network is cut between all pairs that the function names (by position). */
  partition(cut: (a: number, b: number) => boolean): void {
    const before = this.members.map((member) => this.#connected(member));
    this.#cut = cut;
    for (const [n, member] of this.members.entries()) {
      const after = this.#connected(member);
      for (const peer of before[n] ?? []) if (!after.includes(peer)) member.sync.onDisconnect(peer);
      for (const peer of after) if (!before[n]?.includes(peer)) member.sync.onConnect(peer);
    }
  }

  heal(): void {
    this.partition(() => false);
  }

  /** As after `kill -9`: nothing is finished, the disk is what it is. */
  crash(member: SimMember): void {
    void member.sync.stop();
    member.up = false;
    for (const other of this.members) if (other !== member) other.sync.onDisconnect(member.node.self);
  }

  restart(member: SimMember): void {
    member.node.restart();
    member.up = true;
    this.#boot(member);
    this.#tellLinks(member);
  }

  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  /** Milliseconds of virtual time until all that are up have equal documents, or undefined after `limit`. */
  async converged(limit: number): Promise<number | undefined> {
    for (let waited = 0; waited <= limit; waited += 50) {
      const heads = this.members
        .filter((member) => member.up)
        .map((member) => member.node.document.heads().join());
      if (new Set(heads).size <= 1) return waited;
      await this.pass(50);
    }
    return undefined;
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.sync.stop()));
    this.#nodes.remove();
  }

  #boot(member: SimMember): void {
    const { node } = member;
    member.sync = new DocumentSync({
      document: node.document,
      request: (peer, body, signal) => this.#request(member, peer, body, signal),
      connected: () => this.#connected(member),
      publishHeads: (heads) => this.#publish(member, heads),
      log: silent,
      now: () => Date.now(),
      random: this.#random,
    });
    member.sync.start();
  }

  #tellLinks(member: SimMember): void {
    for (const peer of this.#connected(member)) {
      member.sync.onConnect(peer);
      this.#find(peer)?.sync.onConnect(member.node.self);
    }
  }

  #connected(member: SimMember): PeerId[] {
    if (!member.up) return [];
    return this.members
      .filter((other) => other !== member && this.#joined(member, other))
      .map((m) => m.node.self);
  }

  #joined(a: SimMember, b: SimMember): boolean {
    const [i, j] = [this.members.indexOf(a), this.members.indexOf(b)];
    return a.up && b.up && !this.#cut(i, j) && !this.#cut(j, i);
  }

  #find(peer: PeerId): SimMember | undefined {
    return this.members.find((member) => member.node.self === peer);
  }

  #lost(): boolean {
    return this.#random() < this.faults.loss;
  }

  async #travel(): Promise<void> {
    const ms = 1 + this.#random() * this.faults.delay;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  async #request(from: SimMember, to: PeerId, body: Json, signal: AbortSignal): Promise<Json> {
    const target = this.#find(to);
    this.sent.requests += 1;
    this.#weigh(body);
    const answer = (async () => {
      await this.#travel();
      if (target === undefined || this.#lost() || !this.#joined(from, target)) return undefined;
      const reply = await target.sync.handle(from.node.self, structuredClone(body));
      this.#weigh(reply);
      await this.#travel();
      return this.#lost() || !this.#joined(from, target) ? undefined : structuredClone(reply);
    })();
    const late = new Promise<undefined>((resolve, reject) => {
      setTimeout(() => resolve(undefined), deadline);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    const reply = (await Promise.race([answer, late])) ?? (await late);
    if (reply === undefined) throw new MicrocephError("DEADLINE_EXCEEDED", "no answer");
    return reply;
  }

  #publish(from: SimMember, heads: string[]): void {
    this.sent.hints += 1;
    for (const other of this.members) {
      if (other === from || !this.#joined(from, other) || this.#lost()) continue;
      void this.#travel().then(() => {
        if (other.up) other.sync.onHeads(from.node.self, heads);
      });
    }
  }

  #weigh(body: Json): void {
    this.sent.largest = Math.max(this.sent.largest, JSON.stringify(body).length);
  }
}
