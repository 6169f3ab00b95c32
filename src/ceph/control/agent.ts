import type { Logger } from "pino";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { EntryId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";

/** A decision as it reaches the node that carries it out. */
export interface Order {
  readonly entry: EntryId;
  readonly kind: string;
  readonly number: DecisionNumber;
  readonly body: Json;
  /** What the step needs and the journal must not hold: keys, the current monitor map. */
  readonly payload: Json;
}

export interface StepTools {
  /**
   * To be awaited right before the step's irreversible act. Throws STALE_DECISION unless a linearizable
   * read says that the entry is still open under this very number.
   */
  confirm(): Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Carries out one kind of decision; idempotent, because it is run again after any crash. */
export type Step = (order: Order, tools: StepTools) => Promise<Json>;

/** What the agent needs of the durable fence (state/journal). */
export interface Fence {
  check(
    entry: EntryId,
    number: DecisionNumber,
  ):
    | { readonly verdict: "obey" }
    | { readonly verdict: "stale" }
    | { readonly verdict: "done"; readonly result: Json };
  finish(entry: EntryId, number: DecisionNumber, result: Json): void;
  acknowledgeCancel(entry: EntryId, number: DecisionNumber, reverted?: boolean): boolean;
}

/**
 * Takes back what an interrupted step of this kind may have begun. False when it cannot be taken back, because
 * it has taken effect already; `reverted` when it could although the step had come to its end.
 */
export type Undo = (body: Json, entry: EntryId) => Promise<boolean | "reverted">;

export interface AgentDeps {
  readonly fence: Fence;
  /** Linearizable: is the entry open under exactly this number? Throws without a majority. */
  confirm(entry: EntryId, number: DecisionNumber, signal: AbortSignal): Promise<boolean>;
  readonly steps: Readonly<Record<string, Step>>;
  readonly undo?: Readonly<Record<string, Undo>>;
  readonly log: Logger;
}

/**
 * Makes this node match the decisions: obeys orders whose number is not overtaken, each entry once at a
 * time, and remembers what came of them, so that an order given twice is answered twice and done once.
 */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #running = new Map<EntryId, { readonly done: Promise<Json>; readonly stop: AbortController }>();
  readonly #cancelling = new Map<EntryId, Promise<boolean>>();
  #stopped = false;

  constructor(deps: AgentDeps) {
    this.#deps = deps;
  }

  /** Carry an order out, or answer with what came of it before. */
  async obey(order: Order): Promise<Json> {
    if (this.#stopped) throw new MicrocephError("CANCELLED", "the daemon is stopping");
    const before = this.#running.get(order.entry);
    if (before) {
      // A newer number for a step in flight: let it end (its confirm fails if overtaken), then decide afresh.
      await before.done.catch(() => undefined);
      return this.obey(order);
    }
    const cancelling = this.#cancelling.get(order.entry);
    if (cancelling) {
      // What is being taken back must not be begun again beneath it: first the promise, then the fence tells.
      await cancelling.catch(() => undefined);
      return this.obey(order);
    }
    const verdict = this.#deps.fence.check(order.entry, order.number);
    if (verdict.verdict === "done") return verdict.result;
    if (verdict.verdict === "stale") {
      throw new MicrocephError("STALE_DECISION", `decision ${order.entry} was overtaken by a later one`);
    }
    const step = this.#deps.steps[order.kind];
    if (!step)
      throw new MicrocephError("USAGE", `this node cannot carry out decisions of kind ${order.kind}`);
    const stop = new AbortController();
    const done = this.#run(order, step, stop.signal);
    this.#running.set(order.entry, { done, stop });
    try {
      return await done;
    } finally {
      this.#running.delete(order.entry);
    }
  }

  /**
   * Promise, durably, never to carry the entry out, after taking back what was begun of it; false when it is
   * done, or has taken effect, already.
   */
  async cancel(order: Omit<Order, "payload">): Promise<boolean> {
    if (this.#stopped) throw new MicrocephError("CANCELLED", "the daemon is stopping");
    const before = this.#cancelling.get(order.entry);
    if (before) {
      await before.catch(() => undefined);
      return this.cancel(order);
    }
    const cancelling = this.#cancel(order).finally(() => this.#cancelling.delete(order.entry));
    this.#cancelling.set(order.entry, cancelling);
    return cancelling;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { stop } of this.#running.values()) stop.abort();
    const running = [...this.#running.values()].map(({ done }) => done);
    await Promise.allSettled([...running, ...this.#cancelling.values()]);
  }

  async #cancel({ entry, number, kind, body }: Omit<Order, "payload">): Promise<boolean> {
    const running = this.#running.get(entry);
    running?.stop.abort();
    await running?.done.catch(() => undefined);
    const undo = this.#deps.undo?.[kind];
    const undone = undo === undefined || (await undo(body, entry));
    if (undone === false) return false;
    return this.#deps.fence.acknowledgeCancel(entry, number, undone === "reverted");
  }

  async #run(order: Order, step: Step, signal: AbortSignal): Promise<Json> {
    const log = this.#deps.log.child({ entry: order.entry, kind: order.kind });
    log.info({ number: order.number }, "order obeyed");
    const confirm = async (): Promise<void> => {
      const open = await this.#deps.confirm(order.entry, order.number, signal);
      if (!open) throw new MicrocephError("STALE_DECISION", `decision ${order.entry} is no longer open`);
    };
    try {
      const result = await step(order, { confirm, signal, log });
      this.#deps.fence.finish(order.entry, order.number, result);
      log.info("order carried out");
      return result;
    } catch (error) {
      const level = isMicrocephError(error, "STALE_DECISION") ? "info" : "warn";
      log[level]({ error: messageOf(error) }, "order not carried out");
      throw error;
    }
  }
}
