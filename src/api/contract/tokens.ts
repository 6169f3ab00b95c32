import { z } from "zod";
import { name, type Shape, time } from "./shape.ts";

/** Three hours, as in MicroCeph. */
export const defaultTokenSeconds = 10_800;

export const tokenRequest = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
    .describe("name that the node gets"),
  expire_after: z
    .int()
    .min(10)
    .max(30 * 86_400)
    .default(defaultTokenSeconds)
    .describe("seconds"),
});
export const issuedToken = z.object({ name, token: z.string(), expires_at: time });
export type IssuedTokenReply = Shape<typeof issuedToken>;

/** A token as operators see it afterwards: without its secret. */
export const shownToken = z.object({
  name,
  expires_at: time,
  /** PeerId of the node that joined, or joins, by it; null while nobody has used it. */
  used_by: z.string().nullable(),
});
export type ShownTokenReply = Shape<typeof shownToken>;

export const tokenParams = z.strictObject({ name: z.string().min(1).max(63) });
export const tokenJoinRequest = z.strictObject({
  token: z.string().min(16).max(2048),
  availabilityZone: z
    .string()
    .regex(/^[a-zA-Z0-9_.-]{1,63}$/)
    .optional(),
});
