import type { Logger } from "pino";
import { z } from "zod";
import { type EventData, type EventType, eventData } from "../../api/contract/events.ts";
import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { EventLog } from "./event-log.ts";

/**
 * Types that only one node can know of: it tells the others. Everything else each member concludes for itself,
 * from journal, document, presence and Ceph's maps.
 */
const toldTypes = ["job.changed"] as const satisfies readonly EventType[];
export type ToldType = (typeof toldTypes)[number];

const sequence = z.int().min(0);
const toldEvent = z.object({
  seq: sequence,
  at: z.iso.datetime(),
  type: z.string().max(64),
  data: z.custom<Json>((value) => value !== undefined),
});
type ToldEvent = z.infer<typeof toldEvent>;

/** Gossiped: an event with the number of the one before, or how far the sender is. */
const newsSchema = z.union([
  z.looseObject({ v: z.literal(1), event: toldEvent, previous: sequence }),
  z.looseObject({ v: z.literal(1), head: sequence }),
]);
export const pullBody = z.object({ after: sequence.nullable() });
const pullReply = z.object({
  head: sequence,
  /** Oldest number that its node keeps. */
  oldest: sequence,
  events: z.array(toldEvent).max(1_000),
});

export interface EventRelayDeps {
  readonly events: EventLog;
  readonly publish: (body: Json) => Promise<void>;
  /** Ask that member, see `answer`. */
  readonly pull: (peer: PeerId, body: Json, signal: AbortSignal) => Promise<Json>;
  readonly log: Logger;
}

const pullLimit = 256;
/** Gossip may lose the last message of a burst: its number is said once more after so long, milliseconds. */
const repeatMs = 3_000;
/** Longest text of an event that is told, characters: a gossip message is 16 KiB. */
const longestEvent = 8 * 1024;

/**
 * Events that only one node knows of, to the streams of all others: each once, in the order of their origin.
 * Told by gossip with the origin's numbers; what a number shows to be missing is pulled from the origin.
 */
export class EventRelay {
  readonly #deps: EventRelayDeps;
  readonly #pulling = new Map<PeerId, Promise<void>>();
  readonly #again = new Set<PeerId>();
  readonly #stop = new AbortController();
  readonly #counters = { told: 0, heard: 0, duplicates: 0, malformed: 0, gaps: 0, pulls: 0 };
  #head: number;
  #repeat: NodeJS.Timeout | undefined;

  constructor(deps: EventRelayDeps) {
    this.#deps = deps;
    this.#head = deps.events.newestTold();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#repeat);
    this.#stop.abort();
    await Promise.allSettled(this.#pulling.values());
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  /** An event of this node, for every member's stream. */
  tell<T extends ToldType>(type: T, data: EventData<T>): void {
    const { seq, at } = this.#deps.events.emit(type, data, { told: true });
    const previous = this.#head;
    this.#head = seq;
    this.#counters.told += 1;
    const event = { seq, at, type, data } as unknown as Json;
    // One that is too long for gossip is pulled by those who hear of its number.
    const fits = JSON.stringify(event).length <= longestEvent;
    this.#publish(fits ? { v: 1, event, previous } : { v: 1, head: seq });
    clearTimeout(this.#repeat);
    this.#repeat = setTimeout(() => this.#publish({ v: 1, head: this.#head }), repeatMs);
    this.#repeat.unref();
  }

  /** What came by gossip. */
  hear(from: PeerId, body: Json): void {
    const news = newsSchema.safeParse(body);
    if (!news.success) {
      this.#counters.malformed += 1;
      return;
    }
    const seen = this.#deps.events.cursor(cursorOf(from));
    if (!("event" in news.data)) {
      const { head } = news.data as { head: number };
      if (seen === undefined) this.#saw(from, head);
      else if (head > seen) this.#missed(from);
      return;
    }
    const { event, previous } = news.data as { event: ToldEvent; previous: number };
    if (seen !== undefined && event.seq <= seen) this.#counters.duplicates += 1;
    else if (seen !== undefined && previous > seen) this.#missed(from);
    else this.#take(from, event);
  }

  /** A member is connected: take what it told meanwhile. */
  onConnect(peer: PeerId): void {
    this.#pull(peer);
  }

  /** What this node answers to `pull`. */
  answer(body: Json): Json {
    const { after } = pullBody.parse(body);
    const head = this.#head;
    if (after === null) return { head, oldest: head, events: [] };
    const { oldest, events } = this.#deps.events.told(after, pullLimit);
    return { head, oldest, events: events.map(({ line }) => JSON.parse(line) as Json) };
  }

  #publish(body: Json): void {
    this.#deps.publish(body).catch((error) => {
      this.#deps.log.debug({ error: messageOf(error) }, "an event was not told");
    });
  }

  #missed(from: PeerId): void {
    this.#counters.gaps += 1;
    this.#pull(from);
  }

  /** One question at a time to each; what is told meanwhile is asked for afterwards. */
  #pull(peer: PeerId): void {
    if (this.#pulling.has(peer)) {
      this.#again.add(peer);
      return;
    }
    const pulled = this.#pullAll(peer)
      .catch((error) => this.#deps.log.debug({ peer, error: messageOf(error) }, "events not pulled"))
      .finally(() => {
        this.#pulling.delete(peer);
        if (this.#again.delete(peer)) this.#pull(peer);
      });
    this.#pulling.set(peer, pulled);
  }

  async #pullAll(peer: PeerId): Promise<void> {
    const seen = (): number | undefined => this.#deps.events.cursor(cursorOf(peer));
    for (;;) {
      const { signal } = this.#stop;
      if (signal.aborted) return;
      const after = seen();
      this.#counters.pulls += 1;
      const reply = pullReply.parse(await this.#deps.pull(peer, { after: after ?? null }, signal));
      // Never heard of before: its past is no news. Lower than asked for: it began anew, without what it had.
      if (after === undefined) return seen() === undefined ? this.#saw(peer, reply.head) : undefined;
      if (reply.head < after) return this.#saw(peer, reply.head);
      if (after > 0 && reply.head > after && reply.oldest > after + 1) {
        const gap = { from: after + 1, to: reply.oldest - 1, reason: "origin" } as const;
        this.#deps.events.emit("events.gap", gap, { node: peer });
      }
      for (const event of reply.events) if (event.seq > (seen() ?? 0)) this.#take(peer, event);
      if (reply.events.length < pullLimit) return this.#saw(peer, Math.max(reply.head, seen() ?? 0));
    }
  }

  #take(from: PeerId, event: ToldEvent): void {
    this.#saw(from, event.seq);
    const type = toldTypes.find((one) => one === event.type);
    const data = type === undefined ? undefined : eventData[type].safeParse(event.data);
    if (type === undefined || !data?.success) {
      // Of a later version, or damaged.
      this.#counters.malformed += 1;
      return;
    }
    this.#counters.heard += 1;
    this.#deps.events.emit(type, data.data, { node: from, at: event.at });
  }

  #saw(from: PeerId, seq: number): void {
    this.#deps.events.setCursor(cursorOf(from), seq);
  }
}

function cursorOf(peer: PeerId): string {
  return `told/${peer}`;
}
