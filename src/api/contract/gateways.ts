import { z } from "zod";
import { name, nodeReference, type Shape, text } from "./shape.ts";

const port = z.int().min(1).max(65_535);

export const enableGatewayRequest = z.strictObject({
  targets: z.array(nodeReference).max(1000).default([]).describe("members that run one each"),
  count: z.int().min(1).max(1000).optional().describe("how many there are to be in all, wherever"),
  port: port.optional().describe("as before when it is left out; 80 at first"),
});
export const disableGatewayRequest = z.strictObject({
  targets: z.array(nodeReference).max(1000).default([]),
  all: z.boolean().default(false).describe("none is wanted any more"),
});

/** Where one gateway is, or is to be. */
export const gateway = z.object({
  node: name,
  /** Where it is reached; null while its node has no address in the public network. */
  url: z.string().nullable(),
  state: z.enum(["placed", "being placed", "waiting"]),
});
export const gatewayReport = z.object({
  /** What is wanted; null: no gateway. */
  wanted: z.object({ port, targets: z.array(name), count: z.int() }).nullable(),
  gateways: z.array(gateway),
});
export type GatewayReport = Shape<typeof gatewayReport>;

export const explanationParams = z.strictObject({ subject: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/) });
/** Why what the holder of the lease plans is as it is. */
export const explanation = z.object({ subject: z.string(), reasons: z.array(text) });
export type Explanation = Shape<typeof explanation>;
