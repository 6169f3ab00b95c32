import type { Json } from "../../ids/json.ts";

/** Services of the managers that people look at: the one that is active serves. */
export const panels = ["dashboard", "prometheus"] as const;
export type Panel = (typeof panels)[number];

/** Ports on which managers serve, as the document wants it; the ingress listens on the next one. */
export function panelPorts(services: Readonly<Record<string, Json>>): Partial<Record<Panel, number>> {
  return Object.fromEntries(
    panels.flatMap((panel) => {
      const wish = services[panel];
      const port = wish !== null && typeof wish === "object" && !Array.isArray(wish) ? wish?.port : undefined;
      return Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_535
        ? [[panel, Number(port)]]
        : [];
    }),
  );
}
