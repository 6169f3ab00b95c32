import type { MeshChanges } from "./mesh-world.ts";
import { type Command, parseCommand, UsageError, usage } from "./options.ts";
import { curveTable, type Point, pointOf, reportText } from "./render.ts";
import { simulate, simulateMesh } from "./simulate.ts";

/** Text for standard output, and whether anything was violated. */
interface Outcome {
  readonly text: string;
  readonly violations: readonly string[];
}

/** Same arguments and seed, same text. */
export function run(command: Command, changes: MeshChanges = {}): Promise<Outcome> {
  return command.curve === null ? runOnce(command, changes) : runCurve(command, command.curve);
}

async function runOnce({ options, format }: Command, changes: MeshChanges): Promise<Outcome> {
  const report = await simulate(options, changes);
  const violations = report.invariants.flatMap(({ name, violations: found }) =>
    found.map((text) => `${name}: ${text}`),
  );
  const text = format === "json" ? `${JSON.stringify(report, null, 2)}\n` : reportText(report);
  return { text, violations };
}

async function runCurve({ options, format }: Command, sizes: readonly number[]): Promise<Outcome> {
  const points: Point[] = [];
  for (const nodes of sizes) {
    const size = { ...options, nodes };
    points.push(pointOf(size, await simulateMesh(size)));
  }
  const text = format === "json" ? `${JSON.stringify({ options, points }, null, 2)}\n` : curveTable(points);
  return {
    text,
    violations: points.flatMap(({ nodes, violations }) => violations.map((v) => `${nodes} nodes: ${v}`)),
  };
}

/** @returns the exit code: 0 when every invariant held, 1 when not, 2 for a wrong flag */
export async function main(
  args: readonly string[],
  write: (text: string) => void,
  changes: MeshChanges = {},
): Promise<number> {
  try {
    const command = parseCommand(args, () => Math.floor(Math.random() * 2 ** 31));
    const { text, violations } = await run(command, changes);
    write(text);
    if (violations.length === 0) return 0;
    write(`\n${violations.map((one) => `VIOLATION ${one}`).join("\n")}\n`);
    write(`Replay: ${command.replay}\n`);
    return 1;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n${usage}\n`);
    return 2;
  }
}

if (import.meta.main)
  process.exitCode = await main(process.argv.slice(2), (text) => process.stdout.write(text));
