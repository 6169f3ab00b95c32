import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { EntryId, Handle, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { nfsUser } from "../../ids/nfs.ts";
import type { OsdRemoval } from "../../state/document/cluster-document.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CallOptions, CephCommands } from "../command/commands.ts";
import { keyedCapabilities, nfsCapabilities } from "../config/keyring.ts";
import { entityOf } from "../daemons/keyed-daemon.ts";
import { nfsPool } from "../daemons/nfs-config.ts";
import type { Order } from "./agent.ts";
import { readCertificate } from "./certificates.ts";
import type { Executor, Outcome } from "./controller.ts";
import { crushExecutors } from "./crush-executors.ts";
import {
  bootstrapBody,
  type CephAccess,
  type CertificatePair,
  daemonBody,
  daemonOutBody,
  kinds,
  monitorBody,
  monitorOutBody,
  voterBody,
  voterOutBody,
} from "./decisions.ts";
import { because, done } from "./done.ts";
import { failOver } from "./fail-over.ts";
import { handOver } from "./hand-over.ts";
import { networksExecutor } from "./networks.ts";
import { removalExecutors } from "./osd-removal.ts";
import { rebuildExecutor } from "./rebuild.ts";
import { rekeyExecutor } from "./rekey.ts";
import { renumberExecutor } from "./renumber.ts";

/** Secrets of Ceph, kept in etcd. */
export interface CephSecrets {
  readonly adminKey: string;
  readonly monKey: string;
}

export interface ExecutorDeps {
  readonly ceph: () => CephCommands | null;
  /** The secrets, made at the first asking; fenced by the lease. */
  readonly secrets: () => Promise<CephSecrets>;
  readonly access: (signal: AbortSignal) => Promise<CephAccess>;
  /** Hand an order to a node's agent and wait for its result. */
  readonly order: (peer: PeerId, order: Order, signal: AbortSignal) => Promise<Json>;
  /** Record that the entry is in an agent's hands: from now on only its acknowledgement can end it early. */
  readonly handed: (entry: EntryId) => Promise<void>;
  /** Give the entry a new number, because its agent has obeyed a later one. */
  readonly restamp: (entry: EntryId) => Promise<Entry>;
  /** Ask an agent for its durable promise not to carry the entry out; false when it has been. */
  readonly cancel: (peer: PeerId, entry: Entry, signal: AbortSignal) => Promise<boolean>;
  readonly voters: VoterChange;
  /** The node is dead and is being removed, or was: nothing waits for it, and no promise of its agent is needed. */
  readonly isGone: (peer: PeerId) => boolean;
  /** OSDs that are to go, by uuid. */
  readonly removals: () => Readonly<Record<string, OsdRemoval>>;
  /** Milliseconds that one Ceph command may take now: under half of what is left of the lease. */
  readonly callMs: () => number;
  /** The current number of an entry: it may have been re-stamped. */
  readonly current: (entry: EntryId) => Entry;
  /** The secrets that follow the present ones: made once for each decision. */
  readonly nextSecrets: (entry: Entry) => Promise<CephSecrets>;
  /** Fenced by the lease. */
  readonly keepSecrets: (secrets: CephSecrets) => Promise<void>;
  /** Members that are alive, by handle. */
  readonly alive: () => ReadonlyMap<string, PeerId>;
  /** Own addresses of a living member; null of one that is away. */
  readonly addressesOf: (peer: PeerId) => readonly string[] | null;
  /** Use this to reach Ceph from now on, on this node. */
  readonly adopt: (access: CephAccess) => Promise<void>;
}

export interface VoterChange {
  /** Take the etcd member with this id out, if it is still there; never one that has joined since. */
  remove(memberId: string, handle: Handle): Promise<void>;
  /** Take the voter or learner of this name out; done when it is in etcd no more. */
  takeOut(handle: Handle, signal: AbortSignal): Promise<void>;
  /** Make the node a learner if it is neither that nor a voter; the members of etcd afterwards. */
  addLearner(handle: Handle): Promise<readonly { handle: Handle; peer: PeerId }[]>;
  /** Promote, waiting until the learner has caught up. */
  promote(handle: Handle, signal: AbortSignal): Promise<void>;
}

/** Where NFS gateways keep who may claim locks again. Idempotent. */
async function ensureNfsPool(ceph: CephCommands, call: CallOptions): Promise<void> {
  const pool = (await ceph.pools(call)).find(({ name }) => name === nfsPool);
  if (pool === undefined) await ceph.createPool(nfsPool, { ...call, pgNum: 1 });
  if (pool?.applications.includes("nfs") !== true) await ceph.enableApplication(nfsPool, "nfs", call);
}

/** What placing a daemon on a host meets there again and again. */
const hopeless = ["PORT_IN_USE", "MISSING_PROGRAM", "PATH_TOO_LONG", "ADDRESS_UNAVAILABLE"] as const;

/** One executor for each kind of decision; each is run again from its start until it has ended. */
export function cephExecutors(deps: ExecutorDeps): Record<string, Executor> {
  const ceph = (): CephCommands => {
    const commands = deps.ceph();
    if (!commands) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
    return commands;
  };

  /** Hand the entry to its agent. */
  async function give(entry: Entry, payload: Json, signal: AbortSignal): Promise<Json> {
    const agent = entry.agent;
    if (agent === null) throw new Error(`decision ${entry.id} names no agent`);
    await deps.handed(entry.id);
    return handOver(deps, entry, agent, payload, signal);
  }

  const voter: Executor = async (entry, signal) => {
    const { handle, replaces } = voterBody.parse(entry.body);
    if (replaces !== undefined) await deps.voters.remove(replaces, handle);
    const members = await deps.voters.addLearner(handle);
    await give(entry, { members: members.map((member) => ({ ...member })) }, signal);
    await deps.voters.promote(handle, signal);
    return done(because(`${handle} is a voter`, entry));
  };

  const bootstrap: Executor = async (entry, signal) => {
    const { fsid } = bootstrapBody.parse(entry.body);
    const { adminKey, monKey } = await deps.secrets();
    await give(entry, { adminKey, monKey }, signal);
    return done(`Ceph ${fsid} has its first monitor`, { fsid });
  };

  const monitor: Executor = async (entry, signal) => {
    const { handle, monmapEpoch } = monitorBody.parse(entry.body);
    const { quorum, monMap } = await ceph().quorumStatus({ deadlineMs: deps.callMs(), signal });
    const joined = monMap.monitors.some((candidate) => candidate.name === handle);
    if (!joined && monMap.epoch !== monmapEpoch) {
      return withdraw(entry, `the monitor map went from epoch ${monmapEpoch} to ${monMap.epoch}`, signal);
    }
    // With the newcomer in the map, those in quorum now must still be a majority should it fail.
    const size = monMap.monitors.length + (joined ? 0 : 1);
    if (quorum.length * 2 <= size && !(monMap.monitors.length === 1 && quorum.length === 1)) {
      const few = `${quorum.length} of ${monMap.monitors.length} monitors are in quorum`;
      // One of them may be gone for good, and has to go first.
      if (!joined) return withdraw(entry, few, signal);
      throw new MicrocephError("NO_QUORUM", few);
    }
    const [{ monKey }, access] = await Promise.all([deps.secrets(), deps.access(signal)]);
    await give(entry, { access, monKey }, signal);
    const after = await ceph().quorumStatus({ deadlineMs: deps.callMs(), signal });
    if (!after.quorum.includes(handle)) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `monitor ${handle} is not in quorum yet`);
    }
    return done(because(`monitor ${handle} is in quorum`, entry), { epoch: after.monMap.epoch });
  };

  const voterOut: Executor = async (entry, signal) => {
    const { handle } = voterOutBody.parse(entry.body);
    await deps.voters.takeOut(handle, signal);
    return done(because(`${handle} votes no more`, entry));
  };

  const monitorOut: Executor = async (entry, signal) => {
    const { handle, monmapEpoch } = monitorOutBody.parse(entry.body);
    const { quorum, monMap } = await ceph().quorumStatus({ deadlineMs: deps.callMs(), signal });
    if (!monMap.monitors.some(({ name }) => name === handle)) {
      return done(because(`the monitor ${handle} is in the map no more`, entry), { epoch: monMap.epoch });
    }
    if (monMap.epoch !== monmapEpoch) {
      return withdraw(entry, `the monitor map went from epoch ${monmapEpoch} to ${monMap.epoch}`, signal);
    }
    const left = quorum.filter((name) => name !== handle).length;
    if (left * 2 <= monMap.monitors.length - 1) {
      const reason = `${left} of the ${monMap.monitors.length - 1} monitors left would be in quorum`;
      return withdraw(entry, reason, signal);
    }
    await ceph().monRemove(handle, { deadlineMs: deps.callMs(), signal });
    const after = await ceph().quorumStatus({ deadlineMs: deps.callMs(), signal });
    if (after.monMap.monitors.some(({ name }) => name === handle)) {
      throw new MicrocephError("DEADLINE_EXCEEDED", `the monitor ${handle} is in the map still`);
    }
    return done(because(`the monitor ${handle} is in the map no more`, entry), { epoch: after.monMap.epoch });
  };

  const daemon: Executor = async (entry, signal) => {
    const body = daemonBody.parse(entry.body);
    const { type, handle } = body;
    const call = { deadlineMs: deps.callMs(), signal };
    let key = "";
    if (body.type === "nfs") {
      if (body.rank === null) return withdraw(entry, "it has no rank", signal);
      await ensureNfsPool(ceph(), call);
      const user = nfsUser({ cluster: body.cluster, rank: body.rank });
      key = await ceph().authGetOrCreate(`client.${user}`, nfsCapabilities(nfsPool), call);
    } else if (body.type !== "ingress") {
      key = await ceph().authGetOrCreate(entityOf(body.type, handle), keyedCapabilities[body.type], call);
    }
    let tls: CertificatePair | undefined;
    if (body.type === "rgw" && body.tls !== undefined) {
      tls = await readCertificate(ceph(), body.tls.certificate, call);
      if (tls === undefined) return withdraw(entry, "its certificate is not there any more", signal);
    }
    try {
      const payload = { access: await deps.access(signal), key, ...(tls === undefined ? {} : { tls }) };
      await give(entry, payload, signal);
    } catch (error) {
      // It would not go away by trying: whoever wants it is told, and another host may do.
      if (!hopeless.some((code) => isMicrocephError(error, code))) throw error;
      return withdraw(entry, messageOf(error), signal);
    }
    return done(because(`${type}.${handle} runs`, entry));
  };

  /** Its host, when it is alive, stops it once it hears that this is done. */
  const daemonOut: Executor = async (entry, signal) => {
    const { type, handle, nfs } = daemonOutBody.parse(entry.body);
    const call = { deadlineMs: deps.callMs(), signal };
    // One that is active hands over first: else Ceph would wait for it until its grace is over.
    if (type === "mgr" || type === "mds") await failOver(ceph(), type, handle, call);
    // An NFS gateway that comes back from the dead has a key that opens nothing: another may have its rank.
    if (type === "nfs") {
      if (nfs !== undefined) await ceph().authRemove(`client.${nfsUser(nfs)}`, call);
    } else if (type !== "ingress") await ceph().authRemove(entityOf(type, handle), call);
    return done(because(`${type}.${handle} is taken off`, entry));
  };

  /** End an entry that must not be carried out any more: only with its agent's promise, once handed. */
  async function withdraw(entry: Entry, reason: string, signal: AbortSignal): Promise<Outcome> {
    const current = deps.current(entry.id);
    if (!current.handed || current.agent === null) {
      return { state: "abandoned", reason, cancelAcknowledged: false };
    }
    const promised = await deps.cancel(current.agent, current, signal);
    // Of a purge the agent's part is only to stop the OSD, and it has started it again now, whether it had done
    // its part or not. That the OSD is out is for Ceph's map to say.
    if (promised || entry.kind === kinds.osdPurge) {
      return { state: "abandoned", reason, cancelAcknowledged: true };
    }
    return done("carried out before it could be withdrawn");
  }

  /**
   * An agent that calls the entry overtaken under its newest number too has promised, under an earlier holder,
   * never to carry it out: then it is withdrawn.
   */
  const orWithdraw =
    (executor: Executor): Executor =>
    async (entry, signal) => {
      const gone = entry.agent !== null && deps.isGone(entry.agent);
      if (gone) {
        // Should it live after all: its agent asks before each step whether the entry is open.
        if (entry.kind === kinds.voter) await deps.voters.takeOut(voterBody.parse(entry.body).handle, signal);
        return {
          state: "abandoned",
          reason: "its node is dead, and is or was removed",
          cancelAcknowledged: false,
          agentGone: true,
        };
      }
      try {
        return await executor(entry, signal);
      } catch (error) {
        if (!isMicrocephError(error, "STALE_DECISION") || signal.aborted) throw error;
        return withdraw(entry, "its agent has promised not to carry it out", signal);
      }
    };

  const executors = {
    [kinds.voter]: voter,
    [kinds.bootstrap]: bootstrap,
    [kinds.monitor]: monitor,
    [kinds.voterOut]: voterOut,
    [kinds.monitorOut]: monitorOut,
    [kinds.daemon]: daemon,
    [kinds.daemonOut]: daemonOut,
    [kinds.renumber]: renumberExecutor(deps),
    [kinds.rekey]: rekeyExecutor({ ...deps, ceph }),
    [kinds.networks]: networksExecutor(deps),
    [kinds.rebuild]: rebuildExecutor(deps),
    ...crushExecutors({ ceph, callMs: deps.callMs }),
    ...removalExecutors({ ceph, callMs: deps.callMs, wishes: deps.removals, give, withdraw }),
  };
  return Object.fromEntries(
    Object.entries(executors).map(([kind, executor]) => [kind, orWithdraw(executor)]),
  );
}
