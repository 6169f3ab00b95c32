import { z } from "zod";
import { type Shape, text } from "./shape.ts";

const port = z.int().min(1024).max(65_534);
const pem = z.string().min(1).max(131_072);

export const enableDashboardRequest = z.strictObject({
  ssl_port: port
    .optional()
    .describe("where every manager listens; as before when it is left out, 8443 at first"),
  ssl_certificate: pem.optional().describe("PEM, or base64 of it; without one Ceph makes one of its own"),
  ssl_private_key: pem.optional(),
  new_password: z.boolean().default(false).describe("give the user admin another password, and tell it"),
});
export const enablePrometheusRequest = z.strictObject({
  port: port.optional().describe("where every manager listens; as before when it is left out, 9283 at first"),
});
export const disablePanelRequest = z.strictObject({});

/** The dashboard, or the figures for Prometheus, of whichever manager is active. */
export const panelReport = z.object({
  enabled: z.boolean(),
  port: z.int().nullable(),
  urls: z.array(text).describe("at the common address, if there is an ingress; then at the active manager"),
  /** Made now, and kept nowhere: told once. */
  user: z.string().nullable(),
  password: z.string().nullable(),
});
export type PanelReport = Shape<typeof panelReport>;
