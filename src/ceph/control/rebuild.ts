import { rm } from "node:fs/promises";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { QuorumStatus } from "../command/commands.ts";
import { isUnanswered } from "../command/words.ts";
import { monState, startMon, waitMonInQuorum } from "../daemons/mon.ts";
import { type Collected, collectOsdMaps, rebuildMon, rebuiltFor } from "../daemons/mon-rebuild.ts";
import { hostOf } from "../plan/moves.ts";
import type { Step, Undo } from "./agent.ts";
import type { CephNode } from "./ceph-node.ts";
import type { Executor, Outcome } from "./controller.ts";
import { rebuildBody, rebuildPayload } from "./decisions.ts";
import { because, done } from "./done.ts";
import type { ExecutorDeps } from "./executors.ts";
import { restoreFileSystems } from "./file-systems.ts";
import { firstSettings } from "./first-settings.ts";
import { handOver } from "./hand-over.ts";
import { quorumOrNull } from "./quorum-or-null.ts";
import { accessAfter } from "./renumber.ts";

const lookMs = 5_000;
const quorumMs = 60_000;
const startMs = 90_000;

/** Has the OSDs of another host put what they know into this store. */
export type GatherMaps = (
  peer: PeerId,
  entry: Entry["id"],
  store: string,
  signal: AbortSignal,
) => Promise<Collected>;

type RebuildDeps = Pick<
  ExecutorDeps,
  | "ceph"
  | "access"
  | "order"
  | "handed"
  | "restamp"
  | "cancel"
  | "current"
  | "adopt"
  | "secrets"
  | "nextSecrets"
  | "keepSecrets"
  | "alive"
>;

/**
 * One monitor is made of what the OSDs have, under another `mon.` key: with that no former monitor, should it come
 * back after all, can speak with it or take its place.
 */
export function rebuildExecutor(deps: RebuildDeps): Executor {
  const quorum = (deadlineMs: number, signal: AbortSignal): Promise<QuorumStatus | null> =>
    quorumOrNull(deps.ceph(), { deadlineMs, signal });

  /** Ended without effect, unless its agent has carried it out already. */
  async function giveUp(entry: Entry, agent: PeerId, reason: string, signal: AbortSignal): Promise<Outcome> {
    const current = deps.current(entry.id);
    if (!current.handed) return { state: "abandoned", reason, cancelAcknowledged: false };
    if (!(await deps.cancel(agent, current, signal))) {
      throw new MicrocephError("RECOVERY_REFUSED", `the monitor is rebuilt already, although ${reason}`);
    }
    return { state: "abandoned", reason, cancelAcknowledged: true };
  }

  return async (entry, signal) => {
    const body = rebuildBody.parse(entry.body);
    const missing = (): string[] => {
      const alive = deps.alive();
      return body.hosts.flatMap(({ handle }) => (alive.has(handle) ? [] : [handle]));
    };
    if (!deps.current(entry.id).handed) {
      if ((await quorum(lookMs, signal)) !== null) {
        return giveUp(entry, body.builder, "the monitors answer", signal);
      }
      const gone = missing();
      if (gone.length > 0) return giveUp(entry, body.builder, `${gone.join(", ")} failed meanwhile`, signal);
    }
    const next = await deps.nextSecrets(entry);
    const access = accessAfter(await deps.access(signal), body);
    await deps.handed(entry.id);
    let result: Json;
    try {
      result = await handOver(
        deps,
        entry,
        body.builder,
        { access, monKey: next.monKey } as unknown as Json,
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      const gone = isMicrocephError(error, "PEER_UNREACHABLE") ? missing() : [];
      if (gone.length === 0 && !isMicrocephError(error, "RECOVERY_REFUSED")) throw error;
      return giveUp(entry, body.builder, messageOf(error), signal);
    }
    await deps.adopt(access);
    const after = await quorum(quorumMs, signal);
    if (after === null || !after.quorum.includes(body.handle)) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `the monitor ${body.handle} does not answer yet`);
    }
    const before = await deps.secrets();
    if (before.monKey !== next.monKey) await deps.keepSecrets({ ...before, monKey: next.monKey });
    return done(because(`the monitor ${body.handle} was made anew of what the OSDs had`, entry), result);
  };
}

