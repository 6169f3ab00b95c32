import { MicrocephError } from "../../src/errors/microceph-error.ts";
import type {
  CallOptions,
  Compare,
  EtcdApi,
  EtcdMember,
  EtcdStatus,
  Kv,
  Operation,
  RangeOptions,
  Transaction,
  TransactionResult,
  WatchEvent,
} from "../../src/state/etcd/etcd-api.ts";
import type { Random, VirtualProcess, VirtualTime } from "./virtual-time.ts";

/** What may go wrong with a call, as probabilities; all that the caller sees of it is time. */
export interface EtcdFaults {
  /** Applied, but the answer is lost. */
  readonly answerLost: number;
  /** Never applied. */
  readonly requestLost: number;
  /** Applied only after the caller has given up. */
  readonly appliedLate: number;
  /** Takes most of its deadline on the way there; answered all the same. */
  readonly slow: number;
}

export const noFaults: EtcdFaults = { answerLost: 0, requestLost: 0, appliedLate: 0, slow: 0 };

interface Watcher {
  readonly node: string;
  readonly owner: VirtualProcess;
  readonly prefix: string;
  next: number;
  readonly onEvents: (events: readonly WatchEvent[]) => void;
  readonly fail: (error: unknown) => void;
  /** When the last events reach it: later ones never come before. */
  deliveredAt: number;
}

const defaultDeadlineMs = 5000;
const latestMs = 15_000;

/**
 * etcd as its users may rely on it: one linearizable store with TTL leases and watches, on virtual time. Each
 * node has its own way to it: cut off, calls run into their deadline; without a majority nothing is applied.
 */
export class SimulatedEtcd {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #nodes: readonly string[];
  readonly #cut = new Set<string>();
  readonly #kvs = new Map<string, Kv>();
  readonly #leases = new Map<string, { ttlMs: number; endsAt: number }>();
  readonly #history: WatchEvent[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #listeners: ((events: readonly WatchEvent[]) => void)[] = [];
  #revision = 1;
  #lastLease = 1000;
  faults: EtcdFaults = noFaults;

  constructor(nodes: readonly string[], deps: { time: VirtualTime; random: Random }) {
    this.#nodes = nodes;
    this.#time = deps.time;
    this.#random = deps.random;
  }

  /** Called with every change as it is applied: the truth, for invariants. */
  onApplied(listener: (events: readonly WatchEvent[]) => void): void {
    this.#listeners.push(listener);
  }

  /** The key as it is now, whoever can read it. */
  peek(key: string): Kv | undefined {
    return this.#kvs.get(key);
  }

  cut(node: string): void {
    this.#cut.add(node);
  }

