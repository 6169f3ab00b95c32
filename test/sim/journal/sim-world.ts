import { pino } from "pino";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { clusterId, type EntryId, type PeerId, peerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { EtcdApi } from "../../../src/state/etcd/etcd-api.ts";
import type { FenceStore } from "../../../src/state/journal/agent-fence.ts";
import { Decider } from "../../../src/state/journal/decider.ts";
import { JournalFeed } from "../../../src/state/journal/journal-feed.ts";
import { entryPrefix } from "../../../src/state/journal/keys.ts";
import { LeaseKeeper } from "../../../src/state/lease/lease-keeper.ts";
import { leaseKey } from "../../../src/state/lease/lease-value.ts";
import { MemoryCopy } from "../../support/memory-copy.ts";
import { SimulatedEtcd } from "../../support/simulated-etcd.ts";
import { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { SimAgent } from "./sim-agent.ts";
import { SimHolder } from "./sim-holder.ts";
import { Truth } from "./truth.ts";

/** The guards that the design rests on; each can be switched off to see what it is for. */
export interface Guards {
  /** Agents ask by a linearizable read before the irreversible act. */
  readonly confirm: boolean;
  /** A new holder gives every open entry a new number first. */
  readonly restamp: boolean;
  /** Records are written only while the lease key is exactly the writer's. */
  readonly exactLease: boolean;
  /** An entry in an agent's hands is abandoned only with its acknowledgement. */
  readonly cancelAcknowledgement: boolean;
}

export const allGuards: Guards = {
  confirm: true,
  restamp: true,
  exactLease: true,
  cancelAcknowledgement: true,
};

const cluster = clusterId("0123456789abcdef0123456789abcdef");
const log = pino({ level: "silent" });
const ttlSeconds = 5;
const rpcDeadlineMs = 6000;

/** One node: what is on its disk, and the process that runs on it now. */
export interface SimNode {
  readonly name: string;
  readonly peer: PeerId;
  readonly disk: Map<string, Json>;
  readonly happened: Set<EntryId>;
  /** How much its wall clock is ahead of the monotonic one. */
  wallAheadMs: number;
  process: VirtualProcess;
  running: Running;
}

interface Running {
  readonly agent: SimAgent;
  readonly lease: LeaseKeeper;
  readonly decider: Decider<null>;
}

/** Voters with deciders and agents on one simulated etcd, and all that can go wrong between them. */
export class SimWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly etcd: SimulatedEtcd;
  readonly truth = new Truth(() => this.time.now());
  readonly nodes: SimNode[] = [];
  readonly #guards: Guards;
  readonly #cut = new Set<SimNode>();
  /** Chances that a message is lost, doubled, or very late. */
  messages = { lost: 0, doubled: 0, late: 0 };

  constructor(seed: number, options: { guards?: Guards; nodes?: number } = {}) {
    this.random = new Random(seed);
    this.#guards = options.guards ?? allGuards;
    const names = Array.from({ length: options.nodes ?? 3 }, (_, index) => `n${index + 1}`);
    this.etcd = new SimulatedEtcd(names, { time: this.time, random: this.random });
    this.etcd.onApplied((events) => this.truth.applied(events));
    for (const [index, name] of names.entries()) this.nodes.push(this.#boot(name, index));
  }

  run(forMs: number): Promise<void> {
    return this.time.run(this.time.now() + forMs);
  }

  crash(node: SimNode): void {
    this.time.kill(node.process);
  }

  restart(node: SimNode): void {
    if (node.process.alive) return;
    node.process = new VirtualProcess(node.name);
    node.running = this.#start(node);
  }

  cut(node: SimNode): void {
    this.#cut.add(node);
    this.etcd.cut(node.name);
  }

  heal(node: SimNode): void {
    this.#cut.delete(node);
    this.etcd.heal(node.name);
  }

  holder(): SimNode | undefined {
    const value = this.etcd.peek(leaseKey)?.value;
    return this.nodes.find((node) => value?.includes(node.peer));
  }

  #boot(name: string, index: number): SimNode {
    const peer = peerId(`12D3KooW${String.fromCharCode(65 + index).repeat(44)}`);
    const disk = new Map<string, Json>();
    const process = new VirtualProcess(name);
    const node = { name, peer, disk, happened: new Set<EntryId>(), wallAheadMs: 0, process };
    return Object.assign(node, { running: this.#start(node) });
  }

  #start(node: Omit<SimNode, "running">): Running {
    const { process } = node;
    const { random, time } = this;
    const etcd = this.#weakened(this.etcd.client(node.name, process));
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> => time.sleep(ms, process, signal);
    const now = (): number => time.now();
    const copy = new MemoryCopy();
    const lease = new LeaseKeeper(
      { self: node.peer, ttlSeconds },
      { etcd, now, wall: () => now() + node.wallAheadMs, sleep, log },
    );
    const sign = (_key: null, domain: string, text: string): string => `${domain} ${text.length}`;
    const decider = new Decider<null>(
      { cluster, generation: 1 },
      { etcd, lease, copy, now, log, sign, clusterKey: () => null },
    );
    const feed = new JournalFeed({ etcd, copy, log, sleep });
    const agent = new SimAgent({
      node: node.name,
      store: storeOn(node.disk),
      random,
      now,
      sleep,
      confirm: this.#guards.confirm ? (entry, number) => decider.confirm(entry, number) : undefined,
      hasHappened: (entry) => node.happened.has(entry),
      act: (act) => {
        node.happened.add(act.entry);
        this.truth.act(act);
      },
    });
    const ask = <T>(to: PeerId, work: (agent: SimAgent) => Promise<T>): Promise<T> =>
      this.#ask(node, to, process, (target) => work(target.running.agent));
    new SimHolder({
      decider,
      lease,
      copy,
      random,
      sleep,
      peers: () => this.nodes.map((each) => each.peer),
      order: (to, order) => ask(to, (target) => target.obey(order)),
      cancel: (to, entry) => ask(to, (target) => target.cancel(entry.id, entry.number)),
      takesUp: (epoch) => this.truth.takesUp(epoch),
      cancelAcknowledgement: this.#guards.cancelAcknowledgement,
    });
    feed.start();
    lease.start();
    return { agent, lease, decider };
  }

  /** Guards that live inside the Decider are switched off from outside, in what it sees of etcd. */
  #weakened(etcd: EtcdApi): EtcdApi {
    const { restamp, exactLease } = this.#guards;
    return {
      ...etcd,
      range: async (key, options) => {
        const result = await etcd.range(key, options);
        // A holder that sees no open entry re-stamps none; it still knows them from its copy.
        return restamp || key !== entryPrefix ? result : { ...result, kvs: [] };
      },
      txn: (transaction, options) => {
        if (exactLease) return etcd.txn(transaction, options);
        // That somebody holds the lease is not enough.
        const compare = transaction.compare.map((each) =>
          each.key === leaseKey && each.revision > 0
            ? ({ ...each, result: "greater", revision: 0 } as const)
            : each,
        );
        return etcd.txn({ ...transaction, compare }, options);
      },
    };
  }

  /** A request and its answer as messages: each may be lost, late or doubled. */
  #ask<T>(
    from: Omit<SimNode, "running">,
    to: PeerId,
    owner: VirtualProcess,
    work: (target: SimNode) => Promise<T>,
  ): Promise<T> {
    const target = this.nodes.find((node) => node.peer === to);
    return new Promise((resolve, reject) => {
      this.time.after(rpcDeadlineMs, owner, () =>
        reject(new MicrocephError("DEADLINE_EXCEEDED", `simulated: no answer from ${target?.name}`)),
      );
      if (!target) return;
      this.#send(from.name, target.name, () => {
        const serving = target.process;
        if (!serving.alive) return;
        const deliver = (): void => {
          const answer = (reply: () => void): void =>
            this.#send(target.name, from.name, () => this.time.after(0, owner, reply));
          work(target).then(
            (value) => answer(() => resolve(value)),
            (error: unknown) => answer(() => reject(error)),
          );
        };
        this.time.after(0, serving, deliver);
      });
    });
  }

  #send(from: string, to: string, deliver: () => void): void {
    const { random } = this;
    const cut = (): boolean => from !== to && [...this.#cut].some(({ name }) => name === from || name === to);
    const { lost, doubled, late } = this.messages;
    const times = random.chance(doubled) ? 2 : 1;
    for (let copy = 0; copy < times; copy += 1) {
      if (random.chance(lost)) continue;
      const ms = random.chance(late) ? random.between(1000, 30_000) : random.between(1, 30);
      if (cut()) continue;
      this.time.after(ms, null, () => {
        if (!cut()) deliver();
      });
    }
  }
}

function storeOn(disk: Map<string, Json>): FenceStore {
  return {
    get: <T extends Json>(key: string) => structuredClone(disk.get(key)) as T | undefined,
    put: (key, value) => void disk.set(key, structuredClone(value)),
    transaction: (work) => {
      const before = new Map(disk);
      try {
        return work();
      } catch (error) {
        disk.clear();
        for (const [key, value] of before) disk.set(key, value);
        throw error;
      }
    },
  };
}
