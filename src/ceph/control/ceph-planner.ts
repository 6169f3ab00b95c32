import type { z } from "zod";
import type { Handle, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CallOptions, CephCommands, MonMap } from "../command/commands.ts";
import { isUnanswered } from "../command/words.ts";
import { monitorAddresses, speakV2Only } from "../config/monitor-address.ts";
import { movedMonitors, type PlacedMonitor, planRebuild, planRenumbering } from "../plan/moves.ts";
import { wishedSeats } from "../plan/seat-wishes.ts";
import { monitorsSilent, planSeats, type SeatMember, type SeatStep, seatTarget } from "../plan/seats.ts";
import { planDaemons, surplusDaemons } from "../plan/service-daemons.ts";
import type { Planner, Proposal } from "./controller.ts";
import { countedWish } from "./counted-wish.ts";
import type { CrushChange, MovedData } from "./crush-estimate.ts";
import { crushPlanner } from "./crush-planner.ts";
import { bootstrapBody, kinds, laneOf, lanes, monitorOutBody, renumberBody } from "./decisions.ts";
import { servicePlanner } from "./gateway-planner.ts";
import { placedDaemons } from "./placed-daemons.ts";
import { wholeMaps } from "./renumber.ts";

export interface PlannerOptions {
  /** Managers and metadata servers wanted, each. */
  readonly daemonLimit: number;
  /** Milliseconds for which OSDs and hosts must have been the same before rules or profiles follow them. */
  readonly settleMs: number;
  /** Milliseconds between two looks at OSDs and pools. */
  readonly crushPauseMs: number;
  /** The same while no pool is used and something has changed: a cluster that is being built. */
  readonly unusedPauseMs: number;
  /** Milliseconds until OSDs and pools are looked at again although nothing told that they changed. */
  readonly quietMs: number;
  /** Bytes that a wider failure domain may move without consent. */
  readonly freeMoveBytes: number;
}

/** A member as the planners see it. */
export interface PlannedMember extends SeatMember {
  /** Its address in the public network. */
  readonly address: string | null;
  /** All addresses that it says are its own. */
  readonly addresses: readonly string[];
  /** It has been away for longer than managers and metadata servers are waited for. */
  readonly servicesLost: boolean;
}

/** Networks (CIDR, comma list). */
export interface Networks {
  readonly publicNetwork: string | null;
  readonly clusterNetwork: string | null;
  /** Own subnets of this node. */
  readonly own: readonly string[];
}

export interface PlannerDeps {
  readonly self: PeerId;
  readonly members: () => readonly PlannedMember[];
  /** Members that an operator has declared lost for good. */
  readonly lostForGood: () => ReadonlySet<PeerId>;
  readonly networks: () => Networks;
  readonly addressIn: (addresses: readonly string[], network: string) => string | null;
  /** Which of these monitors have been out of quorum for longer than the grace time. */
  readonly monitorsLost: (monitors: readonly Handle[]) => readonly Handle[];
  /** Voters of etcd by a linearizable read. */
  readonly voters: () => Promise<readonly PeerId[]>;
  readonly entries: () => readonly Entry[];
  /** Null before Ceph is bootstrapped. */
  readonly ceph: () => CephCommands | null;
  /** Grows with every change in Ceph's maps that this node hears of. */
  readonly cephChanges: () => number;
  /** A setting in the cluster's document. */
  readonly setting: (name: string) => string | undefined;
  /** Services that are wanted, by name, as the document has them. */
  readonly services: () => Readonly<Record<string, Json>>;
  /** Members and former members by the name of their host bucket, with their zones. */
  readonly zones: () => {
    readonly members: ReadonlyMap<string, string | null>;
    readonly former: ReadonlySet<string>;
  };
  /** What a change of the CRUSH map would move. */
  readonly estimate: (change: CrushChange, call: CallOptions) => Promise<MovedData>;
  /** Plan again after so many milliseconds, also when nothing happens until then; the last asking counts. */
  readonly later: (ms: number) => void;
  /** Whether something takes connections there; default by trying. */
  readonly listens?: (place: { readonly host: string; readonly port: number }) => Promise<boolean>;
  /** Let another voter hold the lease. */
  readonly handOver: () => void;
  /** Told once a reason changes, for status and the log. */
  readonly explain: (subject: string, reasons: readonly string[]) => void;
  readonly now: () => number;
}

