import type { Logger } from "pino";
import { askAdminSocket } from "../../ceph/command/admin-socket.ts";
import { Agent } from "../../ceph/control/agent.ts";
import type { CephNode } from "../../ceph/control/ceph-node.ts";
import { decidedMonitors } from "../../ceph/control/ceph-planner.ts";
import type { CephAccess } from "../../ceph/control/decisions.ts";
import { shownExports } from "../../ceph/control/nfs-exports.ts";
import { placedDaemons } from "../../ceph/control/placed-daemons.ts";
import { wishFor } from "../../ceph/control/placed-wish.ts";
import { cephSteps, cephUndo } from "../../ceph/control/steps.ts";
import type { Backend, Front } from "../../ceph/daemons/ingress-config.ts";
import type { NfsExport } from "../../ceph/daemons/nfs-config.ts";
import { nfsRanks } from "../../ceph/plan/nfs-ranks.ts";
import { type Panel, panelPorts } from "../../ceph/plan/panels.ts";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, Fsid, Handle, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { maxGossipBytes } from "../../mesh/host/gossip.ts";
import { MeshHost } from "../../mesh/host/mesh-host.ts";
import { verifyCertificate, verifyTombstone } from "../../mesh/identity/certificate.ts";
import { verifyWithClusterKey } from "../../mesh/identity/cluster-key.ts";
import type { NodeIdentity } from "../../mesh/identity/node-identity.ts";
import type { Contact } from "../../mesh/lobby/messages.ts";
import type { InterfaceFact } from "../../mesh/membership/cidr.ts";
import type { Fellow } from "../../mesh/membership/context.ts";
import type { Founded } from "../../mesh/membership/lifecycle.ts";
import type { Membership } from "../../mesh/membership/membership.ts";
import { Overlay } from "../../mesh/overlay/overlay.ts";
import { Presence, type PresenceState } from "../../mesh/presence/presence.ts";
import { DocumentStore } from "../../state/document/document-store.ts";
import { DocumentSync } from "../../state/document/document-sync.ts";
import { AgentFence } from "../../state/journal/agent-fence.ts";
import { JournalCopy } from "../../state/journal/journal-copy.ts";
import { JournalSync } from "../../state/journal/journal-sync.ts";
import { compareNumbers } from "../../state/journal/numbers.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { LocalStore } from "../../state/store/local-store.ts";
import { CephPulse } from "../ceph-pulse.ts";
import { CephView } from "../ceph-view.ts";
import { ClusterEvents } from "../events/cluster-events.ts";
import type { EventLog } from "../events/event-log.ts";
import { EventRelay } from "../events/event-relay.ts";
import type { PeersInSight } from "../events/sight-events.ts";
import { addressIn, reachableAddresses } from "../interface-facts.ts";
import { nodeSigner, nodeVerifier } from "../node-signature.ts";
import type { ProgramVersions } from "../program-versions.ts";
import type { DaemonSettings } from "../settings.ts";
import { fsidOf, networksOf, seatsOf, votersOf } from "./cluster-facts.ts";
import { type ForwardedRequest, forwardTo } from "./forward.ts";
import { LobbyExchange } from "./lobby-exchange.ts";
import { Losses } from "./losses.ts";
import { mapGatherer, offerMaps } from "./map-parcels.ts";
import { methods } from "./member-rpc.ts";
import { MemberUpkeep, monitorOutBy } from "./member-upkeep.ts";
import { meshMembers } from "./mesh-members.ts";
import { QuorumView } from "./quorum-view.ts";
import { serveMembers } from "./serve-members.ts";
import { VoterSeat } from "./voter-seat.ts";

export interface ClusterOptions {
  readonly identity: NodeIdentity;
  readonly settings: DaemonSettings;
  readonly cluster: { readonly id: ClusterId; readonly name: string; readonly publicKey: string };
  readonly handle: Handle;
  /** Set on a founder until it is a member. */
  readonly founded: Founded | null;
  /** Where to find fellow members before the journal and the document are here. */
  readonly contacts: readonly Contact[];
}

