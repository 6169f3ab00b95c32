import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeCephKey } from "../../ceph/config/keyring.ts";
import type { Order, Step } from "../../ceph/control/agent.ts";
import { cephPlanners } from "../../ceph/control/ceph-planner.ts";
import { Controller } from "../../ceph/control/controller.ts";
import { type CephAccess, kinds, laneOf, voterPayload } from "../../ceph/control/decisions.ts";
import { type CephSecrets, cephExecutors } from "../../ceph/control/executors.ts";
import type { SeatMember } from "../../ceph/plan/seats.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type EntryId, type Handle, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { type ClusterKey, signWithClusterKey } from "../../mesh/identity/cluster-key.ts";
import { EtcdClient } from "../../state/etcd/etcd-client.ts";
import { EtcdProcess } from "../../state/etcd/etcd-process.ts";
import { PeerSockets } from "../../state/etcd/peer-sockets.ts";
import { addLearner, handleOf, promoteLearner } from "../../state/etcd/voters.ts";
import { Decider } from "../../state/journal/decider.ts";
import { JournalFeed } from "../../state/journal/journal-feed.ts";
import type { DecisionNumber, Entry } from "../../state/journal/types.ts";
import { LeaseKeeper } from "../../state/lease/lease-keeper.ts";
import { decodeLease, leaseKey } from "../../state/lease/lease-value.ts";
import { admissionControl } from "./admission-planner.ts";
import { foundingOf, fsidOf } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { bootstrapPlanner, clusterKeySecret, genesisPlanner } from "./genesis.ts";
import { methods } from "./member-rpc.ts";

/** What a voter must know to start its etcd again from local disk. */
const seatSchema = z.object({
  mode: z.enum(["new", "existing"]),
  members: z.array(z.object({ handle: z.custom<Handle>(isHandle), peer: z.custom<PeerId>(isPeerId) })),
});
type Seat = z.infer<typeof seatSchema>;

const seatKey = "voter-seat";
const tunnelService = "etcd-peer";
const cephSecret = "ceph";
const orderMs = 180_000;
const voterMs = 60_000;
const longestCallMs = 10_000;
const shortestCallMs = 500;
const plannerOptions = { daemonLimit: 3, settleMs: 5_000, crushPauseMs: 2_500, freeMoveBytes: 10 * 2 ** 30 };

/** The part of a member that votes: its etcd, the lease, and the controller that acts with it. */
export class VoterSeat {
  readonly #runtime: ClusterRuntime;
  #parts: SeatParts | null = null;
  #clusterKey: ClusterKey | null = null;
  #reasons = new Map<string, readonly string[]>();

  constructor(runtime: ClusterRuntime) {
    this.#runtime = runtime;
  }

  get seated(): boolean {
    return this.#parts !== null;
  }

  /** Why the planners want what they want, by subject. */
  get reasons(): ReadonlyMap<string, readonly string[]> {
    return this.#reasons;
  }

  async start(): Promise<void> {
    const { store } = this.#runtime.deps;
    const { founded } = this.#runtime.options;
    const kept = seatSchema.safeParse(store.get(seatKey));
    if (kept.success) return this.#sit(kept.data);
    if (founded !== null) {
      const seat: Seat = {
        mode: "new",
        members: [{ handle: this.#runtime.handle, peer: this.#runtime.self }],
      };
      store.put(seatKey, seat);
      await this.#sit(seat);
    }
  }

  async stop(): Promise<void> {
    const parts = this.#parts;
    this.#parts = null;
    if (!parts) return;
    parts.undo();
    await parts.controller.stop();
    await parts.lease.stop();
    await parts.feed.stop();
    await parts.sockets.stop();
    await parts.etcd.stop();
  }

  wake(): void {
    this.#parts?.controller.wake();
  }

  /** A voter failed: its lease, if it holds it, need not run out first. */
  memberFailed(peer: PeerId): void {
    this.#parts?.lease.revokeHolder(peer).catch((error) => {
      this.#runtime.deps.log.debug({ error: messageOf(error) }, "lease not revoked");
    });
  }

