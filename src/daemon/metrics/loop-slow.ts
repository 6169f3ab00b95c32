/** How late the event loop was in one window of time, seconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Whether the loop counts as slow, and for how many windows in a row it has been otherwise. */
export interface LoopState {
  readonly slow: boolean;
  readonly against: number;
}

export const loopAtEase: LoopState = { slow: false, against: 0 };

/** Seconds of p99 from where a window is bad, and up to where it is good: between them nothing changes. */
const badSeconds = 0.25;
const goodSeconds = 0.1;
/** Windows in a row that turn the verdict: one burst of work is no condition. */
const needed = 3;

export function nextLoopState(state: LoopState, { p99 }: LoopDelay): LoopState {
  const contradicts = state.slow ? p99 < goodSeconds : p99 > badSeconds;
  if (!contradicts) return { slow: state.slow, against: 0 };
  const against = state.against + 1;
  return against < needed ? { slow: state.slow, against } : { slow: !state.slow, against: 0 };
}
