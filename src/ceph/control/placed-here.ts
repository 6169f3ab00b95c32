import type { DecisionNumber } from "../../state/journal/types.ts";
import { decisionNumber, isLater } from "./numbers.ts";

export interface PlacedMemory {
  get(key: string): unknown;
  put(key: string, value: { readonly generation: number; readonly revision: number }): void;
  delete(key: string): void;
}

/**
 * What a node keeps of a daemon that decisions place on it and take off again: one change at a time, and none for a
 * decision that a later one has overtaken.
 */
export class PlacedHere {
  readonly #memory: PlacedMemory;
  readonly #key: string;
  #work: Promise<unknown> = Promise.resolve();

  constructor(memory: PlacedMemory, key: string) {
    this.#memory = memory;
    this.#key = key;
  }

  inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  placed(by: DecisionNumber): void {
    this.#memory.put(this.#key, { ...by });
  }

  /** Whether a decision has placed it here, and none has taken it off since. */
  get isHere(): boolean {
    return this.#memory.get(this.#key) !== undefined;
  }

  /** Nothing of it is here any more. */
  forget(): void {
    this.#memory.delete(this.#key);
  }

  /** Carry out that it was taken off, unless a later decision placed it again. @returns whether there was anything */
  drop(by: DecisionNumber, remove: () => Promise<void>): Promise<boolean> {
    return this.inOrder(async () => {
      const placed = decisionNumber.safeParse(this.#memory.get(this.#key)).data;
      // An order may be obeyed before this node's copy of the journal has it.
      if (placed === undefined || isLater(placed, by)) return false;
      await remove();
      this.forget();
      return true;
    });
  }
}
