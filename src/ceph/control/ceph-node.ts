import { readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { z } from "zod";
import { isMicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { readFileIfPresent } from "../../files/atomic-file.ts";
import { type Handle, type OsdId, osdId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { CephCommands, MonMap } from "../command/commands.ts";
import { isUnanswered } from "../command/words.ts";
import { renderCephConf } from "../config/ceph-conf.ts";
import { addressVector, speakV2Only } from "../config/monitor-address.ts";
import { removeAdminKeyring, writeAdminKeyring, writeCephConf } from "../config/write-conf.ts";
import { type DaemonDeps, ensureCephFolders, unitName } from "../daemons/deps.ts";
import { keyedDaemons } from "../daemons/keyed-daemon.ts";
import { removeAsideMons, removeMon, setMonAside, startMon, storeFsid } from "../daemons/mon.ts";
import { listLocalOsds, startOsd, waitOsdUp } from "../daemons/osd.ts";
import { type OsdReport, reportOsds } from "../daemons/osd-control.ts";
import { type CephAccess, cephAccess } from "./decisions.ts";
import { NodeGateway } from "./gateway.ts";
import { NodeIngress } from "./ingress.ts";
import type { DecidedNetworks } from "./networks.ts";
import { NodeNfs } from "./nfs.ts";
import { decisionNumber, isLater } from "./numbers.ts";
import { NodeStandby } from "./standby.ts";

/** What the node remembers of Ceph, so that it can start everything at boot from local disk alone. */
export interface CephMemory {
  get(key: string): Json | undefined;
  put(key: string, value: Json): void;
  delete(key: string): void;
}

export interface CephNodeDeps extends DaemonDeps {
  readonly memory: CephMemory;
  readonly commands: () => CephCommands;
  /** Own address in one of these networks (CIDR, comma list); null when there is none. */
  readonly addressIn: (networks: string) => string | null;
  /** Name of the interface that has an address in this network (CIDR); null when none has. */
  readonly interfaceIn: (network: string) => string | null;
  /** Whether this is an address of this node. */
  readonly hasAddress: (address: string) => boolean;
  /** Milliseconds that an OSD gets to come up after its restart at a new address; default 45 s. */
  readonly upMs?: number;
  /** Path of a ceph.conf fragment merged over ours. */
  readonly extraConfig: string | undefined;
  readonly log: Logger;
}

const clientKey = "ceph/client-options";
const accessKey = "ceph/access";
const monAddressKey = "ceph/mon-address";
/** Number of the last decision that gave this node's monitor its place. */
const monDecisionKey = "ceph/mon-decision";
const boundKey = "ceph/bound";
/** The last change of networks that this node has followed. */
const networksKey = "ceph/networks";
/** How Ceph was reached, and the monitor's map, before monitors got other addresses: until that is sure to stay. */
export const formerKey = "ceph/former-monmap";
const defaultUpMs = 45_000;
/** Milliseconds between two looks whether the node has moved on meanwhile. */
const lookUpMs = 5_000;
const mostRestarts = 4;

/** Know how to reach a cluster from the next start on. */
export function rememberAccess(memory: Pick<CephMemory, "put">, access: Json): void {
  memory.put(accessKey, access);
}

/** The address and the renumbering with which this node's daemons were started. */
const boundTo = z.object({ address: z.string().nullable(), move: z.string().nullable() });
type Bound = z.infer<typeof boundTo>;

/**
 * This node's part of Ceph: its configuration, rendered from the live monitor map, and the daemons that its
 * disk says it has. Everything here works without mesh and etcd.
 */
export class CephNode {
  readonly handle: Handle;
  readonly deps: CephNodeDeps;
  readonly gateway: NodeGateway;
  readonly ingress: NodeIngress;
  readonly nfs: NodeNfs;
  readonly mgr: NodeStandby;
  readonly mds: NodeStandby;
  readonly mirror: NodeStandby;
  readonly fileMirror: NodeStandby;
  #access: CephAccess | null;
  #commands: CephCommands | null = null;
  readonly #stopped = new AbortController();
  /** Orders and monitor maps arrive at the same time; the last one asked for is what stays. */
  #configuring: Promise<void> = Promise.resolve();
  #monitorWork: Promise<unknown> = Promise.resolve();
  #starting: Promise<void> = Promise.resolve();
  #joining = false;

  constructor(handle: Handle, deps: CephNodeDeps) {
    this.handle = handle;
    this.deps = deps;
    this.gateway = new NodeGateway(handle, deps);
    this.ingress = new NodeIngress(handle, deps, () => this.commands);
    this.nfs = new NodeNfs(handle, deps, () => this.commands);
    this.mgr = new NodeStandby("mgr", handle, deps);
    this.mds = new NodeStandby("mds", handle, deps);
    this.mirror = new NodeStandby("rbd-mirror", handle, deps);
    this.fileMirror = new NodeStandby("cephfs-mirror", handle, deps);
    const kept = cephAccess.safeParse(deps.memory.get(accessKey));
    this.#access = kept.success ? kept.data : null;
  }

  get access(): CephAccess | null {
    return this.#access;
  }

  /** Commands as client.admin; null while this node knows no cluster. */
  get commands(): CephCommands | null {
    if (this.#access === null) return null;
    this.#commands ??= this.deps.commands();
    return this.#commands;
  }

  /** Remember how to reach the cluster; write ceph.conf and the admin keyring when they changed. */
  configure(access: CephAccess): Promise<void> {
    return this.#reconfigure(() => access);
  }

  /**
   * As `configure`; what is changed is what it is when its turn comes, so that no change before it is lost. Who changes
   * something has seen that there is an access.
   */
  #reconfigure(change: (current: CephAccess) => CephAccess): Promise<void> {
    const done = this.#configuring.then(() => this.#configure(change(this.#access as CephAccess)));
    this.#configuring = done.catch(() => undefined);
    return done;
  }

  async #configure(access: CephAccess): Promise<void> {
    await ensureCephFolders(this.deps.paths);
    const extra = this.deps.extraConfig ? await readFile(this.deps.extraConfig, "utf8") : undefined;
    const text = renderCephConf({
      fsid: access.fsid,
      handle: this.handle,
      address: this.deps.addressIn(access.publicNetwork),
      monitors: access.monitors.map(({ name, addresses }) => ({
        name,
        address: addresses[0]?.address ?? "",
        vector: addressVector(addresses),
      })),
      publicNetwork: access.publicNetwork,
      ...(access.clusterNetwork === null ? {} : { clusterNetwork: access.clusterNetwork }),
      paths: this.deps.paths,
      v2Only: speakV2Only(access.monitors),
      joining: this.#joining,
      client: this.#clientOptions(),
      ...(extra === undefined ? {} : { extra }),
    });
    await writeCephConf(this.deps.paths, text);
    await writeAdminKeyring(this.deps.paths, access.adminKey);
    this.deps.memory.put(accessKey, access);
    this.#access = access;
  }

  /** Follow a newer monitor map. */
  async follow(map: MonMap): Promise<void> {
    if (this.#access === null) return;
    const monitors = map.monitors.map(({ name, addresses }) => ({ name, addresses: [...addresses] }));
    if (JSON.stringify(monitors) === JSON.stringify(this.#access.monitors)) return;
    await this.#reconfigure((access) => ({ ...access, monitors }));
  }

  /** Other networks were decided: ceph.conf says so, once for each decision. @returns whether anything was to be done */
  async followNetworks(networks: DecidedNetworks): Promise<boolean> {
    const { id, publicNetwork, clusterNetwork } = networks;
    if (this.#access === null) return false;
    const isSo =
      this.#access.publicNetwork === publicNetwork && this.#access.clusterNetwork === clusterNetwork;
    // An order that was given before the decision may have brought the former networks after it.
    if (this.deps.memory.get(networksKey) === id && isSo) return false;
    await this.#reconfigure((access) => ({ ...access, publicNetwork, clusterNetwork }));
    this.deps.memory.put(networksKey, id);
    return true;
  }

  #clientOptions(): Record<string, string> {
    return z.record(z.string(), z.string()).safeParse(this.deps.memory.get(clientKey)).data ?? {};
  }

  /** What clients on this host are told: kept, and written into ceph.conf when it changed. @returns whether it did */
  async followClientOptions(options: Readonly<Record<string, string>>): Promise<boolean> {
    if (JSON.stringify(options) === JSON.stringify(this.#clientOptions())) return false;
    this.deps.memory.put(clientKey, { ...options });
    if (this.#access !== null) await this.#reconfigure((access) => access);
    return true;
  }

  /**
   * Start this node's monitor to join the others: ceph.conf says so until it has read it. After a crash in between it
   * says so until the order is obeyed again, or until ceph.conf is written for another reason.
   */
  async whileJoining(start: () => Promise<void>): Promise<void> {
    this.#joining = true;
    try {
      await this.#reconfigure((access) => access);
      await start();
    } finally {
      this.#joining = false;
      await this.#reconfigure((access) => access);
    }
  }

  rememberMonAddress(address: string, by: DecisionNumber): void {
    this.deps.memory.put(monAddressKey, address);
    this.deps.memory.put(monDecisionKey, { ...by });
  }

  /** What a decision gave to the monitor is taken back; which decision it was stays on record. */
  moveMonitorBack(address: string): void {
    this.deps.memory.put(monAddressKey, address);
  }

  /** The address at which the monitor of this node is started; null while it has none. */
  monAddress(): string | null {
    const address = this.deps.memory.get(monAddressKey);
    return typeof address === "string" ? address : null;
  }

  /**
   * The monitors were given new addresses, or this node has another one: ceph.conf says so, and the daemons that
   * were started with what was true before are restarted, monitors aside (those move by decision). Done again
   * after a crash, until it is remembered. It waits for the OSDs, but no longer than `isLast` says that no other
   * addresses were decided: until they know those, they cannot come up. @returns whether anything was to be done
   */
  async followMove(
    move: { readonly id: string; readonly access: CephAccess } | null,
    isLast: () => boolean = () => true,
  ): Promise<boolean> {
    const { deps } = this;
    if (this.#access === null) return false;
    const network = move?.access.publicNetwork ?? this.#access.publicNetwork;
    const address = deps.addressIn(network);
    const before = boundTo.safeParse(deps.memory.get(boundKey)).data;
    const now: Bound = { address: address ?? before?.address ?? null, move: move?.id ?? null };
    if (before === undefined || (before.address === null && before.move === now.move)) {
      if (before?.address !== now.address) deps.memory.put(boundKey, now);
      return false;
    }
    const stays = now.address === before.address || deps.hasAddress(before.address ?? "");
    if (stays && now.move === before.move) return false;
    const isOther = move !== null && now.move !== before.move;
    await this.#reconfigure((access) => (isOther ? move.access : access));
    this.#commands?.reconnect();
    const running = (await deps.runner.list()).filter(
      ({ unit, state }) => !unit.startsWith("mon.") && state !== "stopped",
    );
    await Promise.all(running.map(({ unit }) => deps.runner.restart(unit)));
    const isStill = (): boolean => deps.addressIn(network) === address && isLast();
    await Promise.all(running.map(({ unit }) => this.#untilServing(unit, isStill)));
    deps.memory.put(boundKey, now);
    deps.log.info(
      { ...now, restarted: running.map(({ unit }) => unit) },
      "Ceph's daemons follow new addresses",
    );
    return true;
  }

  /**
   * An OSD that does not come up after its restart is restarted some times more: seen with Ceph 16, whose first
   * connection to a monitor may never begin, now and then twice in a row. Whatever keeps it then is shown by its state.
   */
  async #untilServing(unit: string, isStill: () => boolean): Promise<void> {
    const osd = Number(/^osd\.(\d+)$/.exec(unit)?.[1]);
    if (Number.isNaN(osd)) return;
    for (let restarts = 0; !(await this.#comesUp(osdId(osd), isStill)); restarts += 1) {
      if (!isStill() || restarts === mostRestarts) return;
      const { state, reason } = (await this.deps.runner.status(unit)) ?? {};
      this.deps.log.warn(
        { osd, state, reason },
        "the OSD does not come up at its new address, it is restarted once more",
      );
      await this.deps.runner.restart(unit);
    }
  }

  /** Waits for it, but not beyond the next move. */
  async #comesUp(osd: OsdId, isStill: () => boolean): Promise<boolean> {
    const { signal } = this.#stopped;
    const end = performance.now() + (this.deps.upMs ?? defaultUpMs);
    for (let left = end - performance.now(); left > 0 && isStill(); left = end - performance.now()) {
      try {
        await waitOsdUp(this.deps, osd, { deadlineMs: Math.min(left, lookUpMs), signal });
        return true;
      } catch (error) {
        if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
      }
    }
    return false;
  }

  /**
   * Clean up after the monitor that this node had: the monitor map names it no more. With an order to make
   * one again it is one after the other. Its store is kept beside, where the monitors were made anew without it.
   * @returns whether there was anything to clean up
   */
  dropMonitor(by: DecisionNumber, keeps = false): Promise<boolean> {
    return this.inOrder(async () => {
      const { handle, deps } = this;
      // An order may be obeyed before this node's copy of the journal has it: what it made is not what was taken out.
      const made = decisionNumber.safeParse(deps.memory.get(monDecisionKey)).data;
      if (made !== undefined && isLater(made, by)) return false;
      const runs = (await deps.runner.list()).some(({ unit }) => unit === unitName("mon", handle));
      if (!runs && deps.memory.get(monAddressKey) === undefined) return false;
      await (keeps ? setMonAside(deps, handle) : removeMon(deps, handle));
      deps.memory.delete(monAddressKey);
      return true;
    });
  }

  /** One change of this node's monitor at a time. */
  inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#monitorWork.then(work);
    this.#monitorWork = done.catch(() => undefined);
    return done;
  }

  /**
   * Start, or adopt, every daemon that this node's disk has: each for itself, so none holds up another. `mayJoin` is
   * asked before a monitor starts that has others to meet, and may take its time.
   */
  startAll(mayJoin: () => Promise<boolean> = async () => true): Promise<void> {
    const started = this.#startAll(mayJoin);
    this.#starting = started.catch(() => undefined);
    return started;
  }

  async #startAll(mayJoin: () => Promise<boolean>): Promise<void> {
    if (this.#access === null) return;
    const { handle, deps } = this;
    // A node that was restored from a backup has been told of Ceph, and has no ceph.conf yet.
    if ((await readFileIfPresent(deps.paths.cephConf)) === undefined) await this.configure(this.#access);
    const starts: Promise<void>[] = [];
    const start = (what: string, doing: Promise<void>): void => {
      starts.push(
        doing.catch((error) => deps.log.error({ daemon: what, error: messageOf(error) }, "not started")),
      );
    };
    start(unitName("mon", handle), this.#startMonitor(mayJoin));
    start(unitName("mgr", handle), this.mgr.start());
    start(unitName("mds", handle), this.mds.start());
    start(unitName("rbd-mirror", handle), this.mirror.start());
    start(unitName("cephfs-mirror", handle), this.fileMirror.start());
    start(unitName("rgw", handle), this.gateway.start());
    start(unitName("ingress", handle), this.ingress.start());
    start(unitName("nfs", handle), this.nfs.start(this.#stopped.signal));
    for (const { osd, stopped } of await listLocalOsds(deps)) {
      if (!stopped) start(unitName("osd", osd), this.#startOsd(osd));
    }
    await Promise.all(starts);
  }

  async #startMonitor(mayJoin: () => Promise<boolean>): Promise<void> {
    const { handle, deps } = this;
    const has = async (): Promise<boolean> =>
      this.monAddress() !== null && (await storeFsid(deps, handle)) !== undefined;
    if (!(await has())) return;
    const runs = (await deps.runner.status(unitName("mon", handle)))?.pid != null;
    const isAlone = (this.#access?.monitors.length ?? 0) <= 1;
    const { signal } = this.#stopped;
    const stopped = new Promise<false>((resolve) =>
      signal.addEventListener("abort", () => resolve(false), { once: true }),
    );
    if (!runs && !isAlone && !(await Promise.race([mayJoin(), stopped]))) return;
    await this.inOrder(async () => {
      if (signal.aborted) return;
      const address = this.monAddress();
      if (address !== null && (await has())) await startMon(deps, { handle, address });
    });
  }

  /** An encrypted OSD waits until the monitors answer, because they keep its key; all others start at once. */
  async #startOsd(osd: OsdId): Promise<void> {
    for (let pauseMs = 1000; ; pauseMs = Math.min(30_000, pauseMs * 2)) {
      try {
        return await startOsd(this.deps, osd);
      } catch (error) {
        if (!isUnanswered(error)) throw error;
        this.deps.log.warn({ osd, error: messageOf(error) }, "an encrypted OSD waits for its key");
        await delay(pauseMs, undefined, { signal: this.#stopped.signal, ref: false });
      }
    }
  }

  /**
   * This node belongs to its cluster no more: no daemon runs, and no key of the cluster stays on disk. The OSDs'
   * disks and directories are left as they are. Idempotent.
   */
  async retire(): Promise<void> {
    const { handle, deps } = this;
    await this.stop();
    // A daemon that was just started may be at it still: nothing starts after this.
    await this.#starting;
    for (const { unit } of await deps.runner.list()) await deps.runner.stop(unit, { removeAlso: true });
    for (const type of ["mon", ...keyedDaemons, "ingress"] as const) {
      await rm(deps.paths.dataDir(type, handle), { recursive: true, force: true });
    }
    await removeAsideMons(deps, handle);
    await rm(deps.paths.rebuild, { recursive: true, force: true });
    await removeAdminKeyring(deps.paths);
    const placed = [this.gateway, this.ingress, this.nfs, this.mgr, this.mds, this.mirror, this.fileMirror];
    for (const one of placed) one.forget();
    for (const key of [accessKey, monAddressKey, monDecisionKey, boundKey, clientKey, formerKey, networksKey])
      deps.memory.delete(key);
    this.#access = null;
  }

  osds(): Promise<OsdReport[]> {
    return reportOsds(this.deps);
  }

  /** Kinds of daemons that are supervised here: mon, mgr, mds, rgw, nfs, rbd-mirror, cephfs-mirror, ingress, osd. */
  async services(): Promise<string[]> {
    const units = await this.deps.runner.list();
    const kinds = units.map(({ unit }) => unit.split(".")[0] ?? unit);
    // What keeps the common address is part of the ingress.
    return [...new Set(kinds.map((kind) => kind.replace(/^ingress-.*/, "ingress")))].sort();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#commands?.stop();
    this.#commands = null;
  }
}