  /** Linearizable: who holds the lease. */
  async look(signal: AbortSignal): Promise<{ holder: PeerId | null; epoch: number | null }> {
    if (!this.#parts) throw new MicrocephError("NO_QUORUM", "this member is no voter");
    const [kv] = (await this.#parts.client.range(leaseKey, { signal })).kvs;
    if (kv === undefined) return { holder: null, epoch: null };
    const { holder, epoch } = decodeLease(kv);
    return { holder, epoch };
  }

  async confirm(question: { entry: string; number: DecisionNumber }): Promise<boolean> {
    if (!this.#parts) throw new MicrocephError("NO_QUORUM", "this member is no voter");
    return this.#parts.decider.confirm(question.entry as EntryId, question.number);
  }

  /** How to reach Ceph; null before it is there. */
  async access(signal: AbortSignal): Promise<CephAccess | null> {
    if (!this.#parts) return null;
    return this.#access(this.#parts, signal);
  }

  /** Steps of this member's agent that concern its seat. */
  steps(): Record<string, Step> {
    return {
      [kinds.voter]: async ({ payload }, { confirm }) => {
        const { members } = voterPayload.parse(payload);
        if (this.#parts) return null;
        await confirm();
        const seat: Seat = { mode: "existing", members };
        this.#runtime.deps.store.put(seatKey, seat as unknown as Json);
        await this.#sit(seat);
        return null;
      },
    };
  }

  async #sit(seat: Seat): Promise<void> {
    const runtime = this.#runtime;
    const { mesh, deps, options, handle } = runtime;
    const { log } = deps;
    const dir = join(options.settings.stateDir, "etcd");
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const peers = seat.members.map((member) => ({ name: member.handle }));
    const etcd = new EtcdProcess(
      { dir, name: handle, peers, mode: seat.mode, token: options.cluster.id },
      { log },
    );
    const sockets = new PeerSockets(
      { dir, self: handle },
      { openTunnel: (peer, signal) => mesh.openTunnel(peer, tunnelService, signal), log },
    );
    await sockets.start(seat.members);
    const closeTunnel = mesh.offerTunnel(tunnelService, () => sockets.connectOwn());
    await etcd.start();
    const client = new EtcdClient({ socketPath: etcd.clientSocket });
    const lease = new LeaseKeeper(
      { self: runtime.self, ttlSeconds: options.settings.leaseTtlSeconds },
      { etcd: client, now: () => performance.now(), log },
    );
    const feed = new JournalFeed({ etcd: client, copy: runtime.journal, log });
    const decider = new Decider<ClusterKey>(
      { cluster: options.cluster.id, generation: 1 },
      {
        etcd: client,
        lease,
        copy: runtime.journal,
        clusterKey: () => this.#key(),
        sign: signWithClusterKey,
        now: deps.now,
        log,
      },
    );
    const controller = this.#controller(decider, lease, client);
    const parts: SeatParts = {
      etcd,
      sockets,
      client,
      lease,
      feed,
      decider,
      controller,
      undo: () => undefined,
    };
    const undo = [
      closeTunnel,
      lease.on("taken", (taken) => {
        deps.events.emit("lease.taken", { holder: runtime.self, epoch: taken.epoch });
        runtime.quorum.refresh();
        controller.wake();
      }),
      lease.on("lost", () => {
        controller.leaseLost();
        runtime.quorum.refresh();
      }),
      // Half a TTL without renewal, or a jump of the clock: what was begun must end before the world is re-read.
      lease.on("shaky", () => controller.leaseLost()),
      runtime.journal.on("change", () => {
        this.#followVoters(parts).catch((error) =>
          log.warn({ error: messageOf(error) }, "voters' sockets not updated"),
        );
      }),
    ];
    this.#parts = {
      ...parts,
      undo: () => {
        for (const end of undo) end();
      },
    };
    feed.start();
    lease.start();
    controller.start();
  }

  #controller(decider: Decider<ClusterKey>, lease: LeaseKeeper, client: EtcdClient): Controller {
    const runtime = this.#runtime;
    const { deps, journal, mesh } = runtime;
    const admission = admissionControl(runtime, decider, () => this.#key());
    const genesis = genesisPlanner(runtime, decider, () => this.#key());
    const planners = cephPlanners(plannerOptions, {
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
      entries: () => journal.entries(),
      // Plans follow from a finished bootstrap only, however far this node is with it.
      ceph: () => (fsidOf(journal.entries()) === null ? null : deps.cephNode.commands),
      explain: (subject, reasons) => this.#explain(subject, reasons),
      now: deps.now,
    });
    const current = (id: EntryId): Entry => {
      const entry = journal.entry(id);
      if (!entry) throw new MicrocephError("NOT_FOUND", `no journal entry ${id}`);
      return entry;
    };
    const executors = cephExecutors({
      ceph: () => deps.cephNode.commands,
      secrets: () => this.#secrets(decider),
      access: async (signal) => {
        const access = this.#parts && (await this.#access(this.#parts, signal));
        if (!access) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
        return access;
      },
      monmap: (signal) => this.#monmap(signal),
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
        addLearner: (name) => this.#addLearner(client, name),
        promote: (name, signal) => promoteLearner(client, name, { deadlineMs: voterMs, signal }),
      },
      current,
      // A Ceph command cannot be fenced, so it must end well before another may hold the lease.
      callMs: () => Math.min(longestCallMs, Math.max(shortestCallMs, lease.remaining() / 2)),
    });
    return new Controller(
      {
        idleMs: 5_000,
        retryMs: { first: 500, longest: 15_000 },
        repeatMs: { first: 10_000, longest: 600_000 },
      },
      {
        epoch: () => {
          const held = lease.held();
          return held !== null && !lease.shaky() && this.#keyLoaded(decider) ? held.epoch : null;
        },
        writer: decider,
        openEntries: () => journal.openEntries(),
        laneOf,
        planners: {
          genesis,
          admission: async (signal) => {
            // A founder claims others once it is a member itself: it proves that with its certificate.
            if (deps.membership.lifecycle.state !== "member") return [];
            while (await admission.step(signal)) if (signal.aborted) break;
            return [];
          },
          bootstrap: bootstrapPlanner(runtime),
          ...planners,
        },
        executors,
        now: deps.now,
        log: deps.log,
      },
    );
  }

  /** Whether the cluster's key is here; if not, it is fetched from etcd and the controller woken. */
  #keyLoaded(decider: Decider<ClusterKey>): boolean {
    if (this.#clusterKey !== null) return true;
    const { founded } = this.#runtime.options;
    if (founded !== null) {
      this.#clusterKey = founded.key;
      return true;
    }
    decider
      .getSecret(clusterKeySecret)
      .then((secret) => {
        if (secret === undefined) return;
        this.#clusterKey = clusterKeySchema.parse(secret) as ClusterKey;
        this.wake();
      })
      .catch((error) => this.#runtime.deps.log.debug({ error: messageOf(error) }, "cluster key not read"));
    return false;
  }

  #key(): ClusterKey {
    if (this.#clusterKey === null) throw new MicrocephError("NO_QUORUM", "the cluster's key is not here yet");
    return this.#clusterKey;
  }

  #explain(subject: string, reasons: readonly string[]): void {
    const before = this.#reasons.get(subject);
    if (before?.join() === reasons.join()) return;
    this.#reasons.set(subject, reasons);
    this.#runtime.deps.log.info({ subject, reasons }, "planned");
  }

  #seatMembers(): (SeatMember & { address: string | null })[] {
    const { journal, presence, document, self } = this.#runtime;
    const { labels } = document.view();
    const states = presence.view();
    return [...journal.members()].map(([peer, member]) => ({
      peer,
      handle: member.handle,
      zone: labels[peer]?.zone ?? null,
      alive: peer === self || states.get(peer)?.state === "alive",
      admitted: member.certificate.decision,
      address: this.#runtime.publicAddress(peer),
    }));
  }

  async #order(peer: PeerId, order: Order, signal: AbortSignal): Promise<Json> {
    const { mesh, agent, self } = this.#runtime;
    if (peer === self) return agent.obey(order);
    const body = { ...order, number: { ...order.number } } as unknown as Json;
    return mesh.request(peer, methods.obey, body, { deadlineMs: orderMs, signal });
  }

