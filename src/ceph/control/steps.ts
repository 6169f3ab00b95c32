import { randomBytes } from "node:crypto";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { CephCommands, MonMap } from "../command/commands.ts";
import {
  adminCapabilities,
  type KeyringEntry,
  makeCephKey,
  mgrCapabilities,
  monCapabilities,
} from "../config/keyring.ts";
import { monitorAddresses } from "../config/monitor-address.ts";
import { hasten, hastenOnceUp } from "../daemons/build-pace.ts";
import { ensureCephFolders, unitName } from "../daemons/deps.ts";
import type { Front } from "../daemons/ingress-config.ts";
import { keptKey } from "../daemons/keyed-daemon.ts";
import { prepareMgr, startMgr } from "../daemons/mgr.ts";
import {
  bootstrapMon,
  joinQuorum,
  monState,
  prepareMon,
  removeMon,
  startMon,
  storeFsid,
  waitMonInQuorum,
} from "../daemons/mon.ts";
import { type NfsExport, nfsSettings } from "../daemons/nfs-config.ts";
import { listLocalOsds } from "../daemons/osd.ts";
import { controlOsd, letRun } from "../daemons/osd-control.ts";
import type { Step, Undo } from "./agent.ts";
import type { CephNode } from "./ceph-node.ts";
import {
  bootstrapBody,
  bootstrapPayload,
  type CephAccess,
  daemonBody,
  daemonPayload,
  kinds,
  monitorBody,
  monitorPayload,
  osdPurgeBody,
} from "./decisions.ts";
import { firstSettings } from "./first-settings.ts";
import { networksStep } from "./networks.ts";
import { contributeMaps, type GatherMaps, rebuildStep, rebuildUndo } from "./rebuild.ts";
import { rekeyStep } from "./rekey.ts";
import { renumberStep, renumberUndo } from "./renumber.ts";

const quorumDeadlineMs = 90_000;
/** For a monitor that was just started to listen, before it is waited for anyway. */
const listenMs = { deadlineMs: 5_000, intervalMs: 20 };
/** While the monitors are asked whether one is in their map, it is stopped: not for long. */
const lookMs = 10_000;

/** What steps need of the rest of the node. */
export interface StepParts {
  /** Default: only this node's own OSDs can be asked. */
  readonly gather?: GatherMaps;
  /** What the ingress stands before; default nothing. */
  readonly front?: () => Front;
  /** What NFS gateways show; default nothing. */
  readonly exports?: () => readonly NfsExport[];
}

/** What a node does for each kind of decision about Ceph; every step may be run again after any crash. */
export function cephSteps(node: CephNode, parts: StepParts = {}): Record<string, Step> {
  const { gather = (_peer, _entry, store, signal) => contributeMaps(node, store, signal) } = parts;
  const { front = () => ({ backends: [], s3: true, ranks: [], certificate: null }), exports = () => [] } =
    parts;
  const { deps, handle } = node;

  const bootstrap: Step = async ({ number, body, payload }, { confirm, signal }) => {
    const { fsid, address, publicNetwork, clusterNetwork, v2Only = false } = bootstrapBody.parse(body);
    const { adminKey, monKey } = bootstrapPayload.parse(payload);
    const monitors: CephAccess["monitors"] = [{ name: handle, addresses: monitorAddresses(address, v2Only) }];
    await ensureCephFolders(deps.paths);
    await node.configure({ fsid, adminKey, publicNetwork, clusterNetwork, monitors });
    const keys: KeyringEntry[] = [
      { entity: "mon.", key: monKey, capabilities: monCapabilities },
      { entity: "client.admin", key: adminKey, capabilities: adminCapabilities },
    ];
    // The first manager starts beside the first monitor, which knows its key from the beginning.
    const managerKey = await firstManagerKey(node);
    if (managerKey !== undefined) {
      await prepareMgr(deps, { handle, key: managerKey });
      keys.push({ entity: `mgr.${handle}`, key: managerKey, capabilities: mgrCapabilities });
    }
    await bootstrapMon(deps, { handle, fsid, address, monKey, v2Only, keys, signal });
    await confirm();
    node.rememberMonAddress(address, number);
    await startMon(deps, { handle, address });
    await Promise.all([
      managerKey === undefined ? null : startMgr(deps, handle),
      hastenOnceUp(deps.paths, "mon", handle, { ...listenMs, signal }),
    ]);
    await waitMonInQuorum(deps, handle, { deadlineMs: quorumDeadlineMs, signal });
    if (managerKey !== undefined) await hasten(deps.paths, "mgr", handle);
    await firstSettings(commandsOf(node), signal);
    return { monitor: handle };
  };

  const monitor: Step = async ({ number, body, payload }, { confirm, signal }) => {
    const { address } = monitorBody.parse(body);
    const { access, monKey } = monitorPayload.parse(payload);
    await node.configure(access);
    const running = await monState(deps, handle);
    if (!running?.quorum.includes(handle)) {
      const { fsid, monitors } = access;
      await prepareMon(deps, { handle, fsid, monitors, monKey, signal });
      // From its start on the monitor adds itself to the map: this is the act that cannot be taken back.
      await confirm();
      node.rememberMonAddress(address, number);
      await node.whileJoining(async () => {
        await startMon(deps, { handle, address });
        await hastenOnceUp(deps.paths, "mon", handle, { ...listenMs, signal });
      });
    } else await hasten(deps.paths, "mon", handle);
    const status = await joinQuorum(deps, { handle, address }, { deadlineMs: quorumDeadlineMs, signal });
    await node.follow(status.monMap);
    return { epoch: status.monMap.epoch };
  };

  const daemon: Step = async ({ number, body, payload }, { confirm, signal }) => {
    const asked = daemonBody.parse(body);
    const { access, key, tls } = daemonPayload.parse(payload);
    await node.configure(access);
    if (asked.type === "rgw") {
      const settings = { port: asked.port, ...(asked.tls === undefined ? {} : { tls: asked.tls }) };
      await node.gateway.place({ key, settings, pair: tls, by: number, confirm, signal });
      return null;
    }
    if (asked.type === "ingress") {
      const { vip, prefix, port, tlsPort, nfsPort } = asked;
      await node.ingress.place({
        settings: { vip, prefix, port, tlsPort, nfsPort },
        front: front(),
        ...{ by: number, confirm, signal },
      });
      return null;
    }
    if (asked.type === "nfs") {
      const { rank } = asked;
      if (rank === null) throw new MicrocephError("STALE_DECISION", "an NFS gateway without a rank");
      const settings = nfsSettings.parse(asked);
      await node.nfs.place({ key, settings, rank, exports: exports(), by: number, confirm, signal });
      return null;
    }
    const { mgr, mds, mirror, fileMirror } = node;
    const standbys = { mgr, mds, "rbd-mirror": mirror, "cephfs-mirror": fileMirror };
    await standbys[asked.type].place({ key, by: number, confirm });
    return null;
  };

  const stopOsdForGood: Step = async ({ body }, { confirm }) => {
    const { osd, uuid } = osdPurgeBody.parse(body);
    if (!(await hasOsd(node, osd, uuid))) return null;
    await confirm();
    await controlOsd(deps, osd, "stop");
    return null;
  };

  const inOrder =
    (step: Step): Step =>
    (order, tools) =>
      node.inOrder(() => step(order, tools));
  return {
    [kinds.bootstrap]: bootstrap,
    [kinds.monitor]: inOrder(monitor),
    [kinds.renumber]: renumberStep(node),
    [kinds.rekey]: rekeyStep(node),
    [kinds.networks]: networksStep(node),
    [kinds.rebuild]: rebuildStep(node, gather),
    [kinds.daemon]: daemon,
    [kinds.osdPurge]: stopOsdForGood,
  };
}

