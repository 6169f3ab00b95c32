import type { CallOptions, CephCommands, OsdTree } from "../command/commands.ts";
import { isRefusal } from "../command/words.ts";
import { domainOfRule, ourRules } from "../plan/failure-domain.ts";
import { isOurRack, ourRoot, type Placement } from "../plan/topology.ts";
import type { Executor, Outcome } from "./controller.ts";
import { isCephsOwn, liveOsds, poolDefault } from "./crush-facts.ts";
import { failureDomainBody, kinds, poolProfileBody, topologyBody } from "./decisions.ts";
import { done } from "./done.ts";

export interface CrushExecutorDeps {
  readonly ceph: () => CephCommands;
  /** Milliseconds that one Ceph command may take now: under half of what is left of the lease. */
  readonly callMs: () => number;
}

/** Carries out decisions about rules, copies and the tree: each step re-reads what it changes. */
export function crushExecutors({ ceph, callMs }: CrushExecutorDeps): Record<string, Executor> {
  const callOf = (signal: AbortSignal): CallOptions => ({
    get deadlineMs(): number {
      return callMs();
    },
    signal,
  });

  const failureDomain: Executor = async (entry, signal) => {
    const { from, to } = failureDomainBody.parse(entry.body);
    const call = callOf(signal);
    const rule = await ceph().createReplicatedRule(ourRules[to], to, call);
    const rules = await ceph().crushRules(call);
    const before = rules.find((candidate) => candidate.name === ourRules[from])?.id;
    const current = await poolDefault(ceph(), "osd_pool_default_crush_rule", call);
    if (current !== rule && current !== before) {
      return { state: "abandoned", reason: "the default rule is no longer ours", cancelAcknowledged: true };
    }
    await ceph().configSet("global", "osd_pool_default_crush_rule", String(rule), call);
    const ours = new Set(rules.filter(({ name }) => domainOfRule(name) !== null).map(({ id }) => id));
    const pools = (await ceph().pools(call)).filter(
      (pool) => ours.has(pool.crushRule) && pool.crushRule !== rule && !pool.erasure,
    );
    for (const pool of pools) await ceph().setPool(pool.name, "crush_rule", ourRules[to], call);
    return done(`failure domain ${to}, ${pools.length} pools moved`, {
      pools: pools.map((pool) => pool.name),
    });
  };

  const poolProfile: Executor = async (entry, signal) => {
    const { size, minSize } = poolProfileBody.parse(entry.body);
    const call = callOf(signal);
    // Single copies are allowed with the profile that needs them; what a user allows under another one stays.
    if (size === 1) await ceph().configSet("global", "mon_allow_pool_size_one", "true", call);
    else if ((await ceph().configGet("global", "osd_pool_default_size", call)) === "1")
      await ceph().configRemove("global", "mon_allow_pool_size_one", call);
    await ceph().configSet("global", "osd_pool_default_size", String(size), call);
    await ceph().configSet("global", "osd_pool_default_min_size", String(minSize), call);
    // No pool of Ceph's own is given more copies than there are OSDs: it would stop to take writes.
    const possible = Math.min(size, liveOsds(await ceph().osdTree(call)).length);
    const pools = (await ceph().pools(call)).filter(
      (pool) => isCephsOwn(pool.name, pool.applications) && pool.size < possible,
    );
    for (const pool of pools) {
      await ceph().setPool(pool.name, "size", String(size), call);
      await ceph().setPool(pool.name, "min_size", String(minSize), call);
    }
    return done(`new pools keep ${size} copies`);
  };

  const topology: Executor = async (entry, signal) => {
    const body = topologyBody.parse(entry.body);
    const call = callOf(signal);
    const tree = await ceph().osdTree(call);
    return body.op === "remove" ? removeBucket(body.bucket, tree, call) : placeHosts(body.places, tree, call);
  };

  async function removeBucket(bucket: string, tree: OsdTree, call: CallOptions): Promise<Outcome> {
    if (tree.buckets.some(({ name }) => name === bucket)) {
      try {
        await ceph().run(["osd", "crush", "rm", bucket], call);
      } catch (error) {
        // Something was put into it since: Ceph itself guards that.
        if (!isRefusal(error, "ENOTEMPTY")) throw error;
        return { state: "abandoned", reason: `${bucket} is no longer empty`, cancelAcknowledged: false };
      }
    }
    return done(`the empty bucket ${bucket} is gone`);
  }

  async function placeHosts(
    places: readonly Placement[],
    tree: OsdTree,
    call: CallOptions,
  ): Promise<Outcome> {
    const placed: string[] = [];
    const left: string[] = [];
    for (const { bucket, rack } of places) {
      const parent = tree.buckets.find(({ name, type }) => name === bucket && type === "host")?.parent;
      if (parent === undefined || (parent !== ourRoot && !isOurRack(parent ?? ""))) {
        left.push(`${bucket} was put into ${parent ?? "no bucket"} meanwhile`);
        continue;
      }
      if (rack !== null) {
        // Answered with success when it is there already, wherever that is.
        await ceph().run(["osd", "crush", "add-bucket", rack, "rack"], call);
        await ceph().run(["osd", "crush", "move", rack, `root=${ourRoot}`], call);
      }
      const place = rack === null ? `root=${ourRoot}` : `rack=${rack}`;
      await ceph().run(["osd", "crush", "move", bucket, place], call);
      placed.push(`${bucket} lies in ${rack ?? ourRoot}`);
    }
    if (placed.length === 0) {
      return { state: "abandoned", reason: left.join(", "), cancelAcknowledged: false };
    }
    return done([...placed, ...left].slice(0, 10).join(", "));
  }

  return {
    [kinds.failureDomain]: failureDomain,
    [kinds.poolProfile]: poolProfile,
    [kinds.topology]: topology,
  };
}