export interface ClusterDeps {
  readonly store: LocalStore;
  readonly membership: Membership;
  readonly cephNode: CephNode;
  readonly events: EventLog;
  readonly sights: PeersInSight;
  readonly versions: ProgramVersions;
  readonly interfaces: () => readonly InterfaceFact[];
  readonly disks: () => Json;
  /** Look at this node's disks again: something of ours is gone from them. */
  readonly onDisks: () => Promise<unknown>;
  /** Hands a request that another member forwarded to the own API. */
  readonly inject: (request: {
    method: "GET" | "POST" | "PUT" | "DELETE";
    path: string;
    body: Json;
  }) => Promise<Json>;
  /** The time of day: for what people read, and for what they asked for until when. */
  readonly now: () => number;
  /** A clock that nobody sets: for everything that lasts or is waited for. */
  readonly steadyNow: () => number;
  readonly log: Logger;
}

const rpcMs = 2_000;
const pullMs = 5_000;

/** Everything that runs on a member: mesh, document, journal, agent; and on a voter its seat. */
export class ClusterRuntime {
  readonly self: PeerId;
  readonly handle: Handle;
  readonly options: ClusterOptions;
  readonly deps: ClusterDeps;
  readonly mesh: MeshHost;
  readonly presence: Presence;
  readonly document: DocumentStore;
  readonly journal: JournalCopy;
  readonly agent: Agent;
  readonly quorum: QuorumView;
  readonly lobby: LobbyExchange;
  readonly cephView: CephView;
  readonly seat: VoterSeat;
  /** Voters that told of the loss of their etcd's data, until they are seated anew. */
  readonly seatLosses = new Set<PeerId>();
  readonly losses: Losses;
  readonly documentSync: DocumentSync;
  readonly journalSync: JournalSync;
  #members: readonly PeerId[] = [];
  #linking = false;
  /** The facts from which the present links follow. */
  #linkedFor = "";
  readonly #unsubscribe: (() => void)[] = [];
  readonly upkeep: MemberUpkeep;
  readonly relay: EventRelay;
  readonly clusterEvents: ClusterEvents;
  readonly #pulse: CephPulse;
  #hasMonitor = false;
  #cephChanges = 0;

