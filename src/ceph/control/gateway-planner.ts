import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import { type GatewayWish, planGateways } from "../plan/gateways.ts";
import type { PlannerDeps } from "./ceph-planner.ts";
import type { Planner, Proposal } from "./controller.ts";
import { liveOsds } from "./crush-facts.ts";
import { daemonBody, kinds } from "./decisions.ts";
import { placedDaemons } from "./placed-daemons.ts";

const callMs = 20_000;
const lookMs = 5_000;

/** Name of the wish among the document's services. */
export const gatewayService = "rgw";

const wishSchema = z.object({
  port: z.int().min(1).max(65_535),
  targets: z.array(z.custom<PeerId>(isPeerId)).max(1000),
  count: z.int().min(0).max(1000),
});

/** The wish, as the document has it; null when none is, or none that can be read. */
export function gatewayWish(services: Readonly<Record<string, Json>>): GatewayWish | null {
  return wishSchema.safeParse(services[gatewayService]).data ?? null;
}

/** Gateways where they are wanted: facts from the members and the journal in, proposals out. */
export function gatewayPlanner(
  deps: Pick<PlannerDeps, "ceph" | "members" | "entries" | "services" | "later" | "explain">,
): Planner {
  return async (signal) => {
    const ceph = deps.ceph();
    if (ceph === null) return [];
    const wish = gatewayWish(deps.services());
    const entries = deps.entries();
    const members = deps.members();
    const placed = placedDaemons(entries).filter(
      ({ type, handle, number }) =>
        type === "rgw" &&
        // What a former member of this name had is not there any more.
        members.some((member) => member.handle === handle && member.admitted < number.revision),
    );
    if (wish === null && placed.length === 0) return [];
    const plan = planGateways({
      wish,
      hosts: members.map(({ peer, handle, zone, alive, leaving, servicesLost }) => ({
        ...{ peer, handle, zone, alive, lost: servicesLost, leaving: leaving !== null },
        refusals: refusalsOf(entries, handle),
      })),
      placed: placed.map(({ handle, port, open }) => ({ handle, port: port ?? 0, open })),
    });
    const reasons = [...plan.reasons];
    let { place } = plan;
    if (wish !== null && place.length > 0) {
      // Without an OSD a gateway waits for its pools until it gives up.
      const tree = await ceph.osdTree({ deadlineMs: callMs, signal });
      if (liveOsds(tree).length === 0) {
        reasons.push("no gateway is placed before there is an OSD");
        deps.later(lookMs);
        place = [];
      }
    }
    deps.explain(gatewayService, reasons);
    return [
      ...place.map(
        ({ peer, handle, reason }): Proposal => ({
          kind: kinds.daemon,
          body: { type: "rgw", handle, port: wish?.port ?? 0 },
          agent: peer,
          reason,
          lane: `rgw.${handle}`,
        }),
      ),
      ...plan.remove.map(
        ({ handle, reason }): Proposal => ({
          kind: kinds.daemonOut,
          body: { type: "rgw", handle },
          agent: null,
          reason,
          lane: `rgw.${handle}`,
        }),
      ),
    ];
  };
}

/** How often placing one there was given up since it last worked. */
function refusalsOf(entries: readonly Entry[], handle: string): number {
  let refusals = 0;
  for (const { kind, body, state } of entries) {
    if (kind !== kinds.daemon || state === "open") continue;
    const asked = daemonBody.parse(body);
    if (asked.type !== "rgw" || asked.handle !== handle) continue;
    refusals = state === "done" ? 0 : refusals + 1;
  }
  return refusals;
}
