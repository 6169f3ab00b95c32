import { type Logger, pino } from "pino";
import { clusterId, type PeerId, peerId } from "../../src/ids/ids.ts";
import type { EtcdApi, Transaction } from "../../src/state/etcd/etcd-api.ts";
import { LeaseKeeper } from "../../src/state/lease/lease-keeper.ts";
import { type EtcdFaults, SimulatedEtcd } from "./simulated-etcd.ts";
import { Random, VirtualProcess, VirtualTime } from "./virtual-time.ts";

export const silent: Logger = pino({ level: "silent" });
export const simulatedCluster = clusterId("0123456789abcdef0123456789abcdef");
export const ttlSeconds = 6;

/** One simulated etcd and the voters on it, on virtual time. */
export class SimulatedVoters {
  readonly time = new VirtualTime();
  readonly etcd: SimulatedEtcd;

  constructor(names: readonly string[] = ["n1", "n2", "n3"]) {
    this.etcd = new SimulatedEtcd(names, { time: this.time, random: new Random(1) });
  }

  voter(name: string): SimulatedVoter {
    return new SimulatedVoter(name, this);
  }

  /** Let time pass. */
  pass(ms: number): Promise<void> {
    return this.time.run(this.time.now() + ms);
  }

  /** What comes of some work, however long it takes. */
  async settle<T>(work: Promise<T>): Promise<T> {
    let pending = true;
    const ended = (): void => {
      pending = false;
    };
    work.then(ended, ended);
    for (let rounds = 0; pending && rounds < 1000; rounds += 1) await this.pass(100);
    return work;
  }
}

/** A process on one of the nodes, with the lease keeper on it. */
export class SimulatedVoter {
  readonly peer: PeerId;
  readonly process: VirtualProcess;
  readonly etcd: EtcdApi;
  readonly lease: LeaseKeeper;
  /** What happened to its lease, with the virtual second. */
  readonly events: string[] = [];
  /** Calls of the lease's keep-alive, in virtual milliseconds. */
  readonly renewals: number[] = [];
  /** How much the wall clock is ahead of the monotonic one. */
  wallAheadMs = 0;
  /** Called before a transaction is sent; what it returns is waited for. */
  beforeTxn: (transaction: Transaction) => Promise<void> = async () => undefined;
  /** What goes wrong with just this transaction. */
  txnFaults: (transaction: Transaction) => EtcdFaults | undefined = () => undefined;

  constructor(name: string, { time, etcd }: SimulatedVoters) {
    this.peer = peerId(`12D3KooW${name.slice(-1).repeat(44)}`);
    this.process = new VirtualProcess(name);
    const client = etcd.client(name, this.process);
    this.etcd = {
      ...client,
      leaseKeepAlive: (id, options) => {
        this.renewals.push(Math.round(time.now()));
        return client.leaseKeepAlive(id, options);
      },
      txn: async (transaction, options) => {
        await this.beforeTxn(transaction);
        const before = etcd.faults;
        etcd.faults = this.txnFaults(transaction) ?? before;
        const result = client.txn(transaction, options);
        etcd.faults = before;
        return result;
      },
    };
    this.lease = new LeaseKeeper(
      { self: this.peer, ttlSeconds },
      {
        etcd: this.etcd,
        now: () => time.now(),
        wall: () => time.now() + this.wallAheadMs,
        sleep: (ms, signal) => time.sleep(ms, this.process, signal),
        log: silent,
      },
    );
    this.lease.on("taken", () => this.events.push(`taken ${Math.round(time.now() / 1000)}`));
    this.lease.on("lost", () => this.events.push(`lost ${Math.round(time.now() / 1000)}`));
    this.lease.on("shaky", () => this.events.push(`shaky ${Math.round(time.now() / 1000)}`));
  }
}
