import { z } from "zod";
import { type Shape, text } from "./shape.ts";

/** What this product makes; Ceph itself allows more, and such pools are listed all the same. */
export const newPoolName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, "letters, digits, '.', '_' and '-'");
const poolName = z.string().min(1).max(200);
const copies = z.int().min(1).max(10);

export const poolRow = z.object({
  pool: poolName,
  size: z.int().describe("copies; of an erasure-coded pool: chunks"),
  crush_rule: z.string(),
  min_size: z.int(),
  pg_num: z.int(),
  erasure: z.boolean(),
  applications: z.array(z.string()),
  bytes: z.number().nullable().describe("stored by users, before copies; null while no manager tells"),
});
export type PoolRow = Shape<typeof poolRow>;

export const poolRequest = z.strictObject({
  name: newPoolName,
  size: copies.optional().describe("copies; default: what new pools get"),
  pg_num: z
    .int()
    .min(1)
    .max(65_536)
    .optional()
    .describe("default: Ceph chooses, and changes it with what it holds"),
  application: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,63}$/)
    .default("rbd")
    .describe("what it is for: rbd, cephfs, rgw or another word"),
  confirmed: z.boolean().default(false).describe("a single copy is meant"),
});

export const poolParams = z.strictObject({ pool: poolName });
export const poolRemoval = z.strictObject({
  confirmed: z.boolean().default(false).describe("all that is in it goes"),
});

export const replicasRequest = z.strictObject({
  pools: z
    .array(z.string().max(200))
    .max(1000)
    .describe('names; "*": every pool and what new ones get; "" or none: only what new ones get'),
  size: copies,
  confirmed: z.boolean().default(false).describe("a single copy of what is there is meant"),
});

export const replicasPlan = z.object({
  size: z.int(),
  min_size: z.int(),
  /** Whether new pools get this size, too. */
  default: z.boolean(),
  pools: z.array(
    z.object({
      pool: z.string(),
      from: z.int(),
      to: z.int(),
      crush_rule: z.string(),
      failure_domain: z.string().describe("over what copies are spread"),
      places: z.int().describe("of these there are so many with running OSDs"),
      pg_num: z.int(),
      bytes: z
        .number()
        .nullable()
        .describe("written anew, or, when negative, freed; null while no manager tells"),
    }),
  ),
  warnings: z.array(text),
});
export type ReplicasPlan = Shape<typeof replicasPlan>;
