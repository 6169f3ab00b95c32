import { randomBytes } from "node:crypto";
import { z } from "zod";
import { makeCephKey } from "../../ceph/config/keyring.ts";
import type { Order } from "../../ceph/control/agent.ts";
import { cephPlanners, type PlannedMember, placedMonitors } from "../../ceph/control/ceph-planner.ts";
import { Controller, type Proposal } from "../../ceph/control/controller.ts";
import { estimateMoves } from "../../ceph/control/crush-estimate.ts";
import { type CephAccess, kinds, laneOf, lanes } from "../../ceph/control/decisions.ts";
import { type CephSecrets, cephExecutors } from "../../ceph/control/executors.ts";
import { removalPlanner } from "../../ceph/control/osd-removal.ts";
import type { Leaving, SeatWish } from "../../ceph/plan/seats.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type EntryId, type Handle, isHandle, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { ClusterKey } from "../../mesh/identity/cluster-key.ts";
import { ownNetworks } from "../../mesh/membership/public-network.ts";
import type { EtcdClient } from "../../state/etcd/etcd-client.ts";
import { addLearner, handleOf, promoteLearner, removeMember } from "../../state/etcd/voters.ts";
import type { Decider } from "../../state/journal/decider.ts";
import { removeKind } from "../../state/journal/members.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { LeaseKeeper } from "../../state/lease/lease-keeper.ts";
import { addressIn } from "../interface-facts.ts";
import { admissionControl } from "./admission-planner.ts";
import { fsidOf, isGoneForGood, lostForGood, networksOf, recoveredKind } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { Departures } from "./departures.ts";
import { bootstrapPlanner, clusterKeySecret, genesisPlanner } from "./genesis.ts";
import { isMaintained } from "./maintained.ts";
import { methods } from "./member-rpc.ts";
import { monitorRebuildPlanner } from "./monitor-rebuild.ts";
import { networksPlanner } from "./networks.ts";
import { recoveryExecutor, recoveryPlanner } from "./recovery.ts";
import { revocationPlanner } from "./revocations.ts";
import { SoonestTimer } from "./soonest-timer.ts";

export interface SeatControlDeps {
  readonly decider: Decider<ClusterKey>;
  readonly lease: LeaseKeeper;
  readonly client: EtcdClient;
  /** Offer sockets for all who have, or are being given, a seat. */
  readonly followVoters: () => Promise<void>;
  /** The cluster's key has been read: decisions can be signed now. */
  readonly onKey: () => void;
}

const cephSecret = "ceph";
const orderMs = 180_000;
const voterMs = 60_000;
const longestCallMs = 30_000;
const shortestCallMs = 500;
/** Bytes that a change of the CRUSH map may move without consent. */
export const freeMoveBytes = 10 * 2 ** 30;
/** Managers and metadata servers wanted, each. */
export const daemonLimit = 3;
const plannerOptions = {
  daemonLimit,
  settleMs: 5_000,
  crushPauseMs: 2_500,
  unusedPauseMs: 250,
  quietMs: 60_000,
  freeMoveBytes,
};

/** What a voter decides and carries out while it holds the lease. */
export class SeatControl {
  readonly #runtime: ClusterRuntime;
  readonly #deps: SeatControlDeps;
  #clusterKey: ClusterKey | null = null;
  readonly #reasons = new Map<string, readonly string[]>();

  constructor(runtime: ClusterRuntime, deps: SeatControlDeps) {
    this.#runtime = runtime;
    this.#deps = deps;
  }

