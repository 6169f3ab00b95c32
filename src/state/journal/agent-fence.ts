import { MicrocephError } from "../../errors/microceph-error.ts";
import type { EntryId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { compareNumbers } from "./numbers.ts";
import type { DecisionNumber } from "./types.ts";

/** What the fence needs of the node's durable store; a write that returned survives power loss. */
export interface FenceStore {
  get<T extends Json>(key: string): T | undefined;
  put(key: string, value: Json): void;
  transaction<T>(work: () => T): T;
}

export type Verdict =
  | { readonly verdict: "obey" }
  /** Overtaken by a later number, or cancelled. */
  | { readonly verdict: "stale" }
  /** Carried out before: this is what came of it. */
  | { readonly verdict: "done"; readonly result: Json };

type Memory = {
  generation: number;
  revision: number;
  state: "obeyed" | "done" | "cancelled";
  result: Json;
};

const highestKey = "fence/highest";
const memoryPrefix = "fence/entry/";

/**
 * The agent's durable memory of what it was told: the highest number obeyed, and for each entry what came of
 * it. The agent runs one step of an entry at a time and asks here before it, and cancels only between.
 */
export class AgentFence {
  readonly #store: FenceStore;

  constructor(deps: { store: FenceStore }) {
    this.#store = deps.store;
  }

  /** Whether an order may be carried out; when it may, its number is remembered before this returns. */
  check(entry: EntryId, number: DecisionNumber): Verdict {
    return this.#store.transaction((): Verdict => {
      const memory = this.#memory(entry);
      if (memory?.state === "done") return { verdict: "done", result: memory.result };
      if (memory?.state === "cancelled" || this.#isOvertaken(number)) return { verdict: "stale" };
      this.#remember(entry, number, "obeyed", null);
      return { verdict: "obey" };
    });
  }

  /** Remember what came of an entry: an order given again is answered with it. */
  finish(entry: EntryId, number: DecisionNumber, result: Json): void {
    this.#store.transaction(() => {
      const memory = this.#memory(entry);
      if (memory?.state === "cancelled") {
        throw new Error(`decision ${entry} was carried out after its cancellation was acknowledged`);
      }
      if (memory?.state !== "done") this.#remember(entry, number, "done", result);
    });
  }

  /**
   * Promise, durably, never to carry the entry out. @returns false when it has been carried out already, unless that
   * has been reverted
   * @throws STALE_DECISION when the entry has been obeyed under a later number: the asker is overtaken
   */
  acknowledgeCancel(entry: EntryId, number: DecisionNumber, reverted = false): boolean {
    return this.#store.transaction(() => {
      const memory = this.#memory(entry);
      if (memory?.state === "done" && !reverted) return false;
      if (memory && compareNumbers(number, memory) < 0) {
        throw new MicrocephError("STALE_DECISION", `decision ${entry} was given again under a later number`, {
          data: { entry },
        });
      }
      if (memory?.state !== "cancelled") this.#remember(entry, number, "cancelled", null);
      return true;
    });
  }

  /** Highest number obeyed, null before the first. */
  highest(): DecisionNumber | null {
    return this.#store.get<{ generation: number; revision: number }>(highestKey) ?? null;
  }

  #isOvertaken(number: DecisionNumber): boolean {
    const highest = this.highest();
    return highest !== null && compareNumbers(number, highest) < 0;
  }

  #remember(entry: EntryId, number: DecisionNumber, state: Memory["state"], result: Json): void {
    const { generation, revision } = number;
    if (!this.#isOvertaken(number)) this.#store.put(highestKey, { generation, revision });
    this.#store.put(`${memoryPrefix}${entry}`, { generation, revision, state, result });
  }

  #memory(entry: EntryId): Memory | undefined {
    return this.#store.get<Memory>(`${memoryPrefix}${entry}`);
  }
}
