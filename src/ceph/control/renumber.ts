import { z } from "zod";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { EntryId, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import type { QuorumStatus } from "../command/commands.ts";
import { unitName } from "../daemons/deps.ts";
import { injectMonMap, monState, readMonMap, startMon, storeFsid } from "../daemons/mon.ts";
import { hostOf, type PlacedMonitor } from "../plan/moves.ts";
import type { Step, Undo } from "./agent.ts";
import { type CephNode, formerKey } from "./ceph-node.ts";
import type { Executor, Outcome } from "./controller.ts";
import {
  type CephAccess,
  cephAccess,
  kinds,
  type RenumberBody,
  renumberBody,
  renumberPayload,
} from "./decisions.ts";
import { because, done } from "./done.ts";
import type { ExecutorDeps } from "./executors.ts";
import { handOver } from "./hand-over.ts";
import { quorumOrNull } from "./quorum-or-null.ts";

/** Decisions that say which monitors there are, all of them. */
export const wholeMaps: readonly string[] = [kinds.renumber, kinds.rebuild];

/** The last whole map that was carried out. */
export interface Renumbering extends RenumberBody {
  readonly entry: string;
  readonly number: DecisionNumber;
}

/** The last whole map that was carried out: where the monitors are to be found since, and in which network. */
export function renumberingOf(entries: readonly Entry[]): Renumbering | null {
  const last = entries.findLast(({ kind, state }) => wholeMaps.includes(kind) && state === "done");
  const body = last === undefined ? undefined : renumberBody.safeParse(last.body).data;
  return last === undefined || body === undefined
    ? null
    : { ...body, entry: last.id, number: last.openedNumber };
}

/** How to reach Ceph once the monitors are where this decision says. */
export function accessAfter(access: CephAccess, body: RenumberBody): CephAccess {
  const { publicNetwork, clusterNetwork } = body;
  const monitors = body.monitors.map(({ name, addresses }) => ({ name, addresses: [...addresses] }));
  return { ...access, publicNetwork, clusterNetwork, monitors };
}

/** Milliseconds for a look whether the monitors answer, and for their election with the new map. */
const lookMs = 5_000;
const electionMs = 20_000;

type RenumberDeps = Pick<
  ExecutorDeps,
  "ceph" | "access" | "order" | "handed" | "restamp" | "cancel" | "current" | "addressesOf" | "adopt"
>;

/**
 * Every monitor injects the same map, whichever hosts are there; it is done when a majority has met with it. While
 * nobody has injected it, it is given up as soon as the monitors answer at their old addresses after all, or hosts
 * have moved once more.
 */
export function renumberExecutor(deps: RenumberDeps): Executor {
  const quorum = (deadlineMs: number, signal: AbortSignal): Promise<QuorumStatus | null> =>
    quorumOrNull(deps.ceph(), { deadlineMs, signal });

  /** Ended without effect once every agent that is there has promised not to begin it; null when one has. */
  async function giveUp(
    entry: Entry,
    peers: readonly PeerId[],
    why: string,
    signal: AbortSignal,
  ): Promise<Outcome | null> {
    const { handed } = deps.current(entry.id);
    const promises = handed
      ? await Promise.all(
          peers.map((peer) => deps.cancel(peer, deps.current(entry.id), signal).catch(() => null)),
        )
      : [];
    if (promises.includes(false)) return null;
    // One that cannot be asked asks before it injects, and finds the decision closed.
    return { state: "abandoned", reason: why, cancelAcknowledged: true };
  }

  return async (entry, signal) => {
    const body = renumberBody.parse(entry.body);
    const targets = body.monitors.flatMap(({ peer, addresses }) => {
      const own = peer === null ? null : deps.addressesOf(peer);
      if (peer === null || own === null) return [];
      return [{ peer, isThere: addresses.some(({ address }) => own.includes(hostOf(address))) }];
    });
    const peers = targets.map(({ peer }) => peer);
    const seen = await quorum(lookMs, signal);
    if (seen !== null && matches(seen.monMap, body)) return finished(entry, seen);
    if (seen !== null || targets.some(({ isThere }) => !isThere)) {
      const why =
        seen === null ? "hosts of monitors have moved again" : "the monitors answer where they were";
      const ended = await giveUp(entry, peers, why, signal);
      if (ended !== null) return ended;
    }
    const access = accessAfter(await deps.access(signal), body);
    await deps.handed(entry.id);
    const given = await Promise.allSettled(
      peers.map((peer) => handOver(deps, entry, peer, { access } as unknown as Json, signal)),
    );
    const moved = given.filter(({ status }) => status === "fulfilled").length;
    if (moved * 2 <= body.monitors.length) {
      const [why] = given.flatMap((each) => (each.status === "rejected" ? [messageOf(each.reason)] : []));
      throw new MicrocephError(
        "NO_QUORUM",
        `${moved} of ${body.monitors.length} monitors have the new map${why === undefined ? "" : `: ${why}`}`,
      );
    }
    await deps.adopt(access);
    const after = await quorum(electionMs, signal);
    if (after === null || !matches(after.monMap, body)) {
      throw new MicrocephError("DEADLINE_EXCEEDED", "the monitors have not met at their new addresses yet");
    }
    return finished(entry, after);
  };
}

function finished(entry: Entry, { quorum, monMap }: QuorumStatus): Outcome {
  return done(because(`${quorum.join(", ")} meet at the new addresses`, entry), { epoch: monMap.epoch });
}

/** Whether the map is the one that was decided. */
function matches(map: { readonly monitors: readonly PlacedMonitor[] }, body: RenumberBody): boolean {
  if (map.monitors.length !== body.monitors.length) return false;
  return body.monitors.every(({ name, addresses }) => {
    const now = map.monitors.find((monitor) => monitor.name === name);
    return now !== undefined && JSON.stringify(now.addresses) === JSON.stringify(addresses);
  });
}

/** What a monitor's host does: the map into its store while it is stopped, and started at its new address. */
export function renumberStep(node: CephNode): Step {
  const { deps, handle } = node;
  return (order, { confirm, signal }) =>
    node.inOrder(async () => {
      const body = renumberBody.parse(order.body);
      const { access } = renumberPayload.parse(order.payload);
      const own = body.monitors.find(({ name }) => name === handle)?.addresses[0];
      if (own === undefined) throw new MicrocephError("USAGE", `${handle} is no monitor of this decision`);
      const address = hostOf(own.address);
      keepFormer(node, order.entry);
      await node.configure(access);
      const status = await monState(deps, handle);
      if (status === undefined || !matches(status.monMap, body)) {
        const before = node.monAddress();
        await deps.runner.stop(unitName("mon", handle), { removeAlso: true });
        try {
          await confirm();
        } catch (error) {
          if (before !== null) await startMon(deps, { handle, address: before });
          throw error;
        }
        keepFormerMap(node, await readMonMap(deps, handle, { signal }));
        await injectMonMap(deps, { handle, monitors: body.monitors, signal });
        node.rememberMonAddress(address, order.number);
      }
      await startMon(deps, { handle, address });
      return { address };
    });
}

/**
 * The monitor of a host that was away when the others met at new addresses: it knows none of these, and is given the
 * map with which they met. @returns whether it was to be moved
 */
export function catchUp(node: CephNode, done: Renumbering, isLast: () => boolean): Promise<boolean> {
  const { deps, handle } = node;
  return node.inOrder(async () => {
    const own = done.monitors.find(({ name }) => name === handle)?.addresses[0];
    const before = node.monAddress();
    if (own === undefined || before === null || !isLast()) return false;
    const address = hostOf(own.address);
    // One that was moved by the decision, or made since, knows; a host that has moved on waits for the next.
    if (address === before || !deps.hasAddress(address) || deps.hasAddress(before)) return false;
    const status = await monState(deps, handle);
    if (status === undefined || !matches(status.monMap, done)) {
      await deps.runner.stop(unitName("mon", handle), { removeAlso: true });
      await injectMonMap(deps, { handle, monitors: done.monitors });
    }
    node.rememberMonAddress(address, done.number);
    await startMon(deps, { handle, address });
    return true;
  });
}

/**
 * A map with which monitors have met has taken effect. While it was only injected, the former one is put back: hosts
 * may have moved on before a majority was there.
 */
export function renumberUndo(node: CephNode): Undo {
  const { deps, handle } = node;
  return (order, entry) =>
    node.inOrder(async () => {
      const body = renumberBody.parse(order);
      const status = await monState(deps, handle);
      if (status !== undefined && matches(status.monMap, body) && status.quorum.length > 0) return false;
      if ((await storeFsid(deps, handle)) === undefined) return true;
      const former = formerOf(node);
      const isOurs = former?.entry === entry;
      if (isOurs && (status === undefined || matches(status.monMap, body))) {
        await deps.runner.stop(unitName("mon", handle), { removeAlso: true });
        if (former.monitors !== null && matches({ monitors: await readMonMap(deps, handle) }, body)) {
          await injectMonMap(deps, { handle, monitors: former.monitors });
        }
        if (former.address !== null) node.moveMonitorBack(former.address);
      }
      if (isOurs && former.access !== null && node.access !== null) {
        const { adminKey } = node.access;
        await node.configure({ ...former.access, adminKey });
        node.commands?.reconnect();
      }
      const address = node.monAddress();
      if (address !== null) await startMon(deps, { handle, address });
      return isOurs ? "reverted" : true;
    });
}

const formerSchema = z.object({
  /** The decision before which it was so. */
  entry: z.string(),
  access: cephAccess.nullable(),
  /** Where the monitor ran. */
  address: z.string().nullable(),
  /** The map in its store; null until it was read. */
  monitors: cephAccess.shape.monitors.nullable(),
});
type Former = z.infer<typeof formerSchema>;

function formerOf({ deps }: CephNode): Former | undefined {
  return formerSchema.safeParse(deps.memory.get(formerKey)).data;
}

/** Only what was there before the decision: begun again after a crash, a step finds what it made itself. */
function keepFormer(node: CephNode, entry: EntryId): void {
  if (formerOf(node)?.entry === entry) return;
  const former: Former = { entry, access: node.access, address: node.monAddress(), monitors: null };
  node.deps.memory.put(formerKey, former);
}

function keepFormerMap(node: CephNode, monitors: readonly PlacedMonitor[]): void {
  const former = formerOf(node);
  if (former === undefined || former.monitors !== null) return;
  const kept = monitors.map(({ name, addresses }) => ({ name, addresses: [...addresses] }));
  const next: Former = { ...former, monitors: kept };
  node.deps.memory.put(formerKey, next);
}
