// Benchmarks: npm run bench -- NAME… [--runs N] [--json FILE] [--list]
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Bench } from "./bench.ts";
import { type Figures, figuresOf, report } from "./figures.ts";

/** Loaded when asked for: a benchmark of the CLI does not load libp2p. */
const benches: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  bootstrap: () => import("./bootstrap.ts"),
  cli: () => import("./cli.ts"),
  discovery: () => import("./discovery.ts"),
  disks: () => import("./disks.ts"),
  events: () => import("./events.ts"),
  formation: () => import("./formation.ts"),
  join: () => import("./join.ts"),
  lease: () => import("./lease.ts"),
  memory: () => import("./memory.ts"),
};

async function measure(bench: Bench, runs: number, signal: AbortSignal): Promise<Figures[]> {
  const say = (line: string): void => console.error(`${bench.name}: ${line}`);
  const { comparisons, dispose } = await bench.open(say);
  try {
    const all: Figures[] = [];
    for (const comparison of comparisons) {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let turn = -bench.warmUps; turn < runs; turn += 1) {
        const own = await comparison.ours(signal);
        const reference = await comparison.theirs?.(signal);
        if (turn < 0) continue;
        ours.push(own);
        if (reference !== undefined) theirs.push(reference);
        say(
          `${comparison.title}: ${own.toFixed(2)} ${comparison.unit}, reference ${reference?.toFixed(2) ?? "-"}`,
        );
      }
      all.push(figuresOf(comparison, ours, theirs));
    }
    return all;
  } finally {
    await dispose();
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: "string" },
      json: { type: "string" },
      list: { type: "boolean" },
    },
  });
  const names = Object.keys(benches);
  if (values.list || positionals.length === 0) {
    for (const load of Object.values(benches)) {
      const { bench } = await load();
      console.log(`${bench.name.padEnd(12)} ${bench.about}`);
    }
    return;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  const results: Record<string, Figures[]> = {};
  for (const name of positionals) {
    const load = benches[name];
    if (load === undefined) {
      console.error(`Error: there is no benchmark "${name}"; there are: ${names.join(", ")} [USAGE]`);
      process.exit(2);
    }
    const { bench } = await load();
    results[name] = await measure(bench, Number(values.runs ?? bench.runs), stop.signal);
  }
  console.log(`load ${loadavg()[0]?.toFixed(1)}, ${new Date().toISOString()}`);
  for (const [name, figures] of Object.entries(results)) console.log(report(name, figures));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

await main();
