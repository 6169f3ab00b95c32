import { parseArgs } from "node:util";
import { Random } from "../../support/virtual-time.ts";

/** What is simulated; everything that is not given is drawn from the seed. */
export interface SimOptions {
  readonly nodes: number;
  readonly hours: number;
  readonly seed: number;
  /** Share of packets that are lost; TCP sends them again, mDNS does not. */
  readonly loss: number;
  /** Share of datagrams that arrive twice. */
  readonly duplicates: number;
  /** One way, milliseconds. */
  readonly latencyMs: readonly [number, number];
  /** Faults in all. */
  readonly partitions: number;
  readonly pauses: number;
  readonly crashes: number;
  readonly clockJumps: number;
  /** Seconds between two edits of the document. */
  readonly editEverySeconds: number;
}

export interface Command {
  readonly options: SimOptions;
  /** Sizes to run one after the other, for curves against N. */
  readonly curve: readonly number[] | null;
  readonly format: "table" | "json";
  /** Flags that run the same again. */
  readonly replay: string;
}

export const usage = `npm run sim -- [--nodes N] [--hours H] [--seed S] [--curve N,N,…] [--format table|json]
  faults, drawn from the seed when not given:
  --loss PERCENT --duplicates PERCENT --latency LOW-HIGH (ms)
  --partitions N --pauses N --crashes N --clock-jumps N (in all) --edit-every SECONDS`;

export class UsageError extends Error {}

const flags = {
  nodes: { type: "string" },
  hours: { type: "string" },
  seed: { type: "string" },
  curve: { type: "string" },
  format: { type: "string" },
  loss: { type: "string" },
  duplicates: { type: "string" },
  latency: { type: "string" },
  partitions: { type: "string" },
  pauses: { type: "string" },
  crashes: { type: "string" },
  "clock-jumps": { type: "string" },
  "edit-every": { type: "string" },
} as const;

/** @throws UsageError */
export function parseCommand(args: readonly string[], freshSeed: () => number): Command {
  const values = read(args);
  const number = (name: keyof typeof flags, low: number, high: number): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!(value >= low && value <= high)) throw new UsageError(`--${name}: ${low} to ${high}, not ${text}`);
    return value;
  };
  const whole = (name: keyof typeof flags, low: number, high: number): number | undefined => {
    const value = number(name, low, high);
    if (value !== undefined && !Number.isInteger(value)) throw new UsageError(`--${name}: a whole number`);
    return value;
  };
  const curve = values.curve?.split(",").map(Number) ?? null;
  if (curve?.some((n) => !Number.isInteger(n) || n < 2 || n > 1000)) {
    throw new UsageError("--curve: sizes from 2 to 1000, as in 10,30,100");
  }
  const { format = "table" } = values;
  if (format !== "table" && format !== "json") throw new UsageError("--format: table or json");
  const seed = whole("seed", 0, 2 ** 31) ?? freshSeed();
  const nodes = whole("nodes", 2, 1000) ?? 12;
  // A curve measures: without faults unless they are asked for, and long enough for a few edits and crashes.
  const hours = number("hours", 0.02, 10_000) ?? (curve === null ? 1 : 0.1);
  const drawn = curve === null ? faultsOf(new Random(seed ^ 0x0f57), hours) : measured;
  const percent = (name: "loss" | "duplicates"): number | undefined => {
    const value = number(name, 0, 60);
    return value === undefined ? undefined : value / 100;
  };
  const options: SimOptions = {
    nodes,
    hours,
    seed,
    loss: percent("loss") ?? drawn.loss,
    duplicates: percent("duplicates") ?? drawn.duplicates,
    latencyMs: latency(values.latency) ?? drawn.latencyMs,
    partitions: whole("partitions", 0, 1000) ?? drawn.partitions,
    pauses: whole("pauses", 0, 1000) ?? drawn.pauses,
    crashes: whole("crashes", 0, 1000) ?? drawn.crashes,
    clockJumps: whole("clock-jumps", 0, 1000) ?? drawn.clockJumps,
    editEverySeconds: number("edit-every", 1, 3600) ?? (curve === null ? 60 : 15),
  };
  const given = Object.entries(values).filter(([name]) => name !== "seed" && name !== "format");
  const replay = ["npm run sim --", ...given.map(([name, text]) => `--${name} ${text}`), `--seed ${seed}`];
  return { options, curve, format, replay: replay.join(" ") };
}

type Faults = Omit<SimOptions, "nodes" | "hours" | "seed" | "editEverySeconds">;

const measured: Faults = {
  loss: 0,
  duplicates: 0,
  latencyMs: [0.2, 2],
  partitions: 0,
  pauses: 0,
  crashes: 2,
  clockJumps: 0,
};

function faultsOf(random: Random, hours: number): Faults {
  const some = (most: number): number => Math.ceil(random.whole(0, most) * Math.min(hours, 24));
  return {
    loss: random.pick([0, 0.01, 0.05, 0.1]),
    duplicates: random.pick([0, 0.02]),
    latencyMs: random.pick([[0.2, 2] as const, [0.2, 10] as const, [1, 60] as const]),
    partitions: some(4),
    pauses: some(6),
    crashes: some(6),
    clockJumps: some(4),
  };
}

function read(args: readonly string[]): { [name in keyof typeof flags]?: string } {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function latency(text: string | undefined): readonly [number, number] | undefined {
  if (text === undefined) return undefined;
  const [low = Number.NaN, high = Number.NaN] = text.split("-").map(Number);
  if (!(low >= 0 && high >= low && high <= 10_000)) throw new UsageError("--latency: LOW-HIGH milliseconds");
  return [low, high];
}
