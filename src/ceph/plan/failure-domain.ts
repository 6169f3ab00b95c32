/** CRUSH levels over which replicas are spread, in growing order. */
export type FailureDomain = "osd" | "host" | "rack";

/** Names of the only rules that are ours to change. */
export const ourRules: Readonly<Record<FailureDomain, string>> = {
  osd: "microceph_auto_osd",
  host: "microceph_auto_host",
  rack: "microceph_auto_rack",
};

export interface CrushFacts {
  /** Name of the rule new pools get; null when Ceph's own choice is in force. */
  readonly defaultRule: string | null;
  readonly pools: readonly { readonly name: string; readonly rule: string; readonly size: number }[];
  /** OSDs that are up and in, with their host and rack buckets. */
  readonly osds: readonly {
    readonly host: string;
    readonly rack: string | null;
    readonly sizeKiB: number;
    readonly usedKiB: number;
  }[];
  /** Milliseconds for which the set of hosts with OSDs has not changed. */
  readonly stableMs: number;
}

export interface CrushLimits {
  /** Milliseconds the hosts must have been the same before a step up. */
  readonly settleMs: number;
  /** Ceph's nearfull ratio. */
  readonly nearfullRatio: number;
  /** Bytes that may be moved without consent. */
  readonly freeMoveBytes: number;
}

export interface CrushStep {
  readonly from: FailureDomain;
  readonly to: FailureDomain;
  /** Our pools that follow. */
  readonly pools: readonly string[];
  /** Upper bound of the bytes that move. */
  readonly movedBytes: number;
  readonly reason: string;
}

export interface CrushPlan {
  readonly current: FailureDomain | null;
  readonly next: CrushStep | null;
  readonly reasons: readonly string[];
}

const kib = 1024;

/**
 * Whether the failure domain may grow: osd to host once three hosts have OSDs, host to rack once three
 * racks have; only when nothing would pass nearfull and the data to move is small. Steps up only: a failed
 * node, which merely leaves the list of OSDs, never changes a rule.
 */
export function planFailureDomain(facts: CrushFacts, limits: CrushLimits): CrushPlan {
  const current = domainOfRule(facts.defaultRule);
  if (current === null) {
    return {
      current,
      next: null,
      reasons: [`the default rule ${facts.defaultRule ?? "(none)"} is not ours`],
    };
  }
  const to = current === "osd" ? "host" : current === "host" ? "rack" : null;
  if (to === null) return { current, next: null, reasons: ["rack is the widest failure domain"] };
  const buckets = new Map<string, { sizeKiB: number; usedKiB: number }>();
  for (const osd of facts.osds) {
    const name = to === "host" ? osd.host : osd.rack;
    if (name === null) continue;
    const bucket = buckets.get(name) ?? { sizeKiB: 0, usedKiB: 0 };
    buckets.set(name, { sizeKiB: bucket.sizeKiB + osd.sizeKiB, usedKiB: bucket.usedKiB + osd.usedKiB });
  }
  const pools = facts.pools.filter((pool) => pool.rule === ourRules[current]);
  const widest = Math.max(3, ...pools.map((pool) => pool.size));
  if (buckets.size < widest) {
    return { current, next: null, reasons: [`${buckets.size} ${to}s have OSDs, ${widest} are needed`] };
  }
  if (facts.stableMs < limits.settleMs) {
    return { current, next: null, reasons: [`the ${to}s with OSDs have just changed`] };
  }
  const used = facts.osds.reduce((sum, osd) => sum + osd.usedKiB, 0);
  const fullest = worstFill([...buckets.values()], used, widest);
  if (fullest > limits.nearfullRatio) {
    const percent = Math.round(fullest * 100);
    return { current, next: null, reasons: [`a ${to} would be ${percent} % full, above nearfull`] };
  }
  const movedBytes = used * kib;
  if (movedBytes > limits.freeMoveBytes) {
    return { current, next: null, reasons: [`up to ${movedBytes} bytes would move: consent is needed`] };
  }
  const reason = `${buckets.size} ${to}s have OSDs`;
  return {
    current,
    next: { from: current, to, pools: pools.map((pool) => pool.name), movedBytes, reason },
    reasons: [reason],
  };
}

/** The failure domain of one of our rules, null for any other rule. */
export function domainOfRule(name: string | null): FailureDomain | null {
  if (name === ourRules.osd) return "osd";
  if (name === ourRules.host) return "host";
  return name === ourRules.rack ? "rack" : null;
}

/**
 * Fill of the fullest bucket after the step, pessimistically: each bucket holds at most one copy, so with
 * exactly as many buckets as copies each holds a copy of everything; with more, its share by weight.
 */
function worstFill(
  buckets: readonly { sizeKiB: number; usedKiB: number }[],
  used: number,
  copies: number,
): number {
  const total = buckets.reduce((sum, bucket) => sum + bucket.sizeKiB, 0);
  if (total === 0) return 0;
  return Math.max(
    ...buckets.map((bucket) => {
      const byWeight = (used * bucket.sizeKiB) / total;
      const share = buckets.length <= copies ? Math.max(byWeight, used / copies) : byWeight;
      return bucket.sizeKiB === 0 ? 0 : share / bucket.sizeKiB;
    }),
  );
}
