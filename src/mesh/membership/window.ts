/** When a fresh node can be claimed. */
export interface ClaimWindow {
  readonly open: boolean;
  /** Epoch milliseconds at which it closes; null while it is shut. */
  readonly until: number | null;
}

const hourMs = 3_600_000;

/**
 * The window is open for so many hours after boot, and again after each `mesh join`. A node whose setting
 * keeps it shut opens it by `mesh join` only.
 */
export function claimWindow(facts: {
  readonly now: number;
  readonly bootedAt: number;
  /** Last `mesh join` in this run, or null. */
  readonly openedAt: number | null;
  readonly hours: number;
  readonly shut: boolean;
}): ClaimWindow {
  const starts = facts.shut ? [] : [facts.bootedAt];
  if (facts.openedAt !== null) starts.push(facts.openedAt);
  if (starts.length === 0) return { open: false, until: null };
  const until = Math.max(...starts) + facts.hours * hourMs;
  return facts.now < until ? { open: true, until } : { open: false, until: null };
}
