import type { Handle } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import { planGateways } from "../plan/gateways.ts";
import type { PlannerDeps } from "./ceph-planner.ts";
import type { Planner, Proposal } from "./controller.ts";
import { liveOsds } from "./crush-facts.ts";
import { daemonBody, kinds } from "./decisions.ts";
import { nfsParticulars, type Particulars } from "./nfs-planner.ts";
import { placedDaemons, settingsOf } from "./placed-daemons.ts";
import { type PlacedService, wishFor } from "./placed-wish.ts";

const callMs = 20_000;
const lookMs = 5_000;

const plain: Particulars = {
  ...{ lost: new Set(), offFirst: false, needsOsd: false, reasons: [] },
  placing: () => ({}),
  removing: () => ({}),
};

/** A service where it is wanted: facts from the members and the journal in, proposals out. */
export function servicePlanner(
  service: PlacedService,
  deps: Pick<
    PlannerDeps,
    "ceph" | "members" | "entries" | "services" | "later" | "explain" | "addressIn" | "listens"
  >,
): Planner {
  return async (signal) => {
    const ceph = deps.ceph();
    if (ceph === null) return [];
    const wish = wishFor(service, deps.services());
    const entries = deps.entries();
    const members = deps.members();
    // What a former member of this name had is not there any more.
    const isHost = (handle: Handle, since: DecisionNumber): boolean =>
      members.some((member) => member.handle === handle && member.admitted < since.revision);
    const placed = placedDaemons(entries).filter(
      ({ type, handle, number }) => type === service && isHost(handle, number),
    );
    if (wish === null && placed.length === 0) return [];
    const network = wish !== null && "vip" in wish ? `${wish.vip}/${wish.prefix}` : null;
    const particulars =
      service === "nfs"
        ? await nfsParticulars({ ...deps, members, placed, isHost })
        : { ...plain, needsOsd: service === "rgw" };
    const plan = planGateways({
      wish: wish && {
        ...{ settings: settingsOf(wish), targets: wish.targets, count: wish.count, zone: wish.zone },
        offFirst: particulars.offFirst,
      },
      hosts: members
        // Only who is in the network of the common address can take it.
        .filter(({ addresses }) => network === null || deps.addressIn(addresses, network) !== null)
        .map(({ peer, handle, zone, alive, leaving, servicesLost }) => ({
          ...{ peer, handle, zone, alive, leaving: leaving !== null },
          lost: servicesLost || particulars.lost.has(handle),
          refusals: refusalsOf(entries, service, handle),
        })),
      placed,
    });
    const reasons = [...plan.reasons, ...particulars.reasons];
    let { place } = plan;
    if (particulars.needsOsd && place.length > 0) {
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
        const own = particulars.placing(handle);
        if (wish === null || own === null) return [];
        const { targets: _, count: __, zone: ___, fronts: ____, ...told } = { fronts: undefined, ...wish };
        const body = { type: service, handle, ...told, ...own } as Json;
        return [{ kind: kinds.daemon, body, agent: peer, reason, lane: lane(handle) }];
      }),
      ...plan.remove.map(({ handle, reason }): Proposal => {
        const body: Json = { type: service, handle, ...particulars.removing(handle) };
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
