import type { PoolRow, poolRequest, ReplicasPlan, replicasRequest } from "../api/contract/pools.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions, CephCommands, OsdTree, Pool } from "../ceph/command/commands.ts";
import { whileRefused } from "../ceph/command/while-refused.ts";
import { isCephsOwn, liveOsds } from "../ceph/control/crush-facts.ts";
import { wishFor } from "../ceph/control/placed-wish.ts";
import { minSizeFor } from "../ceph/plan/pool-profile.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

const callMs = 30_000;
/** Monitors heed a setting some moments after it was made. */
const heedMs = 15_000;
const heedLookMs = 500;

/** Pools as Ceph has them now, in the order of their names. */
export async function listPools(cluster: ClusterRuntime, signal: AbortSignal): Promise<PoolRow[]> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const [pools, rules, usage] = await Promise.all([
    ceph.pools(call),
    ceph.crushRules(call),
    usageOf(ceph, call),
  ]);
  const ruleNames = new Map(rules.map(({ id, name }) => [id, name]));
  return pools
    .map(({ name, size, crushRule, minSize, pgNum, erasure, applications }) => ({
      ...{ pool: name, size, crush_rule: ruleNames.get(crushRule) ?? String(crushRule), min_size: minSize },
      ...{ pg_num: pgNum, erasure, applications, bytes: usage?.get(name) ?? null },
    }))
    .sort((a, b) => (a.pool < b.pool ? -1 : 1));
}

/** Only a manager can tell. */
export async function usageOf(
  ceph: CephCommands,
  call: CallOptions,
): Promise<ReadonlyMap<string, number> | null> {
  if (!(await ceph.mgrStat(call)).available) return null;
  return ceph.poolUsage(call).catch(() => null);
}

/** Throws NAME_TAKEN, DATA_LOSS_UNCONFIRMED, OSD_NEEDED, what Ceph refuses. */
export async function createPool(
  cluster: ClusterRuntime,
  { name, size, pg_num, application, confirmed }: Shape<typeof poolRequest>,
  signal: AbortSignal,
): Promise<PoolRow> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  if ((await ceph.pools(call)).some((pool) => pool.name === name)) {
    throw new MicrocephError("NAME_TAKEN", `there is a pool ${name} already`, { data: { pool: name } });
  }
  if (liveOsds(await ceph.osdTree(call)).length === 0) {
    throw new MicrocephError("OSD_NEEDED", "there is no running OSD to hold a pool");
  }
  checkSize(size, confirmed, `the pool ${name} would have`);
  await makePool(ceph, { name, size, pgNum: pg_num, application, exists: false }, call);
  const made = (await listPools(cluster, signal)).find(({ pool }) => pool === name);
  if (made === undefined) throw new MicrocephError("NOT_FOUND", `the pool ${name} was removed meanwhile`);
  return made;
}

/** Throws DATA_LOSS_UNCONFIRMED. */
export function checkSize(size: number | undefined, confirmed: boolean, what: string): void {
  if (size === 1 && !confirmed) throw singleCopy(what);
}

/** Make a pool, unless it is there, and have it as it is wanted. */
export async function makePool(
  ceph: CephCommands,
  wanted: {
    readonly name: string;
    readonly size: number | undefined;
    readonly pgNum?: number | undefined;
    readonly application: string;
    readonly exists: boolean;
  },
  call: CallOptions,
): Promise<void> {
  const { name, size, pgNum, application, exists } = wanted;
  if (size === 1) await ceph.configSet("global", "mon_allow_pool_size_one", "true", call);
  if (!exists) await ceph.createPool(name, { ...call, ...(pgNum === undefined ? {} : { pgNum }) });
  if (size !== undefined) await setSize(ceph, name, size, call);
  await ceph.enableApplication(name, application, call);
}

function singleCopy(what: string): MicrocephError {
  return new MicrocephError(
    "DATA_LOSS_UNCONFIRMED",
    `${what} a single copy: with the disk that holds it its data is lost`,
  );
}

