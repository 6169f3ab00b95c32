import { z } from "zod";
import { bootstrapBody, kinds, voterBody } from "../../ceph/control/decisions.ts";
import { changedNetworks } from "../../ceph/control/networks.ts";
import { renumberingOf } from "../../ceph/control/renumber.ts";
import type { SeatMember } from "../../ceph/plan/seats.ts";
import type { Fsid, PeerId } from "../../ids/ids.ts";
import { isPeerId } from "../../ids/ids.ts";
import { compareNumbers } from "../../state/journal/numbers.ts";
import type { Entry } from "../../state/journal/types.ts";

/** Kind of the first entry of every journal; its body names the founder and the public network. */
export const foundKind = "cluster.found";

export interface FoundBody {
  readonly founder: PeerId;
  readonly name: string;
  readonly publicNetwork: string;
  readonly clusterNetwork: string | null;
  readonly acceptors: readonly PeerId[];
  /** Ceph's daemons speak the second messenger protocol alone. */
  readonly v2Only: boolean;
}

/** The founding, as the journal has it. */
export function foundingOf(entries: readonly Entry[]): FoundBody | null {
  const body = entries.find((entry) => entry.kind === foundKind)?.body;
  if (body === null || body === undefined || typeof body !== "object" || Array.isArray(body)) return null;
  const { founder, name, publicNetwork, clusterNetwork, acceptors, v2Only } = body;
  if (!isPeerId(founder) || typeof name !== "string" || typeof publicNetwork !== "string") return null;
  return {
    founder,
    name,
    publicNetwork,
    clusterNetwork: typeof clusterNetwork === "string" ? clusterNetwork : null,
    acceptors: Array.isArray(acceptors) ? acceptors.filter(isPeerId) : [],
    v2Only: v2Only === true,
  };
}

/** The networks that Ceph uses: those of the founding, until they were changed or all monitors were renumbered. */
export function networksOf(
  entries: readonly Entry[],
): { readonly publicNetwork: string; readonly clusterNetwork: string | null } | null {
  return changedNetworks(entries) ?? renumberingOf(entries) ?? foundingOf(entries);
}

/** Kind of the first entry after a recovery. */
export const recoveredKind = "cluster.recovered";
const recoveredBody = z.object({
  /** The only voter that was left. */
  peer: z.custom<PeerId>(isPeerId),
  generation: z.int(),
  lost: z.array(z.custom<PeerId>(isPeerId)),
});

/** The last recovery: who was left, and who was declared lost. */
export function recoveryOf(entries: readonly Entry[]): z.infer<typeof recoveredBody> | null {
  const last = entries.findLast(({ kind, state }) => kind === recoveredKind && state === "done");
  return last === undefined ? null : (recoveredBody.safeParse(last.body).data ?? null);
}

/**
 * Decisions about votes in the order in which they were carried out: one that was open over a recovery has a number
 * after it, although it was opened before.
 */
function voteEntries(entries: readonly Entry[]): Entry[] {
  const about: readonly string[] = [kinds.voter, kinds.voterOut, recoveredKind];
  return entries
    .filter(({ kind }) => about.includes(kind))
    .sort((a, b) => compareNumbers(a.number, b.number));
}

/** Members that an operator declared lost in the last recovery, and that have not been given a seat since. */
export function lostForGood(entries: readonly Entry[]): ReadonlySet<PeerId> {
  const lost = new Set(recoveryOf(entries)?.lost);
  const votes = voteEntries(entries);
  const since = votes.findLastIndex(({ kind, state }) => kind === recoveredKind && state === "done");
  for (const { kind, state, body } of votes.slice(since + 1)) {
    const named = kind === kinds.voter && state === "done" ? voterNamed.safeParse(body).data : undefined;
    if (named !== undefined) lost.delete(named.peer);
  }
  return lost;
}

/** Of whom no promise is needed any more: it was removed, or it is away and an operator has declared it dead or lost. */
export function isGoneForGood(
  peer: PeerId,
  facts: {
    readonly members: readonly Pick<SeatMember, "peer" | "alive" | "leaving">[];
    readonly removed: ReadonlyMap<PeerId, unknown>;
    readonly lost: ReadonlySet<PeerId>;
  },
): boolean {
  if (facts.removed.has(peer)) return true;
  return facts.members.some(
    (one) => one.peer === peer && !one.alive && (one.leaving === "dead" || facts.lost.has(peer)),
  );
}

const voterNamed = voterBody.pick({ peer: true });

/**
 * The voters of etcd as the journal has decided them: the founder, and everyone seated since and not taken out; after
 * a recovery the one that was left.
 */
export function votersOf(entries: readonly Entry[]): PeerId[] {
  const founder = foundingOf(entries)?.founder;
  const voters = new Set<PeerId>(founder === undefined ? [] : [founder]);
  for (const { kind, state, body } of voteEntries(entries)) {
    const named = state === "done" ? voterNamed.safeParse(body).data : undefined;
    if (named === undefined) continue;
    if (kind === kinds.voter) voters.add(named.peer);
    if (kind === kinds.voterOut) voters.delete(named.peer);
    if (kind === recoveredKind) {
      voters.clear();
      voters.add(named.peer);
    }
  }
  return [...voters];
}

/** Whether the last word on this member's vote is that it is, or is being, taken away. */
export function votesNoMore(entries: readonly Entry[], peer: PeerId): boolean {
  const last = voteEntries(entries).findLast(({ kind, state, body }) => {
    if (kind === recoveredKind) return state === "done";
    return state !== "abandoned" && voterNamed.safeParse(body).data?.peer === peer;
  });
  if (last?.kind === recoveredKind) return voterNamed.safeParse(last.body).data?.peer !== peer;
  return last?.kind === kinds.voterOut;
}

/** Everyone who has a seat among the voters, or is being given one. */
export function seatsOf(entries: readonly Entry[]): PeerId[] {
  const invited = entries
    .filter(({ kind, state }) => kind === kinds.voter && state === "open")
    .flatMap(({ agent }) => (agent === null ? [] : [agent]));
  return [...new Set([...votersOf(entries), ...invited])];
}

/** Ceph's UUID once its bootstrap is decided and done. */
export function fsidOf(entries: readonly Entry[]): Fsid | null {
  const done = entries.find((entry) => entry.kind === kinds.bootstrap && entry.state === "done");
  return done === undefined ? null : bootstrapBody.parse(done.body).fsid;
}
