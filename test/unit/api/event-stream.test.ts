import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import type { MeshEvent } from "../../../src/api/contract/events.ts";
import { type EventSource, EventStreams } from "../../../src/api/event-stream.ts";

/** A response that says it is full after every write, until its reader takes what is there. */
class SlowResponse extends EventEmitter {
  readonly lines: string[] = [];
  waiting = 0;
  destroyed = false;
  writableEnded = false;
  writeHead(): void {}
  flushHeaders(): void {}
  write(text: string): boolean {
    this.lines.push(...text.trimEnd().split("\n"));
    this.waiting += text.length;
    return false;
  }
  end(): void {
    this.writableEnded = true;
  }
  take(): void {
    this.waiting = 0;
    this.emit("drain");
  }
  seqs(): number[] {
    return this.lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
  }
}

/** Keeps the newest `limit` lines. */
class Source implements EventSource {
  readonly listeners = new Set<() => void>();
  kept: { seq: number; line: string }[] = [];
  #seq = 0;
  readonly #limit: number;
  constructor(limit: number) {
    this.#limit = limit;
  }
  head(): number {
    return this.#seq;
  }
  emit(): void {
    this.#seq += 1;
    this.kept.push({ seq: this.#seq, line: JSON.stringify({ seq: this.#seq, text: "x".repeat(1000) }) });
    this.kept = this.kept.slice(-this.#limit);
    for (const listener of this.listeners) listener();
  }
  read(after: number, limit: number): ReturnType<EventSource["read"]> {
    const oldest = this.kept[0]?.seq ?? 1;
    const data = { from: after + 1, to: oldest - 1, reason: "not-kept" } as const;
    const gap: MeshEvent = { seq: oldest - 1, at: "", node: "", type: "events.gap", data };
    const events = this.kept.filter(({ seq }) => seq > after).slice(0, limit);
    return { gap: after + 1 < oldest ? gap : null, events };
  }
  on(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

function open(source: Source, options: { since?: number; follow?: boolean } = {}): SlowResponse {
  const response = new SlowResponse();
  new EventStreams().serve(response as unknown as ServerResponse, source, {
    since: options.since,
    follow: options.follow ?? true,
  });
  return response;
}

test("a reader that takes nothing costs one page, and is told later what it missed", () => {
  const source = new Source(300);
  const response = open(source);
  for (let n = 0; n < 5_000; n += 1) source.emit();
  expect(response.seqs()).toEqual([1]);
  response.take();
  expect(JSON.parse(response.lines[1] ?? "")).toMatchObject({
    type: "events.gap",
    data: { from: 2, to: 4_700, reason: "not-kept" },
  });
  expect(response.waiting).toBeLessThan(300_000);
  response.take();
  expect(response.seqs().slice(2)).toEqual(Array.from({ length: 300 }, (_, n) => 4_701 + n));
});

test("what comes while a reader is slow comes once and in order", () => {
  const source = new Source(1000);
  source.emit();
  source.emit();
  const response = open(source, { since: 0 });
  source.emit();
  response.take();
  source.emit();
  response.take();
  response.take();
  expect(response.seqs()).toEqual([1, 2, 3, 4]);
});

test("without `since` a follower gets only what is new, others all that is kept", () => {
  const source = new Source(10);
  source.emit();
  const follower = open(source);
  const other = open(source, { follow: false });
  source.emit();
  expect(follower.seqs()).toEqual([2]);
  other.take();
  expect(other.seqs()).toEqual([1, 2]);
  other.take();
  expect(other.writableEnded).toBe(true);
});

test("a reader that leaves is forgotten", () => {
  const source = new Source(10);
  const response = open(source);
  expect(source.listeners.size).toBe(1);
  response.emit("close");
  expect(source.listeners.size).toBe(0);
});