  heal(node: string): void {
    this.#cut.delete(node);
    for (const watcher of this.#watchers) this.#feed(watcher);
  }

  /** That node's client, for one process on it. */
  client(node: string, owner: VirtualProcess): EtcdApi {
    const call = <T>(name: string, apply: () => T, options: CallOptions = {}): Promise<T> =>
      this.#call(node, owner, name, apply, options);
    return {
      range: (key: string, options: RangeOptions = {}) => {
        const read = () => ({ kvs: this.#range(key, options), revision: this.#revision });
        if (!options.serializable) return call("range", read, options);
        return this.#time.sleep(1, owner).then(read);
      },
      txn: (transaction: Transaction, options?: CallOptions) =>
        call("txn", () => this.#transact(transaction), options),
      leaseGrant: (ttlSeconds: number, options?: CallOptions) =>
        call("grant", () => this.#grant(ttlSeconds), options),
      leaseKeepAlive: (id: string, options?: CallOptions) =>
        call("keepalive", () => this.#renew(id), options),
      leaseRevoke: (id: string, options?: CallOptions) => call("revoke", () => this.#revoke(id), options),
      watch: (prefix, fromRevision, onEvents, signal) =>
        this.#watch({ node, owner, prefix, next: fromRevision, onEvents }, signal),
      memberList: async (): Promise<EtcdMember[]> => [],
      memberAdd: () => Promise.reject(new Error("not simulated")),
      memberPromote: () => Promise.reject(new Error("not simulated")),
      memberRemove: () => Promise.reject(new Error("not simulated")),
      status: async (): Promise<EtcdStatus> => ({
        version: "3.4.0",
        member: node,
        leader: node,
        learner: false,
        databaseBytes: 0,
      }),
    };
  }

  #hasMajority(): boolean {
    return (this.#nodes.length - this.#cut.size) * 2 > this.#nodes.length;
  }

  #call<T>(
    node: string,
    owner: VirtualProcess,
    name: string,
    apply: () => T,
    { deadlineMs = defaultDeadlineMs, signal }: CallOptions,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancelled = (): void =>
        reject(new MicrocephError("CANCELLED", `simulated ${name} was cancelled`));
      if (signal?.aborted) return cancelled();
      signal?.addEventListener("abort", cancelled, { once: true });
      this.#time.after(deadlineMs, owner, () => {
        const code = this.#random.chance(0.5) ? "DEADLINE_EXCEEDED" : "NO_QUORUM";
        reject(new MicrocephError(code, `simulated ${name}: no answer`));
      });
      const { answerLost, requestLost, appliedLate, slow } = this.faults;
      if (this.#random.chance(requestLost)) return;
      const late = this.#random.chance(appliedLate);
      const answers = !late && !this.#random.chance(answerLost);
      const longest = this.#random.chance(slow) ? deadlineMs : 10;
      const delayMs = late
        ? this.#random.between(deadlineMs, deadlineMs + latestMs)
        : this.#random.between(0, longest);
      this.#time.after(delayMs, null, () => {
        if ((this.#cut.has(node) && !late) || !this.#hasMajority()) return;
        const outcome = attempt(apply);
        if (!answers) return;
        this.#time.after(this.#random.between(0, 10), owner, () => {
          if (this.#cut.has(node)) return;
          if (outcome.ok) resolve(outcome.value);
          else reject(outcome.error);
        });
      });
    });
  }

  #range(key: string, options: { prefix?: boolean; from?: string; limit?: number }): Kv[] {
    if (!options.prefix) {
      const kv = this.#kvs.get(key);
      return kv ? [kv] : [];
    }
    return [...this.#kvs.values()]
      .filter((kv) => kv.key.startsWith(key) && kv.key >= (options.from ?? ""))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .slice(0, options.limit ?? Number.POSITIVE_INFINITY);
  }

  #transact({ compare, success, failure }: Transaction): TransactionResult {
    const succeeded = compare.every((each) => this.#holds(each));
    const operations = succeeded ? success : failure;
    for (const operation of operations) {
      if (operation.do === "put" && operation.lease !== undefined && !this.#leases.has(operation.lease)) {
        throw new MicrocephError("NOT_FOUND", "simulated: lease not found");
      }
    }
    const revision = this.#revision + 1;
    const events: WatchEvent[] = [];
    const responses = operations.map((operation) => ({ kvs: this.#operate(operation, revision, events) }));
    this.#apply(events, revision);
    return { succeeded, revision: this.#revision, responses };
  }

  #holds({ key, target, result, revision }: Compare): boolean {
    const kv = this.#kvs.get(key);
    const actual = (target === "create" ? kv?.createRevision : kv?.modRevision) ?? 0;
    return result === "equal" ? actual === revision : actual > revision;
  }

  #operate(operation: Operation, revision: number, events: WatchEvent[]): Kv[] {
    switch (operation.do) {
      case "range":
        return this.#range(operation.key, operation);
      case "put": {
        const { key, value, lease = "0" } = operation;
        const createRevision = this.#kvs.get(key)?.createRevision ?? revision;
        const kv = { key, value, lease, createRevision, modRevision: revision };
        this.#kvs.set(key, kv);
        events.push({ type: "put", kv });
        return [];
      }
      case "delete":
        if (this.#kvs.delete(operation.key)) events.push(deletion(operation.key, revision));
        return [];
    }
  }

  #apply(events: readonly WatchEvent[], revision: number): void {
    if (events.length === 0) return;
    this.#revision = revision;
    this.#history.push(...events);
    for (const listener of this.#listeners) listener(events);
    for (const watcher of this.#watchers) this.#feed(watcher);
  }

  #grant(ttlSeconds: number): { id: string } {
    this.#lastLease += 1;
    const id = String(this.#lastLease);
    const ttlMs = ttlSeconds * 1000;
    this.#leases.set(id, { ttlMs, endsAt: this.#time.now() + ttlMs });
    this.#expireLater(id, ttlMs);
    return { id };
  }

  #renew(id: string): { ttlSeconds: number } {
    const lease = this.#leases.get(id);
    if (!lease) return { ttlSeconds: 0 };
    lease.endsAt = this.#time.now() + lease.ttlMs;
    return { ttlSeconds: lease.ttlMs / 1000 };
  }

  #revoke(id: string): void {
    if (!this.#leases.delete(id)) throw new MicrocephError("NOT_FOUND", "simulated: lease not found");
    const revision = this.#revision + 1;
    const events = [...this.#kvs.values()]
      .filter((kv) => kv.lease === id)
      .map((kv) => deletion(kv.key, revision));
    for (const { kv } of events) this.#kvs.delete(kv.key);
    this.#apply(events, revision);
  }

  #expireLater(id: string, ms: number): void {
    this.#time.after(ms, null, () => {
      const lease = this.#leases.get(id);
      if (!lease) return;
      const left = lease.endsAt - this.#time.now();
      // Ending a lease is an entry of the log too: without a majority it stays. And etcd is never early.
      if (left > 0 || !this.#hasMajority()) this.#expireLater(id, Math.max(left, 500));
      else this.#revoke(id);
    });
  }

  #watch(watcher: Omit<Watcher, "fail" | "deliveredAt">, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve();
      const full: Watcher = { ...watcher, fail: reject, deliveredAt: 0 };
      this.#watchers.add(full);
      signal.addEventListener(
        "abort",
        () => {
          this.#watchers.delete(full);
          resolve();
        },
        { once: true },
      );
      this.#feed(full);
    });
  }

  #feed(watcher: Watcher): void {
    if (!watcher.owner.alive) this.#watchers.delete(watcher);
    if (this.#cut.has(watcher.node)) return;
    const events = this.#history.filter(
      ({ kv }) => kv.modRevision >= watcher.next && kv.key.startsWith(watcher.prefix),
    );
    watcher.next = Math.max(watcher.next, this.#revision + 1);
    if (events.length === 0) return;
    const now = this.#time.now();
    watcher.deliveredAt = Math.max(watcher.deliveredAt, now + this.#random.between(0, 20));
    this.#time.after(watcher.deliveredAt - now, watcher.owner, () => {
      if (!this.#watchers.has(watcher)) return;
      try {
        watcher.onEvents(events);
      } catch (error) {
        this.#watchers.delete(watcher);
        watcher.fail(error);
      }
    });
  }
}

function deletion(key: string, revision: number): WatchEvent {
  const kv = { key, value: "", lease: "0", createRevision: 0, modRevision: revision };
  return { type: "delete", kv };
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, error };
  }
}
