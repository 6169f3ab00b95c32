/** One figure, with labels where a metric has several. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is measured, and how to read it now; a source without a value yet gives none. */
export interface Metric {
  /** `microceph_…`, ending in the base unit, or in `_total` for a counter. */
  readonly name: string;
  readonly kind: "counter" | "gauge" | "summary";
  readonly help: string;
  readonly read: () => number | null | readonly Sample[];
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function renderMetrics(metrics: readonly Metric[]): string {
  return metrics.map(renderMetric).join("");
}

function renderMetric({ name, kind, help, read }: Metric): string {
  const found = read();
  const samples = typeof found === "number" ? [{ value: found }] : (found ?? []);
  const lines = samples.map(
    ({ labels, value }: Sample) => `${name}${labelText(labels)} ${numberText(value)}\n`,
  );
  return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join("")}`;
}

function labelText(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${key}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

/** How many there are of each, as samples: `by("state", members, (one) => one.state)`. */
export function countBy<T>(
  items: Iterable<T>,
  labelsOf: (item: T) => Readonly<Record<string, string>>,
): Sample[] {
  const counts = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    const known = counts.get(key);
    if (known) known.value += 1;
    else counts.set(key, { labels, value: 1 });
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sample]) => sample);
}
