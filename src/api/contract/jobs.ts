import { z } from "zod";
import { json, type Shape, text, time } from "./shape.ts";

/** One long operation: recorded at each step, resumed after a crash. */
export const job = z
  .object({
    id: z.string(),
    kind: z.string(),
    state: z.enum(["running", "success", "failure"]),
    progress: z.number().min(0).max(100).describe("percent"),
    step: text.describe("what it does now"),
    result: json.describe("kind-specific, null until success"),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: "Job" });
export type Job = Shape<typeof job>;

export const jobParams = z.strictObject({ id: z.string().min(1).max(128) });
/** Longest time one `wait` request may hang, in seconds; ask again for more. */
export const longestWaitSeconds = 600;
export const jobWaitQuery = z.strictObject({
  timeout: z.coerce.number().min(0).max(longestWaitSeconds).default(30).describe("seconds"),
});
