import type { Handle, PeerId } from "../../ids/ids.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CallOptions, CephCommands, MonMap, OsdTree } from "../command/commands.ts";
import { planFailureDomain } from "../plan/failure-domain.ts";
import { planPoolProfile } from "../plan/pool-profile.ts";
import { planSeats, type SeatMember } from "../plan/seats.ts";
import { type CountedDaemon, planDaemons } from "../plan/service-daemons.ts";
import type { Planner, Proposal } from "./controller.ts";
import { daemonBody, kinds, poolProfileBody } from "./decisions.ts";

export interface PlannerOptions {
  /** Managers and metadata servers wanted, each. */
  readonly daemonLimit: number;
  /** Milliseconds for which OSDs and hosts must have been the same before rules or profiles follow them. */
  readonly settleMs: number;
  /** Milliseconds between two looks at OSDs and pools. */
  readonly crushPauseMs: number;
  /** Milliseconds until OSDs and pools are looked at again although nothing told that they changed. */
  readonly quietMs: number;
  /** Bytes that a wider failure domain may move without consent. */
  readonly freeMoveBytes: number;
}

export interface PlannerDeps {
  readonly members: () => readonly (SeatMember & { readonly address: string | null })[];
  /** Voters of etcd by a linearizable read. */
  readonly voters: () => Promise<readonly PeerId[]>;
  readonly entries: () => readonly Entry[];
  /** Null before Ceph is bootstrapped. */
  readonly ceph: () => CephCommands | null;
  /** Grows with every change in Ceph's maps that this node hears of. */
  readonly cephChanges: () => number;
  /** Told once a reason changes, for status and the log. */
  readonly explain: (subject: string, reasons: readonly string[]) => void;
  readonly now: () => number;
}

/** How long a value has been what it is. */
class Steady {
  #value = "";
  #since = 0;

  forMs(value: string, now: number): number {
    if (value !== this.#value) {
      this.#value = value;
      this.#since = now;
    }
    return now - this.#since;
  }
}

const callMs = 3000;

/** The planners of Ceph and its quorum: facts from Ceph and the members in, proposals out. */
export function cephPlanners(options: PlannerOptions, deps: PlannerDeps): Record<string, Planner> {
  const steadyHosts = new Steady();
  const steadyOsds = new Steady();

  const seats: Planner = async (signal) => {
    const members = deps.members();
    const voters = await deps.voters();
    // Voters do not wait for Ceph, and Ceph is not asked while there is nothing to ask it about.
    let plan = planSeats({ members, voters, monitors: null, monitorsInQuorum: [] });
    let monmap: MonMap | null = null;
    const ceph = deps.ceph();
    if (plan.next === null && ceph !== null && decidedMonitors(deps.entries()) < plan.target) {
      const quorum = await ceph.quorumStatus({ deadlineMs: callMs, signal });
      monmap = quorum.monMap;
      const monitors = monmap.monitors.map((monitor) => monitor.name as Handle);
      const monitorsInQuorum = quorum.quorum as readonly Handle[];
      plan = planSeats({ members, voters, monitors, monitorsInQuorum });
    }
    deps.explain("seats", plan.reasons);
    const { next } = plan;
    if (next === null) return [];
    if (next.kind === "voter") {
      const { peer, handle, reason } = next;
      return [{ kind: kinds.voter, body: { peer, handle }, agent: peer, reason, lane: "seats" }];
    }
    const address = members.find((member) => member.peer === next.peer)?.address ?? null;
    if (address === null || monmap === null) {
      deps.explain("seats", [`${next.handle} has no address in the public network`]);
      return [];
    }
    const body = { handle: next.handle, address, monmapEpoch: monmap.epoch };
    return [{ kind: kinds.monitor, body, agent: next.peer, reason: next.reason, lane: "seats" }];
  };

  const daemons: Planner = async (signal) => {
    const ceph = deps.ceph();
    if (!ceph) return [];
    const placed = deps
      .entries()
      .filter((entry) => entry.kind === kinds.daemon && entry.state !== "abandoned")
      .map((entry) => daemonBody.parse(entry.body) as { type: CountedDaemon; handle: Handle });
    const members = deps.members();
    if (planDaemons({ members, monitors: [], placed, limit: options.daemonLimit }).length === 0) return [];
    const monmap = await ceph.monMap({ deadlineMs: callMs, signal });
    const monitors = monmap.monitors.map((monitor) => monitor.name as Handle);
    return planDaemons({ members, monitors, placed, limit: options.daemonLimit }).map(
      ({ type, peer, handle, reason }): Proposal => ({
        kind: kinds.daemon,
        body: { type, handle },
        agent: peer,
        reason,
        lane: `${type}.${handle}`,
      }),
    );
  };

  let lookedAt = Number.NEGATIVE_INFINITY;
  /** Set after a look that left nothing to do or to wait for. */
  let quiet: { readonly of: string; readonly since: number } | null = null;
  const crush: Planner = async (signal) => {
    const ceph = deps.ceph();
    // Many events come in a burst; the facts of this plan change with OSDs and pools only.
    if (!ceph || deps.now() - lookedAt < options.crushPauseMs) return [];
    const state = `${deps.cephChanges()} ${deps.members().length}`;
    if (quiet?.of === state && deps.now() - quiet.since < options.quietMs) return [];
    quiet = null;
    lookedAt = deps.now();
    const call = { deadlineMs: callMs, signal };
    const tree = await ceph.osdTree(call);
    // Without OSDs there is nothing to plan, and without a manager nobody answers how full they are.
    if (liveOsds(tree).length === 0 || !(await ceph.mgrStat(call)).available) return [];
    const [usage, rules, pools, dump] = await Promise.all([
      ceph.osdDf(call),
      ceph.crushRules(call),
      ceph.pools(call),
      ceph.osdDump(call),
    ]);
    const live = liveOsds(tree);
    // An OSD reports its size some seconds after it is up: before that nobody can tell what would fit.
    const sized = live.every((osd) => usage.some((row) => row.id === osd.id && row.sizeKiB > 0));
    if (!sized) {
      deps.explain("failure-domain", ["not every OSD has reported its size yet"]);
      return [];
    }
    const ruleNames = new Map(rules.map((rule) => [rule.id, rule.name]));
    const defaultRule = await poolDefault(ceph, "osd_pool_default_crush_rule", call);
    const now = deps.now();
    const hosts = [...new Set(live.map((osd) => osd.host ?? ""))].sort().join();
    const plan = planFailureDomain(
      {
        defaultRule: ruleNames.get(defaultRule) ?? null,
        pools: pools
          .filter((pool) => !pool.erasure)
          .map((pool) => ({ name: pool.name, rule: ruleNames.get(pool.crushRule) ?? "", size: pool.size })),
        osds: live.map((osd) => {
          const held = usage.find((row) => row.id === osd.id);
          const { sizeKiB = 0, usedKiB = 0 } = held ?? {};
          return { host: osd.host ?? "", rack: osd.rack, sizeKiB, usedKiB };
        }),
        stableMs: steadyHosts.forMs(hosts, now),
      },
      {
        settleMs: options.settleMs,
        nearfullRatio: dump.nearfullRatio,
        freeMoveBytes: options.freeMoveBytes,
      },
    );
    deps.explain("failure-domain", plan.reasons);
    if (plan.next) {
      const { from, to, reason } = plan.next;
      return [{ kind: kinds.failureDomain, body: { from, to }, agent: null, reason, lane: "crush" }];
    }
    const osdsMs = steadyOsds.forMs(String(live.length), now);
    const settled = Math.min(osdsMs, steadyHosts.forMs(hosts, now)) >= options.settleMs;
    const chosen = await poolChoice(ceph, "osd_pool_default_size", call);
    if (chosen !== undefined && chosen !== lastSize(deps.entries())) {
      deps.explain("pool-profile", [`the default of ${chosen} copies is not ours`]);
      if (settled) quiet = { of: state, since: now };
      return [];
    }
    const profile = planPoolProfile(
      {
        members: deps.members().length,
        osds: live.length,
        stableMs: osdsMs,
        defaultSize: chosen ?? cephDefaults.osd_pool_default_size,
        ourPools: pools.filter((pool) => isCephsOwn(pool.name, pool.applications)),
      },
      options.settleMs,
    );
    if (!profile) {
      if (settled) quiet = { of: state, since: now };
      return [];
    }
    const body = { size: profile.size, minSize: profile.minSize };
    return [{ kind: kinds.poolProfile, body, agent: null, reason: profile.reason, lane: "crush" }];
  };

  return { seats, daemons, crush };
}

