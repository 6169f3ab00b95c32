import { Random } from "../../support/virtual-time.ts";
import type { SimOptions } from "./options.ts";

/** Something that goes wrong at a time, for a while (milliseconds). */
export type Fault = {
  readonly at: number;
  readonly until: number;
} /** oneWay: nothing leaves the side, what comes from outside gets in. */ & (
  | { readonly kind: "partition"; readonly side: ReadonlySet<number>; readonly oneWay: boolean }
  | { readonly kind: "pause"; readonly node: number }
  /** power: silence. kill: the connections are closed, dials refused. */
  | { readonly kind: "crash"; readonly node: number; readonly how: "power" | "kill" }
  | { readonly kind: "clock"; readonly node: number; readonly byMs: number }
);

/** All must have found each other by then. */
export const warmUpMs = 60_000;
/** Time between the end of the last fault and the last look. */
export const calmMs = 120_000;

/** Every fault of a run, drawn beforehand: the same for all that is simulated. */
export class Timeline {
  readonly faults: readonly Fault[];
  readonly endsAt: number;
  readonly #partitions: readonly Extract<Fault, { kind: "partition" }>[];

  constructor(options: SimOptions) {
    const random = new Random(options.seed ^ 0x71e1);
    this.endsAt = Math.max(options.hours * 3_600_000, warmUpMs + calmMs + 60_000);
    this.faults = draw(options, random, this.endsAt - calmMs).sort((a, b) => a.at - b.at);
    this.#partitions = this.faults.filter((fault) => fault.kind === "partition");
  }

  /** Whether nothing gets from the one to the other at that time. */
  isCut(a: number, b: number, at: number): boolean {
    return this.#partitions.some(
      ({ side, oneWay, at: from, until }) =>
        from <= at && at < until && side.has(a) !== side.has(b) && (!oneWay || side.has(a)),
    );
  }

  /**
   * Whether anything, but for one fault, has kept the one from hearing the other between two times. That the one
   * was stopped itself is no excuse for what it believes of the other.
   */
  excuses(a: number, b: number, from: number, to: number, but?: Fault): boolean {
    return this.faults.some((fault) => {
      if (fault === but || fault.at > to || fault.until < from) return false;
      switch (fault.kind) {
        case "partition":
          return fault.side.has(a) !== fault.side.has(b);
        case "clock":
          return false;
        case "pause":
          return fault.node === b;
        default:
          return fault.node === a || fault.node === b;
      }
    });
  }

  /** Whether that node was stopped at any time between two, or could think so: its clock was set. */
  wasStopped(node: number, from: number, to: number): boolean {
    return this.faults.some(
      (fault) =>
        (fault.kind === "pause" || fault.kind === "clock") &&
        fault.node === node &&
        fault.at < to &&
        fault.until > from,
    );
  }

  /** Whether anything at all is wrong at that time, or was shortly before. */
  isTroubled(at: number, beforeMs: number): boolean {
    return this.faults.some((fault) => fault.at <= at && at <= fault.until + beforeMs);
  }
}

function draw(options: SimOptions, random: Random, latest: number): Fault[] {
  const { nodes } = options;
  const faults: Fault[] = [];
  const add = <T extends object>(count: number, lasts: readonly [number, number], make: () => T): void => {
    for (let n = 0; n < count; n += 1) {
      const at = random.between(warmUpMs, latest - 20_000);
      const until = Math.min(at + random.between(...lasts), latest);
      faults.push({ at, until, ...make() } as unknown as Fault);
    }
  };
  const node = (): number => random.whole(0, nodes - 1);
  add(options.partitions, [3_000, 120_000], () => {
    const share = random.pick([0, 0.2, 0.5]);
    const lone = node();
    const side = new Set([
      lone,
      ...Array.from({ length: nodes }, (_, n) => n).filter(() => random.chance(share)),
    ]);
    return { kind: "partition", side, oneWay: random.chance(0.3) };
  });
  add(options.pauses, [500, 30_000], () => ({ kind: "pause", node: node() }));
  add(options.crashes, [20_000, 180_000], () => {
    return { kind: "crash", node: node(), how: random.chance(0.7) ? "power" : "kill" };
  });
  add(options.clockJumps, [0, 0], () => ({
    kind: "clock",
    node: node(),
    byMs: random.between(1_000, 7_200_000) * (random.chance(0.5) ? -1 : 1),
  }));
  return withoutOverlaps(faults);
}

/** A node has one trouble of its own at a time. */
function withoutOverlaps(faults: readonly Fault[]): Fault[] {
  const taken: Fault[] = [];
  for (const fault of faults) {
    const clashes = taken.some(
      (other) =>
        "node" in fault &&
        "node" in other &&
        fault.node === other.node &&
        fault.at < other.until + 20_000 &&
        other.at < fault.until + 20_000,
    );
    if (!clashes) taken.push(fault);
  }
  return taken;
}