  constructor(options: ClusterOptions, deps: ClusterDeps) {
    this.options = options;
    this.deps = deps;
    this.self = options.identity.peerId;
    this.handle = options.handle;
    const { store, now, steadyNow, log } = deps;
    const { cluster, identity, settings } = options;
    this.journal = new JournalCopy(
      { cluster: cluster.id, clusterKey: cluster.publicKey },
      {
        store,
        verify: verifyWithClusterKey,
        proofs: {
          certificate: (value) => verifyCertificate(value, { cluster: cluster.id }),
          tombstone: (value) => verifyTombstone(value, { cluster: cluster.id }),
        },
        log,
      },
    );
    this.document = new DocumentStore(
      { self: this.self, cluster: cluster.id, refetch: options.founded === null },
      { store, now, log, sign: nodeSigner(identity), verify: nodeVerifier() },
    );
    this.mesh = new MeshHost(
      { identity, listen: ["0.0.0.0", "::"], port: settings.meshPort, cluster: cluster.id },
      { log, now: steadyNow },
    );
    this.presence = new Presence({}, { mesh: this.mesh, now: steadyNow, random: Math.random, log });
    this.documentSync = new DocumentSync({
      document: this.document,
      request: (peer, body, signal) =>
        this.mesh.request(peer, methods.documentSync, body, { deadlineMs: pullMs, signal }),
      connected: () => this.mesh.connected(),
      publishHeads: (heads) => this.mesh.publish("heads", heads),
      log,
      now: steadyNow,
      random: Math.random,
    });
    this.journalSync = new JournalSync(
      {},
      {
        copy: this.journal,
        request: (peer, body, signal) =>
          this.mesh.request(peer, methods.journalPull, body, { deadlineMs: pullMs, signal }),
        connected: () => this.mesh.connected(),
        publishHead: (head) => {
          this.mesh.publish("journal", { ...head }).catch(() => undefined);
        },
        log,
      },
    );
    this.relay = new EventRelay({
      events: deps.events,
      publish: (body) => this.mesh.publish("events", body),
      pull: (peer, body, signal) =>
        this.mesh.request(peer, methods.eventsPull, body, { deadlineMs: pullMs, signal }),
      log,
    });
    const { journal, document } = this;
    this.clusterEvents = new ClusterEvents({ events: deps.events, cluster: cluster.id, journal, document });
    this.losses = new Losses({ now: steadyNow, setting: (name) => document.view().settings[name] });
    this.seat = new VoterSeat(this);
    this.upkeep = new MemberUpkeep(this);
    const fence = new AgentFence({ store });
    this.agent = new Agent({
      fence,
      confirm: (id, number, signal) => this.confirm({ id, number }, signal),
      steps: {
        ...cephSteps(deps.cephNode, {
          gather: mapGatherer(this),
          front: () => this.front(),
          exports: () => this.exports(),
        }),
        ...this.seat.steps(),
      },
      undo: cephUndo(deps.cephNode),
      log,
    });
    this.quorum = new QuorumView({
      self: this.self,
      voters: () => this.voters(),
      look: (signal) => this.seat.look(signal),
      isVoter: () => this.seat.seated,
      ask: (peer, signal) => this.mesh.request(peer, methods.quorum, null, { deadlineMs: rpcMs, signal }),
      isReachable: (peer) => this.mesh.reaches(peer),
      isLinked: (peer) => this.mesh.connected().includes(peer),
      onChange: (report) => {
        this.clusterEvents.leaseChanged(report);
        // Members that are no voters cannot see it for themselves.
        if (report.holder === this.self) this.#hint("lease");
        this.wake("quorum");
      },
    });
    this.lobby = new LobbyExchange({
      self: this.self,
      own: () => deps.membership.neighbours(),
      publish: (body) => this.mesh.publish("sightings", body),
      maxBytes: maxGossipBytes,
      now: steadyNow,
      onChange: () => {
        this.#sightsChanged();
        this.wake("lobby");
      },
    });
    this.cephView = new CephView({
      ceph: () => deps.cephNode.commands,
      now,
      steadyNow,
      log,
      onChange: () => this.#cephChanged(),
      onLook: (look) => {
        this.clusterEvents.cephChanged(look?.snapshot ?? null);
        if (look) this.losses.noteMonitors(decidedMonitors(journal.entries()), look.snapshot.quorum);
        this.upkeep.followMonMap(look?.epochs.monitors ?? null);
        this.upkeep.osdMapSeen(look?.epochs.osds ?? null, look?.snapshot.osds.size ?? 0);
      },
    });
    this.#pulse = new CephPulse({
      monSocket: () => (this.#hasMonitor ? deps.cephNode.deps.paths.adminSocket("mon", this.handle) : null),
      ask: askAdminSocket,
      onBeat: () => {
        this.#hint("ceph");
        this.cephView.refresh();
        this.#cephChanged();
      },
    });
  }

  async start(): Promise<void> {
    const { log } = this.deps;
    this.journal.open();
    this.document.open();
    // A founder, or the only member, has nobody to fetch from: what is here is the document.
    const alone = this.journal.members().size === 1 && this.journal.members().has(this.self);
    if (this.options.founded !== null || alone) this.document.endRefetch();
    this.clusterEvents.start();
    serveMembers(this);
    this.#unsubscribe.push(offerMaps(this));
    this.#unsubscribe.push(
      this.journal.on("change", () => this.#journalChanged()),
      this.document.on("change", () => this.#documentChanged()),
      this.mesh.subscribe("heads", (from, body) => this.documentSync.onHeads(from, body)),
      this.mesh.subscribe("journal", (from, body) => this.#headHeard(from, body)),
      this.mesh.subscribe("sightings", (from, body) => this.lobby.receive(from, body)),
      this.mesh.subscribe("events", (from, body) => this.#eventHeard(from, body)),
      this.mesh.subscribe("seats", (from, body) => this.#seatHeard(from, body)),
      this.mesh.onConnection((peer, up) => this.#connection(peer, up)),
      this.mesh.onEnded((peer) => this.seat.memberFailed(peer)),
      this.presence.on("change", (peer, state) => this.#presenceChanged(peer, state)),
      this.deps.cephNode.deps.runner.onChange(() => this.#unitsChanged()),
    );
    await this.mesh.start();
    this.#setMembers();
    this.documentSync.start();
    this.journalSync.start();
    this.presence.start();
    this.lobby.start();
    await this.seat.start();
    this.quorum.start();
    this.cephView.start();
    this.upkeep.start();
    this.#unitsChanged();
    this.#pulse.start();
    log.info({ cluster: this.options.cluster.id, handle: this.handle }, "member of the cluster");
  }

  async stop(): Promise<void> {
    this.upkeep.stop();
    for (const undo of this.#unsubscribe.splice(0)) undo();
    this.lobby.stop();
    await Promise.allSettled([
      this.agent.stop(),
      this.quorum.stop(),
      this.cephView.stop(),
      this.#pulse.stop(),
      this.relay.stop(),
    ]);
    await this.seat.stop();
    await this.presence.leave().catch(() => undefined);
    await this.presence.stop();
    await this.journalSync.stop();
    await this.documentSync.stop();
    await this.mesh.stop();
    this.document.close();
  }

  /** Grows with every change in Ceph's maps that this node hears of. */
  get cephChanges(): number {
    return this.#cephChanges;
  }

  /** Something changed that a decision may follow from. */
  wake(reason: string): void {
    this.deps.log.debug({ reason }, "woken");
    this.seat.wake();
  }

  /** Tell every member whether this voter has lost its seat. */
  tellSeat(lost: boolean): void {
    this.#seatHeard(this.self, { lost });
    this.mesh.publish("seats", { lost }).catch(() => undefined);
  }

  /** Voters by the journal; before it is here, nobody but a founder itself. */
  voters(): PeerId[] {
    const voters = votersOf(this.journal.entries());
    return voters.length === 0 && this.options.founded !== null ? [this.self] : voters;
  }

  publicNetwork(): string | null {
    return networksOf(this.journal.entries())?.publicNetwork ?? this.options.founded?.publicNetwork ?? null;
  }

  /** Address of a member in the public network; null when it has not said any. */
  publicAddress(peer: PeerId): string | null {
    const network = this.publicNetwork();
    if (network === null) return null;
    return addressIn(this.addressesOf(peer), network);
  }

  /** All addresses that a member says are its own. */
  addressesOf(peer: PeerId): readonly string[] {
    if (peer === this.self) return reachableAddresses(this.deps.interfaces());
    return this.document.view().nodes[peer]?.addresses ?? [];
  }

  /** What stands behind the common address: gateways that are placed, and managers that have something to show. */
  front(): Front {
    const members = [...this.journal.members()];
    const { services } = this.document.view();
    const ingress = wishFor("ingress", services);
    const isFronted = (what: "rgw" | "dashboard"): boolean => ingress?.fronts?.includes(what) ?? true;
    const { dashboard, prometheus } = isFronted("dashboard") ? panelPorts(services) : {};
    const entries = this.journal.entries();
    const placed = placedDaemons(entries);
    const backends = placed.flatMap(({ type, handle, port, tlsPort, nfs }): Backend[] => {
      const peer = members.find(([, member]) => member.handle === handle)?.[0];
      const address = peer === undefined ? null : this.publicAddress(peer);
      if (address === null) return [];
      if (type === "rgw") return isFronted("rgw") ? [{ handle, address, port, tlsPort }] : [];
      if (nfs !== null && ingress?.nfsPort !== undefined) {
        const bind = wishFor("nfs", services)?.bind ?? address;
        return [{ handle, address: bind, port, tlsPort, rank: nfs.rank }];
      }
      if (type !== "mgr") return [];
      const shown = (panel: Panel, at: number | undefined): Backend[] => {
        if (at === undefined) return [];
        const isPlain = panel === "prometheus";
        return [{ handle, address, port: isPlain ? at : null, tlsPort: isPlain ? null : at, panel }];
      };
      return [...shown("dashboard", dashboard), ...shown("prometheus", prometheus)];
    });
    // While they take another one over in turn it is the one of the latest decision.
    const certified = placed.filter(({ certificate }) => certificate !== null);
    const [latest] = certified.sort((a, b) => compareNumbers(b.number, a.number));
    const used = backends.flatMap(({ rank }) => rank ?? []);
    const wish = wishFor("nfs", services);
    const wanted = wish === null ? 0 : Math.max(wish.count, wish.targets.length);
    return {
      backends,
      s3: isFronted("rgw"),
      ranks: ingress?.nfsPort === undefined ? [] : nfsRanks(new Set(used), wanted),
      certificate: latest?.certificate ?? null,
    };
  }

  /** What NFS gateways show. */
  exports(): NfsExport[] {
    return shownExports(this.document.view().services);
  }

  /** Whether every other member has told what it knows since this daemon started. */
  get hasHeardAll(): boolean {
    const others = [...this.journal.members().keys()].filter((peer) => peer !== this.self);
    return others.every((peer) => this.journalSync.hasHeard(peer));
  }

  /** Whether this node's monitor is to join the others, as far as is known here. */
  get hasMonitorSeat(): boolean {
    return monitorOutBy(this.journal.entries(), this.handle) === null;
  }

  /** Resolves with Ceph's UUID once its monitors answer; waits for events, not for time. */
  async whenCephAnswers(report: (step: string) => void, signal: AbortSignal): Promise<Fsid> {
    report("starting Ceph's first monitor");
    for (;;) {
      const fsid = fsidOf(this.journal.entries());
      if (fsid !== null && this.cephView.answers) return fsid;
      if (fsid !== null) this.cephView.refresh();
      await this.deps.events.next(signal, 1_000);
    }
  }

  /** A fellow member proved itself in a lobby: let it in, and dial where it answers. */
  introduce({ certificate, address, meshPort }: Fellow): void {
    if (this.journal.tombstones().has(certificate.peer)) return;
    this.mesh.introduce(certificate, { peer: certificate.peer, addresses: [address], port: meshPort });
  }

  /** Hand a request of the API to another member. */
  forward(
    peer: PeerId,
    request: ForwardedRequest,
    options: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<{ status: number; body: Json }> {
    const { mesh, presence } = this;
    const deps = {
      request: mesh.request.bind(mesh),
      reaches: mesh.reaches.bind(mesh),
      hasFailed: () => presence.view().get(peer)?.state === "failed",
      next: this.deps.events.next.bind(this.deps.events),
    };
    return forwardTo(deps, peer, request, options);
  }

  /** How to reach Ceph, from the holder of the secrets; asked by members that have none yet. */
  async cephAccess(signal: AbortSignal): Promise<CephAccess | null> {
    const own = await this.seat.access(signal).catch(() => null);
    return own ?? this.deps.cephNode.access;
  }

  /** Whether the decision is open under this number: a linearizable read by this node's etcd, or by another voter's. */
  async confirm(
    { id, number }: { readonly id: string; readonly number: DecisionNumber },
    signal: AbortSignal,
  ): Promise<boolean> {
    const body = { entry: id, number: { ...number } };
    let failure: unknown = new MicrocephError("NO_QUORUM", "no voter can be reached to confirm the decision");
    // The own etcd first; one that is still a learner, or cut off, cannot tell, and then another may.
    const linked = new Set(this.mesh.connected());
    const others = this.voters().filter((peer) => this.mesh.reaches(peer));
    others.sort((a, b) => Number(linked.has(b)) - Number(linked.has(a)));
    const voters = [this.self, ...others];
    for (const peer of voters) {
      try {
        if (peer === this.self) {
          if (this.seat.seated) return await this.seat.confirm(body);
          continue;
        }
        return (
          (await this.mesh.request(peer, methods.confirm, body, { deadlineMs: pullMs, signal })) === true
        );
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #setMembers(): void {
    const { members, denied } = meshMembers({
      self: this.self,
      contacts: this.options.contacts,
      members: this.journal.members().keys(),
      tombstones: this.journal.tombstones().keys(),
      nodes: this.document.view().nodes,
    });
    for (const peer of denied) this.mesh.deny(peer);
    this.mesh.setMembers(members);
    this.presence.setMembers([...members.keys()]);
    this.#members = [...new Set([this.self, ...members.keys()])];
    this.#noteLosses();
    this.#link();
  }

  /** Who is linked to whom follows from members, seats and who is there; every member concludes the same. */
  #link(): void {
    if (this.#linking) return;
    this.#linking = true;
    // What presence concludes from it may ask for it again.
    queueMicrotask(() => {
      this.#linking = false;
      const gone = ["failed", "left"];
      const down = [...this.presence.view()].filter(([, { state }]) => gone.includes(state));
      const voters = seatsOf(this.journal.entries());
      const facts = { members: this.#members, voters, down: new Set(down.map(([peer]) => peer)) };
      const named = [facts.members, facts.voters, facts.down].map((peers) => [...peers].sort().join(" "));
      if (named.join("\n") === this.#linkedFor) return;
      this.#linkedFor = named.join("\n");
      const overlay = new Overlay(facts);
      this.mesh.setOverlay(overlay, (peer) => this.presence.stateOf(peer) === "alive");
      this.presence.setOverlay(overlay);
    });
  }

  #journalChanged(): void {
    const tombstone = this.journal.tombstones().get(this.self);
    if (tombstone) this.deps.membership.removed(tombstone);
    this.#setMembers();
    this.clusterEvents.journalChanged();
    this.quorum.refresh();
    this.seat.followJournal();
    this.upkeep.journalChanged();
    this.wake("journal");
  }

  #documentChanged(): void {
    this.#setMembers();
    this.clusterEvents.documentChanged();
    this.upkeep.followGateways();
    this.upkeep.followClientOptions();
    this.upkeep.followExports();
    this.wake("document");
  }

  #connection(peer: PeerId, up: boolean): void {
    if (up) {
      this.documentSync.onConnect(peer);
      this.journalSync.onConnect(peer);
      this.relay.onConnect(peer);
    } else {
      this.documentSync.onDisconnect(peer);
      // It is gone, or has cut us off: its lobby says so at once, and hands one that was removed its tombstone.
      this.deps.membership.hurry(peer);
    }
    this.deps.membership.linkChanged();
    this.quorum.refresh();
  }

  #presenceChanged(peer: PeerId, state: PresenceState): void {
    this.clusterEvents.presenceChanged(peer, state);
    this.quorum.refresh();
    this.#noteLosses();
    if (state === "failed") this.seat.memberFailed(peer);
    if (state !== "suspect") this.#link();
    this.wake("presence");
  }

  #noteLosses(): void {
    this.losses.noteMembers(this.#members, (peer) =>
      peer === this.self ? "alive" : this.presence.stateOf(peer),
    );
  }

  /** Each voter tells of a decision: of many members each asks the one it has a link to, and not all the same. */
  #headHeard(from: PeerId, body: Json): void {
    const linked = new Set(this.mesh.connected());
    if (linked.has(from) || !this.voters().some((peer) => linked.has(peer)))
      this.journalSync.onHead(from, body);
  }

  #eventHeard(from: PeerId, body: Json): void {
    const hint = hintIn(body);
    if (hint === "ceph") {
      this.cephView.refresh();
      this.#cephChanged();
    } else if (hint === "lease") this.quorum.refresh();
    else this.relay.hear(from, body);
  }

  #cephChanged(): void {
    this.#cephChanges += 1;
    this.wake("ceph");
  }

  /** Nothing to be shown: a reason for the others to look. */
  #hint(what: Hint): void {
    this.mesh.publish("events", { v: 1, hint: what }).catch(() => undefined);
  }

  #seatHeard(from: PeerId, body: Json): void {
    if (body === null || typeof body !== "object" || Array.isArray(body)) return;
    const before = this.seatLosses.has(from);
    if (body.lost === true) this.seatLosses.add(from);
    else this.seatLosses.delete(from);
    if (this.seatLosses.has(from) === before) return;
    if (!before) this.clusterEvents.voterLost(from);
    this.wake("seat");
  }

  #sightsChanged(): void {
    const reports = [...this.lobby.reports(() => true).values()];
    this.deps.sights.update(reports.flatMap(({ neighbours }) => neighbours));
  }

  #unitsChanged(): void {
    this.upkeep.publishFacts();
    this.deps.cephNode.deps.runner
      .list()
      .then((units) => {
        this.#hasMonitor = units.some(({ unit }) => unit.startsWith("mon."));
      })
      .catch((error) => this.deps.log.warn({ error: messageOf(error) }, "own daemons not listed"));
  }
}

type Hint = "ceph" | "lease";

function hintIn(body: Json): Hint | null {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return null;
  return body.hint === "ceph" || body.hint === "lease" ? body.hint : null;
}
