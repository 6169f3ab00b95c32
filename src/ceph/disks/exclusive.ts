/**
 * One at a time for each key: of two requests for one disk the second looks only when the first has written
 * down what it takes. Several keys are taken together, in one order, so that two never wait for each other.
 */
export class Exclusive {
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(keys: readonly string[], act: () => Promise<T>): Promise<T> {
    const wanted = [...new Set(keys)].sort();
    const releases: (() => void)[] = [];
    try {
      for (const key of wanted) releases.push(await this.#acquire(key));
      return await act();
    } finally {
      for (const release of releases) release();
    }
  }

  async #acquire(key: string): Promise<() => void> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = before.then(() => promise);
    this.#last.set(key, mine);
    await before;
    return () => {
      resolve();
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
  }
}
