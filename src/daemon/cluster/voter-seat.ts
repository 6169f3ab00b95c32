import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Step } from "../../ceph/control/agent.ts";
import type { Controller } from "../../ceph/control/controller.ts";
import { type CephAccess, kinds, voterPayload } from "../../ceph/control/decisions.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type EntryId, type Handle, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { type ClusterKey, signWithClusterKey } from "../../mesh/identity/cluster-key.ts";
import { EtcdClient } from "../../state/etcd/etcd-client.ts";
import { EtcdProcess } from "../../state/etcd/etcd-process.ts";
import { PeerSockets } from "../../state/etcd/peer-sockets.ts";
import { placeRestored, saveSnapshot } from "../../state/etcd/snapshot.ts";
import { Decider } from "../../state/journal/decider.ts";
import { JournalFeed } from "../../state/journal/journal-feed.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import { LeaseKeeper } from "../../state/lease/lease-keeper.ts";
import { decodeLease, leaseKey } from "../../state/lease/lease-value.ts";
import type { LocalStore } from "../../state/store/local-store.ts";
import { seatsOf, votesNoMore } from "./cluster-facts.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { recoveryWishOf } from "./recovery.ts";
import { SeatControl } from "./seat-control.ts";

/** What a voter must know to start its etcd again from local disk. */
const seatSchema = z.object({
  mode: z.enum(["new", "existing"]),
  members: z.array(z.object({ handle: z.custom<Handle>(isHandle), peer: z.custom<PeerId>(isPeerId) })),
  /** Decisions are numbered with at least this generation, since a recovery. */
  generation: z.int().min(1).optional(),
  /** Its etcd is still to part from the members that were lost. */
  alone: z.literal(true).optional(),
  /** Its etcd's data comes from a backup, and is still to be put in its place. */
  restored: z.literal(true).optional(),
});
type Seat = z.infer<typeof seatSchema>;

const seatKey = "voter-seat";

/** Sit, once this node is a member, as the only voter on what was restored beside the etcd's directory. */
export function seatRestored(
  store: LocalStore,
  voter: { readonly handle: Handle; readonly peer: PeerId; readonly generation: number },
): void {
  const { handle, peer, generation } = voter;
  const seat: Seat = { mode: "existing", members: [{ handle, peer }], generation, restored: true };
  store.put(seatKey, seat as unknown as Json);
}

/** Set, with the reason, from the loss of the etcd's data until the node is seated anew. */
const lostKey = "voter-seat-lost";
/** Set from the end of a seat until the etcd's data is gone: nobody may sit on what an earlier seat left. */
const clearKey = "voter-seat-clear";
const repeatMs = 5_000;
/** Milliseconds until an etcd that goes on alone answers. */
const aloneMs = 60_000;
const tunnelService = "etcd-peer";

/** The part of a member that votes: its etcd, the lease, and the controller that acts with it. */
export class VoterSeat {
  readonly #runtime: ClusterRuntime;
  #parts: SeatParts | null = null;
  #teller: NodeJS.Timeout | undefined;
  #etcd: EtcdProcess | null = null;
  #standing: Promise<void> = Promise.resolve();
  /** The start from local disk and an order to sit may come together: there is one etcd all the same. */
  #sitting: Promise<void> = Promise.resolve();

  constructor(runtime: ClusterRuntime) {
    this.#runtime = runtime;
  }

  get seated(): boolean {
    return this.#parts !== null;
  }

