import type { Random } from "../../support/virtual-time.ts";
import type { SimOptions } from "./options.ts";
import type { Timeline } from "./timeline.ts";

/** What is sent, by what it is for. */
export type Traffic = "pulse" | "presence" | "gossip" | "document" | "dial" | "mdns";

/** Ethernet, IPv4, TCP with timestamps, Noise and yamux around a frame. */
const frameBytes = 14 + 20 + 32 + 18 + 12;
/** What opening and closing a stream of its own adds to a request: the names of two protocols, and yamux. */
export const streamBytes = 110;
/** Linux waits at least so long for an acknowledgement, doubling: RFC 6298 with TCP_RTO_MIN. */
const retransmitMs = 200;
/** After so many tries of one segment the link has long been given up for dead. */
const mostTries = 7;

/** How long messages take, and how many there are. TCP loses nothing but time; it keeps the order elsewhere. */
export class Wire {
  readonly counts: Record<Traffic, { messages: number; bytes: number }> = {
    pulse: { messages: 0, bytes: 0 },
    presence: { messages: 0, bytes: 0 },
    gossip: { messages: 0, bytes: 0 },
    document: { messages: 0, bytes: 0 },
    dial: { messages: 0, bytes: 0 },
    mdns: { messages: 0, bytes: 0 },
  };
  /** Whether packets are lost as the options say. */
  loses = true;
  readonly #sentBy: Float64Array;
  readonly #options: SimOptions;
  readonly #timeline: Timeline;
  readonly #random: Random;

  constructor(options: SimOptions, timeline: Timeline, random: Random) {
    this.#options = options;
    this.#sentBy = new Float64Array(options.nodes);
    this.#timeline = timeline;
    this.#random = random;
  }

  count(from: number, traffic: Traffic, bytes: number, messages = 1): void {
    const count = this.counts[traffic];
    count.messages += messages;
    count.bytes += bytes + messages * frameBytes;
    this.#sentBy[from] = (this.#sentBy[from] ?? 0) + messages;
  }

  /** Count from now on. */
  reset(): void {
    for (const count of Object.values(this.counts)) {
      count.messages = 0;
      count.bytes = 0;
    }
    this.#sentBy.fill(0);
  }

  /** Messages of the node that sent most. */
  busiest(): number {
    return this.#sentBy.reduce((most, sent) => Math.max(most, sent), 0);
  }

  latency(): number {
    const [low, high] = this.#options.latencyMs;
    return this.#random.between(low, high);
  }

  /** When a segment sent now arrives; undefined: not while its connection lives. */
  segment(
    from: number,
    to: number,
    now: number,
    firstRetryMs = retransmitMs,
  ): { readonly ms: number; readonly retried: boolean } | undefined {
    const { loss } = this.#options;
    let waited = 0;
    let retry = firstRetryMs;
    for (let tries = 0; tries < mostTries; tries += 1) {
      if (!(loss > 0 && this.#random.chance(loss)) && !this.#timeline.isCut(from, to, now + waited)) {
        return { ms: waited + this.latency(), retried: waited > 0 };
      }
      waited += retry;
      retry *= 2;
    }
    return undefined;
  }

  /** Milliseconds for each copy of a datagram that arrives. */
  datagram(from: number, to: number, now: number): number[] {
    const { loss, duplicates } = this.#options;
    if (this.#timeline.isCut(from, to, now)) return [];
    const copies = this.#random.chance(duplicates) ? 2 : 1;
    const arrivals: number[] = [];
    for (let copy = 0; copy < copies; copy += 1) {
      if (!this.loses || !this.#random.chance(loss)) arrivals.push(this.latency());
    }
    return arrivals;
  }
}
