import type { Comparison } from "./bench.ts";

/** The figures of one comparison. */
export interface Figures {
  readonly title: string;
  readonly unit: string;
  readonly reference: string;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly aim: number | null;
  readonly absoluteAim: number | null;
}

export function figuresOf(
  { title, unit, reference, aim, absoluteAim }: Comparison,
  ours: readonly number[],
  theirs: readonly number[],
): Figures {
  return { title, unit, reference, ours, theirs, aim: aim ?? null, absoluteAim: absoluteAim ?? null };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Ratio of the medians; null without a reference. */
export function ratioOf({ ours, theirs }: Figures): number | null {
  return theirs.length === 0 ? null : median(ours) / median(theirs);
}

function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function spread(values: readonly number[], unit: string): string {
  if (values.length === 0) return "-";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${digits(median(values))} ${unit} (${digits(low)}–${digits(high)})`;
}

/** One line for each comparison: the ratio first, because that is what holds on another machine. */
export function report(name: string, figures: readonly Figures[]): string {
  return figures
    .map((one) => {
      const ratio = ratioOf(one);
      const aims = [
        ...(one.aim === null ? [] : [`aim ≤ ${one.aim} ×`]),
        ...(one.absoluteAim === null ? [] : [`aim ≤ ${one.absoluteAim} ${one.unit}`]),
      ];
      const met =
        (one.aim === null || (ratio !== null && ratio <= one.aim)) &&
        (one.absoluteAim === null || median(one.ours) <= one.absoluteAim);
      const verdict = aims.length === 0 ? "" : `, ${aims.join(", ")}: ${met ? "met" : "NOT met"}`;
      const first = ratio === null ? "" : `${digits(ratio)} × ${one.reference}, `;
      const compared = one.theirs.length === 0 ? "" : `; ${one.reference} ${spread(one.theirs, one.unit)}`;
      return `${name}: ${one.title}: ${first}${spread(one.ours, one.unit)}${compared}${verdict}`;
    })
    .join("\n");
}
