import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";

/** Who may decide now, as far as this node can tell. */
export interface QuorumReport {
  readonly holder: PeerId | null;
  readonly epoch: number | null;
  readonly ok: boolean;
}

const reportSchema = z.object({
  holder: z.custom<PeerId>(isPeerId).nullable(),
  epoch: z.int().nullable(),
  ok: z.boolean(),
});

export interface QuorumViewDeps {
  readonly self: PeerId;
  readonly voters: () => readonly PeerId[];
  /** Whether the own etcd can be asked. */
  readonly isVoter: () => boolean;
  /** Linearizable look at the lease by the own etcd; throws without a majority. */
  readonly look: (signal: AbortSignal) => Promise<{ holder: PeerId | null; epoch: number | null }>;
  readonly ask: (peer: PeerId, signal: AbortSignal) => Promise<Json>;
  readonly isReachable: (peer: PeerId) => boolean;
  /** Without others that carry requests. */
  readonly isLinked: (peer: PeerId) => boolean;
  readonly onChange: (report: QuorumReport) => void;
}

const lookMs = 1_500;
/** For what no event tells of: an etcd that hangs, or cannot reach the others while their nodes are connected. */
export const lookEveryMs = 5_000;
/** An etcd that starts is silent for a moment. */
const silentAfterLooks = 3;
const nothing: QuorumReport = { holder: null, epoch: null, ok: false };

/** Keeps an up-to-date answer to "can anything be decided, and by whom": answers at once, never waits. */
export class QuorumView {
  readonly #deps: QuorumViewDeps;
  #report: QuorumReport = nothing;
  /** Looks in a row that the own etcd did not answer while another voter's did. */
  #silentLooks = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #again = false;
  #stop = new AbortController();

  constructor(deps: QuorumViewDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#timer = setInterval(() => this.refresh(), lookEveryMs);
    this.#timer.unref();
    this.refresh();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#looking;
  }

  /** The latest report; without a majority of reachable voters it is lost, whatever was last heard. */
  report(): QuorumReport {
    const voters = this.#deps.voters();
    const reachable = voters.filter(
      (peer) => peer === this.#deps.self || this.#deps.isReachable(peer),
    ).length;
    if (reachable * 2 <= voters.length) return { ...this.#report, ok: false };
    return this.#report;
  }

  /** The own etcd does not answer though there is a majority: this voter counts as one that is away. */
  get ownSilent(): boolean {
    return this.#silentLooks >= silentAfterLooks;
  }

  /** What this node answers to others that ask: only what its own etcd says. */
  async answer(): Promise<Json> {
    return this.#deps.isVoter() ? { ...this.#report } : { ...nothing };
  }

  /** Look again now, because something changed; a look that is under way may have begun before that. */
  refresh(): void {
    this.#again = this.#looking !== null;
    this.#looking ??= this.#look()
      // A fault of a listener, or of what it was asked of: the next look may do better.
      .catch(() => undefined)
      .finally(() => {
        this.#looking = null;
        if (this.#again && !this.#stop.signal.aborted) this.refresh();
      });
  }

  async #look(): Promise<void> {
    const within = (): AbortSignal => AbortSignal.any([this.#stop.signal, AbortSignal.timeout(lookMs)]);
    const own = await this.#lookHere(within());
    const next = own ?? (await this.#askVoters(within));
    // A learner has no answer of its own yet, and is no voter.
    const counts = this.#deps.isVoter() && this.#deps.voters().includes(this.#deps.self);
    this.#silentLooks = own === null && next.ok && counts ? this.#silentLooks + 1 : 0;
    const before = this.#report;
    this.#report = next;
    if (before.ok !== next.ok || before.holder !== next.holder || before.epoch !== next.epoch) {
      this.#deps.onChange(next);
    }
  }

  /** What the own etcd says; null when it cannot tell: no voter, still a learner, or cut off. */
  async #lookHere(signal: AbortSignal): Promise<QuorumReport | null> {
    if (!this.#deps.isVoter()) return null;
    try {
      return { ...(await this.#deps.look(signal)), ok: true };
    } catch {
      return null;
    }
  }

  /** Those with a link first: of many members each would else have the others carry questions to all voters. */
  async #askVoters(within: () => AbortSignal): Promise<QuorumReport> {
    const voters = this.#deps.voters().filter((peer) => this.#deps.isReachable(peer));
    const near = voters.filter((peer) => this.#deps.isLinked(peer));
    const told = near.length === 0 ? undefined : await this.#latestOf(near, within());
    const far = voters.filter((peer) => !near.includes(peer));
    if (told !== undefined || far.length === 0) return told ?? { ...this.#report, ok: false };
    return (await this.#latestOf(far, within())) ?? { ...this.#report, ok: false };
  }

  async #latestOf(voters: readonly PeerId[], signal: AbortSignal): Promise<QuorumReport | undefined> {
    const answers = await Promise.allSettled(voters.map((peer) => this.#deps.ask(peer, signal)));
    const reports = answers.flatMap((answer) => {
      const parsed = answer.status === "fulfilled" ? reportSchema.safeParse(answer.value) : undefined;
      return parsed?.success && parsed.data.ok ? [parsed.data] : [];
    });
    // Of voters that know differently the one with the later lease knows better.
    const [latest] = reports.sort((a, b) => (b.epoch ?? 0) - (a.epoch ?? 0));
    return latest;
  }
}