  /** Generation in which this seat decides at least: above 1 since a recovery. */
  get generation(): number {
    return seatSchema.safeParse(this.#runtime.deps.store.get(seatKey)).data?.generation ?? 1;
  }

  /** Why this voter runs without its etcd; null when it does not. */
  get lost(): string | null {
    const reason = this.#runtime.deps.store.get(lostKey);
    return typeof reason === "string" ? reason : null;
  }

  async start(): Promise<void> {
    const { store } = this.#runtime.deps;
    const { founded } = this.#runtime.options;
    this.#tellLoss();
    await this.#clear();
    const kept = seatSchema.safeParse(store.get(seatKey));
    if (this.lost !== null) return;
    if (kept.success) return this.#sitOrStand(kept.data);
    if (founded !== null) {
      const seat: Seat = {
        mode: "new",
        members: [{ handle: this.#runtime.handle, peer: this.#runtime.self }],
      };
      store.put(seatKey, seat as unknown as Json);
      await this.#sit(seat);
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#teller);
    await this.#sitting;
    await this.#standing;
    await this.#stopParts();
  }

  async #stopParts(): Promise<void> {
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

  /** A member failed, or its daemon ended: its lease, if it holds it, need not run out first. */
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

  /** What only voters have, for a backup. Throws NO_QUORUM on a member that is none. */
  async secrets(signal: AbortSignal): Promise<{ readonly key: ClusterKey; readonly snapshot: Buffer }> {
    if (!this.#parts) throw new MicrocephError("NO_QUORUM", "this member is no voter");
    const key = await this.#parts.control.readKey();
    const dir = join(this.#runtime.options.settings.stateDir, "etcd");
    return { key, snapshot: await saveSnapshot(dir, signal) };
  }

  /** How to reach Ceph; null before it is there. */
  async access(signal: AbortSignal): Promise<CephAccess | null> {
    if (!this.#parts) return null;
    return this.#parts.control.access(signal);
  }

  /** Why what this seat has planned is as it is, by subject. */
  reasons(): ReadonlyMap<string, readonly string[]> {
    return this.#parts?.control.reasons() ?? new Map();
  }

  /** Steps of this member's agent that concern its seat. */
  steps(): Record<string, Step> {
    return {
      [kinds.voter]: async ({ payload }, { confirm }) => {
        const { members } = voterPayload.parse(payload);
        await Promise.all([this.#sitting, this.#standing]);
        if (this.#parts) return null;
        await this.#clear();
        await confirm();
        const seat: Seat = { mode: "existing", members };
        const { store } = this.#runtime.deps;
        store.transaction(() => {
          store.put(seatKey, seat as unknown as Json);
          store.delete(lostKey);
        });
        await this.#sit(seat);
        this.#tellLoss();
        return null;
      },
    };
  }

  /** Without its etcd's data a member goes on as one, and is seated anew by the others. */
  #sitOrStand(seat: Seat): Promise<void> {
    const sat = this.#sit(seat).catch(async (error) => {
      if (!isMicrocephError(error, "STATE_CORRUPT")) throw error;
      await this.#giveUp(messageOf(error));
    });
    // An order to sit anew comes after the old data is set aside.
    this.#sitting = sat.catch(() => undefined);
    return sat;
  }

  /**
   * Go on alone with the data of this voter, as the only member of etcd, and number decisions with this generation.
   * Only for the guided recovery. Run again after a crash it completes. Throws NOT_READY without a seat.
   */
  async recover(generation: number): Promise<void> {
    const { handle, self, deps } = this.#runtime;
    const { store } = deps;
    await Promise.all([this.#sitting, this.#standing]);
    if (!seatSchema.safeParse(store.get(seatKey)).success || this.lost !== null) {
      throw new MicrocephError("NOT_READY", "this node has no vote, or its etcd has lost its data");
    }
    const seat: Seat = { mode: "existing", members: [{ handle, peer: self }], generation, alone: true };
    const made = this.#sitting.then(async () => {
      await this.#stopParts();
      // From here on no start of this etcd decides anything under an earlier generation.
      store.put(seatKey, { ...seat } as unknown as Json);
    });
    this.#sitting = made.catch(() => undefined);
    await made;
    await this.#sit(seat);
  }

  /** Make the data of this voter's etcd a cluster of its own. Idempotent. */
  async #partFromOthers(): Promise<void> {
    const { handle, options, deps } = this.#runtime;
    const dir = join(options.settings.stateDir, "etcd");
    const etcd = new EtcdProcess(
      {
        ...{ dir, name: handle, peers: [{ name: handle }], mode: "existing", token: options.cluster.id },
        forceNewCluster: true,
      },
      { log: deps.log },
    );
    await etcd.start();
    try {
      // A linearizable read: its log is whole and it is its own majority.
      const client = new EtcdClient({ socketPath: etcd.clientSocket });
      await client.range(leaseKey, { deadlineMs: aloneMs });
    } finally {
      await etcd.stop();
    }
  }

  /** What the journal has decided about this seat. */
  followJournal(): void {
    const { journal, self, deps } = this.#runtime;
    // What the journal has said so far is about to be overtaken by what an operator declared here.
    if (recoveryWishOf(this.#runtime) !== null) return;
    const isSeated = deps.store.get(seatKey) !== undefined || this.lost !== null;
    if (isSeated && !this.#runtime.voters().includes(self) && votesNoMore(journal.entries(), self)) {
      this.#stand("its vote was taken away");
    }
  }

  /** The etcd ended for good while it ran, or is not wanted any more. */
  #stand(reason: string): void {
    this.#standing = this.#standing
      // One that is sitting down has no parts yet, and would run on what is taken away beneath it.
      .then(() => this.#sitting)
      .then(() => this.#stopParts())
      .then(() => this.#giveUp(reason))
      .catch((error) =>
        this.#runtime.deps.log.error({ error: messageOf(error) }, "the seat was not given up"),
      );
  }

  /** Set the data aside, remember the loss, and tell of it. */
  async #giveUp(reason: string): Promise<void> {
    const { store, log, now } = this.#runtime.deps;
    if (votesNoMore(this.#runtime.journal.entries(), this.#runtime.self)) {
      log.info("this member votes no more");
      store.transaction(() => {
        store.delete(seatKey);
        store.delete(lostKey);
        store.put(clearKey, true);
      });
      return this.#clear();
    }
    log.error({ reason }, "this voter's etcd cannot go on with the data it has");
    store.put(lostKey, reason);
    await this.#etcd?.setDataAside(new Date(now()));
    this.#tellLoss();
  }

  /** Remove what a seat left that was taken away. It holds the cluster's own key, which is the voters' alone. */
  async #clear(): Promise<void> {
    const { store } = this.#runtime.deps;
    if (store.get(clearKey) !== true) return;
    const dir = join(this.#runtime.options.settings.stateDir, "etcd");
    // An etcd that has just ended may have files in flight.
    await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    store.delete(clearKey);
  }

  /** Told again and again while it lasts, as news among members may be lost. */
  #tellLoss(): void {
    clearInterval(this.#teller);
    const lost = this.lost !== null && this.#parts === null;
    this.#runtime.tellSeat(lost);
    if (!lost) return;
    this.#teller = setInterval(() => this.#runtime.tellSeat(true), repeatMs);
    this.#teller.unref();
  }

  #sit(seat: Seat): Promise<void> {
    const sat = this.#sitting.then(() => (this.#parts ? undefined : this.#sitDown(seat)));
    this.#sitting = sat.catch(() => undefined);
    return sat;
  }

  async #sitDown(seat: Seat): Promise<void> {
    const runtime = this.#runtime;
    const { mesh, deps, options, handle } = runtime;
    const { log } = deps;
    const dir = join(options.settings.stateDir, "etcd");
    await mkdir(dir, { recursive: true, mode: 0o700 });
    if (seat.restored === true) {
      await placeRestored(dir);
      const { restored: _done, ...placed } = seat;
      deps.store.put(seatKey, placed as unknown as Json);
    }
    if (seat.alone === true) {
      await this.#partFromOthers();
      const { alone: _done, ...parted } = seat;
      deps.store.put(seatKey, parted as unknown as Json);
    }
    const peers = seat.members.map((member) => ({ name: member.handle }));
    const etcd = new EtcdProcess(
      { dir, name: handle, peers, mode: seat.mode, token: options.cluster.id },
      { log },
    );
    this.#etcd = etcd;
    const sockets = new PeerSockets(
      { dir, self: handle },
      { openTunnel: (peer, signal) => mesh.openTunnel(peer, tunnelService, signal), log },
    );
    // Those who were there when it sat down, and those who have come since.
    await sockets.start([...seat.members, ...this.#otherVoters()]);
    const closeTunnel = mesh.offerTunnel(tunnelService, () => sockets.connectOwn());
    try {
      await etcd.start();
    } catch (error) {
      closeTunnel();
      await sockets.stop();
      throw error;
    }
    const client = new EtcdClient({ socketPath: etcd.clientSocket });
    const lease = new LeaseKeeper(
      { self: runtime.self, ttlSeconds: options.settings.leaseTtlSeconds },
      { etcd: client, now: () => performance.now(), log },
    );
    const feed = new JournalFeed({ etcd: client, copy: runtime.journal, log });
    const decider = new Decider<ClusterKey>(
      { cluster: options.cluster.id, generation: seat.generation ?? 1 },
      {
        etcd: client,
        lease,
        copy: runtime.journal,
        clusterKey: () => control.key(),
        sign: signWithClusterKey,
        now: deps.now,
        log,
      },
    );
    const followVoters = (): Promise<void> => this.#followVoters(sockets);
    const onKey = (): void => this.wake();
    const control: SeatControl = new SeatControl(runtime, { decider, lease, client, followVoters, onKey });
    const controller = control.controller();
    const undo = [
      closeTunnel,
      etcd.onExit(({ cause, detail }) => {
        if (cause === "data-lost" || cause === "removed") this.#stand(`${cause}: ${detail}`);
      }),
      lease.on("taken", () => {
        runtime.quorum.refresh();
        controller.wake();
      }),
      lease.on("lost", () => {
        controller.leaseLost();
        runtime.quorum.refresh();
      }),
      lease.on("holder", () => runtime.quorum.refresh()),
      // Half a TTL without renewal, or a jump of the clock: what was begun must end before the world is re-read.
      lease.on("shaky", () => controller.leaseLost()),
      runtime.journal.on("change", () => {
        followVoters().catch((error) => log.warn({ error: messageOf(error) }, "voters' sockets not updated"));
      }),
    ];
    this.#parts = {
      ...{ etcd, sockets, client, lease, feed, decider, control, controller },
      undo: () => {
        for (const end of undo) end();
      },
    };
    feed.start();
    lease.start();
    controller.start();
  }

  /** Offer a socket for every other member that has, or is being given, a seat. */
  #followVoters(sockets: PeerSockets): Promise<void> {
    return sockets.setVoters(this.#otherVoters());
  }

  #otherVoters(): { readonly peer: PeerId; readonly handle: Handle }[] {
    const { journal, self } = this.#runtime;
    const seats = new Set(seatsOf(journal.entries()));
    return [...journal.members()]
      .filter(([peer]) => peer !== self && seats.has(peer))
      .map(([peer, member]) => ({ peer, handle: member.handle }));
  }
}

interface SeatParts {
  readonly etcd: EtcdProcess;
  readonly sockets: PeerSockets;
  readonly client: EtcdClient;
  readonly lease: LeaseKeeper;
  readonly feed: JournalFeed;
  readonly decider: Decider<ClusterKey>;
  readonly control: SeatControl;
  readonly controller: Controller;
  readonly undo: () => void;
}
