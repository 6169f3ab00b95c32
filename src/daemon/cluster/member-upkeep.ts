import { cephAccess, kinds, monitorBody, renumberBody } from "../../ceph/control/decisions.ts";
import { changedNetworks } from "../../ceph/control/networks.ts";
import { purgedOsds } from "../../ceph/control/osd-removal.ts";
import { importOwnKeys } from "../../ceph/control/own-keys.ts";
import { daemonOffBy } from "../../ceph/control/placed-daemons.ts";
import { lastRekey } from "../../ceph/control/rekey.ts";
import { accessAfter, catchUp, renumberingOf, wholeMaps } from "../../ceph/control/renumber.ts";
import { BuildPace, slowDown } from "../../ceph/daemons/build-pace.ts";
import { endMgrStart } from "../../ceph/daemons/mgr.ts";
import { listLocalOsds } from "../../ceph/daemons/osd.ts";
import { cleanOsd, purgedHere } from "../../ceph/daemons/osd-clean.ts";
import { OsdReports } from "../../ceph/daemons/osd-reports.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { giveMemoryBack } from "../../process/give-memory-back.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import { productVersion } from "../../version/version.ts";
import { dropRecords, giveBack, recordsToGive } from "../backup/give-back.ts";
import { reachableAddresses } from "../interface-facts.ts";
import { clientOptionsOf } from "./client-options.ts";
import { networksOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { methods } from "./member-rpc.ts";

/** The last replacement of Ceph's keys that this node has followed. */
const rekeyKey = "ceph/rekey";
/** The last rebuilding of the monitors after which this node has told them its keys. */
const rebuiltKey = "ceph/rebuilt";
const periodMs = 10_000;
const callMs = 15_000;
/** Milliseconds without an answer of the monitors after which another member is asked where they are. */
const silentMs = 30_000;
/** Milliseconds without a decision after which the cluster counts as built. */
const builtMs = 30_000;
/** With more of them in the cluster OSDs report as often as they do by themselves. */
const mostHurriedOsds = 32;

/**
 * What must be so on a member in the end: its facts are in the document, it knows how to reach Ceph, and its
 * ceph.conf follows the monitor map. Looked at on every change; now and then for what changes without a word.
 */
export class MemberUpkeep {
  readonly #runtime: ClusterRuntime;
  #timer: NodeJS.Timeout | undefined;
  #fetching = false;
  #following = false;
  /** Epoch of the monitors' map that ceph.conf has followed; forgotten now and then, as files can change. */
  #followed: number | null = null;
  #monitorsDecided = 0;
  #cleaning = false;
  #moving = false;
  #telling = false;
  #giving = false;
  /** Gateways that the ingress was told of. */
  #front = "";
  /** When the monitors last answered, or it was last asked where they are. */
  #silentSince: number;
  readonly #pace: BuildPace;
  readonly #reports: OsdReports;
  #stop = new AbortController();
  #facts: Promise<void> = Promise.resolve();
  #nextFacts: Promise<void> | null = null;

  constructor(runtime: ClusterRuntime) {
    this.#runtime = runtime;
    const { cephNode, log, steadyNow } = runtime.deps;
    this.#silentSince = steadyNow();
    this.#pace = new BuildPace({
      quietMs: builtMs,
      slowDown: async () => {
        const { paths } = cephNode.deps;
        const told = await Promise.all(
          (["mon", "mgr"] as const).map((type) => slowDown(paths, type, runtime.handle)),
        );
        // Whoever waited for an OSD to come up may have been killed.
        for (const { osd } of await listLocalOsds({ paths })) await slowDown(paths, "osd", String(osd));
        await endMgrStart(cephNode.deps, runtime.handle);
        if (told.includes(true)) log.info("no decision for a while: Ceph's daemons have their usual timers");
        await giveMemoryBack(this.#stop.signal);
      },
      onError: (error) => log.warn({ error: messageOf(error) }, "Ceph's timers are not put back"),
    });
    this.#reports = new OsdReports({
      paths: () => cephNode.deps.paths,
      osds: async () => (await listLocalOsds(cephNode.deps)).map(({ osd }) => osd),
      onError: (error) => log.warn({ error: messageOf(error) }, "this node's OSDs are not listed"),
    });
  }

  /** While a small Ceph is built, the OSDs of this node report what became of each OSD map. */
  osdMapSeen(epoch: number | null, osds: number): void {
    if (epoch !== null && osds <= mostHurriedOsds && !this.#pace.isOver) this.#reports.mapSeen(epoch);
  }

  start(): void {
    this.#stop = new AbortController();
    this.#timer = setInterval(() => this.look(), periodMs);
    this.#timer.unref();
    this.#pace.look(this.#runtime.journal.entries().length);
    this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#pace.stop();
    this.#reports.stop();
    this.#stop.abort();
  }

  look(): void {
    this.#followed = null;
    // Addresses change without a word, and of two tellings at once the older may come last.
    this.publishFacts();
    this.#fetchAccess();
    this.#followMove();
    this.#tellKeys();
    this.#giveBack();
    this.#cleanOsds();
    this.followGateways();
    this.followClientOptions();
    this.followExports();
  }

  journalChanged(): void {
    this.#fetchAccess();
    this.#followMove();
    this.#tellKeys();
    const entries = this.#runtime.journal.entries();
    this.#pace.look(entries.length);
    const out = monitorOutBy(entries, this.#runtime.handle);
    if (out !== null) this.#dropMonitor(out, entries);
    this.#dropServices(entries);
    this.followGateways();
    this.#cleanOsds();
    const changes: readonly string[] = [kinds.monitor, kinds.monitorOut, ...wholeMaps];
    const monitors = entries.filter(({ kind, state }) => changes.includes(kind) && state === "done").length;
    if (monitors === this.#monitorsDecided) return;
    this.#monitorsDecided = monitors;
    this.followMonMap();
    this.publishFacts();
  }

  /** Ceph's daemons here follow a new address of this node, or of all monitors. */
  #followMove(): void {
    const { journal, deps, cephView } = this.#runtime;
    const { cephNode, log } = deps;
    if (this.#moving || cephNode.access === null) return;
    const entries = journal.entries();
    const body = renumberingOf(entries);
    // What a member was told by another, a moment before the decision reached that one, is set right here.
    const networks = changedNetworks(entries) ?? (body && { ...body, id: body.entry });
    this.#moving = true;
    const follow = async (): Promise<boolean> => {
      if (networks !== null) await cephNode.followNetworks(networks);
      const { access } = cephNode;
      const isLast = (): boolean => renumberingOf(journal.entries())?.entry === body?.entry;
      if (body !== null && this.#runtime.hasMonitorSeat && (await catchUp(cephNode, body, isLast))) {
        log.info({ move: body.entry }, "the monitor was away when the others moved, and has their map now");
      }
      if (body === null || access === null) return cephNode.followMove(null, isLast);
      const moved = accessAfter(access, body);
      const { publicNetwork, clusterNetwork } = networks ?? moved;
      const after = { ...moved, publicNetwork, clusterNetwork };
      return cephNode.followMove({ id: body.entry, access: after }, isLast);
    };
    follow()
      .then((moved) => {
        if (!moved) return false;
        cephView.refresh();
        this.publishFacts();
        return true;
      })
      .catch((error) => {
        log.warn({ error: messageOf(error) }, "Ceph's daemons do not follow new addresses yet");
        return false;
      })
      .then((moved) => {
        this.#moving = false;
        // Others may have been decided meanwhile.
        if (moved) this.#followMove();
      });
  }

  /** Monitors that were made anew know of no daemon but OSDs: each node tells them the keys of its own, once. */
  #tellKeys(): void {
    const { journal, deps } = this.#runtime;
    const { cephNode, store, log } = deps;
    const { commands } = cephNode;
    const last = journal.entries().findLast(({ kind, state }) => kind === kinds.rebuild && state === "done");
    if (last === undefined || commands === null || this.#telling) return;
    if (store.get(rebuiltKey) === last.id) return;
    this.#telling = true;
    importOwnKeys(cephNode, commands)
      .then((daemons) => {
        store.put(rebuiltKey, last.id);
        log.info({ daemons }, "the new monitors know the daemons of this node");
      })
      .catch((error) =>
        log.warn({ error: messageOf(error) }, "the new monitors do not know this node's daemons yet"),
      )
      .finally(() => {
        this.#telling = false;
      });
  }

  /** What the backup that this node was restored from knew of Ceph goes to the monitors once they answer. */
  #giveBack(): void {
    const { deps, cephView } = this.#runtime;
    const { cephNode, store, log } = deps;
    const { commands } = cephNode;
    if (this.#giving || commands === null || !cephView.answers) return;
    const records = recordsToGive(store);
    if (records === null) return;
    this.#giving = true;
    giveBack(commands, records, new AbortController().signal)
      .then(({ given, refused }) => {
        dropRecords(store);
        log.info({ given, refused }, "the monitors know again what the backup knew");
      })
      .catch((error) =>
        log.warn({ error: messageOf(error) }, "the backup's part is not with the monitors yet"),
      )
      .finally(() => {
        this.#giving = false;
      });
  }

  /** What this node has of OSDs that are out of Ceph for good goes, each by itself; tried again while it fails. */
  #cleanOsds(): void {
    if (this.#cleaning) return;
    const purged = purgedOsds(this.#runtime.journal.entries());
    if (purged.size === 0) return;
    const { cephNode, log, onDisks } = this.#runtime.deps;
    this.#cleaning = true;
    const inMap = async (): Promise<readonly { readonly uuid: string }[]> => {
      const { commands } = cephNode;
      if (commands === null) throw new MicrocephError("NOT_READY", "this node does not know Ceph yet");
      return (await commands.osdDump({ deadlineMs: callMs })).osds;
    };
    purgedHere(cephNode.deps, purged, inMap)
      .then(async (osds) => {
        for (const local of osds) {
          await cleanOsd(cephNode.deps, local);
          log.info({ osd: local.osd, disk: local.path }, "what was left of a removed OSD is cleaned up");
        }
        if (osds.length > 0) await onDisks();
        this.publishFacts();
      })
      .catch((error) => log.warn({ error: messageOf(error) }, "a removed OSD is not cleaned up yet"))
      .finally(() => {
        this.#cleaning = false;
      });
  }

  #dropMonitor(by: DecisionNumber, entries: readonly Entry[]): void {
    const { cephNode, log } = this.#runtime.deps;
    // Removed where the monitors themselves gave it up; where all were lost it may be the last of what is left.
    const isRebuilt = entries.some(
      ({ kind, number }) => kind === kinds.rebuild && number.revision === by.revision,
    );
    cephNode
      .dropMonitor(by, isRebuilt)
      .then((dropped) => {
        if (!dropped) return;
        log.info("the monitor of this node was taken out");
        this.publishFacts();
      })
      .catch((error) => log.warn({ error: messageOf(error) }, "the former monitor is not cleaned up yet"));
  }

  /** Services that were taken off this node. */
  #dropServices(entries: readonly Entry[]): void {
    const { cephNode, log } = this.#runtime.deps;
    for (const [service, placed] of [
      ["rgw", cephNode.gateway],
      ["ingress", cephNode.ingress],
      ["nfs", cephNode.nfs],
      ["mgr", cephNode.mgr],
      ["mds", cephNode.mds],
      ["rbd-mirror", cephNode.mirror],
      ["cephfs-mirror", cephNode.fileMirror],
    ] as const) {
      const off = daemonOffBy(entries, service, this.#runtime.handle);
      if (off === null) continue;
      placed
        .drop(off)
        .then((dropped) => {
          if (!dropped) return;
          log.info({ service }, "a service was taken off this node");
          this.publishFacts();
        })
        .catch((error) => log.warn({ service, error: messageOf(error) }, "a service is not cleaned up yet"));
    }
  }

  /** What the document says to clients on this host is in its ceph.conf. */
  followClientOptions(): void {
    const { deps, document, handle } = this.#runtime;
    const { cephNode, log } = deps;
    cephNode
      .followClientOptions(clientOptionsOf(document.view().settings, handle))
      .then((changed) => {
        if (changed) log.info("what clients of this host are told has changed");
      })
      .catch((error) => log.warn({ error: messageOf(error) }, "ceph.conf does not follow the settings yet"));
  }

  /** The ingress of this node, if it has one, stands before the gateways that are placed now. */
  followGateways(): void {
    const { cephNode, log } = this.#runtime.deps;
    if (!cephNode.ingress.isHere) return;
    const front = this.#runtime.front();
    const text = JSON.stringify(front);
    if (text === this.#front) return;
    this.#front = text;
    cephNode.ingress.follow(front).catch((error) => {
      this.#front = "";
      log.warn({ error: messageOf(error) }, "the ingress does not follow the gateways yet");
    });
  }

  /** The NFS gateway of this node, if it has one, shows what is exported now. */
  followExports(): void {
    const { cephNode, log } = this.#runtime.deps;
    if (!cephNode.nfs.isHere) return;
    cephNode.nfs
      .follow(this.#runtime.exports())
      .then((isNews) => {
        if (isNews) log.info("the NFS gateway shows other exports");
      })
      .catch((error) => log.warn({ error: messageOf(error) }, "the NFS gateway does not follow yet"));
  }

  /**
   * Say in the document what this node is now, within a second. Never rejects. Asked again while it gathers, as
   * for each of many OSDs that come up, it gathers once more for all who asked.
   */
  publishFacts(): Promise<void> {
    this.#nextFacts ??= this.#facts.then(() => {
      this.#nextFacts = null;
      this.#facts = this.#publish();
      return this.#facts;
    });
    return this.#nextFacts;
  }

  /** As `publishFacts`, and what was gathered is in the document when it resolves: at the end of a job. */
  async settleFacts(): Promise<void> {
    await this.publishFacts();
    try {
      this.#runtime.document.flushFacts();
    } catch (error) {
      this.#runtime.deps.log.warn({ error: messageOf(error) }, "own facts cannot be written yet");
    }
  }

  async #publish(): Promise<void> {
    try {
      await this.#gatherFacts();
    } catch (error) {
      this.#runtime.deps.log.warn({ error: messageOf(error) }, "own facts cannot be published");
    }
  }

  /** ceph.conf follows the monitor map; one question at a time, and none about an epoch that it has followed. */
  followMonMap(seen: number | null = null): void {
    const { commands } = this.#runtime.deps.cephNode;
    if (commands === null || this.#following || (seen !== null && seen === this.#followed)) return;
    this.#following = true;
    commands
      .monMap({ deadlineMs: callMs })
      .then(async (map) => {
        await this.#runtime.deps.cephNode.follow(map);
        this.#followed = map.epoch;
      })
      .catch((error) => this.#runtime.deps.log.debug({ error: messageOf(error) }, "monitor map not read"))
      .finally(() => {
        this.#following = false;
      });
  }

  /**
   * A member without Ceph's configuration asks for it once Ceph is there; one whose monitors do not answer for long,
   * whether they are elsewhere by now.
   */
  #fetchAccess(): void {
    const { cephNode, steadyNow } = this.#runtime.deps;
    if (this.#runtime.cephView.answers) this.#silentSince = steadyNow();
    const rekey = lastRekey(this.#runtime.journal.entries());
    const isOutdated = rekey !== null && this.#runtime.deps.store.get(rekeyKey) !== rekey;
    const isSilent = isOutdated || steadyNow() - this.#silentSince > silentMs;
    if ((cephNode.access !== null && !isSilent) || this.#fetching) return;
    const bootstrapped = this.#runtime.journal
      .entries()
      .some(({ kind, state }) => kind === "ceph.bootstrap" && state === "done");
    const voter = this.#runtime.voters().find((peer) => this.#runtime.mesh.connected().includes(peer));
    if (!bootstrapped || voter === undefined) return;
    this.#fetching = true;
    this.#runtime.mesh
      .request(voter, methods.cephAccess, null, { deadlineMs: callMs })
      .then(async (reply) => {
        const said = cephAccess.parse(reply);
        // Who was asked may not know of a change yet that is known here, and is followed once.
        const networks = networksOf(this.#runtime.journal.entries()) ?? said;
        const { publicNetwork, clusterNetwork } = networks;
        const access = { ...said, publicNetwork, clusterNetwork };
        this.#silentSince = steadyNow();
        if (rekey !== null) this.#runtime.deps.store.put(rekeyKey, rekey);
        if (JSON.stringify(access) === JSON.stringify(cephNode.access)) return;
        await cephNode.configure(access);
        cephNode.commands?.reconnect();
        this.#runtime.cephView.refresh();
      })
      .catch((error) =>
        this.#runtime.deps.log.debug({ error: messageOf(error) }, "Ceph's configuration not fetched"),
      )
      .finally(() => {
        this.#fetching = false;
      });
  }

  async #gatherFacts(): Promise<void> {
    const { settings } = this.#runtime.options;
    const { cephNode, versions, interfaces, disks, now } = this.#runtime.deps;
    const osds = await cephNode.osds();
    this.#runtime.document.setFacts({
      name: settings.name,
      addresses: reachableAddresses(interfaces()),
      meshPort: this.#runtime.mesh.port,
      lobbyPort: settings.lobbyPort,
      version: productVersion,
      cephVersion: versions.ceph,
      etcdVersion: versions.etcd,
      disks: disks(),
      updatedAt: new Date(now()).toISOString(),
      osds: osds.map(({ osd, path, uuid, state, reason }) => ({
        osd,
        path,
        uuid,
        state,
        ...(reason === null ? {} : { reason: reason.slice(0, 500) }),
      })),
      services: await cephNode.services(),
    });
  }
}

const monitorNamed = monitorBody.pick({ handle: true });

/** The decision that took this node's monitor out of the map; null unless it is the last one about it. */
export function monitorOutBy(entries: readonly Entry[], handle: Handle): DecisionNumber | null {
  const last = entries.findLast(({ kind, state, body }) => {
    if (wholeMaps.includes(kind)) return state === "done";
    if (state === "abandoned" || (kind !== kinds.monitor && kind !== kinds.monitorOut)) return false;
    return monitorNamed.safeParse(body).data?.handle === handle;
  });
  if (last === undefined) return null;
  const isOut = wholeMaps.includes(last.kind)
    ? renumberBody.safeParse(last.body).data?.monitors.every(({ name }) => name !== handle)
    : last.kind === kinds.monitorOut && last.state === "done";
  return isOut ? last.number : null;
}
