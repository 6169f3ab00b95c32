import { z } from "zod";
import { fsid } from "../../ids/ids.ts";
import type { CephHealth, CephStatus, MdsStat, MgrStat, QuorumStatus } from "./commands.ts";
import { monMapSchema } from "./schemas.ts";

const name = z.string().max(256);

export const quorumStatusSchema = z
  .object({
    election_epoch: z.int(),
    quorum_names: z.array(name).max(1024),
    quorum_leader_name: name,
    monmap: monMapSchema,
  })
  .transform(
    (status): QuorumStatus => ({
      electionEpoch: status.election_epoch,
      quorum: status.quorum_names,
      leader: status.quorum_leader_name,
      monMap: status.monmap,
    }),
  );

const healthStatus = z.enum(["HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"]);

export const healthSchema = z
  .object({
    status: healthStatus,
    checks: z.record(
      z.string().max(128),
      z.object({
        severity: healthStatus,
        summary: z.object({ message: z.string().max(4096), count: z.number().optional() }),
        muted: z.boolean().optional(),
      }),
    ),
  })
  .transform(
    (health): CephHealth => ({
      status: health.status,
      checks: Object.entries(health.checks).map(([code, check]) => ({
        code,
        severity: check.severity,
        message: check.summary.message,
        count: check.summary.count ?? 0,
        muted: check.muted ?? false,
      })),
    }),
  );

const epoch = z.int().nullable();

export const statusSchema = z
  .object({
    fsid: z.string().max(64),
    health: healthSchema,
    quorum_names: z.array(name).max(1024),
    monmap: z.object({ epoch: epoch.default(null), num_mons: z.int() }),
    osdmap: z.object({
      epoch: epoch.default(null),
      num_osds: z.int(),
      num_up_osds: z.int(),
      num_in_osds: z.int(),
    }),
    // Before the first manager reports, and with no pool, some of these are absent.
    pgmap: z.object({
      pgs_by_state: z
        .array(z.object({ state_name: z.string().max(256), count: z.int() }))
        .max(4096)
        .default([]),
      num_pgs: z.int().default(0),
      num_pools: z.int().default(0),
      num_objects: z.number().default(0),
      data_bytes: z.number().default(0),
      bytes_used: z.number().default(0),
      bytes_avail: z.number().default(0),
      bytes_total: z.number().default(0),
    }),
    mgrmap: z.object({ available: z.boolean(), num_standbys: z.int() }),
  })
  .transform(
    (status): CephStatus => ({
      fsid: fsid(status.fsid),
      health: status.health,
      quorum: status.quorum_names,
      monitors: status.monmap.num_mons,
      epochs: { monitors: status.monmap.epoch, osds: status.osdmap.epoch },
      osds: {
        total: status.osdmap.num_osds,
        up: status.osdmap.num_up_osds,
        in: status.osdmap.num_in_osds,
      },
      pgs: {
        total: status.pgmap.num_pgs,
        states: Object.fromEntries(status.pgmap.pgs_by_state.map((entry) => [entry.state_name, entry.count])),
        pools: status.pgmap.num_pools,
        objects: status.pgmap.num_objects,
      },
      bytes: {
        data: status.pgmap.data_bytes,
        used: status.pgmap.bytes_used,
        available: status.pgmap.bytes_avail,
        total: status.pgmap.bytes_total,
      },
      mgr: { available: status.mgrmap.available, standbys: status.mgrmap.num_standbys },
    }),
  );

export const mgrStatSchema = z
  .object({ epoch: z.int(), available: z.boolean(), active_name: name })
  .transform(
    (stat): MgrStat => ({
      epoch: stat.epoch,
      available: stat.available,
      activeName: stat.active_name === "" ? null : stat.active_name,
    }),
  );

export const mdsStatSchema = z
  .object({
    fsmap: z.object({
      standbys: z.array(z.object({ name })).max(1024),
      filesystems: z
        .array(
          z.object({
            mdsmap: z.object({
              fs_name: name,
              in: z.array(z.int()).max(1024).default([]),
              info: z.record(z.string(), z.object({ name, state: z.string().max(64) })),
            }),
          }),
        )
        .max(1024),
    }),
  })
  .transform(({ fsmap }): MdsStat => {
    const ranked = fsmap.filesystems.flatMap(({ mdsmap }) => Object.values(mdsmap.info));
    const replaying = ranked.filter(({ state }) => state === "up:standby-replay");
    return {
      active: ranked.filter(({ state }) => state !== "up:standby-replay").map((mds) => mds.name),
      standby: [...fsmap.standbys, ...replaying].map((mds) => mds.name),
      waiting: ranked
        .filter(({ state }) => state === "up:reconnect" || state === "up:clientreplay")
        .map((mds) => mds.name),
      fileSystems: fsmap.filesystems.map(({ mdsmap }) => mdsmap.fs_name),
      unserved: fsmap.filesystems.flatMap(({ mdsmap }) => {
        const serving = Object.values(mdsmap.info).filter(({ state }) => state === "up:active").length;
        return serving < Math.max(1, mdsmap.in.length) ? [mdsmap.fs_name] : [];
      }),
    };
  });

export const configDumpSchema = z
  .array(
    z.object({
      section: name,
      name: z.string().max(256),
      value: z.string().max(65_536),
      mask: z.string().max(256).default(""),
    }),
  )
  .max(10_000);

export const authEntrySchema = z
  .array(z.object({ entity: name, key: z.string().max(128) }))
  .min(1)
  .max(1);
