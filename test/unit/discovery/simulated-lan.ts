import type { NameChange } from "../../../src/discovery/core/discovery-core.ts";
import { DiscoveryCore, mdnsPort } from "../../../src/discovery/core/discovery-core.ts";
import type { Message } from "../../../src/discovery/core/message.ts";
import type { ResourceRecord } from "../../../src/discovery/core/records.ts";
import type { Sender } from "../../../src/discovery/core/responder.ts";
import type { SightingChange } from "../../../src/discovery/core/sighting-table.ts";
import type { ServiceAnnouncement } from "../../../src/discovery/service.ts";

export const serviceName = "_microceph._tcp.local";
export const startOfTime = 1_000_000_000;

/** Repeatable randomness (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

export function announcement(
  name: string,
  txt: Record<string, string> = { st: "fresh" },
): ServiceAnnouncement {
  return { instance: `${name} abcdef`, host: name, port: 7000, txt };
}

export function message(part: Partial<Message>): Message {
  return {
    kind: "response",
    id: 0,
    truncated: false,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    ...part,
  };
}

export const records = {
  pointer: (instance: string, ttl = 4500): ResourceRecord => ({
    name: serviceName,
    type: "PTR",
    ttl,
    flush: false,
    data: `${instance}.${serviceName}`,
  }),
  location: (instance: string, host: string, port = 7000, ttl = 120): ResourceRecord => ({
    name: `${instance}.${serviceName}`,
    type: "SRV",
    ttl,
    flush: true,
    data: { priority: 0, weight: 0, port, target: `${host}.local` },
  }),
  text: (instance: string, strings: readonly string[], ttl = 4500): ResourceRecord => ({
    name: `${instance}.${serviceName}`,
    type: "TXT",
    ttl,
    flush: true,
    data: strings.map((text) => new TextEncoder().encode(text)),
  }),
  address: (host: string, address: string, ttl = 120, flush = true): ResourceRecord => ({
    name: `${host}.local`,
    type: address.includes(":") ? "AAAA" : "A",
    ttl,
    flush,
    data: address,
  }),
};

/** All records of an instance, as in an announcement. */
export function fullSet(instance: string, host: string, address: string, ttl?: number): ResourceRecord[] {
  return [
    records.pointer(instance, ttl),
    records.location(instance, host, 7000, ttl),
    records.text(instance, ["st=fresh"], ttl),
    records.address(host, address, ttl),
  ];
}

interface Interface {
  /** Link id on the host. */
  readonly id: string;
  /** Name of the network it is plugged into. */
  network: string;
  readonly address: string;
}

export interface SentPacket {
  readonly at: number;
  readonly host: string;
  readonly link: string;
  readonly message: Message;
  readonly to?: Sender;
}

export interface Host {
  readonly name: string;
  readonly core: DiscoveryCore;
  readonly interfaces: Interface[];
  readonly changes: (SightingChange & { readonly at: number })[];
  readonly renames: NameChange[];
}

/** Several cores on networks of their own, with one clock that jumps from event to event. */
export class SimulatedLan {
  now = startOfTime;
  readonly sent: SentPacket[] = [];
  readonly #hosts = new Map<string, Host>();
  readonly #random: () => number;
  /** Says which packets are lost. */
  loses: (packet: SentPacket, to: string) => boolean = () => false;

  constructor(seed = 1) {
    this.#random = seeded(seed);
  }

  add(name: string, interfaces: Readonly<Record<string, string>>): Host {
    const core = new DiscoveryCore({ serviceType: "_microceph._tcp", random: this.#random });
    const list = Object.entries(interfaces).map(([network, address], index) => ({
      id: `eth${index}/IPv4`,
      network,
      address,
    }));
    const host: Host = { name, core, interfaces: list, changes: [], renames: [] };
    this.#hosts.set(name, host);
    core.setOwnAddresses(list.map(({ address }) => address));
    for (const [index, { id, address }] of list.entries()) {
      core.putLink({ id, interface: `eth${index}`, addresses: [address] }, this.now);
    }
    return host;
  }

  /** Away without a word. */
  crash(name: string): void {
    this.#hosts.delete(name);
  }

  /** Away with a goodbye. */
  leave(host: Host): void {
    this.#deliver(host, host.core.goodbye());
    this.#hosts.delete(host.name);
  }

  inject(network: string, given: Message, from: Sender = { address: "10.0.0.99", port: mdnsPort }): void {
    for (const host of this.#hosts.values()) {
      for (const one of host.interfaces) {
        if (one.network === network) host.core.receive(one.id, given, from, this.now);
      }
    }
    this.#settle();
  }

  /** Let so many milliseconds pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.#settle();
      const due = Math.min(...[...this.#hosts.values()].map(({ core }) => core.due()));
      if (due > end) break;
      this.now = Math.max(this.now, due);
    }
    this.now = end;
  }

  #settle(): void {
    for (let round = 0; round < 100; round++) {
      let busy = false;
      for (const host of this.#hosts.values()) {
        if (host.core.due() > this.now) continue;
        busy = true;
        const { packets, changes, renames } = host.core.advance(this.now);
        host.changes.push(...changes.map((change) => ({ ...change, at: this.now })));
        host.renames.push(...renames);
        this.#deliver(host, packets);
      }
      if (!busy) return;
    }
    throw new Error(`no rest at ${this.now}: a core is always due`);
  }

  #deliver(host: Host, packets: readonly { link: string; message: Message; to?: Sender }[]): void {
    for (const packet of packets) {
      const sent: SentPacket = { at: this.now, host: host.name, ...packet };
      this.sent.push(sent);
      const from = host.interfaces.find(({ id }) => id === packet.link);
      if (from === undefined || packet.to !== undefined) continue;
      for (const other of this.#hosts.values()) {
        if (other === host || this.loses(sent, other.name)) continue;
        for (const one of other.interfaces) {
          if (one.network !== from.network) continue;
          other.core.receive(one.id, packet.message, { address: from.address, port: mdnsPort }, this.now);
        }
      }
    }
  }

  /** Packets of one host since a time. */
  from(name: string, since = 0): SentPacket[] {
    return this.sent.filter(({ host, at }) => host === name && at >= since);
  }
}