const callMs = 20_000;
/** What is placed at once: a manager, without which Ceph tells little of itself. */
const firstDaemons = { mgr: 1, mds: 0 };
/** Milliseconds that all others are put off for monitors, and once those are decided, for the first OSDs. */
const growingMs = 30_000;
const grownMs = 5_000;
/** Of Ceph nothing is known, or asked. */
const noMonitors = { monitors: null, monitorsInQuorum: [], monitorsLost: [] };
/** A monitor is given beside changes of the votes alone. */
const besideWhich: ReadonlySet<string> = new Set([lanes.seats, lanes.monitors, lanes.rebuild]);
/** Monitors that have moved are not waited for as long; and how soon it is looked at again, in milliseconds. */
const movedCallMs = 8_000;
const moveLookMs = 10_000;

/** The planners of Ceph and its quorum: facts from Ceph and the members in, proposals out. */
export function cephPlanners(options: PlannerOptions, deps: PlannerDeps): Record<string, Planner> {
  const moves = moveWatch(deps);
  /** While a cluster grows: until when what only stands by is put off. */
  let growing: { readonly until: number; readonly monitors: boolean } | null = null;

  /**
   * While a cluster gets its monitors, and OSDs beside them, what only stands by would take their time. Not for long:
   * they may never come.
   */
  function isGrowing(members: readonly PlannedMember[]): boolean {
    const alive = members.filter((member) => member.alive).length;
    const target = seatTarget(members.length);
    const seated = decidedMonitors(deps.entries()).size >= target;
    if (alive < target) growing = null;
    else if (!seated)
      growing = growing?.monitors ? growing : { until: deps.now() + growingMs, monitors: true };
    else if (growing?.monitors) growing = { until: deps.now() + grownMs, monitors: false };
    if (growing === null) return false;
    const leftMs = growing.until - deps.now();
    if (leftMs > 0) deps.later(leftMs);
    return leftMs > 0;
  }

  const seats: Planner = async (signal) => {
    // What follows from the new monitors' map is planned once they have their new key.
    if (deps.entries().some(({ kind, state }) => kind === kinds.rebuild && state === "open")) return [];
    const members = deps.members();
    const moved = moves.look(members);
    const voters = await deps.voters();
    const { self } = deps;
    const wished = wishedFor(members, voters);
    // Voters do not wait for Ceph, and Ceph is not asked while there is nothing to ask it about.
    let plan = planSeats({ self, members: wished.members, voters, ...noMonitors });
    let monmap: MonMap | null = null;
    const ceph = deps.ceph();
    const isAtRest = !moved && isSettled(deps, wished.members, voters, plan.target);
    if (plan.next === null && ceph !== null && !isAtRest) {
      const quorum = await ceph
        .quorumStatus({ deadlineMs: moved ? movedCallMs : callMs, signal })
        .catch((error: unknown) => {
          if (moved && isUnanswered(error)) return null;
          throw error;
        });
      if (quorum === null) return moves.renumbering(members);
      monmap = quorum.monMap;
      const monitors = monmap.monitors.map((monitor) => monitor.name as Handle);
      const monitorsInQuorum = quorum.quorum as readonly Handle[];
      const monitorsLost = [...deps.monitorsLost(monitors), ...moves.lost(monmap.monitors, members)];
      const seen = { monitors, monitorsInQuorum, monitorsLost };
      plan = planSeats({ self, members: wished.members, voters, ...seen });
    }
    // They were not asked.
    const reasons = plan.reasons.map((reason) =>
      isAtRest && reason === monitorsSilent ? `${plan.target} voters and monitors are seated` : reason,
    );
    deps.explain("seats", [...wished.reasons, ...reasons]);
    const { next } = plan;
    if (plan.handOver) deps.handOver();
    if (next === null) return [];
    if (next.kind === "monitor") return monmap === null ? [] : monitorProposals(next, monmap, members);
    const { peer, handle, reason } = next;
    if (next.kind === "voter") {
      return [{ kind: kinds.voter, body: { peer, handle }, agent: peer, reason, lane: lanes.votes }];
    }
    if (next.kind === "voter-out") {
      return [{ kind: kinds.voterOut, body: { peer, handle }, agent: null, reason, lane: lanes.votes }];
    }
    if (monmap === null) return [];
    const body = { peer, handle, monmapEpoch: monmap.epoch };
    return [{ kind: kinds.monitorOut, body, agent: null, reason, lane: lanes.monitors }];
  };

  /** Monitors, while votes are given. The planner of seats does all the rest. */
  const monitorsBeside: Planner = async (signal) => {
    const entries = deps.entries();
    if (entries.some((entry) => entry.state === "open" && besideWhich.has(laneOf(entry)))) return [];
    const ceph = deps.ceph();
    const members = deps.members();
    const decided = decidedMonitors(entries);
    if (ceph === null || decided.size >= seatTarget(members.length)) return [];
    const { self } = deps;
    const voters = await deps.voters();
    const wished = wishedFor(members, voters).members;
    if (planSeats({ self, members: wished, voters, ...noMonitors }).next?.kind !== "voter") return [];
    const { quorum, monMap } = await ceph.quorumStatus({ deadlineMs: callMs, signal });
    const monitors = monMap.monitors.map((monitor) => monitor.name as Handle);
    const monitorsLost = deps.monitorsLost(monitors);
    const monitorsInQuorum = quorum as readonly Handle[];
    const { beside } = planSeats({ self, members: wished, voters, monitors, monitorsInQuorum, monitorsLost });
    return beside === null ? [] : monitorProposals(beside, monMap, members);
  };

  /** With what people have said of monitors by name. */
  function wishedFor(members: readonly PlannedMember[], voters: readonly PeerId[]) {
    const monitors = decidedMonitors(deps.entries());
    return wishedSeats(members, voters, monitors, countedWish("mon", deps.services()));
  }

  function monitorProposals(step: SeatStep, monmap: MonMap, members: readonly PlannedMember[]): Proposal[] {
    const { peer, handle, reason } = step;
    const address = members.find((member) => member.peer === peer)?.address ?? null;
    if (address === null) {
      deps.explain("seats", [`${handle} has no address in the public network`]);
      return [];
    }
    const body = { handle, address, monmapEpoch: monmap.epoch };
    return [{ kind: kinds.monitor, body, agent: peer, reason, lane: lanes.monitors }];
  }

  const daemons: Planner = async (signal) => {
    const ceph = deps.ceph();
    if (!ceph) return [];
    const members = deps
      .members()
      .filter(({ leaving }) => leaving === null)
      .map((member) => ({
        ...member,
        lost: member.servicesLost,
        away: member.seats === "away",
        preferred: member.seats === "preferred",
      }));
    const placed = placedDaemons(deps.entries()).flatMap(({ type, handle, number, open }) =>
      (type === "mgr" || type === "mds") &&
      members.some((one) => one.handle === handle && one.admitted < number.revision)
        ? [{ type, handle, open }]
        : [],
    );
    const most = { mgr: options.daemonLimit, mds: options.daemonLimit };
    const limit = isGrowing(members) ? firstDaemons : most;
    const services = deps.services();
    const wishes = { mgr: countedWish("mgr", services), mds: countedWish("mds", services) };
    const facts = { members, placed, limit, wishes };
    // What is put off is not too much.
    const surplus = surplusDaemons({ ...facts, limit: most, monitors: [] }).map(
      ({ type, handle, reason }): Proposal => ({
        ...{ kind: kinds.daemonOut, body: { type, handle }, agent: null, reason, lane: `${type}.${handle}` },
      }),
    );
    if (planDaemons({ ...facts, monitors: [] }).length === 0) return surplus;
    const monmap = await ceph.monMap({ deadlineMs: callMs, signal });
    const monitors = monmap.monitors.map((monitor) => monitor.name as Handle);
    return planDaemons({ ...facts, monitors }).map(
      ({ type, peer, handle, reason }): Proposal => ({
        kind: kinds.daemon,
        body: { type, handle },
        agent: peer,
        reason,
        lane: `${type}.${handle}`,
      }),
    );
  };

  return {
    seats,
    monitorsBeside,
    daemons,
    gateways: servicePlanner("rgw", deps),
    ingress: servicePlanner("ingress", deps),
    nfs: servicePlanner("nfs", deps),
    mirrors: servicePlanner("rbd-mirror", deps),
    fileMirrors: servicePlanner("cephfs-mirror", deps),
    crush: crushPlanner(options, deps),
  };
}

