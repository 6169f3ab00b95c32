/** A set of durations, milliseconds. */
export class Durations {
  readonly #values: number[] = [];

  add(ms: number): void {
    this.#values.push(ms);
  }

  summary(): Summary {
    const sorted = [...this.#values].sort((a, b) => a - b);
    const at = (share: number): number | null => {
      const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
      return value === undefined ? null : Math.round(value);
    };
    return { count: sorted.length, median: at(0.5), p99: at(0.99), longest: at(1) };
  }
}

export interface Summary {
  readonly count: number;
  /** Milliseconds; null where there was nothing to measure. */
  readonly median: number | null;
  readonly p99: number | null;
  readonly longest: number | null;
}

/** A rule that was looked at, and where it did not hold. */
export class Invariant {
  readonly name: string;
  checked = 0;
  readonly violations: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  check(holds: boolean, text: () => string): void {
    this.checked += 1;
    if (!holds && this.violations.length < 10) this.violations.push(text());
  }

  report(): InvariantReport {
    return { name: this.name, checked: this.checked, violations: this.violations };
  }
}

export interface InvariantReport {
  readonly name: string;
  readonly checked: number;
  readonly violations: readonly string[];
}
