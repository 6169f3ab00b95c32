/** What a unit runs. Two specs are the same when their canonical JSON is. */
export interface UnitSpec {
  /** Program (found through PATH of `env`) and its arguments. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment of the program; nothing is inherited. Default: PATH and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; default `/`. */
  readonly cwd?: string;
  /** Seconds between TERM and KILL when the unit is stopped; default 20. */
  readonly stopSeconds?: number;
}

/**
 * - `running`: the program runs
 * - `waiting`: it ended and is started again after the back-off
 * - `stopping`, `stopped`: as asked
 * - `starting`: the supervisor has not started the program yet, or waits for a left-over one
 * - `unsupervised`: the supervisor is gone without having been asked to; the next `ensure` repairs it
 */
export type UnitState = "starting" | "running" | "waiting" | "stopping" | "stopped" | "unsupervised";

export interface UnitStatus {
  readonly unit: string;
  readonly state: UnitState;
  /** Process id of the program; null when it does not run. */
  readonly pid: number | null;
  readonly supervisorPid: number | null;
  /** How often the program was started again by this supervisor. */
  readonly restarts: number;
  /** Exit status of the last ended run: 0 to 255, 128 + signal number when killed; null before the first end. */
  readonly lastExit: number | null;
  /** Why the unit is in this state, one line. */
  readonly reason: string;
  /** Milliseconds since the epoch of the last change. */
  readonly since: number;
}

export interface EnsureResult {
  /**
   * - `unchanged`: runs with this spec already (adopted, when an earlier daemon process started it)
   * - `started`: was not running
   * - `differs`: runs with another spec and was left alone
   * - `restarted`: ran with another spec and runs with this one now
   */
  readonly action: "unchanged" | "started" | "differs" | "restarted";
  readonly status: UnitStatus;
}

/** Runs long-lived programs that outlive the daemon, each on its own. */
export interface Runner {
  open(): Promise<void>;
  /** Lets go of everything; the units run on. */
  close(): Promise<void>;
  /** Make the unit run with this spec. Idempotent, and safe to repeat after a crash at any step. */
  ensure(
    unit: string,
    spec: UnitSpec,
    options?: { readonly restartIfChanged?: boolean },
  ): Promise<EnsureResult>;
  /** Stop the program (TERM, then KILL) and its supervisor; with `removeAlso` forget the unit. Idempotent. */
  stop(unit: string, options?: { readonly removeAlso?: boolean }): Promise<void>;
  /** Restart the program of a unit with its present spec. Throws NOT_FOUND for an unknown unit. */
  restart(unit: string): Promise<UnitStatus>;
  status(unit: string): Promise<UnitStatus | undefined>;
  /** All units known on disk, sorted by name. */
  list(): Promise<UnitStatus[]>;
  /** Called with each changed status; returns the function that ends it. A hint: re-read what matters. */
  onChange(listener: (status: UnitStatus) => void): () => void;
}