/** One copy needs Ceph's permission, which is heeded a moment after it was given. */
async function setSize(ceph: CephCommands, pool: string, size: number, call: CallOptions): Promise<void> {
  const attempt = (): Promise<void> =>
    ceph.setPool(pool, "size", String(size), { ...call, force: size === 1 });
  await (size === 1 ? onceHeeded(attempt, call) : attempt());
  await ceph.setPool(pool, "min_size", String(minSizeFor(size)), call);
}

function onceHeeded<T>(act: () => Promise<T>, { signal }: CallOptions): Promise<T> {
  return whileRefused(["EPERM"], act, { deadlineMs: heedMs, intervalMs: heedLookMs, signal });
}

/**
 * Throws NOT_FOUND, POOL_NEEDED, DATA_LOSS_UNCONFIRMED: what keeps a pool from being removed. @returns its number, by
 * which the one that is meant is known
 */
export async function checkPoolRemoval(
  cluster: ClusterRuntime,
  name: string,
  confirmed: boolean,
  signal: AbortSignal,
): Promise<number> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const pool = (await ceph.pools(call)).find((one) => one.name === name);
  if (pool === undefined) throw noPool(name);
  const { fileSystems } = await ceph.mdsStat(call);
  const user = isCephsOwn(name, pool.applications)
    ? "Ceph itself"
    : pool.applications.includes("rgw") && wishFor("rgw", cluster.document.view().services) !== null
      ? "the S3 gateways"
      : pool.applications.includes("cephfs") && fileSystems.length > 0
        ? `a file system (${fileSystems.join(", ")})`
        : null;
  if (user !== null) throw new MicrocephError("POOL_NEEDED", `the pool ${name} is used by ${user}`);
  if (confirmed) return pool.id;
  const bytes = (await usageOf(ceph, call))?.get(name);
  const held = bytes === undefined ? "what it holds" : `the ${bytes} bytes that it holds`;
  throw new MicrocephError("DATA_LOSS_UNCONFIRMED", `with the pool ${name} ${held} would be lost`, {
    data: { pool: name, bytes: bytes ?? null },
  });
}

const noPool = (pool: string): MicrocephError =>
  new MicrocephError("NOT_FOUND", `there is no pool ${pool}`, { data: { pool } });

const deletion = "mon_allow_pool_delete";

/** The job of `pool remove`. */
export async function removePool(daemon: Daemon, asked: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const { pool, id } = asked as { pool: string; id: number };
  const cluster = runtimeOf(daemon);
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const ceph = commandsOf(cluster);
  tools.report(30, `${pool} is removed`);
  await deletePools(ceph, [{ pool, id }], tools);
  return { pool };
}

/**
 * Remove pools as part of a job. Ceph's own lock against it is opened for the moment, and what was said about it
 * before is remembered first: cut off, it is put back by the next run.
 */
export async function deletePools(
  ceph: CephCommands,
  doomed: readonly { readonly pool: string; readonly id: number }[],
  tools: Pick<JobTools, "memory" | "remember" | "signal">,
): Promise<void> {
  const call = { deadlineMs: callMs, signal: tools.signal };
  const kept = tools.memory as { before: string | null } | null;
  const before = kept === null ? ((await ceph.configGet("mon", deletion, call)) ?? null) : kept.before;
  if (kept === null) tools.remember({ before });
  try {
    for (const { pool, id } of doomed) {
      // Another one of this name may have been made since this was asked for.
      if (!(await ceph.pools(call)).some((one) => one.name === pool && one.id === id)) continue;
      await ceph.configSet("mon", deletion, "true", call);
      const words = ["osd", "pool", "delete", pool, pool, "--yes-i-really-really-mean-it"];
      await onceHeeded(() => ceph.run(words, call), call);
    }
  } finally {
    if (before === null) await ceph.configRemove("mon", deletion, call);
    else await ceph.configSet("mon", deletion, before, call);
  }
}

/** How many places of a kind have OSDs that run. */
function placesOf(tree: OsdTree, domain: string): number {
  const osds = liveOsds(tree);
  if (domain === "osd") return osds.length;
  return new Set(osds.map(({ host, rack }) => (domain === "rack" ? (rack ?? host) : host))).size;
}

