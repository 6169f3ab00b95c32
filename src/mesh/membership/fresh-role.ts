import type { PeerId } from "../../ids/ids.ts";
import { generateClusterKey } from "../identity/cluster-key.ts";
import type { Context, Role } from "./context.ts";
import { type Election, type Quiet, quietFrom, trackQuiet } from "./election.ts";
import { isEligible, isSeen, provenClusters, seenFoundings } from "./neighbours.ts";

/** A fresh node: listens, and founds when it is the one to do so. */
export class FreshRole implements Role {
  readonly #context: Context;
  #quiet: Quiet;
  #restsUntil = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#quiet = quietFrom(context.startedAt);
  }

  /** Found nothing before then: an attempt came to nothing. */
  rest(until: number): void {
    this.#restsUntil = until;
  }

  /** Whether this node would found now: others take the next PeerId when not. */
  mayFound(): boolean {
    const { clock, record, window } = this.#context;
    return window().open && record.joining === null && clock.now() >= this.#restsUntil;
  }

  /** Keep the quiet time also while the node is claimed or founding. */
  listen(): void {
    const { clock, self, neighbours } = this.#context;
    const now = clock.now();
    const present = new Set<PeerId>();
    for (const one of neighbours()) if (isSeen(one, now) && isEligible(one)) present.add(one.peer);
    this.#quiet = trackQuiet(this.#quiet, present, self, now);
  }

  step(): number | null {
    this.listen();
    const election = this.#elect();
    if (election.verdict === "wait") return election.wakeAt;
    const { settings } = this.#context;
    const names = election.nodes.length;
    // The key is on disk before the first claim: a founder that crashes continues or knows what to deny.
    this.#context.become(
      { state: "founding", key: generateClusterKey(), name: settings.clusterName },
      `lowest PeerId of ${names + 1} fresh nodes on ${election.network}`,
    );
    return null;
  }

  waitingFor(): string | null {
    const election = this.#elect();
    return election.verdict === "wait" ? election.reason : "founds a cluster now";
  }

  #elect(): Election {
    const { self, clock, settings, decisions, record, window, neighbours, untried, interfaces } =
      this.#context;
    const now = clock.now();
    const seen = neighbours();
    return decisions.electFounder({
      self,
      now,
      expect: settings.expect,
      quietMs: settings.quietMs,
      windowOpen: window().open,
      restsUntil: this.#restsUntil,
      joining: record.joining,
      neighbours: seen,
      clusters: provenClusters(seen, now),
      foundings: seenFoundings(seen, now, null),
      untried: untried(),
      interfaces: interfaces(),
      quietSince: this.#quiet.since,
    });
  }
}
