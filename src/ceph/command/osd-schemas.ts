import { z } from "zod";
import { fsid, osdId } from "../../ids/ids.ts";
import type {
  CrushRule,
  OsdDump,
  OsdNode,
  OsdStat,
  OsdTree,
  OsdUsage,
  PlacementGroup,
  Pool,
} from "./commands.ts";

const name = z.string().max(1024);
/** Most entries of any list; far over what a cluster of this product has. */
const most = 100_000;

export const osdNewSchema = z.object({ osdid: z.int().nonnegative() }).transform(({ osdid }) => osdId(osdid));

export const osdStatSchema = z
  .object({ epoch: z.int(), num_osds: z.int(), num_up_osds: z.int(), num_in_osds: z.int() })
  .transform(
    (stat): OsdStat => ({
      epoch: stat.epoch,
      total: stat.num_osds,
      up: stat.num_up_osds,
      in: stat.num_in_osds,
    }),
  );

const treeNode = z.object({
  id: z.int(),
  name,
  type: z.string().max(64),
  children: z.array(z.int()).max(most).optional(),
  device_class: z.string().max(64).optional(),
  crush_weight: z.number().optional(),
  reweight: z.number().optional(),
  status: z.string().max(64).optional(),
});

export const osdTreeSchema = z
  .object({ nodes: z.array(treeNode).max(most), stray: z.array(treeNode).max(most) })
  .transform(({ nodes, stray }): OsdTree => {
    const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node])));
    const above = (id: number, type: string): string | null => {
      let node = parents.get(id);
      for (let depth = 0; node && depth < 32; depth += 1) {
        if (node.type === type) return node.name;
        node = parents.get(node.id);
      }
      return null;
    };
    // With several roots or shadow trees the same OSD is listed more than once.
    const osds = new Map(
      [...nodes, ...stray]
        .filter(({ type, id }) => type === "osd" && id >= 0)
        .map((node): [number, OsdNode] => [
          node.id,
          {
            id: osdId(node.id),
            name: node.name,
            up: node.status === "up",
            reweight: node.reweight ?? 0,
            crushWeight: node.crush_weight ?? 0,
            deviceClass: node.device_class ?? null,
            host: above(node.id, "host"),
            rack: above(node.id, "rack"),
          },
        ]),
    );
    return {
      osds: [...osds.values()].sort((a, b) => a.id - b.id),
      buckets: nodes
        .filter(({ type }) => type !== "osd")
        .map((node) => ({
          name: node.name,
          type: node.type,
          parent: parents.get(node.id)?.name ?? null,
          items: node.children?.length ?? 0,
        })),
      hosts: nodes
        .filter(({ type }) => type === "host")
        .map((node) => ({ name: node.name, rack: above(node.id, "rack") })),
    };
  });

export const poolUsageSchema = z
  .object({
    pools: z.array(z.object({ name, stats: z.object({ stored: z.number().nonnegative() }) })).max(most),
  })
  .transform(({ pools }) => new Map(pools.map((pool) => [pool.name, pool.stats.stored])));

export const osdDfSchema = z
  .object({
    nodes: z
      .array(
        z.object({
          id: z.int().nonnegative(),
          kb: z.number(),
          kb_used: z.number(),
          kb_avail: z.number(),
          pgs: z.int(),
        }),
      )
      .max(most),
  })
  .transform(({ nodes }): OsdUsage[] =>
    nodes.map((node) => ({
      id: osdId(node.id),
      sizeKiB: node.kb,
      usedKiB: node.kb_used,
      availableKiB: node.kb_avail,
      pgs: node.pgs,
    })),
  );

export const osdDumpSchema = z
  .object({
    epoch: z.int(),
    fsid: z.string().max(64),
    flags_set: z.array(z.string().max(64)).max(256),
    full_ratio: z.number(),
    nearfull_ratio: z.number(),
    osds: z
      .array(
        z.object({
          osd: z.int().nonnegative(),
          uuid: z.string().max(64),
          up: z.int(),
          in: z.int(),
          state: z.array(z.string().max(64)).max(64).default([]),
        }),
      )
      .max(most),
  })
  .transform(
    (dump): OsdDump => ({
      epoch: dump.epoch,
      fsid: fsid(dump.fsid),
      flags: dump.flags_set,
      fullRatio: dump.full_ratio,
      nearfullRatio: dump.nearfull_ratio,
      osds: dump.osds.map(({ osd, state, ...entry }) => {
        const destroyed = state.includes("destroyed");
        return {
          id: osdId(osd),
          uuid: destroyed ? uuidOfDestroyed(osd) : entry.uuid,
          up: entry.up === 1,
          in: entry.in === 1,
          destroyed,
        };
      }),
    }),
  );

function uuidOfDestroyed(osd: number): string {
  return `00000000-0000-4000-8000-${osd.toString(16).padStart(12, "0")}`;
}

/** One of `pg ls-by-osd`; its name begins with the pool's number: `12.1f`. */
const placementGroup = z
  .object({
    pgid: z.string().regex(/^\d{1,10}\.[0-9a-f]{1,8}$/),
    state: z.string().max(256),
    acting: z.array(z.int()).max(64),
  })
  .transform(
    ({ pgid, state, acting }): PlacementGroup => ({ pool: Number(pgid.split(".")[0]), state, acting }),
  );
export const placementGroupsSchema = z
  .object({ pg_stats: z.array(placementGroup).max(most * 10) })
  .transform(({ pg_stats }) => pg_stats);

const osdNumbers = z.array(z.int().min(0)).max(most);
const safeToDestroy = z.object({
  safe_to_destroy: osdNumbers,
  active: osdNumbers,
  missing_stats: osdNumbers,
  stored_pgs: osdNumbers,
});
/** `osd safe-to-destroy` of one OSD: true only when Ceph names it so, null when Ceph lacks the statistics. */
export function safeToDestroySchema(osd: number) {
  return safeToDestroy.transform(({ safe_to_destroy, active, missing_stats, stored_pgs }) => {
    if (active.includes(osd) || stored_pgs.includes(osd)) return false;
    return safe_to_destroy.includes(osd) && !missing_stats.includes(osd) ? true : null;
  });
}
/** `osd ok-to-stop`, since Ceph 16. */
export const okToStopSchema = z.object({ ok_to_stop: z.boolean() });

export const crushRulesSchema = z
  .array(
    z.object({
      rule_id: z.int(),
      rule_name: name,
      steps: z.array(z.object({ op: z.string().max(64), type: z.string().max(64).optional() })).max(256),
    }),
  )
  .max(most)
  .transform((rules): CrushRule[] =>
    rules.map((rule) => ({
      id: rule.rule_id,
      name: rule.rule_name,
      failureDomain: rule.steps.findLast(({ op }) => op.startsWith("choose"))?.type ?? null,
    })),
  );

export const poolsSchema = z
  .array(
    z.object({
      pool_id: z.int(),
      pool_name: name,
      /** 1 replicated, 3 erasure coded (pg_pool_t in Ceph's src/osd/osd_types.h). */
      type: z.int(),
      size: z.int(),
      min_size: z.int(),
      crush_rule: z.int(),
      pg_num: z.int(),
      application_metadata: z.record(z.string(), z.unknown()).optional(),
    }),
  )
  .max(most)
  .transform((pools): Pool[] =>
    pools.map((pool) => ({
      id: pool.pool_id,
      name: pool.pool_name,
      size: pool.size,
      minSize: pool.min_size,
      crushRule: pool.crush_rule,
      pgNum: pool.pg_num,
      erasure: pool.type === 3,
      applications: Object.keys(pool.application_metadata ?? {}),
    })),
  );
