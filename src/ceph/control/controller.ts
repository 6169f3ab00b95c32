import type { Logger } from "pino";
import { isMicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { EntryId, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";

/** A decision that a planner wants. */
export interface Proposal {
  readonly kind: string;
  readonly body: Json;
  /** The node that will carry it out; null for the lease holder itself. */
  readonly agent: PeerId | null;
  /** Why, for the record. */
  readonly reason: string;
  /**
   * Decisions of one lane are made one after the other; of different lanes side by side. A lane `a` is wide: it
   * takes in every lane `a/b`.
   */
  readonly lane: string;
}

export type Outcome =
  | { readonly state: "done"; readonly result: Json; readonly reason: string }
  | {
      readonly state: "abandoned";
      readonly reason: string;
      readonly cancelAcknowledged: boolean;
      /** Its agent has been declared gone for good: it promises nothing any more. */
      readonly agentGone?: boolean;
    };

/**
 * Facts in, wanted decisions out. Runs only with the lease of this epoch: what it writes itself names the
 * epoch too, so that a plan of an earlier term is never written in a later one.
 */
export type Planner = (signal: AbortSignal, epoch: number) => Promise<readonly Proposal[]>;

/** Carries an open entry to its end; run again after any failure, by whoever holds the lease then. */
export type Executor = (entry: Entry, signal: AbortSignal) => Promise<Outcome>;

export interface DecisionWriter {
  open(
    draft: { kind: string; body: Json; agent: PeerId | null; reason: string },
    options: { readonly epoch: number },
  ): Promise<Entry>;
  close(
    entry: EntryId,
    state: "done" | "abandoned",
    ending: { result?: Json; reason: string; cancelAcknowledged?: boolean; agentGone?: boolean },
  ): Promise<Entry>;
  restampOpen(): Promise<readonly Entry[]>;
}

export interface ControllerDeps {
  /** Epoch of the lease while this node holds it, else null. */
  readonly epoch: () => number | null;
  readonly writer: DecisionWriter;
  readonly openEntries: () => readonly Entry[];
  readonly laneOf: (entry: Entry) => string;
  readonly planners: Readonly<Record<string, Planner>>;
  readonly executors: Readonly<Record<string, Executor>>;
  readonly now: () => number;
  readonly log: Logger;
}

export interface ControllerOptions {
  /** Milliseconds between passes when no event wakes it; only a net under missed events. */
  readonly idleMs: number;
  /** First and longest pause before a failed decision or planner is tried again. */
  readonly retryMs: { readonly first: number; readonly longest: number };
  /** First and longest pause before the very same decision is made again. */
  readonly repeatMs: { readonly first: number; readonly longest: number };
}

/** One holding of the lease by this node. */
interface Term {
  readonly epoch: number;
  readonly ended: AbortController;
}

interface Retry {
  readonly at: number;
  readonly pauseMs: number;
}

/**
 * Acts only with the lease: takes up every open decision (re-stamped first under a new lease), then asks
 * the planners for new ones, one at a time in each lane. Events only wake it; it works from recorded state.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #deps: ControllerDeps;
  readonly #running = new Map<EntryId, Promise<void>>();
  readonly #planning = new Map<string, Promise<void>>();
  /** Planners whose last plan is older than the last change. */
  readonly #stale = new Set<string>();
  /** Lanes in which a decision is being written. */
  readonly #lanes = new Set<string>();
  readonly #retries = new Map<string, Retry>();
  #stop = new AbortController();
  #term: Term | null = null;
  #wake: (() => void) | null = null;
  #woken = false;
  #loop: Promise<void> | null = null;

  constructor(options: ControllerOptions, deps: ControllerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#endTerm();
    this.wake();
    await this.#loop;
    await Promise.allSettled([...this.#running.values(), ...this.#planning.values()]);
  }

  /** Something changed: plan again soon. */
  wake(): void {
    this.#makeStale();
    this.#nudge();
  }

  /** The lease is gone: everything under way is told to stop at once. */
  leaseLost(): void {
    this.#endTerm();
    this.wake();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#woken = false;
      try {
        await this.#pass();
      } catch (error) {
        if (endsTerm(error)) this.#endTerm();
        else this.#deps.log.warn({ error: messageOf(error) }, "controller pass failed");
        this.#postpone("pass");
      }
      if (!this.#woken) await this.#idle();
    }
  }

  async #pass(): Promise<void> {
    const epoch = this.#deps.epoch();
    if (epoch === null || !this.#due("pass")) {
      if (epoch === null) this.#endTerm();
      return;
    }
    const term = await this.#enterTerm(epoch);
    if (!term) return;
    for (const entry of this.#deps.openEntries()) this.#takeUp(entry, term.ended.signal);
    for (const name of Object.keys(this.#deps.planners)) this.#plan(name, term);
    this.#retries.delete("pass");
  }

  async #enterTerm(epoch: number): Promise<Term | null> {
    if (this.#term?.epoch === epoch) return this.#term;
    this.#endTerm();
    // Acts of an earlier term of ours must have ended before they are begun again under a new number.
    await Promise.allSettled([...this.#running.values(), ...this.#planning.values()]);
    await this.#deps.writer.restampOpen();
    if (this.#deps.epoch() !== epoch) return null;
    this.#retries.clear();
    this.#makeStale();
    this.#term = { epoch, ended: new AbortController() };
    return this.#term;
  }

  #endTerm(): void {
    this.#term?.ended.abort();
    this.#term = null;
  }

  /** Look at what is due, without planning afresh. */
  #nudge(): void {
    this.#woken = true;
    this.#wake?.();
  }

  #makeStale(): void {
    for (const name of Object.keys(this.#deps.planners)) this.#stale.add(name);
  }

  /** Each planner runs by itself, so that one that waits for Ceph does not hold up the others. */
  #plan(name: string, term: Term): void {
    const planner = this.#deps.planners[name];
    const key = `planner ${name}`;
    if (!planner || this.#planning.has(name) || !this.#stale.has(name) || !this.#due(key)) return;
    this.#stale.delete(name);
    const work = this.#runPlanner(name, planner, term).finally(() => {
      this.#planning.delete(name);
      if (this.#stale.has(name)) this.#nudge();
    });
    this.#planning.set(name, work);
  }

  async #runPlanner(name: string, planner: Planner, term: Term): Promise<void> {
    const { signal } = term.ended;
    const key = `planner ${name}`;
    try {
      for (const proposal of await planner(signal, term.epoch)) await this.#decide(proposal, term);
      this.#retries.delete(key);
    } catch (error) {
      if (signal.aborted) return;
      if (endsTerm(error)) this.#endTerm();
      else this.#deps.log.warn({ planner: name, error: messageOf(error) }, "planner failed");
      this.#stale.add(name);
      this.#postpone(key);
    }
  }

  async #decide(proposal: Proposal, { epoch, ended: { signal } }: Term): Promise<void> {
    const { kind, body, agent, reason, lane } = proposal;
    const taken = [...this.#lanes, ...this.#deps.openEntries().map((entry) => this.#deps.laneOf(entry))];
    if (signal.aborted || taken.some((other) => meet(lane, other))) return;
    // The same decision wanted again right after it was done means that a planner does not see what an
    // executor did: it must not fill the journal while that lasts.
    const gist = `again ${JSON.stringify([kind, body])}`;
    if (!this.#due(gist)) return;
    this.#postpone(gist, this.#options.repeatMs);
    this.#lanes.add(lane);
    try {
      const entry = await this.#deps.writer.open({ kind, body, agent, reason }, { epoch });
      this.#deps.log.info({ entry: entry.id, kind, reason }, "decided");
      this.#takeUp(entry, signal);
    } finally {
      this.#lanes.delete(lane);
    }
  }

  #takeUp(entry: Entry, signal: AbortSignal): void {
    // Kinds without an executor are carried on by their planner (admissions).
    if (!(entry.kind in this.#deps.executors)) return;
    // The term may have ended while the decision was written: then it is for the next holder.
    if (signal.aborted) return;
    if (this.#running.has(entry.id) || !this.#due(`entry ${entry.id}`)) return;
    const done = this.#execute(entry, signal).finally(() => {
      this.#running.delete(entry.id);
      this.wake();
    });
    this.#running.set(entry.id, done);
  }

  async #execute(entry: Entry, signal: AbortSignal): Promise<void> {
    const key = `entry ${entry.id}`;
    try {
      const outcome = await this.#outcome(entry, signal);
      if (outcome === null || signal.aborted) return;
      const { state, ...ending } = outcome;
      await this.#deps.writer.close(entry.id, state, ending);
      this.#retries.delete(key);
      this.#deps.log.info(
        { entry: entry.id, state: outcome.state, reason: outcome.reason },
        "decision closed",
      );
    } catch (error) {
      if (signal.aborted) return;
      if (endsTerm(error)) this.#endTerm();
      this.#deps.log.warn({ entry: entry.id, error: messageOf(error) }, "decision not closed yet");
      this.#postpone(key);
    }
  }

  /** What its executor made of an entry; null when it is to be tried again. */
  async #outcome(entry: Entry, signal: AbortSignal): Promise<Outcome | null> {
    try {
      return (await this.#deps.executors[entry.kind]?.(entry, signal)) ?? null;
    } catch (error) {
      if (signal.aborted) return null;
      if (isMicrocephError(error, "LEASE_LOST")) this.#endTerm();
      this.#deps.log.warn(
        { entry: entry.id, kind: entry.kind, error: messageOf(error) },
        "decision not done yet",
      );
      this.#postpone(`entry ${entry.id}`);
      return null;
    }
  }

  #due(key: string): boolean {
    const retry = this.#retries.get(key);
    return retry === undefined || retry.at <= this.#deps.now();
  }

  #postpone(key: string, pauses = this.#options.retryMs): void {
    const { first, longest } = pauses;
    const before = this.#retries.get(key);
    const pauseMs = before ? Math.min(longest, before.pauseMs * 2) : first;
    this.#retries.set(key, { at: this.#deps.now() + pauseMs, pauseMs });
  }

  /** Until woken, the next retry is due, or the idle time is over. */
  async #idle(): Promise<void> {
    const now = this.#deps.now();
    const next = [...this.#retries.values()].map((retry) => retry.at - now).filter((ms) => ms > 0);
    const pause = Math.max(10, Math.min(this.#options.idleMs, ...next));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        if (pause === this.#options.idleMs) this.#makeStale();
        resolve();
      }, pause);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

/** Whether two lanes are the same, or one takes in the other. */
function meet(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/** The lease went, if only for a moment: open decisions must be re-stamped before anything else. */
function endsTerm(error: unknown): boolean {
  return isMicrocephError(error, "LEASE_LOST") || isMicrocephError(error, "NOT_READY");
}
