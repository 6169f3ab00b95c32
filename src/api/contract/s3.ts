import { z } from "zod";
import { type Shape, text } from "./shape.ts";

/** Never read as an option or as two words by `radosgw-admin`. */
export const s3UserName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
export const s3UserParams = z.strictObject({ user: s3UserName });
export const s3UserRequest = z.strictObject({
  name: s3UserName,
  display_name: z.string().min(1).max(128).optional(),
  swift: z.boolean().default(false).describe("with a key for Swift, too"),
});
export const s3UserRemoval = z.strictObject({
  purge_data: z.boolean().default(false).describe("with its buckets and all that is in them"),
});
export const s3KeyRequest = z.strictObject({
  type: z
    .enum(["s3", "swift"])
    .default("s3")
    .describe("`s3`: one more key; `swift`: another instead of the one that was there"),
});

export const s3User = z.object({
  name: text,
  display_name: text,
  keys: z.array(z.object({ access_key: text, secret_key: text })),
  /** Of its subuser `USER:swift`. */
  swift_keys: z.array(z.object({ user: text, secret_key: text })).default([]),
  /** Where gateways are reached. */
  endpoints: z.array(z.string()),
});
export type S3User = Shape<typeof s3User>;
export const s3UserRow = z.object({ name: text });
export type S3UserRow = Shape<typeof s3UserRow>;

export const s3Bucket = z.object({ name: text, owner: text, objects: z.int(), bytes: z.int() });
export type S3Bucket = Shape<typeof s3Bucket>;
