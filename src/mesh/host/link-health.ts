/** Silence that is let pass on a good link, in pulses; one is sent each second. */
const allowance = 3;
/** The most, for a link that has been slow before: a loaded host, a long transfer on a thin line. */
const longestAllowance = 6;
const decay = 0.1;

/**
 * Whether a connection still lives, counted in our own pulses and not in time: after this process was stopped
 * or the machine slept, one tick passes before what came meanwhile is read, and nothing is cut wrongly.
 */
export class LinkHealth {
  #silent = 0;
  /** Longest recent silence that ended well. */
  #worst = 0;

  /** A pulse of the other end came. */
  heard(): void {
    this.#worst = Math.max(this.#silent, this.#worst - decay);
    this.#silent = 0;
  }

  /** One pulse interval went by here. Returns whether the link is to be given up. */
  tick(): boolean {
    this.#silent += 1;
    return this.#silent > Math.min(longestAllowance, Math.max(allowance, 2 * this.#worst));
  }
}
