import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { ReceivedReport } from "../../mesh/membership/admission-facts.ts";
import { type NeighbourReport, neighbourReportsSchema } from "../../mesh/membership/neighbour-report.ts";

export interface LobbyExchangeDeps {
  readonly self: PeerId;
  /** What this node sees in its lobby now. */
  readonly own: () => readonly NeighbourReport[];
  readonly publish: (body: Json) => Promise<void>;
  /** Longest message that can be published, in bytes of its JSON. */
  readonly maxBytes: number;
  readonly now: () => number;
  readonly onChange: () => void;
}

/** Milliseconds between two reports when nothing changes, and until a silent member's report is forgotten. */
const repeatMs = 5_000;
const forgetMs = 20_000;

/**
 * Who sees whom in the lobby, from all members: told by gossip on every change and now and then, kept in
 * memory only. A lost report costs time, nothing else.
 */
export class LobbyExchange {
  readonly #deps: LobbyExchangeDeps;
  readonly #received = new Map<PeerId, ReceivedReport>();
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;
  #told = "";

  constructor(deps: LobbyExchangeDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tell(), repeatMs);
    this.#timer.unref();
    this.#tell();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The own lobby changed: tell the others, when what matters to them did. */
  changed(): void {
    const gist = JSON.stringify(
      this.#deps
        .own()
        .map((one) => [one.peer, one.state, one.windowOpen, one.claim, one.joining, one.proven]),
    );
    if (gist === this.#told) return;
    this.#told = gist;
    this.#tell();
    this.#deps.onChange();
  }

  receive(from: PeerId, body: Json): void {
    const parsed = neighbourReportsSchema.safeParse(body);
    if (!parsed.success) {
      this.#dropped += 1;
      return;
    }
    this.#received.set(from, { at: this.#deps.now(), neighbours: parsed.data });
    this.#deps.onChange();
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Recent reports of the members that are alive, the own one included. */
  reports(isAlive: (peer: PeerId) => boolean): ReadonlyMap<PeerId, ReceivedReport> {
    const now = this.#deps.now();
    const reports = new Map<PeerId, ReceivedReport>([
      [this.#deps.self, { at: now, neighbours: this.#deps.own() }],
    ]);
    for (const [peer, report] of this.#received) {
      if (now - report.at > forgetMs) this.#received.delete(peer);
      else if (isAlive(peer)) reports.set(peer, report);
    }
    return reports;
  }

  #tell(): void {
    const told = firstThatFit(this.#deps.own(), this.#deps.maxBytes);
    this.#deps.publish(told as unknown as Json).catch(() => undefined);
  }
}

/** The list begins with what matters most: of a crowd too large for one message the rest is left out. */
function firstThatFit<T>(list: readonly T[], maxBytes: number): T[] {
  const fitting: T[] = [];
  let bytes = Buffer.byteLength("[]");
  for (const one of list) {
    bytes += Buffer.byteLength(JSON.stringify(one)) + (fitting.length === 0 ? 0 : 1);
    if (bytes > maxBytes) break;
    fitting.push(one);
  }
  return fitting;
}
