import {
  type GossipSub,
  type GossipsubOpts,
  gossipsub,
  type Message,
  StrictSign,
  TopicValidatorResult,
} from "@libp2p/gossipsub";
import type { Connection } from "@libp2p/interface";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import { type ClusterId, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Libp2pComponents } from "./tcp-door.ts";
import { type Topic, topicName, topics } from "./topics.ts";

/** Longest frame between two nodes, bytes. */
const maxFrameBytes = 64 * 1024;
/** Longest message, in bytes of its JSON: a frame may carry several. */
export const maxGossipBytes = 16 * 1024;
/** A connected peer may take so many ticks until its subscriptions are here. */
const settlingTicks = 3;

export type GossipListener = (from: PeerId, body: Json) => void;

/** Few members get a message from its author at once; of many its neighbours do, and hand it on. */
export function gossipOptions(cluster: ClusterId): Partial<GossipsubOpts> {
  return {
    allowedTopics: topics.map((topic) => topicName(cluster, topic)),
    globalSignaturePolicy: StrictSign,
    floodPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    doPX: false,
    fallbackToFloodsub: false,
    emitSelf: false,
    maxInboundDataLength: maxFrameBytes,
    maxOutboundBufferSize: 4 * 1024 * 1024,
    D: 8,
    Dlo: 6,
    Dhi: 12,
    Dout: 2,
    Dscore: 4,
    scoreParams: {
      // Members all: several may share an address (one host, a NAT), and a quick reconnect is no attack.
      IPColocationFactorWeight: 0,
      behaviourPenaltyWeight: 0,
    },
  };
}

export interface GossipDeps {
  readonly admits: (peer: PeerId) => boolean;
  readonly log: Logger;
}

/** Hints to all members, over gossipsub. */
export class Gossip {
  readonly #cluster: ClusterId;
  readonly #deps: GossipDeps;
  readonly #listeners = new Map<string, Set<GossipListener>>();
  readonly #missing = new Map<PeerId, number>();
  readonly #counters = { sent: 0, heard: 0, dropped: 0 };
  #pubsub: GossipSub | undefined;
  #components: Libp2pComponents | undefined;

  constructor(options: { cluster: ClusterId }, deps: GossipDeps) {
    this.#cluster = options.cluster;
    this.#deps = deps;
  }

  /** Goes into libp2p's `services`. */
  readonly factory = (components: Libp2pComponents): GossipSub => {
    this.#components = components;
    this.#pubsub = gossipsub(gossipOptions(this.#cluster))(components);
    return this.#pubsub;
  };

  /** After the host has started. */
  start(): void {
    const pubsub = this.#requirePubsub();
    for (const topic of topics) {
      const name = topicName(this.#cluster, topic);
      pubsub.topicValidators.set(name, (_relay, message) => this.#judge(message));
      pubsub.subscribe(name);
    }
    pubsub.addEventListener("message", ({ detail }) => this.#deliver(detail));
  }

  /** Messages since the start: published, delivered, and not let through. */
  counters(): Readonly<Record<"sent" | "heard" | "dropped", number>> {
    return { ...this.#counters };
  }

  subscribe(topic: Topic, listener: GossipListener): () => void {
    const name = topicName(this.#cluster, topic);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Best effort: resolves also when nobody listens.
   * @throws RangeError for a message over the limit
   */
  async publish(topic: Topic, body: Json): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(body));
    if (bytes.length > maxGossipBytes) {
      throw new RangeError(`a message of ${bytes.length} bytes is over the limit of ${maxGossipBytes}`);
    }
    this.#counters.sent += 1;
    try {
      await this.#requirePubsub().publish(topicName(this.#cluster, topic), bytes);
    } catch (error) {
      this.#deps.log.debug({ topic, error: messageOf(error) }, "A hint was not published");
    }
  }

  /**
   * gossipsub drops a peer when one of two connections to it closes, or its stream fails, and takes it up again
   * only after a new connection: so peers that stay without subscriptions are handed to it again.
   */
  mend(links: readonly { peer: PeerId; connection: Connection }[]): void {
    const pubsub = this.#requirePubsub();
    const heard = new Set(pubsub.getSubscribers(topicName(this.#cluster, "heads")).map(String));
    const connected = new Set(links.map(({ peer }) => peer));
    for (const peer of this.#missing.keys()) {
      if (heard.has(peer) || !connected.has(peer)) this.#missing.delete(peer);
    }
    for (const { peer, connection } of links) {
      if (heard.has(peer)) continue;
      const ticks = (this.#missing.get(peer) ?? 0) + 1;
      this.#missing.set(peer, ticks % settlingTicks);
      if (ticks < settlingTicks) continue;
      this.#deps.log.debug({ peer }, "Gossip with a member is set up again");
      for (const protocol of pubsub.protocols) {
        for (const topology of this.#components?.registrar.getTopologies(protocol) ?? []) {
          void topology.onConnect?.(connection.remotePeer, connection);
        }
      }
    }
  }

  #judge(message: Message): TopicValidatorResult {
    const from = authorOf(message);
    // Ignore and not reject: who relays the message of one removed a moment ago did nothing wrong.
    const good = from !== undefined && this.#deps.admits(from) && message.data.byteLength <= maxGossipBytes;
    if (!good) this.#counters.dropped += 1;
    return good ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
  }

  #deliver(message: Message): void {
    const from = authorOf(message);
    const listeners = this.#listeners.get(message.topic);
    if (from === undefined || listeners === undefined) return;
    this.#counters.heard += 1;
    let body: Json;
    try {
      body = JSON.parse(Buffer.from(message.data).toString("utf8")) as Json;
    } catch {
      this.#deps.log.debug({ peer: from, topic: message.topic }, "A hint that is no JSON was dropped");
      return;
    }
    for (const listener of listeners) {
      try {
        listener(from, body);
      } catch (error) {
        this.#deps.log.warn({ peer: from, topic: message.topic, error: messageOf(error) }, "A hint failed");
      }
    }
  }

  #requirePubsub(): GossipSub {
    if (this.#pubsub === undefined) throw new TypeError("gossip is not built into a host yet");
    return this.#pubsub;
  }
}

function authorOf(message: Message): PeerId | undefined {
  if (message.type !== "signed") return undefined;
  const from = message.from.toString();
  return isPeerId(from) ? from : undefined;
}
