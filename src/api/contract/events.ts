import { z } from "zod";
import { json, type Shape, time } from "./shape.ts";

/** One line of `GET /1.0/events`. Events are hints: re-read what they are about. */
export const meshEvent = z.object({
  seq: z.int().min(0).describe("grows by one with each event since this daemon started"),
  at: time,
  type: z.string(),
  data: json,
});
export type MeshEvent = Shape<typeof meshEvent>;

export const eventsQuery = z.strictObject({
  since: z.coerce.number().int().min(0).optional().describe("replay what came after this number"),
});
