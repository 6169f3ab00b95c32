import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { osdId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { OsdRemoval } from "../../state/document/cluster-document.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CallOptions, CephCommands, OsdDump } from "../command/commands.ts";
import { planRemoval, type RemovalMode, type RemovalStep } from "../plan/osd-removal.ts";
import type { Executor, Outcome, Planner, Proposal } from "./controller.ts";
import { kinds, osdDrainBody, osdPurgeBody } from "./decisions.ts";
import { done } from "./done.ts";

export interface RemovalPlannerDeps {
  readonly ceph: () => CephCommands | null;
  /** By the OSD's uuid. */
  readonly wishes: () => Readonly<Record<string, OsdRemoval>>;
  readonly entries: () => readonly Entry[];
  /** The member that has an OSD, by the handle of its host; null when none has, or it is not alive. */
  readonly ownerOf: (uuid: string) => { readonly peer: PeerId; readonly handle: string } | null;
  /** The wish is carried out: nothing is to be done about that OSD any more. */
  readonly forget: (uuid: string) => void;
  readonly explain: (subject: string, reasons: readonly string[]) => void;
  readonly later: (ms: number) => void;
}

const callMs = 10_000;
/** Milliseconds between two looks at how far the data has moved. */
const lookMs = 2_000;

/** OSDs that are to go, each by itself: drained, purged, forgotten; or given their data back. */
export function removalPlanner(deps: RemovalPlannerDeps): Planner {
  return async (signal) => {
    const wishes = deps.wishes();
    const drained = drainedOsds(deps.entries());
    const uuids = new Set([...Object.keys(wishes), ...drained.keys()]);
    const ceph = deps.ceph();
    if (uuids.size === 0 || ceph === null) return [];
    const call: CallOptions = { deadlineMs: callMs, signal };
    const [dump, tree] = await Promise.all([ceph.osdDump(call), ceph.osdTree(call)]);
    const proposals: Proposal[] = [];
    const reasons: string[] = [];
    for (const uuid of uuids) {
      const entry = dump.osds.find((one) => one.uuid === uuid);
      const wish = wishes[uuid];
      const osd = entry?.id ?? wish?.osd ?? drained.get(uuid)?.osd ?? 0;
      const weight = entry ? (tree.osds.find(({ id }) => id === entry.id)?.crushWeight ?? 0) : null;
      const mode = wish?.mode ?? null;
      const asks = weight === 0 && (mode === "drain" || mode === "fewer-copies");
      const plan = planRemoval({
        ...{ osd, uuid, mode, weight, drainedFrom: drained.get(uuid)?.weight ?? null },
        isDecided: isPurging(deps.entries(), uuid),
        isSafe: asks ? await ceph.safeToDestroy(osdId(osd), call) : null,
        mayStop: asks && mode === "fewer-copies" ? await ceph.okToStop([osdId(osd)], call) : null,
        isSpare: entry && mode === "replace" ? await isSpare(ceph, entry, call) : null,
      });
      if (plan.reason !== "") reasons.push(plan.reason);
      if (plan.step === "forget") deps.forget(uuid);
      else if (plan.step !== null) {
        proposals.push(proposal(plan.step, { osd, uuid, weight, mode }, plan.reason, deps));
      } else if (wish !== undefined) deps.later(lookMs);
    }
    deps.explain("removals", reasons);
    return proposals;
  };
}

function proposal(
  step: Exclude<RemovalStep, "forget">,
  { osd, uuid, weight, mode }: { osd: number; uuid: string; weight: number | null; mode: RemovalMode | null },
  reason: string,
  deps: RemovalPlannerDeps,
): Proposal {
  const base = { reason, lane: `osd ${uuid}` };
  switch (step) {
    case "drain":
      return { ...base, kind: kinds.osdDrain, body: { osd, uuid, weight: weight ?? 0 }, agent: null };
    case "refill": {
      const before = drainedOsds(deps.entries()).get(uuid)?.weight ?? 0;
      return { ...base, kind: kinds.osdRefill, body: { osd, uuid, weight: before }, agent: null };
    }
    case "purge": {
      const owner = deps.ownerOf(uuid);
      const body = { osd, uuid, host: owner?.handle ?? null, ...(keepsId(mode) ? { keepId: true } : {}) };
      return { ...base, kind: kinds.osdPurge, body, agent: owner?.peer ?? null };
    }
  }
}

/** OSDs whose weight a drain took away, with what it was; those since refilled or purged are not among them. */
export function drainedOsds(entries: readonly Entry[]): Map<string, { osd: number; weight: number }> {
  const drained = new Map<string, { osd: number; weight: number }>();
  for (const { kind, state, body } of entries) {
    if (state === "abandoned") continue;
    if (kind === kinds.osdDrain) {
      const { uuid, osd, weight } = osdDrainBody.parse(body);
      // A drain that is begun again finds no weight.
      if (weight > 0) drained.set(uuid, { osd, weight });
    }
    if ((kind === kinds.osdRefill || kind === kinds.osdPurge) && state === "done") {
      const uuid = osdPurgeBody.pick({ uuid: true }).safeParse(body).data?.uuid;
      if (uuid !== undefined) drained.delete(uuid);
    }
  }
  return drained;
}

function isPurging(entries: readonly Entry[], uuid: string): boolean {
  return entries.some(({ kind, state, body }) => {
    if (kind !== kinds.osdPurge || state !== "open") return false;
    return osdPurgeBody.pick({ uuid: true }).safeParse(body).data?.uuid === uuid;
  });
}

/** OSDs that the journal has taken out of Ceph for good: what their hosts have of them is to be cleaned up. */
export function purgedOsds(entries: readonly Entry[]): Set<string> {
  return new Set(
    entries.flatMap(({ kind, state, body }) => {
      if (kind !== kinds.osdPurge || state !== "done") return [];
      return osdPurgeBody.pick({ uuid: true }).safeParse(body).data?.uuid ?? [];
    }),
  );
}

/**
 * Whether all that an OSD holds is whole elsewhere. Of one that is down the others must serve all data without
 * it; null while they are still finding each other, or Ceph cannot tell.
 */
async function isSpare(
  ceph: CephCommands,
  { id, up }: OsdDump["osds"][number],
  call: CallOptions,
): Promise<boolean | null> {
  try {
    if (up) {
      const groups = await ceph.placementGroupsOf(id, call);
      if (groups.some(({ state }) => !/^active\+clean(\+|$)/.test(state))) return false;
      return await ceph.okToStop([id], call);
    }
    const { pgs } = await ceph.status(call);
    const states = Object.keys(pgs.states);
    if (states.some((state) => /\b(down|incomplete|\w*unfound)\b/.test(state))) return false;
    return states.every((state) => /^active\b/.test(state) && !/\bstale\b/.test(state)) ? true : null;
  } catch (error) {
    if (isMicrocephError(error, "CEPH_REFUSED")) return null;
    throw error;
  }
}

function keepsId(mode: RemovalMode | null): boolean {
  return mode === "replace" || mode === "replace-now";
}

export interface RemovalExecutorDeps {
  readonly ceph: () => CephCommands;
  readonly callMs: () => number;
  readonly wishes: () => Readonly<Record<string, OsdRemoval>>;
  /** Hand the entry to its agent, which stops the OSD. */
  readonly give: (entry: Entry, payload: Json, signal: AbortSignal) => Promise<Json>;
  readonly withdraw: (entry: Entry, reason: string, signal: AbortSignal) => Promise<Outcome>;
}

/** Carries out decisions about OSDs that go; each step re-reads what it rests on. */
export function removalExecutors(deps: RemovalExecutorDeps): Record<string, Executor> {
  const { ceph } = deps;
  const callOf = (signal: AbortSignal): CallOptions => ({
    get deadlineMs(): number {
      return deps.callMs();
    },
    signal,
  });
  const inMap = (dump: OsdDump, osd: number, uuid: string): OsdDump["osds"][number] | undefined =>
    dump.osds.find((one) => one.id === osd && one.uuid === uuid);

  const drain: Executor = async (entry, signal) => {
    const { osd, uuid, weight } = osdDrainBody.parse(entry.body);
    const call = callOf(signal);
    if (deps.wishes()[uuid] === undefined) {
      // An earlier run may have taken its weight away and not lived to say so.
      await giveBack(osd, uuid, weight, call);
      return deps.withdraw(entry, `osd.${osd} is to stay`, signal);
    }
    if (inMap(await ceph().osdDump(call), osd, uuid) === undefined) {
      return deps.withdraw(entry, `osd.${osd} is another one now`, signal);
    }
    await ceph().run(["osd", "crush", "reweight", `osd.${osd}`, "0"], call);
    return done(`the data of osd.${osd} moves to the others`);
  };

  const refill: Executor = async (entry, signal) => {
    const { osd, uuid, weight } = osdDrainBody.parse(entry.body);
    const call = callOf(signal);
    if (deps.wishes()[uuid] !== undefined) return deps.withdraw(entry, `osd.${osd} is to go again`, signal);
    await giveBack(osd, uuid, weight, call);
    return done(`osd.${osd} has its weight back`);
  };

  async function giveBack(osd: number, uuid: string, weight: number, call: CallOptions): Promise<void> {
    const [dump, now] = await Promise.all([ceph().osdDump(call), weightOf(osd, call)]);
    if (inMap(dump, osd, uuid) === undefined || now !== 0 || weight === 0) return;
    await ceph().run(["osd", "crush", "reweight", `osd.${osd}`, String(weight)], call);
  }

  async function weightOf(osd: number, call: CallOptions): Promise<number | undefined> {
    return (await ceph().osdTree(call)).osds.find(({ id }) => id === osd)?.crushWeight;
  }

  const purge: Executor = async (entry, signal) => {
    const { osd, uuid, keepId = false } = osdPurgeBody.parse(entry.body);
    const call = callOf(signal);
    const gone = (): Outcome =>
      done(keepId ? `osd.${osd} is ready to be replaced` : `osd.${osd} is out of Ceph`);
    const there = inMap(await ceph().osdDump(call), osd, uuid);
    if (there === undefined) return gone();
    const unfit = await whyNot(there, keepId, call);
    if (unfit === "later")
      throw new MicrocephError("NOT_READY", `Ceph cannot tell what depends on osd.${osd}`);
    if (unfit !== null) return deps.withdraw(entry, unfit, signal);
    // One that is down already needs nobody to stop it: its host may be dead.
    if (entry.agent !== null && there.up) await deps.give(entry, null, signal);
    await ceph().run(["osd", "down", String(osd)], call);
    // Between the first look and now the world has turned; this is the last moment.
    const late = await whyNot({ ...there, up: false }, keepId, call, true);
    if (late !== null) throw new MicrocephError("NOT_READY", `osd.${osd}: ${late}`);
    const end = keepId ? "destroy" : "purge";
    await ceph().run(["osd", end, String(osd), "--yes-i-really-mean-it"], call);
    if (inMap(await ceph().osdDump(call), osd, uuid) !== undefined) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `osd.${osd} is in the map still`);
    }
    return gone();
  };

  /**
   * Why an OSD must not be purged now; null when it may. `later`: Ceph cannot tell yet. `stopped`: it might have been
   * purged a moment ago, while it ran.
   */
  async function whyNot(
    entry: OsdDump["osds"][number],
    keepId: boolean,
    call: CallOptions,
    stopped = false,
  ): Promise<string | null> {
    const { id: osd, uuid } = entry;
    const mode = deps.wishes()[uuid]?.mode;
    if (mode === undefined) return `osd.${osd} is to stay`;
    // A decision carries out the wish that it was made from, and no other.
    if (keepsId(mode) !== keepId) return `osd.${osd} is to go in another way`;
    if (mode === "now" || mode === "replace-now") return null;
    if (mode === "replace") {
      const spare = await isSpare(ceph(), entry, call);
      if (spare === null) return "later";
      return spare ? null : `other copies of the data of osd.${osd} are not whole`;
    }
    const safe = await ceph().safeToDestroy(osd, call);
    if (safe === true) return null;
    // Of one that is down Ceph has no statistics until all data everywhere is clean; without a weight nothing has
    // come to it since.
    if (safe === null && stopped && (await weightOf(osd, call)) === 0) return null;
    if (mode === "fewer-copies" && (await ceph().okToStop([osd], call)) === true) return null;
    return `data depends on osd.${osd} still`;
  }

  return { [kinds.osdDrain]: drain, [kinds.osdRefill]: refill, [kinds.osdPurge]: purge };
}
