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

/** A host that goes below a rack, or with null directly below the root. */
export interface Placement {
  readonly bucket: string;
  readonly rack: string | null;
}

export type TopologyStep =
  | { readonly op: "place"; readonly places: readonly Placement[]; readonly reason: string }
  | { readonly op: "remove"; readonly bucket: string; readonly reason: string };

export interface TopologyPlan {
  readonly next: TopologyStep | null;
  /** All hosts that are to move, also while that waits. */
  readonly moves: readonly Placement[];
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
 * The next change of the CRUSH tree: hosts go below the buckets of their zones, and out of them when they have none
 * any more, all at once, so that data moves once; a bucket of ours that is empty goes. A host that somebody put elsewhere stays there.
 */
export function planTopology(facts: TopologyFacts, settleMs: number): TopologyPlan {
  const reasons: string[] = [];
  const moves: Placement[] = [];
  const why: string[] = [];
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
    why.push(zone === null ? `${host.name} has no zone` : `${host.name} is in zone ${zone}`);
    moves.push({ bucket: host.name, rack: zone === null ? null : wanted });
  }
  if (moves.length > 0) {
    return settled({ op: "place", places: moves, reason: listed(why) });
  }
  const empty = facts.buckets.find((bucket) => bucket.items === 0 && isOurs(bucket, facts));
  if (empty) {
    return settled({ op: "remove", bucket: empty.name, reason: `${empty.name} is empty` });
  }
  return { next: null, moves, reasons };

  function settled(step: TopologyStep): TopologyPlan {
    if (facts.stableMs >= settleMs) return { next: step, moves, reasons: [...reasons, step.reason] };
    return { next: null, moves, reasons: [...reasons, `${step.reason}; the tree has just changed`] };
  }
}

/** The first three and how many more, for a reason that is read. */
function listed(texts: readonly string[]): string {
  const more = texts.length - 3;
  return `${texts.slice(0, 3).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function isOurs({ name, type, parent }: Bucket, { zones, formerHosts }: TopologyFacts): boolean {
  if (type === "rack") return isOurRack(name) && parent === ourRoot;
  const placedByUs = parent === ourRoot || isOurRack(parent ?? "");
  return type === "host" && placedByUs && (zones.has(name) || formerHosts.has(name));
}
