import type { Handle } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { NfsIdentity } from "../../ids/nfs.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import { listens } from "../daemons/listens.ts";
import { nfsRanks } from "../plan/nfs-ranks.ts";
import type { PlannedMember, PlannerDeps } from "./ceph-planner.ts";
import { nfsIdentities, type PlacedDaemon } from "./placed-daemons.ts";
import { isNfsFronted, type Wish, wishFor } from "./placed-wish.ts";

const lookMs = 5_000;

/** What the placing of one service has that others have not. */
export interface Particulars {
  /** Whose daemon another takes over at once, although it has not been away for long. */
  readonly lost: ReadonlySet<Handle>;
  /** One is taken off before another is placed. */
  readonly offFirst: boolean;
  /** Without an OSD it would wait for its pools until it gives up. */
  readonly needsOsd: boolean;
  readonly reasons: readonly string[];
  /** What the decision says beside what is wanted; null: none can be placed on that host now. */
  readonly placing: (handle: Handle) => Readonly<Record<string, Json>> | null;
  readonly removing: (handle: Handle) => Readonly<Record<string, Json>>;
}

export interface NfsFacts extends Pick<PlannerDeps, "entries" | "services" | "later" | "listens"> {
  readonly members: readonly PlannedMember[];
  readonly placed: readonly PlacedDaemon[];
  /** Whether a member of this name is the one that a decision was about. */
  readonly isHost: (handle: Handle, since: DecisionNumber) => boolean;
}

/** NFS gateways: each has a rank, which no two may have, and behind a common address it moves at once. */
export async function nfsParticulars(facts: NfsFacts): Promise<Particulars> {
  const { members, placed, services, later } = facts;
  const wish = wishFor("nfs", services());
  const isFronted = isNfsFronted(services());
  const silent = isFronted ? await silentGateways(wish?.bind ?? null, facts) : null;
  if (silent?.answering) later(lookMs);
  const identities = nfsIdentities(facts.entries(), facts.isHost);
  const rankOf = wish === null ? null : ranksFor(wish, identities);
  return {
    lost: silent?.handles ?? new Set(),
    offFirst: true,
    needsOsd: true,
    reasons: isFronted && wish !== null ? waiting(wish, members, placed) : [],
    placing: (handle) => {
      const rank = rankOf?.(handle);
      // All are in use until one that is taken off is gone.
      return rank === undefined ? null : { rank };
    },
    removing: (handle) => {
      const nfs = identities.get(handle);
      return nfs === undefined ? {} : { nfs: { ...nfs } };
    },
  };
}

/**
 * NFS gateways behind the common address whose hosts are away, and do not answer where clients are sent: another takes
 * their clients over at once. `answering`: whether one of a host that is away does answer, so that it is left alone.
 */
async function silentGateways(
  bind: string | null,
  { members, placed, listens: isListening = listens }: NfsFacts,
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