/** Keeps in mind since when the members' addresses are what they are, and plans what follows from a change. */
function moveWatch(deps: PlannerDeps) {
  let seen = "";
  let since = deps.now();
  const stableMs = (): number => deps.now() - since;

  return {
    /** Whether a monitor's host has none of the addresses at which the monitor is known, or is declared lost. */
    look(members: readonly PlannedMember[]): boolean {
      const known = placedMonitors(deps.entries());
      const hosts = members.filter(({ handle }) => known.some(({ name }) => name === handle));
      const now = JSON.stringify(hosts.map(({ handle, alive, addresses }) => [handle, alive, addresses]));
      if (now !== seen) since = deps.now();
      seen = now;
      const lost = deps.lostForGood();
      const bereft = hosts.some(({ peer, alive }) => !alive && lost.has(peer));
      const moved = bereft || movedMonitors(known, members).length > 0;
      if (moved) deps.later(moveLookMs);
      return moved;
    },
    /** Monitors that have moved, while the others have a quorum: each is made anew where its host is. */
    lost(monitors: readonly PlacedMonitor[], members: readonly PlannedMember[]): Handle[] {
      if (stableMs() < moveLookMs) return [];
      const placeable = members.filter(({ address }) => address !== null);
      return movedMonitors(monitors, placeable).map(({ name }) => name);
    },
    renumbering(members: readonly PlannedMember[]): Proposal[] {
      const { addressIn } = deps;
      const { publicNetwork, clusterNetwork, own } = deps.networks();
      const monitors = placedMonitors(deps.entries());
      const networks = [...(publicNetwork === null ? [] : [publicNetwork]), ...own];
      const facts = { monitors, hosts: members, networks, addressIn, stableMs: stableMs() };
      const rebuild = planRebuild({ ...facts, lost: deps.lostForGood() });
      const { next, reasons } = rebuild.next ? rebuild : planRenumbering(facts);
      deps.explain("seats", [...new Set([...rebuild.reasons, ...reasons])]);
      if (next === null) return [];
      const isAt = (network: string): boolean =>
        next.places.every(({ peer }) => {
          const host = members.find((member) => member.peer === peer);
          return host === undefined || addressIn(host.addresses, network) !== null;
        });
      const body: z.input<typeof renumberBody> = {
        publicNetwork: next.publicNetwork,
        clusterNetwork: clusterNetwork !== null && isAt(clusterNetwork) ? clusterNetwork : null,
        monitors: next.places.map(({ name, peer, address }) => ({
          name,
          peer,
          addresses:
            address === null
              ? [...(monitors.find((monitor) => monitor.name === name)?.addresses ?? [])]
              : monitorAddresses(address, speakV2Only(monitors)),
        })),
      };
      const reason = reasons.join("; ");
      return [{ kind: kinds.renumber, body, agent: null, reason, lane: lanes.seats }];
    },
  };
}