/** Takes back what an interrupted order may have begun, before its cancellation is promised. */
export function cephUndo(node: CephNode): Record<string, Undo> {
  const { deps, handle } = node;
  const monitor: Undo = async (body) => {
    const { address } = monitorBody.parse(body);
    const isIn = (map: MonMap): boolean => map.monitors.some(({ name }) => name === handle);
    const status = await monState(deps, handle);
    // A monitor that is in the map has taken effect: only another decision may take it out again.
    if (status && isIn(status.monMap)) return false;
    // Stopped before the look that counts: one that runs, or does not answer, may join the map at any moment,
    // and a monitor in the map without its store can cost the others their majority.
    await deps.runner.stop(unitName("mon", handle));
    try {
      const map = await node.commands?.monMap({ deadlineMs: lookMs });
      if (map === undefined || !isIn(map)) {
        await removeMon(deps, handle);
        return true;
      }
    } catch (error) {
      await startAgain(address);
      throw error;
    }
    await startAgain(address);
    return false;
  };
  const startAgain = async (address: string): Promise<void> => {
    if ((await storeFsid(deps, handle)) !== undefined) await startMon(deps, { handle, address });
  };
  const startOsdAgain: Undo = async (body) => {
    const { osd, uuid } = osdPurgeBody.parse(body);
    if (await hasOsd(node, osd, uuid)) await letRun(deps, osd);
    return true;
  };
  const daemon: Undo = async (body) => {
    const asked = daemonBody.parse(body);
    if (asked.type === "nfs") return asked.rank === null || node.nfs.undo({ ...asked, rank: asked.rank });
    return asked.type === "rgw" ? node.gateway.undo(asked) : true;
  };
  return {
    [kinds.monitor]: monitor,
    [kinds.daemon]: daemon,
    [kinds.osdPurge]: startOsdAgain,
    [kinds.renumber]: renumberUndo(node),
    [kinds.rebuild]: rebuildUndo(node),
  };
}

/** The key that the first manager has, or gets; undefined when a monitor was made already that does not know it. */
async function firstManagerKey({ deps, handle }: CephNode): Promise<string | undefined> {
  const kept = await keptKey(deps, "mgr", handle);
  if (kept !== undefined || (await storeFsid(deps, handle)) !== undefined) return kept;
  return makeCephKey(randomBytes, Date.now());
}

async function hasOsd(node: CephNode, osd: OsdId, uuid: string): Promise<boolean> {
  return (await listLocalOsds(node.deps)).some((one) => one.osd === osd && one.uuid === uuid);
}

function commandsOf(node: CephNode): CephCommands {
  const { commands } = node;
  if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "this node knows no Ceph cluster");
  return commands;
}
