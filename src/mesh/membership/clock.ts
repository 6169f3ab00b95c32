/** Time as the membership room uses it: a simulator hands in its own. */
export interface Clock {
  /** Milliseconds since the epoch that never jump with the wall clock. */
  now(): number;
  /** Run once after so many milliseconds; the returned function cancels it. */
  after(milliseconds: number, run: () => void): () => void;
}

/** The process's monotonic clock, read as an epoch time: setting the wall clock moves no deadline. */
export const monotonicClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
