import type { DomainWish } from "./crush-wish.ts";

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
  readonly wish: DomainWish;
  readonly pools: readonly { readonly name: string; readonly rule: string; readonly size: number }[];
  /** OSDs that are up and in, with their host and rack buckets. */
  readonly osds: readonly {
    readonly host: string;
    readonly rack: string | null;
    readonly sizeKiB: number;
    readonly usedKiB: number;
  }[];
  /** Milliseconds for which the set of hosts with OSDs, and their racks, have not changed. */
  readonly stableMs: number;
}

export interface CrushLimits {
  /** Milliseconds the hosts must have been the same before a step up. */
  readonly settleMs: number;
  /** Ceph's nearfull ratio. */
  readonly nearfullRatio: number;
}

export interface CrushStep {
  readonly from: FailureDomain;
  readonly to: FailureDomain;
  /** Our pools that follow. */
  readonly pools: readonly string[];
  readonly reason: string;
}

export interface CrushPlan {
  readonly current: FailureDomain | null;
  readonly next: CrushStep | null;
  readonly reasons: readonly string[];
}

const levels: readonly FailureDomain[] = ["osd", "host", "rack"];

/**
 * Whether the failure domain is to change. By itself it only grows: osd to host once three hosts have OSDs, host
 * to rack once three racks have and every host is in one; only when nothing would pass nearfull. A failed node,
 * which merely leaves the list of OSDs, never changes a rule. An operator's wish names another level; a narrower
 * one needs a confirmation.
 */
export function planFailureDomain(facts: CrushFacts, limits: CrushLimits): CrushPlan {
  const current = domainOfRule(facts.defaultRule);
  const stay = (reason: string): CrushPlan => ({ current, next: null, reasons: [reason] });
  if (current === null) return stay(`the default rule ${facts.defaultRule ?? "(none)"} is not ours`);
  const { wish } = facts;
  const wider = levels[levels.indexOf(current) + 1] ?? null;
  const to = wish.level === "auto" ? wider : wish.level;
  if (to === null) return stay("rack is the widest failure domain");
  if (to === current) return stay(`an operator set the failure domain to ${current}`);
  // All of ours, so that a pool which missed an earlier step is taken along.
  const pools = facts.pools.filter((pool) => pool.rule !== ourRules[to] && domainOfRule(pool.rule) !== null);
  const step = (reason: string): CrushPlan => ({
    current,
    next: { from: current, to, pools: pools.map((pool) => pool.name), reason },
    reasons: [reason],
  });
  if (levels.indexOf(to) < levels.indexOf(current)) {
    return wish.downgrade
      ? step(`an operator set the failure domain to ${to}`)
      : stay(`${to} is narrower than ${current}: that needs a confirmation`);
  }
  const buckets = bucketsOf(facts.osds, to);
  const widest = Math.max(3, ...pools.map((pool) => pool.size));
  const count = buckets.size;
  if (count < widest) return stay(`${count} ${to}s have OSDs, ${widest} are needed`);
  const without = to === "rack" ? facts.osds.find(({ rack }) => rack === null) : undefined;
  if (without) return stay(`${without.host} is in no zone: its OSDs would hold nothing`);
  if (facts.stableMs < limits.settleMs) return stay(`the ${to}s with OSDs have just changed`);
  const used = facts.osds.reduce((sum, osd) => sum + osd.usedKiB, 0);
  const fullest = worstFill([...buckets.values()], used, widest);
  if (fullest > limits.nearfullRatio) {
    return stay(`a ${to} would be ${Math.round(fullest * 100)} % full, above nearfull`);
  }
  return step(`${count} ${to}s have OSDs`);
}

function bucketsOf(
  osds: CrushFacts["osds"],
  level: FailureDomain,
): Map<string, { sizeKiB: number; usedKiB: number }> {
  const buckets = new Map<string, { sizeKiB: number; usedKiB: number }>();
  for (const osd of osds) {
    const name = level === "rack" ? osd.rack : osd.host;
    if (name === null) continue;
    const bucket = buckets.get(name) ?? { sizeKiB: 0, usedKiB: 0 };
    buckets.set(name, { sizeKiB: bucket.sizeKiB + osd.sizeKiB, usedKiB: bucket.usedKiB + osd.usedKiB });
  }
  return buckets;
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
