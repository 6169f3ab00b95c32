import { z } from "zod";
import { type Shape, text } from "./shape.ts";

export const optionName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{1,127}$/, "an option of Ceph: small letters, digits and '_'");
/** `global`, `osd`, `osd.3`, `client.rgw`: who is told. */
export const sectionName = z.string().regex(/^[a-z]+(?:\.[A-Za-z0-9_.-]{1,100})?$/, "global, osd, osd.3, …");
/** One line that may be put into ceph.conf and on a command's line. */
const optionValue = z
  .string()
  .max(4096)
  .regex(/^[^\r\n]*$/, "one line");

export const configRow = z.object({ key: z.string(), value: z.string(), section: z.string() });
export type ConfigRow = Shape<typeof configRow>;

export const configParams = z.strictObject({ key: optionName });
export const configOption = z.object({
  key: z.string(),
  type: z.string(),
  description: text,
  default: z.string(),
  min: z.string(),
  max: z.string(),
  choices: z.array(z.string()),
  /** Daemons heed a change without a restart. */
  runtime: z.boolean(),
  values: z.array(z.object({ section: z.string(), value: z.string() })),
});
export type ConfigOption = Shape<typeof configOption>;

export const configChange = z.strictObject({
  key: optionName,
  value: optionValue,
  section: sectionName.default("global"),
  wait: z.boolean().default(true).describe("for MicroCeph's clients; a job is waited for by its id"),
  skip_restart: z.boolean().default(false).describe("daemons that would have to be restarted are not"),
});
export const configReset = configChange.omit({ value: true });

/** Result of the job. */
export const configReply = z.object({
  key: z.string(),
  section: z.string(),
  value: z.string().nullable(),
  restarted: z.array(z.string()),
  /** Daemons read it only at their start, and have not been restarted. */
  pending: z.boolean(),
});
export type ConfigReply = Shape<typeof configReply>;

/** As MicroCeph has them: what librbd heeds on the hosts of the members. */
export const clientOption = z.enum([
  "rbd_cache",
  "rbd_cache_size",
  "rbd_cache_writethrough_until_flush",
  "rbd_cache_max_dirty",
  "rbd_cache_target_dirty",
]);
export const clientConfigRow = z.object({
  key: z.string(),
  value: z.string(),
  host: z.string().describe("a member's name; `*`: all"),
});
export type ClientConfigRow = Shape<typeof clientConfigRow>;
export const clientConfigParams = z.strictObject({ key: clientOption });
export const clientConfigRequest = z.strictObject({
  value: z
    .string()
    .max(32)
    .regex(/^[A-Za-z0-9]+$/),
  host: z.string().min(1).max(253).default("*"),
  wait: z.boolean().default(true).describe("for MicroCeph's clients"),
});
export const clientConfigReset = z.strictObject({ host: z.string().min(1).max(253).default("*") });

export const logLevel = z.object({ level: z.int().min(0).max(6) });
export type LogLevel = Shape<typeof logLevel>;
export const logLevelRequest = z.strictObject({
  level: z
    .union([z.string().max(16), z.int()])
    .describe("0 to 6, or panic, fatal, error, warning, info, debug, trace"),
});