/** Monitors that the journal has decided and seen in quorum. */
function decidedMonitors(entries: readonly Entry[]): number {
  const done = (kind: string): number =>
    entries.filter((entry) => entry.kind === kind && entry.state === "done").length;
  return done(kinds.bootstrap) + done(kinds.monitor);
}

/** Copies that the last decision gave to new pools; null before the first. Another number is a user's choice. */
function lastSize(entries: readonly Entry[]): number | null {
  const last = entries.findLast(({ kind, state }) => kind === kinds.poolProfile && state === "done");
  return last === undefined ? null : poolProfileBody.parse(last.body).size;
}

/** Ceph's own defaults of the options that we set (options: osd_pool_default_crush_rule, osd_pool_default_size). */
const cephDefaults = { osd_pool_default_crush_rule: -1, osd_pool_default_size: 3 } as const;

/** What new pools get, as the monitors' configuration says: a value for the monitors wins over the global one. */
export async function poolDefault(
  ceph: CephCommands,
  key: keyof typeof cephDefaults,
  call: CallOptions,
): Promise<number> {
  return (await poolChoice(ceph, key, call)) ?? cephDefaults[key];
}

/** What somebody has set; undefined while Ceph's own default is in force. */
async function poolChoice(
  ceph: CephCommands,
  key: keyof typeof cephDefaults,
  call: CallOptions,
): Promise<number | undefined> {
  const set = (await ceph.configGet("mon", key, call)) ?? (await ceph.configGet("global", key, call));
  return set === undefined ? undefined : Number(set);
}

/** OSDs that are up and in and have a host. */
export function liveOsds(tree: OsdTree): OsdTree["osds"] {
  return tree.osds.filter((osd) => osd.up && osd.reweight > 0 && osd.host !== null);
}

/** Pools that Ceph makes for itself: the only ones whose size follows the profile. */
export function isCephsOwn(name: string, applications: readonly string[]): boolean {
  return name.startsWith(".mgr") || name === "device_health_metrics" || applications.includes("mgr");
}
