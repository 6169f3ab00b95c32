import type { Handle, PeerId } from "../../ids/ids.ts";
import type { MonitorAddress } from "../command/commands.ts";

/** A member as the planner of moves sees it. */
export interface Host {
  readonly peer: PeerId;
  readonly handle: Handle;
  readonly alive: boolean;
  /** All that it says are its own, without port. */
  readonly addresses: readonly string[];
}

/** A monitor as the last known monitor map has it. */
export interface PlacedMonitor {
  readonly name: string;
  readonly addresses: readonly MonitorAddress[];
}

/** Monitors whose host is there and has none of the addresses that the monitor map gives them. */
export function movedMonitors(
  monitors: readonly PlacedMonitor[],
  hosts: readonly Host[],
): { readonly name: Handle; readonly host: Host }[] {
  return monitors.flatMap(({ name, addresses }) => {
    const host = hosts.find(({ handle }) => handle === name);
    if (host === undefined || !host.alive || host.addresses.length === 0) return [];
    const known = addresses.map(({ address }) => hostOf(address));
    return host.addresses.some((address) => known.includes(address)) ? [] : [{ name: host.handle, host }];
  });
}

/** The host of `10.0.0.1:3300` or `[fd00::1]:3300`. */
export function hostOf(address: string): string {
  const bracketed = /^\[(.*)\]:\d+$/.exec(address)?.[1];
  return bracketed ?? address.replace(/:\d+$/, "");
}

export interface RenumberFacts {
  readonly monitors: readonly PlacedMonitor[];
  readonly hosts: readonly Host[];
  /** Networks (CIDR) to choose the public network from, the present one first. */
  readonly networks: readonly string[];
  /** The address that lies in one of these networks. */
  readonly addressIn: (addresses: readonly string[], network: string) => string | null;
  /** Milliseconds for which the addresses of all monitors' hosts have been the same. */
  readonly stableMs: number;
}

export interface Renumbering {
  readonly publicNetwork: string;
  /** All monitors: with the new address, or with null for one whose host is away and keeps what it had. */
  readonly places: readonly {
    readonly name: string;
    readonly peer: PeerId | null;
    readonly address: string | null;
  }[];
}

export interface RenumberPlan {
  readonly next: Renumbering | null;
  readonly reasons: readonly string[];
}

/** Milliseconds: addresses that come and go settle first; hosts that are still to come are waited for longer. */
const settleMs = 10_000;
const allMs = 60_000;

/**
 * All monitors at new addresses at once, for when no majority can meet at the old ones any more. Only hosts that
 * say themselves that the old address is theirs no more count as moved, so this never follows from a network that
 * is merely cut, and a majority of the monitors must be there for it.
 */
export function planRenumbering(facts: RenumberFacts): RenumberPlan {
  const { monitors, hosts } = facts;
  const wait = (reason: string): RenumberPlan => ({ next: null, reasons: [reason] });
  const moved = movedMonitors(monitors, hosts);
  if (moved.length === 0) return { next: null, reasons: [] };
  const present = hosts.filter(({ handle, alive }) => alive && monitors.some(({ name }) => name === handle));
  const isMajority = (count: number): boolean => count * 2 > monitors.length;
  const names = moved.map(({ name }) => name).join(", ");
  if (isMajority(present.length - moved.length)) {
    return wait(`${names} moved; the other monitors are enough to decide about it, and do not answer yet`);
  }
  if (!isMajority(present.length)) {
    return wait(
      `${names} moved; ${present.length} of ${monitors.length} monitors' hosts are there, a majority is needed`,
    );
  }
  if (facts.stableMs < settleMs) return wait(`${names} moved just now`);
  if (present.length < monitors.length && facts.stableMs < allMs) {
    return wait(`${names} moved; the hosts of the other monitors are waited for`);
  }
  const publicNetwork = sharedNetwork(facts, present);
  if (publicNetwork === undefined) {
    return wait(`${names} moved; no subnet of this node has an address of every monitor's host`);
  }
  const places = monitors.map(({ name }) => {
    const host = present.find(({ handle }) => handle === name);
    const address = host === undefined ? null : facts.addressIn(host.addresses, publicNetwork);
    return { name, peer: address === null ? null : (host?.peer ?? null), address };
  });
  const taken = places.flatMap(({ address }) => address ?? []);
  if (new Set(taken).size < taken.length) return wait(`${names} moved; two of them say the same address`);
  return {
    next: { publicNetwork, places },
    reasons: [`${names} moved, and the monitors do not answer at their old addresses`],
  };
}

/** The first network in which all of these have an address. */
function sharedNetwork(
  { networks, addressIn }: Pick<RenumberFacts, "networks" | "addressIn">,
  hosts: readonly Host[],
): string | undefined {
  return networks.find((network) => hosts.every(({ addresses }) => addressIn(addresses, network) !== null));
}

/**
 * A monitor map of those who are left, for when an operator has declared so many hosts lost that the others are no
 * majority. A monitor whose host is away and was not declared lost is waited for.
 */
export function planRebuild(facts: RenumberFacts & { readonly lost: ReadonlySet<PeerId> }): RenumberPlan {
  const { monitors, hosts, lost } = facts;
  const wait = (reason: string): RenumberPlan => ({ next: null, reasons: [reason] });
  const hostNamed = (name: string): Host | undefined => hosts.find(({ handle }) => handle === name);
  const left = monitors.flatMap(({ name }) => {
    const host = hostNamed(name);
    return host?.alive ? [host] : [];
  });
  const gone = monitors.filter(({ name }) => {
    const host = hostNamed(name);
    return host !== undefined && !host.alive && lost.has(host.peer);
  });
  if (gone.length === 0 || left.length * 2 > monitors.length) return { next: null, reasons: [] };
  const names = gone.map(({ name }) => name).join(", ");
  if (left.length === 0) return wait(`${names} are lost, and no host with a monitor is left`);
  if (left.length + gone.length < monitors.length) {
    return wait(`${names} are lost; the other monitors' hosts are waited for`);
  }
  const publicNetwork = sharedNetwork(facts, left);
  if (publicNetwork === undefined) return wait(`the hosts that are left share no subnet with this node`);
  const places = left.map(({ handle, peer, addresses }) => ({
    ...{ name: handle, peer },
    address: facts.addressIn(addresses, publicNetwork),
  }));
  return { next: { publicNetwork, places }, reasons: [`${names} are lost for good, by an operator's word`] };
}
