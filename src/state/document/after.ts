/** Runs something after so many milliseconds; the result takes it back. */
export type After = (ms: number, run: () => void) => () => void;

/** Real time; keeps no process alive. */
export const afterInRealTime: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
};
