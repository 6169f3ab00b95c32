import { z } from "zod";
import { json, type Shape, text } from "./shape.ts";

/**
 * The answer around everything, as LXD and MicroCeph have it. `operation` names the job of an async answer.
 * On errors `metadata` carries our stable code, its remedy and structured data.
 */
export const errorDetail = z.object({
  code: z.string(),
  remedy: text,
  data: z.record(z.string(), json),
});
export type ErrorDetail = Shape<typeof errorDetail>;

export const errorEnvelope = z
  .object({
    type: z.literal("error"),
    status: z.literal(""),
    status_code: z.literal(0),
    operation: z.literal(""),
    error_code: z.int().describe("HTTP status"),
    error: z.string(),
    metadata: errorDetail,
  })
  .meta({ id: "Error" });
export type ErrorEnvelope = Shape<typeof errorEnvelope>;

/** Envelope of a finished request. */
export function syncEnvelope<S extends z.ZodType>(metadata: S) {
  return z.object({
    type: z.literal("sync"),
    status: z.literal("Success"),
    status_code: z.literal(200),
    operation: z.literal(""),
    error_code: z.literal(0),
    error: z.literal(""),
    metadata,
  });
}

/** Envelope of a request that goes on as a job; `operation` is the job's path. */
export function asyncEnvelope<S extends z.ZodType>(metadata: S) {
  return z.object({
    type: z.literal("async"),
    status: z.literal("Operation created"),
    status_code: z.literal(100),
    operation: z.string(),
    error_code: z.literal(0),
    error: z.literal(""),
    metadata,
  });
}

/** Any envelope as a client sees it before it looks at `type`. */
export interface Envelope {
  readonly type: "sync" | "async" | "error";
  readonly status: string;
  readonly status_code: number;
  readonly operation: string;
  readonly error_code: number;
  readonly error: string;
  readonly metadata: unknown;
}
