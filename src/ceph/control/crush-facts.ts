import type { CallOptions, CephCommands, OsdTree } from "../command/commands.ts";
import type { CrushFacts } from "../plan/failure-domain.ts";

/** What the plans of failure domain and pool profile follow from, as Ceph says it now. */
export interface CrushState {
  readonly tree: OsdTree;
  readonly live: OsdTree["osds"];
  readonly defaultRule: string | null;
  readonly pools: CrushFacts["pools"];
  readonly osds: CrushFacts["osds"];
  readonly cephPools: Awaited<ReturnType<CephCommands["pools"]>>;
  /** Copies of new pools, where somebody has set them; undefined while Ceph's own default is in force. */
  readonly chosenSize: number | undefined;
  readonly nearfullRatio: number;
  /** Whether every live OSD has reported its size: before that nobody can tell what would fit. */
  readonly sized: boolean;
  /** No pool but Ceph's own: there is next to nothing to move, and nothing that might not fit. */
  readonly unused: boolean;
}

/** Without a manager nobody answers how full the OSDs are. */
export async function readCrush(
  ceph: CephCommands,
  call: CallOptions,
): Promise<CrushState | "no OSDs" | "no manager"> {
  const tree = await ceph.osdTree(call);
  const live = liveOsds(tree);
  if (live.length === 0) return "no OSDs";
  if (!(await ceph.mgrStat(call)).available) return "no manager";
  const [usage, rules, cephPools, dump, defaultRule, chosenSize] = await Promise.all([
    ceph.osdDf(call),
    ceph.crushRules(call),
    ceph.pools(call),
    ceph.osdDump(call),
    poolDefault(ceph, "osd_pool_default_crush_rule", call),
    poolChoice(ceph, "osd_pool_default_size", call),
  ]);
  const ruleNames = new Map(rules.map((rule) => [rule.id, rule.name]));
  return {
    ...{ tree, live, cephPools, chosenSize, nearfullRatio: dump.nearfullRatio },
    defaultRule: ruleNames.get(defaultRule) ?? null,
    pools: cephPools
      .filter((pool) => !pool.erasure)
      .map((pool) => ({ name: pool.name, rule: ruleNames.get(pool.crushRule) ?? "", size: pool.size })),
    osds: live.map((osd) => {
      const { sizeKiB = 0, usedKiB = 0 } = usage.find((row) => row.id === osd.id) ?? {};
      return { host: osd.host ?? "", rack: osd.rack, sizeKiB, usedKiB };
    }),
    sized: live.every((osd) => usage.some((row) => row.id === osd.id && row.sizeKiB > 0)),
    unused: cephPools.every((pool) => isCephsOwn(pool.name, pool.applications)),
  };
}

/** OSDs that are up and in and have a host. */
export function liveOsds(tree: OsdTree): OsdTree["osds"] {
  return tree.osds.filter((osd) => osd.up && osd.reweight > 0 && osd.host !== null);
}

/** Pools that Ceph makes for itself: the only ones whose size follows the profile. */
export function isCephsOwn(name: string, applications: readonly string[]): boolean {
  return name.startsWith(".mgr") || name === "device_health_metrics" || applications.includes("mgr");
}

/** Ceph's own defaults of the options that we set (options: osd_pool_default_crush_rule, osd_pool_default_size). */
const cephDefaults = { osd_pool_default_crush_rule: -1, osd_pool_default_size: 3 } as const;

/** What new pools get, as the monitors' configuration says: a value for the monitors wins over the global one. */
export async function poolDefault(
  ceph: CephCommands,
  key: keyof typeof cephDefaults,
  call: CallOptions,
): Promise<number> {
  return (await poolChoice(ceph, key, call)) ?? cephDefaults[key];
}

/** What somebody has set; undefined while Ceph's own default is in force. */
async function poolChoice(
  ceph: CephCommands,
  key: keyof typeof cephDefaults,
  call: CallOptions,
): Promise<number | undefined> {
  // Asked at once they are one question to Ceph.
  const [ofMonitors, ofAll] = await Promise.all([
    ceph.configGet("mon", key, call),
    ceph.configGet("global", key, call),
  ]);
  const set = ofMonitors ?? ofAll;
  return set === undefined ? undefined : Number(set);
}
