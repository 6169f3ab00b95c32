import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CallOptions } from "../command/commands.ts";
import { allowedBytes, crushSettings, parseDomainWish } from "../plan/crush-wish.ts";
import { planFailureDomain } from "../plan/failure-domain.ts";
import { fullSize, planPoolProfile } from "../plan/pool-profile.ts";
import { planTopology } from "../plan/topology.ts";
import type { PlannerDeps, PlannerOptions } from "./ceph-planner.ts";
import type { Planner, Proposal } from "./controller.ts";
import type { CrushChange } from "./crush-estimate.ts";
import { type CrushState, isCephsOwn, readCrush } from "./crush-facts.ts";
import { kinds, poolProfileBody } from "./decisions.ts";

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

  /** How long the last value has been. */
  lasts(now: number): number {
    return now - this.#since;
  }
}

const callMs = 10_000;

/** Where hosts lie, over what copies are spread, and how many there are: one decision at a time. */
export function crushPlanner(options: PlannerOptions, deps: PlannerDeps): Planner {
  const steadyHosts = new Steady();
  const steadyOsds = new Steady();
  const steadyTree = new Steady();
  let lookedAt = Number.NEGATIVE_INFINITY;
  /** What the last look followed from; empty when the next is to come soon, whatever has changed. */
  let lookedOf = "";
  let unused = true;
  /** Set after a look that left nothing to do or to wait for. */
  let quiet: { readonly of: string; readonly since: number } | null = null;

  /** Whatever a plan follows from, as far as it is known without asking Ceph. */
  const known = (): string =>
    JSON.stringify([
      deps.cephChanges(),
      deps.members().length,
      [...deps.zones().members],
      deps.setting(crushSettings.wish) ?? null,
      deps.setting(crushSettings.consent) ?? null,
    ]);

  /** The proposal when what it moves is little or was consented to; none, with the reason, otherwise. */
  async function withConsent(
    proposal: Proposal,
    change: CrushChange,
    call: CallOptions,
  ): Promise<Proposal[]> {
    const { bytes } = await deps.estimate(change, call);
    const allowed = allowedBytes(options.freeMoveBytes, deps.setting(crushSettings.consent), deps.now());
    if (bytes <= allowed) return [proposal];
    const step = proposal.kind === kinds.topology ? "cluster zone set" : "cluster failure-domain set";
    deps.explain(proposal.kind, [
      `${proposal.reason}; about ${bytes} bytes would move: consent is needed (\`microceph ${step} … --yes\`)`,
    ]);
    return [];
  }

  type Plan = (state: CrushState, settleMs: number, call: CallOptions) => Promise<readonly Proposal[]>;

  const topology: Plan = async (state, settleMs, call) => {
    const { members, former } = deps.zones();
    const { buckets } = state.tree;
    const seen = JSON.stringify([buckets, [...members]]);
    const plan = planTopology(
      { buckets, zones: members, formerHosts: former, stableMs: steadyTree.forMs(seen, deps.now()) },
      settleMs,
    );
    deps.explain("topology", plan.reasons);
    if (plan.next === null) return [];
    const { reason, ...body } = plan.next;
    const proposal = crushProposal(kinds.topology, body as unknown as Json, reason);
    return plan.next.op === "place"
      ? withConsent(proposal, { moves: plan.moves, domain: null }, call)
      : [proposal];
  };

  const domain: Plan = async (state, settleMs, call) => {
    const places = [...new Set(state.osds.map(({ host, rack }) => `${rack ?? ""}/${host}`))].sort().join();
    const plan = planFailureDomain(
      {
        defaultRule: state.defaultRule,
        wish: parseDomainWish(deps.setting(crushSettings.wish)),
        pools: state.pools,
        osds: state.osds,
        stableMs: steadyHosts.forMs(places, deps.now()),
      },
      { settleMs, nearfullRatio: state.nearfullRatio },
    );
    deps.explain("failure-domain", plan.reasons);
    if (plan.next === null) return [];
    const { from, to, reason } = plan.next;
    const proposal = crushProposal(kinds.failureDomain, { from, to }, reason);
    if (state.unused) return [proposal];
    return withConsent(proposal, { moves: [], domain: to }, call);
  };

  const profile: Plan = async (state) => {
    const chosen = state.chosenSize;
    if (chosen !== undefined && chosen !== lastSize(deps.entries())) {
      deps.explain("pool-profile", [`the default of ${chosen} copies is not ours`]);
      return [];
    }
    const osds = state.live.length;
    const plan = planPoolProfile(
      {
        members: deps.members().length,
        osds,
        stableMs: steadyOsds.forMs(String(osds), deps.now()),
        // Ceph's own default of osd_pool_default_size is the full number.
        defaultSize: chosen ?? fullSize,
        ourPools: state.cephPools.filter((pool) => isCephsOwn(pool.name, pool.applications)),
      },
      options.settleMs,
    );
    if (!plan) return [];
    return [crushProposal(kinds.poolProfile, { size: plan.size, minSize: plan.minSize }, plan.reason)];
  };

  return async (signal) => {
    const ceph = deps.ceph();
    // Many events come in a burst; the facts of this plan change with OSDs and pools only.
    if (!ceph) return [];
    const of = known();
    const hurries = unused && of !== lookedOf;
    const pause = (hurries ? options.unusedPauseMs : options.crushPauseMs) - (deps.now() - lookedAt);
    if (pause > 0) {
      deps.later(pause);
      return [];
    }
    if (quiet?.of === of && deps.now() - quiet.since < options.quietMs) return [];
    quiet = null;
    lookedAt = deps.now();
    lookedOf = of;
    const call = { deadlineMs: callMs, signal };
    const state = await readCrush(ceph, call);
    // The first OSD is told of; a manager comes up by itself, and nobody says so.
    if (state === "no OSDs") return [];
    if (state === "no manager") {
      lookedOf = "";
      deps.later(unused ? options.unusedPauseMs : options.crushPauseMs);
      return [];
    }
    unused = state.unused;
    // Hosts are to settle because data would be moved twice; where there is none nothing is waited for.
    const settleMs = state.unused ? 0 : options.settleMs;
    if (!state.sized && !state.unused) {
      deps.later(options.crushPauseMs);
      deps.explain("failure-domain", ["not every OSD has reported its size yet"]);
      return [];
    }
    for (const plan of [topology, domain, profile]) {
      const proposals = await plan(state, settleMs, call);
      if (proposals.length > 0) return proposals;
    }
    const now = deps.now();
    const lasts = Math.min(...[steadyTree, steadyHosts, steadyOsds].map((one) => one.lasts(now)));
    if (lasts >= options.settleMs) quiet = { of, since: now };
    else deps.later(options.settleMs - lasts);
    return [];
  };
}

function crushProposal(kind: string, body: Json, reason: string): Proposal {
  return { kind, body, agent: null, reason, lane: "crush" };
}

/** Copies that the last decision gave to new pools; null before the first. Another number is a user's choice. */
function lastSize(entries: readonly Entry[]): number | null {
  const last = entries.findLast(({ kind, state }) => kind === kinds.poolProfile && state === "done");
  return last === undefined ? null : poolProfileBody.parse(last.body).size;
}