  /** The controller of this seat, with all that its planners and executors need. */
  controller(): Controller {
    const runtime = this.#runtime;
    const { decider, lease, client } = this.#deps;
    const { deps, journal, mesh } = runtime;
    // Woken, all of them plan again.
    const timer = new SoonestTimer(() => controller.wake());
    const later = (ms: number): void => timer.after(ms);
    const admission = admissionControl(runtime, { writer: decider, later }, () => this.key());
    const genesis = genesisPlanner(runtime, decider, () => this.key());
    const planners = cephPlanners(plannerOptions, {
      self: runtime.self,
      members: () => this.#seatMembers(),
      voters: async () => {
        const members = await client.memberList();
        const handles = new Map(
          [...journal.members()].map(([peer, member]) => [member.handle as string, peer]),
        );
        return members
          .filter((member) => !member.learner)
          .flatMap((member) => handles.get(handleOf(member) ?? "") ?? []);
      },
      lostForGood: () => lostForGood(journal.entries()),
      networks: () => ({
        publicNetwork: runtime.publicNetwork(),
        clusterNetwork: networksOf(journal.entries())?.clusterNetwork ?? null,
        own: ownNetworks(deps.interfaces()),
      }),
      addressIn,
      monitorsLost: (monitors) =>
        monitors.filter((name) => runtime.losses.isMonitorLost(name) && !isMaintained(runtime, name)),
      entries: () => journal.entries(),
      // Plans follow from a finished bootstrap only, however far this node is with it.
      ceph: () => (fsidOf(journal.entries()) === null ? null : deps.cephNode.commands),
      cephChanges: () => runtime.cephChanges,
      setting: (name) => runtime.document.view().settings[name],
      services: () => runtime.document.view().services,
      zones: () => this.#zones(),
      estimate: (change, call) => {
        const { commands } = deps.cephNode;
        if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
        const { paths, run } = deps.cephNode.deps;
        return estimateMoves({ ceph: commands, run, folder: paths.run }, change, call);
      },
      later,
      handOver: () => lease.resign(),
      explain: (subject, reasons) => this.#explain(subject, reasons),
      now: deps.steadyNow,
    });
    // A Ceph command cannot be fenced, so it must end well before another may hold the lease.
    const callMs = (): number => Math.min(longestCallMs, Math.max(shortestCallMs, lease.remaining() / 2));
    const current = (id: EntryId): Entry => {
      const entry = journal.entry(id);
      if (!entry) throw new MicrocephError("NOT_FOUND", `no journal entry ${id}`);
      return entry;
    };
    const executors = cephExecutors({
      ceph: () => deps.cephNode.commands,
      secrets: () => this.#secrets(),
      access: async (signal) => {
        const access = await this.access(signal);
        if (!access) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
        return access;
      },
      order: (peer, order, signal) => this.#order(peer, order, signal),
      handed: async (entry) => {
        if (!current(entry).handed) await decider.handed(entry);
      },
      restamp: (entry) => decider.restamp(entry),
      cancel: async (peer, entry, signal) => {
        const { kind, number } = entry;
        if (peer === runtime.self)
          return runtime.agent.cancel({ entry: entry.id, number, kind, body: entry.body });
        const body = { entry: entry.id, number: { ...number }, kind, body: entry.body };
        return (await mesh.request(peer, methods.cancel, body, { deadlineMs: 10_000, signal })) === true;
      },
      voters: {
        remove: async (id, name) => {
          const members = await client.memberList();
          if (!members.some((member) => member.id === id)) return;
          await removeMember(client, name, { deadlineMs: voterMs });
        },
        takeOut: (name, signal) => removeMember(client, name, { deadlineMs: voterMs, signal }),
        addLearner: (name) => this.#addLearner(name),
        promote: (name, signal) => promoteLearner(client, name, { deadlineMs: voterMs, signal }),
      },
      current,
      nextSecrets: async (entry) => {
        const make = (): string => makeCephKey(randomBytes, deps.now());
        const name = `${cephSecret}-after-${entry.id}`;
        return cephSecretsSchema.parse(
          await decider.ensureSecret(name, () => ({ adminKey: make(), monKey: make() })),
        );
      },
      keepSecrets: (secrets) => decider.putSecret(cephSecret, { ...secrets }),
      alive: () =>
        new Map(this.#seatMembers().flatMap(({ handle, peer, alive }) => (alive ? [[handle, peer]] : []))),
      addressesOf: (peer) =>
        peer === runtime.self || runtime.presence.stateOf(peer) === "alive"
          ? runtime.addressesOf(peer)
          : null,
      adopt: async (access) => {
        await deps.cephNode.configure(access);
        deps.cephNode.commands?.reconnect();
      },
      removals: () => runtime.document.view().removals,
      isGone: (peer) =>
        isGoneForGood(peer, {
          members: this.#seatMembers(),
          removed: journal.tombstones(),
          lost: lostForGood(journal.entries()),
        }),
      callMs,
    });
    const removals = removalPlanner({
      ceph: () => (fsidOf(journal.entries()) === null ? null : deps.cephNode.commands),
      wishes: () => runtime.document.view().removals,
      entries: () => journal.entries(),
      ownerOf: (uuid) => this.#ownerOf(uuid),
      forget: (uuid) => runtime.document.setRemoval(uuid, null),
      explain: (subject, reasons) => this.#explain(subject, reasons),
      later,
    });
    const departures = new Departures(runtime, {
      members: () => this.#seatMembers(),
      etcd: async () => (await client.memberList()).flatMap((member) => handleOf(member) ?? []),
      explain: (subject, reasons) => this.#explain(subject, reasons),
      key: () => this.key(),
      callMs,
    });
    const controller: Controller = new Controller(
      {
        idleMs: 5_000,
        retryMs: { first: 500, longest: 15_000 },
        repeatMs: { first: 10_000, longest: 600_000 },
      },
      {
        epoch: () => {
          const held = lease.held();
          return held !== null && !lease.shaky() && this.#keyLoaded() ? held.epoch : null;
        },
        writer: decider,
        openEntries: () => journal.openEntries(),
        laneOf,
        planners: {
          genesis,
          admission: async (signal, epoch) => {
            // A founder claims others once it is a member itself: it proves that with its certificate.
            if (deps.membership.lifecycle.state !== "member") return [];
            while (await admission.step(signal, epoch)) if (signal.aborted) break;
            return [];
          },
          bootstrap: bootstrapPlanner(runtime),
          recovery: recoveryPlanner(runtime),
          monitorRebuild: monitorRebuildPlanner(runtime),
          networks: networksPlanner(runtime),
          lostSeats: () => this.#planLostSeats(),
          departures: departures.planner,
          revocations: revocationPlanner(runtime),
          removals,
          ...planners,
        },
        executors: {
          ...executors,
          [removeKind]: departures.executor,
          [recoveredKind]: recoveryExecutor,
        },
        now: deps.steadyNow,
        log: deps.log,
      },
    );
    return controller;
  }

  /** Whether the cluster's key is here; if not, it is fetched from etcd and the controller woken. */
  #keyLoaded(): boolean {
    if (this.#clusterKey !== null) return true;
    const { founded } = this.#runtime.options;
    if (founded !== null) {
      this.#clusterKey = founded.key;
      return true;
    }
    this.#deps.decider
      .getSecret(clusterKeySecret)
      .then((secret) => {
        if (secret === undefined) return;
        this.#clusterKey = clusterKeySchema.parse(secret) as ClusterKey;
        this.#deps.onKey();
      })
      .catch((error) => this.#runtime.deps.log.debug({ error: messageOf(error) }, "cluster key not read"));
    return false;
  }

  /** As `key`, and read from etcd where it is not here yet. */
  async readKey(): Promise<ClusterKey> {
    if (this.#clusterKey !== null) return this.#clusterKey;
    return clusterKeySchema.parse(await this.#deps.decider.getSecret(clusterKeySecret)) as ClusterKey;
  }

  /** Throws NO_QUORUM until it has been read from etcd. */
  key(): ClusterKey {
    if (this.#clusterKey === null) throw new MicrocephError("NO_QUORUM", "the cluster's key is not here yet");
    return this.#clusterKey;
  }

  /** Voters that have said that their etcd lost its data: each is taken out and seated anew. */
  async #planLostSeats(): Promise<Proposal[]> {
    const { journal, presence, seatLosses } = this.#runtime;
    if (seatLosses.size === 0) return [];
    const members = await this.#deps.client.memberList();
    return [...seatLosses].flatMap((peer): Proposal[] => {
      const handle = journal.members().get(peer)?.handle;
      const seat = members.find((member) => handle !== undefined && handleOf(member) === handle);
      if (handle === undefined || seat === undefined || presence.view().get(peer)?.state !== "alive")
        return [];
      const body = { peer, handle, replaces: seat.id };
      const reason = `the etcd of ${handle} has lost its data`;
      return [{ kind: kinds.voter, body, agent: peer, reason, lane: lanes.votes }];
    });
  }

  /** Why what it plans is as it is, by subject; only of what it has planned since it holds the lease. */
  reasons(): ReadonlyMap<string, readonly string[]> {
    return this.#reasons;
  }

  #explain(subject: string, reasons: readonly string[]): void {
    const before = this.#reasons.get(subject);
    if (before?.join() === reasons.join()) return;
    this.#reasons.set(subject, reasons);
    this.#runtime.deps.log.info({ subject, reasons }, "planned");
  }

  #seatMembers(): PlannedMember[] {
    const { journal, presence, document, self, losses } = this.#runtime;
    const { labels } = document.view();
    const states = presence.view();
    const declared = lostForGood(journal.entries());
    return [...journal.members()].map(([peer, member]) => ({
      peer,
      handle: member.handle,
      zone: labels[peer]?.zone ?? null,
      alive: peer === self || states.get(peer)?.state === "alive",
      admitted: member.certificate.decision,
      leaving: leavingOf(labels[peer]?.leaving),
      seats: seatWishOf(labels[peer]?.seats),
      // One that is being maintained is away on purpose, and comes back.
      lost: losses.isLost(peer, "monitor") && !isMaintained(this.#runtime, member.handle),
      servicesLost:
        (losses.isLost(peer, "service") && !isMaintained(this.#runtime, member.handle)) ||
        (declared.has(peer) && states.get(peer)?.state !== "alive"),
      steady: losses.isSteady(peer),
      address: this.#runtime.publicAddress(peer),
      addresses: this.#runtime.addressesOf(peer),
    }));
  }

  /** The living member that says that it has this OSD. */
  #ownerOf(uuid: string): { peer: PeerId; handle: Handle } | null {
    const { nodes } = this.#runtime.document.view();
    const owner = this.#seatMembers().find(
      ({ peer, alive }) => alive && nodes[peer]?.osds.some((osd) => osd.uuid === uuid),
    );
    return owner === undefined ? null : { peer: owner.peer, handle: owner.handle };
  }

  #zones(): { members: Map<string, string | null>; former: Set<string> } {
    const { journal, document } = this.#runtime;
    const { labels } = document.view();
    const members = new Map(
      [...journal.members()].map(([peer, member]) => [member.handle as string, labels[peer]?.zone ?? null]),
    );
    const former = new Set([...journal.tombstones().values()].map((tombstone) => tombstone.handle as string));
    return { members, former };
  }

  async #order(peer: PeerId, order: Order, signal: AbortSignal): Promise<Json> {
    const { mesh, agent, self } = this.#runtime;
    if (peer === self) return agent.obey(order);
    const body = { ...order, number: { ...order.number } } as unknown as Json;
    return mesh.request(peer, methods.obey, body, { deadlineMs: orderMs, signal });
  }

  async #secrets(): Promise<CephSecrets> {
    const make = (): string => makeCephKey(randomBytes, this.#runtime.deps.now());
    const secret = await this.#deps.decider.ensureSecret(cephSecret, () => ({
      adminKey: make(),
      monKey: make(),
    }));
    return cephSecretsSchema.parse(secret);
  }

  /** How to reach Ceph; null before it is there. */
  async access(signal: AbortSignal): Promise<CephAccess | null> {
    const { journal, deps } = this.#runtime;
    const fsid = fsidOf(journal.entries());
    if (fsid === null) return null;
    const secrets = cephSecretsSchema.parse(await this.#deps.decider.getSecret(cephSecret));
    const map = await deps.cephNode.commands?.monMap({ deadlineMs: 3000, signal }).catch(() => undefined);
    const monitors = map
      ? map.monitors.map(({ name, addresses }) => ({ name, addresses: [...addresses] }))
      : placedMonitors(journal.entries()).map(({ name, addresses }) => ({ name, addresses: [...addresses] }));
    // As they are after the waiting: what was decided meanwhile is followed once, and not to be taken back by this.
    const networks = networksOf(journal.entries());
    if (networks === null) return null;
    const { publicNetwork, clusterNetwork } = networks;
    return { fsid, adminKey: secrets.adminKey, publicNetwork, clusterNetwork, monitors };
  }

  async #addLearner(name: Handle): Promise<{ handle: Handle; peer: PeerId }[]> {
    const members = await addLearner(this.#deps.client, name, { deadlineMs: voterMs });
    await this.#deps.followVoters();
    const peers = new Map(
      [...this.#runtime.journal.members()].map(([peer, member]) => [member.handle as string, peer]),
    );
    return members.flatMap((member) => {
      const handle = handleOf(member);
      const peer = handle === undefined ? undefined : peers.get(handle);
      return peer !== undefined && isHandle(handle) ? [{ handle, peer }] : [];
    });
  }
}

/** The wish that a member leaves, as its label says it; another version's word is none. */
export function leavingOf(label: string | undefined): Leaving | null {
  return label === "moving" || label === "dead" ? label : null;
}

/** The wish about a member's seats, as its label says it. */
export function seatWishOf(label: string | undefined): SeatWish | null {
  return label === "away" || label === "preferred" ? label : null;
}

const cephSecretsSchema = z.object({ adminKey: z.string(), monKey: z.string() });
const clusterKeySchema = z.object({ id: z.string(), publicKey: z.string(), privateKey: z.string() });
