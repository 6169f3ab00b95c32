/** What one interval told about this node itself. */
export interface HealthRound {
  /** Members that should have answered lately. */
  readonly watched: number;
  /** Those of them that did not. */
  readonly quiet: number;
}

const mostLag = 8;
/** So few that one with power sees another without it as failed after 10 s, however many packets are lost. */
const mostMissed = 3;
const stretchPerPoint = 0.25;
const doubtFrom = 2;

/**
 * How far this node trusts its own eyes (Lifeguard's local health, https://arxiv.org/abs/1707.00788). Points
 * are for being late itself, and for what is likelier its own fault than that of many others at once: most
 * members silent together, no witness answering. They stretch its timeouts and silence it as a witness.
 */
export class LocalHealth {
  #lag = 0;
  #missed = 0;
  #lateSinceRound = false;
  #witnessesHeard = 0;
  #witnessesSilent = 0;

  /** A tick came so late, as a number of ping intervals. */
  late(intervals: number): void {
    this.#lag = Math.min(mostLag, this.#lag + Math.ceil(intervals));
    this.#lateSinceRound = true;
  }

  /** A witness was asked, and answered, whatever it said, or did not. */
  witness(answered: boolean): void {
    if (answered) this.#witnessesHeard += 1;
    else this.#witnessesSilent += 1;
  }

  /** An interval of waking time went by. */
  round({ watched, quiet }: HealthRound): void {
    if (!this.#lateSinceRound) this.#lag = Math.max(0, this.#lag - 1);
    this.#lateSinceRound = false;
    // One silent member is its own fault; a half of them may be a cut network's.
    const mostAreQuiet = quiet >= 2 && 2 * quiet > watched;
    const noWitness = this.#witnessesSilent >= 2 && this.#witnessesHeard === 0;
    this.#witnessesHeard = 0;
    this.#witnessesSilent = 0;
    const change = mostAreQuiet || noWitness ? 1 : -1;
    this.#missed = Math.min(mostMissed, Math.max(0, this.#missed + change));
  }

  /** By how much to stretch the time until a verdict: 1 when healthy, 1.75 when it hears nobody, 3.75 at most. */
  get stretch(): number {
    return 1 + stretchPerPoint * (this.#lag + this.#missed);
  }

  /** The same for a suspicion: it harms nobody yet, so only being late itself is a reason to wait with it. */
  get stretchOfSuspicion(): number {
    return 1 + stretchPerPoint * this.#lag;
  }

  /** Whether to abstain from saying that others don't answer. */
  get doubts(): boolean {
    return this.#lag + this.#missed >= doubtFrom;
  }
}
