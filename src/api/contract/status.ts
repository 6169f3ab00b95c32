import { z } from "zod";
import { configuredDisk } from "./disks.ts";
import { meshStatus, nodeState } from "./mesh.ts";
import { name, type Shape, text, time } from "./shape.ts";

export const serverInfo = z.object({
  name,
  version: z.string(),
  cephVersion: z.string().nullable(),
  api_version: z.literal("1.0"),
  api_extensions: z.array(z.string()),
  state: nodeState,
});
export type ServerInfo = Shape<typeof serverInfo>;

export const readiness = z.object({
  /** This node is a member and Ceph's monitors answer. */
  ready: z.boolean(),
  /** As many OSDs are up as the largest pool (or the default size) has copies. */
  storage: z.boolean(),
  waitingFor: text.nullable(),
});
export type Readiness = Shape<typeof readiness>;

/** Longest time one question may hang, in seconds; ask again for more. */
const longestReadyWaitSeconds = 60;
export const readyQuery = z.strictObject({
  timeout: z.coerce
    .number()
    .min(0)
    .max(longestReadyWaitSeconds)
    .default(0)
    .describe("seconds in which it is to become ready, or what it waits for to change"),
  storage: z.stringbool().default(false).describe("wait for enough OSDs, too"),
});

/** MicroCeph's row of a service. */
export const service = z.object({
  service: z.string(),
  location: z.string().describe("name of its node"),
  group_id: z.string(),
  info: z.string(),
});
export type Service = Shape<typeof service>;

/** A declared condition of the mesh that a person should know of. */
export const condition = z.object({
  code: z.string(),
  severity: z.enum(["error", "warning", "info"]),
  text,
});
export type Condition = Shape<typeof condition>;
export const health = z.object({ conditions: z.array(condition) });
export type Health = Shape<typeof health>;

/** What Ceph says of itself, with the time of its saying. */
export const cephHealth = z.object({
  status: z.enum(["HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"]),
  checks: z.array(z.object({ code: z.string(), severity: z.string(), summary: text })),
  asOf: time,
  monitors: z.object({ total: z.int(), inQuorum: z.int() }),
  osds: z.object({ total: z.int(), up: z.int(), in: z.int() }),
  pools: z.int(),
  usage: z.object({ totalBytes: z.int(), usedBytes: z.int(), availableBytes: z.int() }),
});
export type CephHealth = Shape<typeof cephHealth>;

/** `microceph status --format json`: the mesh status, and what Ceph adds. */
export const statusReport = meshStatus.extend({
  /** Null while there is no Ceph or it was never heard of here. */
  health: cephHealth.nullable(),
  disks: z.array(configuredDisk),
  services: z.array(service),
  conditions: z.array(condition),
});
export type StatusReport = Shape<typeof statusReport>;

export const settings = z.record(z.string(), z.string());
export type Settings = Shape<typeof settings>;
export const setting = z.object({ key: z.string(), value: z.string() });
export type Setting = Shape<typeof setting>;
export const settingParams = z.strictObject({
  key: z.string().regex(/^[a-z][a-z0-9_.-]{0,127}$/),
});
export const settingRequest = z.strictObject({ value: z.string().max(4096) });