/** What the builder does: gathers, makes the store, and runs it. Begun again after a crash it gathers anew. */
export function rebuildStep(node: CephNode, gather: GatherMaps): Step {
  const { deps, handle } = node;
  return (order, { confirm, signal, log }) =>
    node.inOrder(async () => {
      const body = rebuildBody.parse(order.body);
      const { access, monKey } = rebuildPayload.parse(order.payload);
      const own = body.monitors.find(({ name }) => name === handle);
      const address = own?.addresses[0];
      if (own === undefined || address === undefined) {
        throw new MicrocephError("USAGE", `${handle} is no monitor of this decision`);
      }
      const collected: { host: string; osds: number[]; left: string[] }[] = [];
      const store = deps.paths.rebuild;
      if ((await rebuiltFor(deps, handle)) !== body.wish) {
        await refuseWhileAnswered(node, signal);
        await rm(store, { recursive: true, force: true });
        for (const host of body.hosts) {
          const { osds, left } = await gather(host.peer, order.entry, store, signal);
          log.info({ host: host.handle, osds, left }, "maps of OSDs gathered");
          collected.push({ host: host.handle, osds: [...osds], left: [...left] });
        }
        if (collected.every(({ osds }) => osds.length === 0)) {
          const why = collected.flatMap(({ left }) => left).join("; ");
          throw new MicrocephError("RECOVERY_REFUSED", `no OSD gave any map: ${why || "there is none"}`);
        }
        const { fsid, adminKey } = access;
        const { addresses } = own;
        const putInPlace = await rebuildMon(deps, {
          ...{ handle, fsid, store, monKey, adminKey, addresses, signal },
          mark: body.wish,
        });
        await refuseWhileAnswered(node, signal);
        await confirm();
        await putInPlace();
      }
      node.rememberMonAddress(hostOf(address.address), order.number);
      await node.configure(access);
      node.commands?.reconnect();
      await startMon(deps, { handle, address: hostOf(address.address) });
      await waitMonInQuorum(deps, handle, { deadlineMs: startMs, signal });
      const { commands } = node;
      if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "this node knows no Ceph cluster");
      await firstSettings(commands, signal);
      const fileSystems = await restoreFileSystems(commands, signal);
      await rm(store, { recursive: true, force: true });
      return { hosts: collected, fileSystems };
    });
}

/** A store that is in its place has taken effect. */
export function rebuildUndo(node: CephNode): Undo {
  return async (order) => {
    const { wish } = rebuildBody.parse(order);
    if ((await rebuiltFor(node.deps, node.handle)) === wish) return false;
    await rm(node.deps.paths.rebuild, { recursive: true, force: true });
    return true;
  };
}

/** Throws RECOVERY_REFUSED when the monitors, or this node's own one, answer. */
async function refuseWhileAnswered(node: CephNode, signal: AbortSignal): Promise<void> {
  await refuseWhileRunning(node);
  const { commands } = node;
  if (commands === null) return;
  try {
    await commands.quorumStatus({ deadlineMs: lookMs, signal });
  } catch (error) {
    if (isUnanswered(error)) return;
    throw error;
  }
  throw new MicrocephError("RECOVERY_REFUSED", "the monitors answer: nothing has to be rebuilt");
}

/** Throws RECOVERY_REFUSED when this node's monitor runs: its store is worth more than what OSDs know. */
async function refuseWhileRunning(node: CephNode): Promise<void> {
  if ((await monState(node.deps, node.handle)) === undefined) return;
  throw new MicrocephError(
    "RECOVERY_REFUSED",
    `the monitor ${node.handle} runs and has its store, which knows more than the OSDs; bring the others back, or declare their hosts lost`,
  );
}

/** The part of a host of OSDs. Throws RECOVERY_REFUSED. */
export async function contributeMaps(node: CephNode, store: string, signal: AbortSignal): Promise<Collected> {
  await refuseWhileRunning(node);
  return collectOsdMaps(node.deps, store, { signal });
}
