/** One thing measured against another, in turn: ours, reference, ours, … */
export interface Comparison {
  /** What is measured, as a reader of the table understands it: `daemon, resident memory`. */
  readonly title: string;
  /** Unit of both figures: `s`, `ms`, `MB`. */
  readonly unit: string;
  /** What the reference is: `an empty Node program`. */
  readonly reference: string;
  /** Aim of the ratio ours/reference; undefined where only the figure of ours has one. */
  readonly aim?: number;
  /** Aim of the figure itself, in `unit`. */
  readonly absoluteAim?: number;
  /** One figure of ours. */
  ours(signal: AbortSignal): Promise<number>;
  /** One figure of the reference; undefined where there is nothing to compare with. */
  theirs?(signal: AbortSignal): Promise<number>;
}

/** What a benchmark needs before and after all its turns. */
export interface Bench {
  readonly name: string;
  /** One line for `--list`. */
  readonly about: string;
  /** Counted turns unless told otherwise. */
  readonly runs: number;
  /** Turns that are not counted, first. */
  readonly warmUps: number;
  /** Makes the comparisons; what it started is ended by `dispose`, also after a failure. */
  open(say: (line: string) => void): Promise<{ comparisons: Comparison[]; dispose(): Promise<void> }>;
}
