import { z } from "zod";
import { name, nodeReference, type Shape, text } from "./shape.ts";

const level = z.enum(["osd", "host", "rack"]);
const bytes = z.int().nonnegative();

/** Copies and bytes that a change would write anew, by Ceph's own placement on a copy of its map. */
export const movedData = z.object({
  copies: z.int().nonnegative(),
  bytes,
  pools: z.array(z.object({ name, copies: z.int().nonnegative(), bytes })),
});
export type MovedDataReport = Shape<typeof movedData>;

/** Result of the jobs that plan and set the failure domain. */
export const failureDomainReport = z.object({
  current: level.nullable().describe("null: the default rule is not ours"),
  defaultRule: name.nullable(),
  wish: z.enum(["auto", "osd", "host", "rack"]),
  next: z
    .object({ from: level, to: level, pools: z.array(name), reason: text, moved: movedData })
    .nullable()
    .describe("what the plan is, or would be with the level that was asked for"),
  /** Bytes that may move without, or by, consent. */
  allowedBytes: bytes,
  reasons: z.array(text),
});
export type FailureDomainReport = Shape<typeof failureDomainReport>;

export const failureDomainPlanRequest = z.strictObject({
  level: z.enum(["auto", "osd", "host", "rack"]).optional(),
});

export const failureDomainRequest = z.strictObject({
  level: z.enum(["auto", "osd", "host", "rack"]),
  confirmDowngrade: z.boolean().default(false),
  consent: z.boolean().default(false).describe("let move what the plan says"),
});

/** A member's zone, and the CRUSH bucket in which its host lies now. */
export const zone = z.object({ name, handle: name, zone: name.nullable(), bucket: name.nullable() });
export type Zone = Shape<typeof zone>;

export const zoneRequest = z.strictObject({
  node: nodeReference,
  zone: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
    .nullable(),
  consent: z.boolean().default(false).describe("let move what the plan says"),
});
/** Result of the job that sets a zone. */
export const zoneReply = z.object({ name, zone: name.nullable(), moved: movedData });
export type ZoneReply = Shape<typeof zoneReply>;
