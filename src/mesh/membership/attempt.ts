import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { Sight } from "../lobby/messages.ts";
import type { SeenFounding } from "./neighbours.ts";
import { protocolTimes } from "./settings.ts";

/** One node that a provisional founder has asked. */
export interface Participant {
  readonly peer: PeerId;
  readonly standing: "asked" | "accepted" | "confirmed" | "refused";
  /** Askings of the present round that failed or were refused. */
  readonly failures: number;
  readonly lastAskedAt: number;
  /** An asking is on its way. */
  readonly inFlight: boolean;
  /** All that its answers in this attempt saw; null before the first. */
  readonly sight: Sight | null;
}

/** An attempt to found: the founder's memory of it. What must survive a crash is with the acceptors. */
export interface Attempt {
  readonly cluster: ClusterId;
  readonly startedAt: number;
  /** Since when the acceptors are being asked to confirm; null in the first round. */
  readonly confirmingSince: number | null;
  readonly participants: ReadonlyMap<PeerId, Participant>;
}

export interface AttemptFacts {
  readonly self: PeerId;
  readonly now: number;
  /** Until then the founder has not listened long enough in this run to ask or decide anything. */
  readonly listensUntil: number;
  readonly expect: number;
  /** The founder's own view. */
  readonly sight: Sight;
  /** Eligible or already accepted nodes on the chosen subnet; null: no subnet is common to enough. */
  readonly reachable: readonly PeerId[];
}

export type AttemptStep =
  | { readonly step: "claim"; readonly peers: readonly PeerId[]; readonly wakeAt: number }
  | { readonly step: "confirm"; readonly peers: readonly PeerId[]; readonly wakeAt: number }
  | { readonly step: "commit"; readonly acceptors: readonly PeerId[] }
  /** Give the claims back. `rest`: it failed, so another may try first. */
  | { readonly step: "yield"; readonly rest: boolean; readonly reason: string };

export function newAttempt(cluster: ClusterId, now: number): Attempt {
  return { cluster, startedAt: now, confirmingSince: null, participants: new Map() };
}

/** What a provisional founder does next. */
export function nextStep(attempt: Attempt, facts: AttemptFacts): AttemptStep {
  const obstacle = findObstacle(attempt, facts);
  if (obstacle !== undefined) return { step: "yield", rest: false, reason: obstacle };
  if (facts.now - attempt.startedAt >= protocolTimes.foundingMs) {
    return { step: "yield", rest: true, reason: shortfall(attempt, facts) };
  }
  if (facts.now < facts.listensUntil) return { step: "claim", peers: [], wakeAt: facts.listensUntil };
  const participants = [...attempt.participants.values()].filter(({ peer }) =>
    facts.reachable.includes(peer),
  );
  const holding = participants.filter(({ standing }) => standing === "accepted" || standing === "confirmed");
  if (attempt.confirmingSince === null) {
    const settled = facts.reachable.every((peer) => {
      const known = attempt.participants.get(peer);
      return known !== undefined && (known.standing !== "asked" || known.failures > 0);
    });
    const overdue = facts.now - attempt.startedAt >= protocolTimes.roundMs;
    if (!(settled || overdue) || !isSupported(attempt, holding, facts)) {
      return {
        step: "claim",
        peers: due(attempt, facts.reachable, "accepted", facts),
        wakeAt: wakeAt(attempt, facts),
      };
    }
    return { step: "confirm", peers: peersOf(holding), wakeAt: wakeAt(attempt, facts) };
  }
  const confirmed = participants.filter(({ standing }) => standing === "confirmed");
  const settled = confirmed.length === holding.length;
  const overdue = facts.now - attempt.confirmingSince >= protocolTimes.roundMs;
  if ((settled || overdue) && isSupported(attempt, confirmed, facts)) {
    return { step: "commit", acceptors: peersOf(confirmed) };
  }
  if (!isSupported(attempt, holding, facts)) {
    // Some released themselves meanwhile: they can be claimed again.
    return {
      step: "claim",
      peers: due(attempt, facts.reachable, "accepted", facts),
      wakeAt: wakeAt(attempt, facts),
    };
  }
  return {
    step: "confirm",
    peers: due(attempt, peersOf(holding), "confirmed", facts),
    wakeAt: wakeAt(attempt, facts),
  };
}

/** A cluster, or a founding that goes before this one, seen by the founder or by an acceptor. */
function findObstacle(attempt: Attempt, { self, sight }: AttemptFacts): string | undefined {
  const sights = [sight, ...[...attempt.participants.values()].flatMap((one) => one.sight ?? [])];
  for (const { clusters, foundings } of sights) {
    const cluster = clusters.find((id) => id !== attempt.cluster);
    if (cluster !== undefined) return `cluster ${cluster} exists already`;
    const founding = foundings.find((one) => one.cluster !== attempt.cluster && goesBefore(one, self));
    if (founding !== undefined) return `${founding.founder ?? "another node"} founds a cluster`;
  }
  return undefined;
}

