import { z } from "zod";
import { name, nodeReference, type Shape, text } from "./shape.ts";

const port = z.int().min(1).max(65_535);
/** PEM, or, as in MicroCeph, base64 of it. */
const pem = z.string().min(1).max(131_072);

const zone = z
  .string()
  .regex(/^(?:\*|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)$/)
  .describe('only there are those that nobody names; "*": anywhere; as before when it is left out');

export const enableGatewayRequest = z.strictObject({
  targets: z.array(nodeReference).max(1000).default([]).describe("members that run one each"),
  count: z.int().min(1).max(1000).optional().describe("how many there are to be in all, wherever"),
  zone: zone.optional(),
  port: port.optional().describe("as before when it is left out, 80 at first; with a certificate: only TLS"),
  ssl_port: port.optional().describe("as before when it is left out; 443 at first"),
  ssl_certificate: pem.optional(),
  ssl_private_key: pem.optional(),
});
export const certificateRequest = z.strictObject({ ssl_certificate: pem, ssl_private_key: pem });
export const enableIngressRequest = z.strictObject({
  vip: z
    .union([z.cidrv4(), z.cidrv6()])
    .describe("the common address with the bits of its network: 192.0.2.10/24"),
  targets: z.array(nodeReference).max(1000).default([]).describe("members that stand ready for it"),
  count: z.int().min(1).max(1000).optional().describe("how many stand ready in all; 2 at first"),
  zone: zone.optional(),
  port: port.optional().describe("as before when it is left out; 80 at first"),
  ssl_port: port.optional().describe("where it speaks TLS; as before when it is left out, 443 at first"),
  nfs_port: port.optional().describe("of NFS; as before when it is left out, 2049 at first"),
  services: z
    .array(z.enum(["rgw", "nfs", "dashboard"]))
    .min(1)
    .max(3)
    .optional()
    .describe("whose address it is; as before when it is left out, at first of rgw and dashboard"),
});
export const enableMirrorRequest = enableGatewayRequest.pick({ targets: true, count: true, zone: true });
export const countedParams = z.strictObject({ daemon: z.enum(["mon", "mgr", "mds"]) });
export const countedRequest = z.strictObject({
  targets: z.array(nodeReference).max(1000).default([]).describe("members; none: this node"),
});
export const disableServiceRequest = z.strictObject({
  targets: z.array(nodeReference).max(1000).default([]),
  all: z.boolean().default(false).describe("none is wanted any more"),
});

export const placedNode = z.object({
  node: name,
  /** Where it is reached; null for what is not, and while its node has no address in the public network. */
  url: z.string().nullable(),
  state: z.enum(["placed", "being placed", "waiting"]),
});
export const placedReport = z.object({
  /** What is wanted; null: nothing. `vip` is null for what has no common address. */
  wanted: z
    .object({
      /** Null: only with TLS, or at none. */
      port: port.nullable(),
      /** Null: without TLS. */
      tls_port: port.nullable(),
      /** Of an ingress: where it is the address of NFS gateways; null: it is not. */
      nfs_port: port.nullable(),
      targets: z.array(name),
      count: z.int(),
      vip: z.string().nullable(),
    })
    .nullable(),
  nodes: z.array(placedNode),
});
export type PlacedReport = Shape<typeof placedReport>;

export const explanationParams = z.strictObject({ subject: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/) });
/** Why what the holder of the lease plans is as it is. */
export const explanation = z.object({ subject: z.string(), reasons: z.array(text) });
export type Explanation = Shape<typeof explanation>;
