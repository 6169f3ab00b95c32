import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import { nfsSettings } from "../daemons/nfs-config.ts";
import { planGateways } from "../plan/gateways.ts";
import type { PlannerDeps } from "./ceph-planner.ts";
import type { Planner, Proposal } from "./controller.ts";
import { liveOsds } from "./crush-facts.ts";
import { daemonBody, gatewayTls, kinds } from "./decisions.ts";
import { placedDaemons, settingsOf } from "./placed-daemons.ts";

const callMs = 20_000;
const lookMs = 5_000;

/** Services that are placed by name or by number; these are their names in the document, too. */
export type PlacedService = "rgw" | "nfs" | "ingress" | "rbd-mirror" | "cephfs-mirror";

const labelValue = z.string().min(1).max(63);
const port = z.int().min(1).max(65_535);
const where = {
  targets: z.array(z.custom<PeerId>(isPeerId)).max(1000),
  count: z.int().min(0).max(1000),
  zone: labelValue.optional(),
};
const wishes = {
  rgw: z.object({ ...where, port: port.nullable(), tls: gatewayTls.optional() }),
  nfs: nfsSettings.extend(where),
  "rbd-mirror": z.object(where),
  "cephfs-mirror": z.object(where),
  ingress: z.object({
    ...where,
    port,
    tlsPort: port.optional(),
    vip: z.union([z.ipv4(), z.ipv6()]),
    prefix: z.int().min(1).max(128),
  }),
} as const;
export type Wish<Service extends PlacedService> = z.output<(typeof wishes)[Service]>;

/** The wish, as the document has it; null when none is, or none that can be read. */
export function wishFor<Service extends PlacedService>(
  service: Service,
  services: Readonly<Record<string, Json>>,
): Wish<Service> | null {
  return (wishes[service].safeParse(services[service]).data as Wish<Service> | undefined) ?? null;
}

/** A service where it is wanted: facts from the members and the journal in, proposals out. */
export function servicePlanner(
  service: PlacedService,
  deps: Pick<PlannerDeps, "ceph" | "members" | "entries" | "services" | "later" | "explain" | "addressIn">,
): Planner {
  return async (signal) => {
    const ceph = deps.ceph();
    if (ceph === null) return [];
    const wish = wishFor(service, deps.services());
    const entries = deps.entries();
    const members = deps.members();
    const placed = placedDaemons(entries).filter(
      ({ type, handle, number }) =>
        type === service &&
        // What a former member of this name had is not there any more.
        members.some((member) => member.handle === handle && member.admitted < number.revision),
    );
    if (wish === null && placed.length === 0) return [];
    const network = wish !== null && "vip" in wish ? `${wish.vip}/${wish.prefix}` : null;
    const plan = planGateways({
      wish: wish && { settings: settingsOf(wish), targets: wish.targets, count: wish.count, zone: wish.zone },
      hosts: members
        // Only who is in the network of the common address can take it.
        .filter(({ addresses }) => network === null || deps.addressIn(addresses, network) !== null)
        .map(({ peer, handle, zone, alive, leaving, servicesLost }) => ({
          ...{ peer, handle, zone, alive, lost: servicesLost, leaving: leaving !== null },
          refusals: refusalsOf(entries, service, handle),
        })),
      placed,
    });
    const reasons = [...plan.reasons];
    let { place } = plan;
    if (service === "rgw" && place.length > 0) {
      // Without an OSD a gateway waits for its pools until it gives up.
      const tree = await ceph.osdTree({ deadlineMs: callMs, signal });
      if (liveOsds(tree).length === 0) {
        reasons.push("no gateway is placed before there is an OSD");
        deps.later(lookMs);
        place = [];
      }
    }
    deps.explain(service, reasons);
    const lane = (handle: string): string => `${service}.${handle}`;
    return [
      ...place.flatMap(({ peer, handle, reason }): Proposal[] => {
        if (wish === null) return [];
        const { targets: _, count: __, zone: ___, ...told } = wish;
        const body = { type: service, handle, ...told } as Json;
        return [{ kind: kinds.daemon, body, agent: peer, reason, lane: lane(handle) }];
      }),
      ...plan.remove.map(({ handle, reason }): Proposal => {
        const body: Json = { type: service, handle };
        return { kind: kinds.daemonOut, body, agent: null, reason, lane: lane(handle) };
      }),
    ];
  };
}

/** How often placing one there was given up since it last worked. */
function refusalsOf(entries: readonly Entry[], service: PlacedService, handle: string): number {
  let refusals = 0;
  for (const { kind, body, state } of entries) {
    if (kind !== kinds.daemon || state === "open") continue;
    const asked = daemonBody.parse(body);
    if (asked.type !== service || asked.handle !== handle) continue;
    refusals = state === "done" ? 0 : refusals + 1;
  }
  return refusals;
}
