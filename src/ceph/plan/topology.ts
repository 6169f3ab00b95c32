/** A CRUSH bucket, as the tree has it. */
export interface Bucket {
  readonly name: string;
  readonly type: string;
  readonly parent: string | null;
  readonly items: number;
}

export interface TopologyFacts {
  readonly buckets: readonly Bucket[];
  /** Members by the name of their host bucket, with the zone that operators gave them. */
  readonly zones: ReadonlyMap<string, string | null>;
  /** Handles of removed members: their empty buckets are ours, too. */
  readonly formerHosts: ReadonlySet<string>;
  /** Milliseconds for which buckets and zones have been the same. */
  readonly stableMs: number;
}

export type TopologyStep =
  | { readonly op: "move"; readonly bucket: string; readonly rack: string | null; readonly reason: string }
  | { readonly op: "remove"; readonly bucket: string; readonly reason: string };

export interface TopologyPlan {
  readonly next: TopologyStep | null;
  /** All moves that are due, for an estimate of the whole. */
  readonly moves: readonly Extract<TopologyStep, { op: "move" }>[];
  readonly reasons: readonly string[];
}

/** The root that rules of ours start at. */
export const ourRoot = "default";
const rackPrefix = "az.";

/** Bucket of a zone; the name is MicroCeph's. */
export function rackOf(zone: string): string {
  return `${rackPrefix}${zone}`;
}

export function isOurRack(name: string): boolean {
  return name.startsWith(rackPrefix);
}

/**
 * The next change of the CRUSH tree: a host goes below the bucket of its zone, and out of it when it has none any
 * more; a bucket of ours that is empty goes. A host that somebody put elsewhere stays there.
 */
export function planTopology(facts: TopologyFacts, settleMs: number): TopologyPlan {
  const reasons: string[] = [];
  const moves: Extract<TopologyStep, { op: "move" }>[] = [];
  const hosts = facts.buckets.filter(({ type }) => type === "host");
  for (const host of hosts) {
    const zone = facts.zones.get(host.name);
    if (zone === undefined || host.items === 0) continue;
    const wanted = zone === null ? ourRoot : rackOf(zone);
    if (host.parent === wanted) continue;
    if (host.parent !== ourRoot && !isOurRack(host.parent ?? "")) {
      reasons.push(`${host.name} lies in ${host.parent ?? "no bucket"}, which is not ours`);
      continue;
    }
    const reason = zone === null ? `${host.name} has no zone` : `${host.name} is in zone ${zone}`;
    moves.push({ op: "move", bucket: host.name, rack: zone === null ? null : wanted, reason });
  }
  const [move] = moves;
  if (move) return settled(move, moves, reasons);
  const empty = facts.buckets.find((bucket) => bucket.items === 0 && isOurs(bucket, facts));
  if (empty) {
    return settled({ op: "remove", bucket: empty.name, reason: `${empty.name} is empty` }, moves, reasons);
  }
  return { next: null, moves, reasons };

  function settled(step: TopologyStep, due: TopologyPlan["moves"], why: readonly string[]): TopologyPlan {
    if (facts.stableMs >= settleMs) return { next: step, moves: due, reasons: [...why, step.reason] };
    return { next: null, moves: due, reasons: [...why, `${step.reason}; the tree has just changed`] };
  }
}

function isOurs({ name, type, parent }: Bucket, { zones, formerHosts }: TopologyFacts): boolean {
  if (type === "rack") return isOurRack(name) && parent === ourRoot;
  const placedByUs = parent === ourRoot || isOurRack(parent ?? "");
  return type === "host" && placedByUs && (zones.has(name) || formerHosts.has(name));
}
