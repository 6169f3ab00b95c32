import { DiscoveryCore, mdnsPort } from "../../../src/discovery/core/discovery-core.ts";
import type { Message } from "../../../src/discovery/core/message.ts";
import { recordBytes } from "../../../src/discovery/core/records.ts";
import { Random, VirtualProcess, VirtualTime } from "../../support/virtual-time.ts";
import { Durations, Invariant, type InvariantReport, type Summary } from "./measures.ts";
import type { SimOptions } from "./options.ts";
import type { Fault, Timeline } from "./timeline.ts";
import { Wire } from "./wire.ts";

interface Host {
  readonly index: number;
  readonly address: string;
  process: VirtualProcess;
  core: DiscoveryCore;
  startedAt: number;
  /** Names that it sees. */
  readonly seen: Set<string>;
  cancel: () => void;
}

export interface DiscoveryResult {
  readonly messages: number;
  readonly bytes: number;
  /** From a node's start until another node sees it. */
  readonly seen: Summary;
  readonly invariants: readonly InvariantReport[];
}

const link = "eth0/IPv4";
const epochMs = 1_700_000_000_000;
/** Ethernet, IPv4, UDP and the header of DNS. */
const headerBytes = 14 + 20 + 8 + 12;
/** Without losses, at the end: longer than the longest pause between two queries that follows a lost node. */
const settlingMs = 15 * 60_000;
/** A query has to be repeated where packets are lost: this long after its start everybody has seen a node. */
const patienceMs = 90_000;

/** The real cores of discovery on one link, where every datagram may be lost, late or doubled. */
export class DiscoveryWorld {
  readonly #time = new VirtualTime({ settles: "when told" });
  readonly #random: Random;
  readonly #wire: Wire;
  readonly #timeline: Timeline;
  readonly #hosts: Host[] = [];
  readonly #seenAfter = new Durations();

  constructor(options: SimOptions, timeline: Timeline) {
    this.#timeline = timeline;
    this.#random = new Random(options.seed ^ 0xd15c);
    this.#wire = new Wire(options, timeline, this.#random);
    for (let index = 0; index < options.nodes; index += 1) {
      const address = `10.77.${Math.floor(index / 250)}.${(index % 250) + 1}`;
      const process = new VirtualProcess(`n${index + 1}`);
      process.alive = false;
      const core = this.#newCore();
      const rest = { startedAt: 0, seen: new Set<string>(), cancel: () => undefined };
      this.#hosts.push({ index, address, process, core, ...rest });
    }
  }

  async run(): Promise<DiscoveryResult> {
    for (const { index } of this.#hosts) {
      this.#time.after(this.#random.between(0, 5_000), null, () => this.#start(index));
    }
    for (const fault of this.#timeline.faults) this.#plan(fault);
    await this.#time.run(this.#timeline.endsAt);
    const { messages, bytes } = this.#wire.counts.mdns;
    // Asked for ever more seldom, one whose answers were lost three times in a row is found again in a while.
    this.#wire.loses = false;
    await this.#time.run(this.#timeline.endsAt + settlingMs);
    const all = new Invariant("in the end every node sees every other by mDNS");
    for (const host of this.#hosts) {
      for (const other of this.#hosts) {
        if (other === host) continue;
        const names = `n${host.index + 1} does not see n${other.index + 1}`;
        all.check(host.seen.has(nameOf(other.index)), () => names);
      }
    }
    return { messages, bytes, seen: this.#seenAfter.summary(), invariants: [all.report()] };
  }

  #newCore(): DiscoveryCore {
    return new DiscoveryCore({ serviceType: "_microceph._tcp", random: () => this.#random.next() });
  }

  #start(index: number): void {
    const host = this.#host(index);
    host.process = new VirtualProcess(`n${index + 1}`);
    host.core = this.#newCore();
    host.startedAt = this.#time.now();
    host.seen.clear();
    const now = this.#now();
    host.core.setOwnAddresses([host.address]);
    host.core.putLink({ id: link, interface: "eth0", addresses: [host.address] }, now);
    const name = nameOf(index);
    host.core.announce({ instance: name, host: name, port: 7443, txt: { st: "fresh" } }, now);
    this.#advance(host);
  }

  #plan(fault: Fault): void {
    const when = (ms: number, run: () => void): void => this.#time.after(ms, null, run);
    switch (fault.kind) {
      case "pause":
        when(fault.at, () => this.#time.pause(this.#host(fault.node).process));
        when(fault.until, () => this.#time.resume(this.#host(fault.node).process));
        return;
      case "crash":
        when(fault.at, () => this.#time.kill(this.#host(fault.node).process));
        when(fault.until, () => this.#start(fault.node));
        return;
      // Discovery goes by a clock that does not jump; partitions are the wire's.
      case "clock":
      case "partition":
    }
  }

  #now(): number {
    return epochMs + this.#time.now();
  }

  #advance(host: Host): void {
    const now = this.#now();
    const { packets, changes } = host.core.advance(now);
    for (const { message, to } of packets) if (to === undefined) this.#multicast(host, message);
    for (const change of changes) {
      const { instance } = change.sighting;
      if (change.event === "lost") host.seen.delete(instance);
      else if (!host.seen.has(instance)) this.#saw(host, instance);
    }
    host.cancel();
    const due = host.core.due();
    if (due === Number.POSITIVE_INFINITY) return;
    host.cancel = this.#time.timer(Math.max(1, due - now), host.process, () => this.#advance(host));
  }

  #saw(host: Host, instance: string): void {
    host.seen.add(instance);
    const other = this.#hosts[Number(instance.slice(1)) - 1];
    if (other === undefined) return;
    const now = this.#time.now();
    const since = Math.max(host.startedAt, other.startedAt);
    if (now - since < patienceMs && !this.#timeline.isTroubled(now, patienceMs)) {
      this.#seenAfter.add(now - since);
    }
  }

  #multicast(from: Host, message: Message): void {
    const { questions, answers, authorities, additionals } = message;
    const records = [...answers, ...authorities, ...additionals];
    const bytes = questions.length * 35 + records.reduce((sum, record) => sum + recordBytes(record), 0);
    this.#wire.count(from.index, "mdns", 0);
    this.#wire.counts.mdns.bytes += bytes + headerBytes;
    const sender = { address: from.address, port: mdnsPort };
    for (const to of this.#hosts) {
      if (to === from || !to.process.alive) continue;
      for (const ms of this.#wire.datagram(from.index, to.index, this.#time.now())) {
        const { process } = to;
        this.#time.after(ms, process, () => {
          to.core.receive(link, message, sender, this.#now());
          this.#advance(to);
        });
      }
    }
  }

  #host(index: number): Host {
    const host = this.#hosts[index];
    if (host === undefined) throw new RangeError(`no host ${index}`);
    return host;
  }
}

function nameOf(index: number): string {
  return `n${index + 1}`;
}
