/** Milliseconds that somebody must have been there before an earlier absence is forgotten. */
export const steadyMs = 30_000;

interface Spell {
  present: boolean;
  /** When it came or went last. */
  turned: number;
  /** Since when it has not been there steadily; null while it is. */
  awaySince: number | null;
}

/**
 * For how long each has been there or away, by a clock that nobody sets. One that comes back only for a moment,
 * again and again, has been away all the time.
 */
export class Spells<Key> {
  readonly #spells = new Map<Key, Spell>();

  /** Told at every change, and as often as one likes. */
  note(key: Key, present: boolean, now: number): void {
    const spell = this.#spells.get(key);
    if (spell === undefined) {
      this.#spells.set(key, { present, turned: now, awaySince: present ? null : now });
      return;
    }
    this.#forget(spell, now);
    if (spell.present === present) return;
    spell.present = present;
    spell.turned = now;
    if (!present) spell.awaySince ??= now;
  }

  /** Those who are not spoken of any more. */
  keepOnly(keys: ReadonlySet<Key>): void {
    for (const key of this.#spells.keys()) if (!keys.has(key)) this.#spells.delete(key);
  }

  /** Milliseconds for which it has not been there steadily; 0 while it has, and for strangers. */
  awayFor(key: Key, now: number): number {
    const spell = this.#spells.get(key);
    if (spell === undefined) return 0;
    this.#forget(spell, now);
    return spell.awaySince === null ? 0 : now - spell.awaySince;
  }

  /** Milliseconds for which it has been there without a break. */
  presentFor(key: Key, now: number): number {
    const spell = this.#spells.get(key);
    return spell?.present ? now - spell.turned : 0;
  }

  #forget(spell: Spell, now: number): void {
    if (spell.present && spell.awaySince !== null && now - spell.turned >= steadyMs) spell.awaySince = null;
  }
}