  async #secrets(decider: Decider<ClusterKey>): Promise<CephSecrets> {
    const make = (): string => makeCephKey(randomBytes, this.#runtime.deps.now());
    const secret = await decider.ensureSecret(cephSecret, () => ({ adminKey: make(), monKey: make() }));
    return cephSecretsSchema.parse(secret);
  }

  async #access({ decider }: SeatParts, signal: AbortSignal): Promise<CephAccess | null> {
    const { journal, deps } = this.#runtime;
    const fsid = fsidOf(journal.entries());
    const founding = foundingOf(journal.entries());
    const own = deps.cephNode.access;
    if (fsid === null || founding === null) return null;
    const secrets = cephSecretsSchema.parse(await decider.getSecret(cephSecret));
    const map = await deps.cephNode.commands?.monMap({ deadlineMs: 3000, signal }).catch(() => undefined);
    const monitors = map
      ? map.monitors.map(({ name, addresses }) => ({ name, addresses: [...addresses] }))
      : (own?.monitors ?? []);
    const { publicNetwork, clusterNetwork } = founding;
    return { fsid, adminKey: secrets.adminKey, publicNetwork, clusterNetwork, monitors };
  }

  /** The binary monitor map, in base64. */
  async #monmap(signal: AbortSignal): Promise<string> {
    const { commands } = this.#runtime.deps.cephNode;
    if (commands === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not bootstrapped yet");
    return Buffer.from(await commands.monMapBinary({ signal })).toString("base64");
  }

  async #addLearner(client: EtcdClient, name: Handle): Promise<{ handle: Handle; peer: PeerId }[]> {
    const members = await addLearner(client, name, { deadlineMs: voterMs });
    await this.#followVoters(this.#parts);
    const peers = new Map(
      [...this.#runtime.journal.members()].map(([peer, member]) => [member.handle as string, peer]),
    );
    return members.flatMap((member) => {
      const handle = handleOf(member);
      const peer = handle === undefined ? undefined : peers.get(handle);
      return peer !== undefined && isHandle(handle) ? [{ handle, peer }] : [];
    });
  }

  /** Offer a socket for every other member that has, or is being given, a seat. */
  async #followVoters(parts: SeatParts | null): Promise<void> {
    if (!parts) return;
    const { journal, self } = this.#runtime;
    const seats = new Set(
      journal
        .entries()
        .filter((entry) => entry.kind === kinds.voter && entry.state !== "abandoned")
        .flatMap((entry) => (entry.agent === null ? [] : [entry.agent])),
    );
    const founder = foundingOf(journal.entries())?.founder;
    if (founder) seats.add(founder);
    const peers = [...journal.members()]
      .filter(([peer]) => peer !== self && seats.has(peer))
      .map(([peer, member]) => ({ peer, handle: member.handle }));
    await parts.sockets.setVoters(peers);
  }
}

const cephSecretsSchema = z.object({ adminKey: z.string(), monKey: z.string() });
const clusterKeySchema = z.object({ id: z.string(), publicKey: z.string(), privateKey: z.string() });

interface SeatParts {
  readonly etcd: EtcdProcess;
  readonly sockets: PeerSockets;
  readonly client: EtcdClient;
  readonly lease: LeaseKeeper;
  readonly feed: JournalFeed;
  readonly decider: Decider<ClusterKey>;
  readonly controller: Controller;
  readonly undo: () => void;
}