/** Whether the journal's monitors and the voters are those wanted, so that Ceph need not be asked. */
function isSettled(
  deps: Pick<PlannerDeps, "entries" | "monitorsLost">,
  members: readonly SeatMember[],
  voters: readonly PeerId[],
  target: number,
): boolean {
  const monitors = decidedMonitors(deps.entries());
  if (deps.monitorsLost([...monitors]).length > 0) return false;
  const leaves = members.some(
    ({ leaving, seats, handle, peer }) =>
      (leaving !== null || seats === "away") && (monitors.has(handle) || voters.includes(peer)),
  );
  return !leaves && monitors.size === target && voters.length === target;
}

const placedBody = bootstrapBody.pick({ handle: true, address: true, v2Only: true });
const namedBody = monitorOutBody.pick({ handle: true });

/**
 * Monitors that the journal has decided and seen in quorum, and not taken out since, with their addresses. When they do
 * not answer, this is what counts: the map that a node has seen last may lack some, and those may be a majority.
 */
export function placedMonitors(entries: readonly Entry[]): (PlacedMonitor & { readonly name: Handle })[] {
  const monitors = new Map<Handle, PlacedMonitor["addresses"]>();
  let v2Only = false;
  for (const { kind, state, body } of entries) {
    if (state !== "done") continue;
    if (wholeMaps.includes(kind)) {
      monitors.clear();
      for (const { name, addresses } of renumberBody.parse(body).monitors) monitors.set(name, addresses);
    } else if (kind === kinds.bootstrap || kind === kinds.monitor) {
      const placed = placedBody.safeParse(body).data;
      if (placed === undefined) continue;
      if (kind === kinds.bootstrap) v2Only = placed.v2Only === true;
      monitors.set(placed.handle, monitorAddresses(placed.address, v2Only));
    } else if (kind === kinds.monitorOut) {
      const out = namedBody.safeParse(body).data;
      if (out !== undefined) monitors.delete(out.handle);
    }
  }
  return [...monitors].map(([name, addresses]) => ({ name, addresses }));
}

/** Their names alone. */
export function decidedMonitors(entries: readonly Entry[]): Set<Handle> {
  return new Set(placedMonitors(entries).map(({ name }) => name));
}