export function goesBefore(founding: SeenFounding, self: PeerId): boolean {
  return founding.firm || (founding.founder !== null && founding.founder < self);
}

/** Enough nodes, and a majority of all fresh nodes that they and the founder see. */
function isSupported(attempt: Attempt, holding: readonly Participant[], facts: AttemptFacts): boolean {
  const { support, total } = weigh(attempt, holding, facts);
  return support >= facts.expect && 2 * support > total;
}

function weigh(
  attempt: Attempt,
  holding: readonly Participant[],
  { self, sight }: AttemptFacts,
): { support: number; total: number } {
  const all = new Set<PeerId>([self, ...sight.sees, ...peersOf(holding)]);
  let longest = sight.seesCount;
  // Also what released acceptors saw counts: a node does not vanish because nobody here sees it any more.
  for (const one of attempt.participants.values()) {
    for (const peer of one.sight?.sees ?? []) all.add(peer);
    longest = Math.max(longest, one.sight?.seesCount ?? 0);
  }
  // A list of peers is cut at its limit, so the longest view counts with its number, and its viewer.
  return { support: holding.length + 1, total: Math.max(all.size, longest + 1) };
}

function shortfall(attempt: Attempt, facts: AttemptFacts): string {
  const holding = [...attempt.participants.values()].filter(
    ({ standing }) => standing === "accepted" || standing === "confirmed",
  );
  const { support, total } = weigh(attempt, holding, facts);
  return `only ${support} of ${total} fresh nodes agreed in 30 s (${facts.expect} and a majority are needed)`;
}

function due(
  attempt: Attempt,
  peers: readonly PeerId[],
  wanted: "accepted" | "confirmed",
  { now }: AttemptFacts,
): PeerId[] {
  return peers.filter((peer) => {
    const known = attempt.participants.get(peer);
    if (known === undefined) return true;
    if (known.inFlight || known.standing === "confirmed" || known.standing === wanted) return false;
    return now - known.lastAskedAt >= protocolTimes.retryMs || known.failures === 0;
  });
}

function wakeAt(attempt: Attempt, { now }: AttemptFacts): number {
  const retries = [...attempt.participants.values()]
    .filter(({ inFlight, standing }) => !inFlight && standing !== "confirmed")
    .map(({ lastAskedAt }) => lastAskedAt + protocolTimes.retryMs);
  const rounds = [attempt.startedAt, attempt.confirmingSince ?? attempt.startedAt].map(
    (at) => at + protocolTimes.roundMs,
  );
  const ahead = [...retries, ...rounds, attempt.startedAt + protocolTimes.foundingMs].filter(
    (at) => at > now,
  );
  return ahead.length === 0 ? now + protocolTimes.retryMs : Math.min(...ahead);
}

function peersOf(participants: readonly Participant[]): PeerId[] {
  return participants.map(({ peer }) => peer).sort();
}

/** The acceptors are many enough: the second round begins, with a clean count of failures. */
export function withConfirming(attempt: Attempt, now: number): Attempt {
  if (attempt.confirmingSince !== null) return attempt;
  const participants = [...attempt.participants].map(
    ([peer, one]) => [peer, { ...one, failures: 0 }] as const,
  );
  return { ...attempt, confirmingSince: now, participants: new Map(participants) };
}

/** An asking begins. */
export function withAsked(attempt: Attempt, peer: PeerId, now: number): Attempt {
  return change(attempt, peer, { inFlight: true, lastAskedAt: now });
}

/** An asking ends. `answer` null: nothing came back, which says nothing of what the node holds. */
export function withAnswer(
  attempt: Attempt,
  peer: PeerId,
  answer: { readonly standing: "accepted" | "confirmed" | "refused"; readonly sight: Sight | null } | null,
): Attempt {
  const known = attempt.participants.get(peer);
  if (answer === null)
    return change(attempt, peer, { inFlight: false, failures: (known?.failures ?? 0) + 1 });
  const sight =
    answer.sight === null ? (known?.sight ?? null) : mergeSights(known?.sight ?? null, answer.sight);
  const failures = answer.standing === "refused" ? (known?.failures ?? 0) + 1 : 0;
  return change(attempt, peer, { inFlight: false, standing: answer.standing, failures, sight });
}

/** The newer sight, with the nodes of the older one: a restarted acceptor has seen nobody yet. */
function mergeSights(older: Sight | null, newer: Sight): Sight {
  if (older === null) return newer;
  return {
    ...newer,
    sees: [...new Set([...older.sees, ...newer.sees])],
    seesCount: Math.max(older.seesCount, newer.seesCount),
  };
}

function change(attempt: Attempt, peer: PeerId, changed: Partial<Participant>): Attempt {
  const known: Participant = attempt.participants.get(peer) ?? {
    peer,
    standing: "asked",
    failures: 0,
    lastAskedAt: 0,
    inFlight: false,
    sight: null,
  };
  return { ...attempt, participants: new Map(attempt.participants).set(peer, { ...known, ...changed }) };
}