/** What another number of copies means: changes nothing. Throws NOT_FOUND, USAGE. */
export async function planReplicas(
  cluster: ClusterRuntime,
  asked: Pick<Shape<typeof replicasRequest>, "pools" | "size">,
  signal: AbortSignal,
): Promise<ReplicasPlan> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const [pools, rules, tree, usage] = await Promise.all([
    ceph.pools(call),
    ceph.crushRules(call),
    ceph.osdTree(call),
    usageOf(ceph, call),
  ]);
  const named = asked.pools.filter((name) => name !== "" && name !== "*");
  const missing = named.find((name) => !pools.some((pool) => pool.name === name));
  if (missing !== undefined) throw noPool(missing);
  const everything = asked.pools.includes("*");
  const chosen = pools.filter(({ name, erasure }) => (everything && !erasure) || named.includes(name));
  const coded = chosen.find(({ erasure }) => erasure);
  if (coded !== undefined) {
    throw new MicrocephError("USAGE", `${coded.name} is erasure-coded: its size is what it was made with`);
  }
  const { size } = asked;
  const row = (pool: Pool): ReplicasPlan["pools"][number] => {
    const rule = rules.find(({ id }) => id === pool.crushRule);
    const domain = rule?.failureDomain ?? "osd";
    const stored = usage?.get(pool.name);
    return {
      ...{ pool: pool.name, from: pool.size, to: size, crush_rule: rule?.name ?? String(pool.crushRule) },
      ...{ failure_domain: domain, places: placesOf(tree, domain), pg_num: pool.pgNum },
      bytes: usage === null ? null : (stored ?? 0) * (size - pool.size),
    };
  };
  const rows = chosen.map(row);
  const live = liveOsds(tree).length;
  const warnings = [
    ...rows.filter(({ to }) => to === 1).map(({ pool }) => `${pool} would have a single copy`),
    ...(rows.length === 0 && live < size ? [`there are ${live} OSDs: new pools would wait for ${size}`] : []),
  ];
  return {
    ...{ size, min_size: minSizeFor(size), default: everything || named.length === 0, pools: rows, warnings },
  };
}

/** Throws OSD_NEEDED, DATA_LOSS_UNCONFIRMED: what keeps it from being done. */
export async function checkReplicas(
  cluster: ClusterRuntime,
  asked: Shape<typeof replicasRequest>,
  signal: AbortSignal,
): Promise<void> {
  const plan = await planReplicas(cluster, asked, signal);
  const narrow = plan.pools.find(({ to, from, places }) => to > from && to > places);
  if (narrow !== undefined) {
    const { pool, to, failure_domain: domain, places } = narrow;
    throw new MicrocephError(
      "OSD_NEEDED",
      `${to} copies of ${pool} need ${to} ${domain}s with running OSDs, there are ${places}`,
      { data: { pool } },
    );
  }
  const added = plan.pools.reduce((sum, { bytes }) => sum + Math.max(0, bytes ?? 0), 0);
  const { bytes } = await commandsOf(cluster).status({ deadlineMs: callMs, signal });
  if (added > bytes.available) {
    throw new MicrocephError("OSD_NEEDED", `${added} bytes would be written, ${bytes.available} are free`);
  }
  const single = plan.pools.find(({ to, from }) => to === 1 && from > 1);
  if (single !== undefined && !asked.confirmed) throw singleCopy(`${single.pool} would have`);
}

/** The job of `pool set-rf`. Run again it does what is left. */
export async function setReplicas(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const asked = request as unknown as Shape<typeof replicasRequest>;
  const cluster = runtimeOf(daemon);
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal: tools.signal };
  const plan = await planReplicas(cluster, asked, tools.signal);
  const { size, pools } = plan;
  if (size === 1) await ceph.configSet("global", "mon_allow_pool_size_one", "true", call);
  if (plan.default) {
    await ceph.configSet("global", "osd_pool_default_size", String(size), call);
    await ceph.configSet("global", "osd_pool_default_min_size", String(minSizeFor(size)), call);
  }
  for (const [index, { pool }] of pools.entries()) {
    tools.report(Math.floor((100 * index) / pools.length), `${pool} gets ${size} copies`);
    await setSize(ceph, pool, size, call);
  }
  return plan as unknown as Json;
}
