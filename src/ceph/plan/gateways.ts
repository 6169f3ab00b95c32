import type { Handle, PeerId } from "../../ids/ids.ts";

/** What is wanted of a service that is placed by name or by number: S3 gateways, and the ingress before them. */
export interface ServiceWish {
  /** What each is told, in one word that is the same for the same. */
  readonly settings: string;
  /** Members that run one each. */
  readonly targets: readonly PeerId[];
  /** How many there are to be in all, wherever; 0: only the targets'. */
  readonly count: number;
  /** Only there are those that nobody named; undefined: anywhere. */
  readonly zone?: string | undefined;
  /** One is taken off where it is before another may run in its place. */
  readonly offFirst?: boolean;
}

export interface GatewayHost {
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly zone: string | null;
  readonly alive: boolean;
  /** It leaves the cluster. */
  readonly leaving: boolean;
  /** It has been away for longer than the grace time: another takes its place. */
  readonly lost: boolean;
  /** How often a gateway could not be placed there since one was: others come first. */
  readonly refusals: number;
}

export interface GatewayFacts {
  /** Null: none is wanted. */
  readonly wish: ServiceWish | null;
  readonly hosts: readonly GatewayHost[];
  /** Decided, done or open. */
  readonly placed: readonly { readonly handle: Handle; readonly settings: string; readonly open: boolean }[];
}

export interface GatewayPlan {
  readonly place: readonly { readonly peer: PeerId; readonly handle: Handle; readonly reason: string }[];
  readonly remove: readonly { readonly handle: Handle; readonly reason: string }[];
  /** Why they are where they are. */
  readonly reasons: readonly string[];
}

/**
 * Where gateways are to be. One that runs is left where it is; a new one goes where no zone has one yet. One that is
 * not wanted there any more is taken off once those that are wanted have been placed, and of those that run already
 * one at a time is changed: there is always one that serves.
 */
export function planGateways({ wish, hosts, placed }: GatewayFacts): GatewayPlan {
  const named = (chosen: readonly GatewayHost[]): string => chosen.map(({ handle }) => handle).join(", ");
  const isPlaced = ({ handle }: GatewayHost): boolean => placed.some((one) => one.handle === handle);
  if (wish === null) {
    const reason = "none is wanted any more";
    const remove = hosts.filter(isPlaced).map(({ handle }) => ({ handle, reason }));
    return { place: [], remove, reasons: ["none is wanted"] };
  }
  const staying = hosts.filter(({ leaving }) => !leaving);
  const targets = staying.filter(({ peer }) => wish.targets.includes(peer));
  const isFree = ({ zone }: GatewayHost): boolean => wish.zone === undefined || zone === wish.zone;
  const others = staying.filter((host) => !targets.includes(host) && isFree(host));
  const free = Math.max(0, wish.count - targets.length);
  const candidates = others.filter((host) => host.alive && !host.lost && !isPlaced(host));
  // What must be taken off first is left where it is lost, unless somebody can have it.
  const isLeft = wish.offFirst === true && candidates.length === 0;
  const kept = others
    .filter((host) => isPlaced(host) && (isLeft || !host.lost))
    .sort((a, b) => Number(b.alive) - Number(a.alive))
    .slice(0, free);
  const chosen = spread(candidates, [...targets, ...kept], free - kept.length);
  const wanted = [...targets, ...kept, ...chosen];

  const reasons: string[] = [];
  if (targets.length > 0) reasons.push(`asked for on ${named(targets)}`);
  if (free > 0) {
    reasons.push(
      `${wish.count} are wanted in all${wish.zone === undefined ? "" : `, in zone ${wish.zone}`}: ${named([...kept, ...chosen]) || "no other member can have one"}`,
    );
  }
  const missing = free - kept.length - chosen.length;
  if (missing > 0) reasons.push(`${missing} more would be placed, but no other member is there`);
  const lost = others.filter((host) => isPlaced(host) && host.lost);
  for (const { handle } of lost) reasons.push(`${handle} is away, for longer than is waited for it`);

  const settingsOf = (host: GatewayHost): string | undefined =>
    placed.find(({ handle }) => handle === host.handle)?.settings;
  const reason = reasons.join("; ");
  const added = wanted.filter((host) => host.alive && !isPlaced(host));
  const changed = wanted.filter((host) => host.alive && isPlaced(host) && settingsOf(host) !== wish.settings);
  const place = [...added, ...changed.slice(0, placed.some(({ open }) => open) ? 0 : 1)].map(
    ({ peer, handle }) => ({ peer, handle, reason }),
  );
  const isThere = (host: GatewayHost): boolean =>
    placed.some(
      ({ handle, settings, open }) => handle === host.handle && settings === wish.settings && !open,
    );
  const ready = wish.offFirst === true || wanted.every((host) => !host.alive || isThere(host));
  const unwanted = hosts.filter((host) => isPlaced(host) && !wanted.includes(host));
  const remove = ready
    ? unwanted.map(({ handle }) => ({ handle, reason: `it is not wanted there any more: ${reason}` }))
    : [];
  if (unwanted.length > 0 && !ready) reasons.push(`${named(unwanted)} keeps its own until the others serve`);
  return { place, remove, reasons };
}

/** So many of the candidates, each where its zone has fewest so far. */
function spread(
  candidates: readonly GatewayHost[],
  taken: readonly GatewayHost[],
  count: number,
): GatewayHost[] {
  const chosen: GatewayHost[] = [];
  const left = [...candidates];
  while (chosen.length < count && left.length > 0) {
    const crowding = ({ zone }: GatewayHost): number =>
      zone === null ? 0 : [...taken, ...chosen].filter((other) => other.zone === zone).length;
    left.sort(
      (a, b) => a.refusals - b.refusals || crowding(a) - crowding(b) || (a.handle < b.handle ? -1 : 1),
    );
    const best = left.shift();
    if (best !== undefined) chosen.push(best);
  }
  return chosen;
}
