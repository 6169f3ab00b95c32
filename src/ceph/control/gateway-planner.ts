import { z } from "zod";
import { type Handle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { NfsIdentity } from "../../ids/nfs.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import { listens } from "../daemons/listens.ts";
import { nfsSettings } from "../daemons/nfs-config.ts";
import { planGateways } from "../plan/gateways.ts";
import { nfsRanks } from "../plan/nfs-ranks.ts";
import type { PlannedMember, PlannerDeps } from "./ceph-planner.ts";
import type { Planner, Proposal } from "./controller.ts";
import { liveOsds } from "./crush-facts.ts";
import { daemonBody, gatewayTls, kinds } from "./decisions.ts";
import { nfsIdentities, type PlacedDaemon, placedDaemons, settingsOf } from "./placed-daemons.ts";

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
    /** Where it is the address of NFS gateways; undefined: it is not. */
    nfsPort: port.optional(),
    /** Whether it is that of S3 gateways, and of what managers show. */
    fronts: z.array(z.enum(["rgw", "dashboard"])).optional(),
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
    const isNfs = service === "nfs";
    const isFronted = isNfs && wishFor("ingress", deps.services())?.nfsPort !== undefined;
    const bind = wish !== null && "bind" in wish ? wish.bind : null;
    const silent = isFronted ? await silentGateways(bind, members, placed, deps.listens) : null;
    if (silent?.answering) deps.later(lookMs);
    const plan = planGateways({
      wish: wish && {
        ...{ settings: settingsOf(wish), targets: wish.targets, count: wish.count, zone: wish.zone },
        offFirst: isNfs,
      },
      hosts: members
        // Only who is in the network of the common address can take it.
        .filter(({ addresses }) => network === null || deps.addressIn(addresses, network) !== null)
        .map(({ peer, handle, zone, alive, leaving, servicesLost }) => ({
          ...{ peer, handle, zone, alive, leaving: leaving !== null },
          lost: servicesLost || silent?.handles.has(handle) === true,
          refusals: refusalsOf(entries, service, handle),
        })),
      placed,
    });
    const reasons = [...plan.reasons];
    if (isFronted && wish !== null) reasons.push(...waiting(wish, members, placed));
    let { place } = plan;
    const identities = nfsIdentities(entries, isHost);
    const rankOf = isNfs && wish !== null ? ranksFor(wish, identities) : null;
    if ((service === "rgw" || isNfs) && place.length > 0) {
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
        const { targets: _, count: __, zone: ___, fronts: ____, ...told } = { fronts: undefined, ...wish };
        const rank = rankOf?.(handle);
        // All are in use until one that is taken off is gone.
        if (isNfs && rank === undefined) return [];
        const body = { type: service, handle, ...told, ...(isNfs ? { rank } : {}) } as Json;
        return [{ kind: kinds.daemon, body, agent: peer, reason, lane: lane(handle) }];
      }),
      ...plan.remove.map(({ handle, reason }): Proposal => {
        const nfs = isNfs ? identities.get(handle) : undefined;
        const body: Json = { type: service, handle, ...(nfs === undefined ? {} : { nfs: { ...nfs } }) };
        return { kind: kinds.daemonOut, body, agent: null, reason, lane: lane(handle) };
      }),
    ];
  };
}

/**
 * NFS gateways behind the common address whose hosts are away, and do not answer where clients are sent: another takes
 * their clients over at once. `answering`: whether one of a host that is away does answer, so that it is left alone.
 */
async function silentGateways(
  bind: string | null,
  members: readonly PlannedMember[],
  placed: readonly PlacedDaemon[],
  isListening: NonNullable<PlannerDeps["listens"]> = listens,
): Promise<{ readonly handles: ReadonlySet<Handle>; readonly answering: boolean }> {
  const handles = new Set<Handle>();
  let answering = false;
  for (const { handle, port: at } of placed) {
    const host = members.find((member) => member.handle === handle);
    const address = bind ?? host?.address ?? null;
    if (host === undefined || host.alive || address === null || at === null) continue;
    if (await isListening({ host: address, port: at })) answering = true;
    else handles.add(handle);
  }
  return { handles, answering };
}

/** Whose clients wait when the host of their gateway dies, since nobody may take it over. */
function waiting(
  { targets }: Pick<Wish<"nfs">, "targets">,
  members: readonly PlannedMember[],
  placed: readonly PlacedDaemon[],
): string[] {
  const isSpare = ({ handle, alive, leaving }: PlannedMember): boolean =>
    alive && leaving === null && !placed.some((one) => one.handle === handle);
  if (!members.some(isSpare))
    return ["no member stands by: clients of a gateway whose host dies wait for it"];
  const named = members.filter(({ peer }) => targets.includes(peer)).map(({ handle }) => handle);
  return named.length === 0
    ? []
    : [`${named.join(", ")} was asked for by name: when it dies, its clients wait`];
}

/** The rank of a gateway that is to run on a host: that which it has, or one that nobody has; undefined: none is left. */
function ranksFor(
  wish: Pick<Wish<"nfs">, "count" | "targets">,
  identities: ReadonlyMap<Handle, NfsIdentity>,
): (handle: Handle) => number | undefined {
  const used = new Set([...identities.values()].map(({ rank }) => rank));
  const free = nfsRanks(used, Math.max(wish.count, wish.targets.length)).filter((rank) => !used.has(rank));
  return (handle) => identities.get(handle)?.rank ?? free.shift();
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
