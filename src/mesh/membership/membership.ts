import type { Logger } from "pino";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Tombstone } from "../identity/certificate.ts";
import { type Greeting, type LobbyRequest, parseLobbyRequest, type Sight } from "../lobby/messages.ts";
import type { ClaimOutcome } from "./admission-facts.ts";
import type { InterfaceFact } from "./cidr.ts";
import { ClaimedRole } from "./claimed-role.ts";
import { type Clock, monotonicClock } from "./clock.ts";
import type {
  Context,
  Knocker,
  LobbyAsker,
  LobbySightings,
  MembershipHooks,
  MemberView,
  Role,
} from "./context.ts";
import { type FormationDecisions, formationDecisions } from "./decisions.ts";
import { Deliveries } from "./deliveries.ts";
import { FounderRole } from "./founder-role.ts";
import { FreshRole } from "./fresh-role.ts";
import { Greeter } from "./greeter.ts";
import { announcementOf, greetingOf } from "./greeting.ts";
import { clusterOf, type DurableStore, type Lifecycle, LifecycleRecord } from "./lifecycle.ts";
import { LobbyDoor } from "./lobby-door.ts";
import { MemberRole } from "./member-role.ts";
import { type NeighbourReport, reportNeighbours } from "./neighbour-report.ts";
import { type Neighbour, provenClusters, sightOf } from "./neighbours.ts";
import { type Admission, type BootstrapOptions, Operator, type Restoration } from "./operator.ts";
import { ownNetworks } from "./public-network.ts";
import { defaultMembershipSettings, type MembershipSettings, protocolTimes } from "./settings.ts";
import { showToken, type TokenShowing } from "./show-token.ts";
import {
  conflictsOf,
  type MembershipStatus,
  shownCluster,
  shownNeighbours,
  shownState,
  timeText,
} from "./status.ts";
import { Stepper } from "./stepper.ts";
import { claimWindow } from "./window.ts";

export interface MembershipOptions {
  /** Host name, as shown to people. */
  readonly name: string;
  readonly version: string;
  readonly settings?: Partial<MembershipSettings>;
  /** Epoch milliseconds of the boot whose uptime the window counts; default: the start of this object. */
  readonly bootedAt?: number;
}

export interface MembershipDeps {
  readonly identity: { readonly peerId: PeerId };
  readonly lobby: LobbyAsker;
  /** Port of the own lobby; null while it is not known. */
  readonly lobbyPort: () => number | null;
  readonly discovery: LobbySightings;
  readonly staticPeers?: () => readonly { readonly address: string; readonly port: number }[];
  readonly store: DurableStore;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly decisions?: Partial<FormationDecisions>;
  readonly log: Logger;
  readonly interfaces: () => readonly InterfaceFact[];
  readonly disks: () => { readonly count: number; readonly bytes: number };
  /** What a member answers from; null until its mesh and journal are open. */
  readonly memberView: () => MemberView | null;
  readonly hooks: MembershipHooks;
}

/**
 * This node's way from fresh to member: greets the lobbies in sight, founds or takes a claim, and answers in
 * its own lobby. Every transition is one durable write.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #deps: MembershipDeps;
  readonly #settings: MembershipSettings;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #record: LifecycleRecord;
  readonly #greeter: Greeter;
  readonly #door: LobbyDoor;
  readonly #deliveries: Deliveries;
  readonly #stepper: Stepper;
  readonly #context: Context;
  readonly #operator: Operator;
  readonly #fresh: FreshRole;
  readonly #founder: FounderRole;
  readonly #claimed: ClaimedRole;
  readonly #member: MemberRole;
  readonly #startedAt: number;
  readonly #counters: Record<string, number> = {};
  #abort = new AbortController();
  #openedAt: number | null = null;
  #failedAttempts = 0;
  #started = false;

  /** Reads the stored lifecycle; throws STATE_CORRUPT when it cannot. */
  constructor(options: MembershipOptions, deps: MembershipDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#settings = { ...defaultMembershipSettings, ...options.settings };
    this.#clock = deps.clock ?? monotonicClock;
    this.#random = deps.random ?? Math.random;
    this.#record = new LifecycleRecord(deps.store);
    this.#startedAt = this.#clock.now();
    this.#stepper = new Stepper({ clock: this.#clock, log: deps.log, step: () => this.#step() });
    const self = deps.identity.peerId;
    this.#greeter = new Greeter(
      { self, ownPort: deps.lobbyPort },
      {
        lobby: deps.lobby,
        discovery: deps.discovery,
        staticPeers: deps.staticPeers ?? (() => []),
        clock: this.#clock,
        random: this.#random,
        log: deps.log,
        pace: (neighbour, tracked) => this.#pace(neighbour, tracked),
        onAnswer: () => {
          this.#stepper.wake();
          deps.hooks.onNeighbours?.();
        },
      },
    );
    const context = this.#buildContext(self);
    this.#context = context;
    this.#fresh = new FreshRole(context);
    this.#founder = new FounderRole(context, (failed) => this.#rest(failed));
    this.#claimed = new ClaimedRole(context);
    this.#member = new MemberRole(context);
    this.#deliveries = new Deliveries(context);
    this.#operator = new Operator(context, this.#founder);
    this.#door = new LobbyDoor(context, {
      greeting: () => this.greeting(),
      knocked: (from, port) => this.#greeter.knocked(from, port),
      claimerHeard: () => this.#claimed.heard(),
      foundingOvertaken: () => this.#overtaken(),
    });
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#abort = new AbortController();
    this.#greeter.start();
    this.#tell(this.#record.current, null);
    this.#stepper.start();
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#abort.abort();
    await Promise.all([this.#greeter.stop(), this.#stepper.stop()]);
  }

  get lifecycle(): Lifecycle {
    return this.#record.current;
  }

  /** Answer one request of the lobby. Requests are answered one after the other, each in one go. */
  async handleLobby(from: Knocker, value: Json): Promise<Json> {
    const parsed = parseLobbyRequest(value);
    if (!parsed.ok) {
      this.#count(parsed.error);
      return { error: parsed.error };
    }
    this.#count(parsed.request.kind);
    try {
      return this.#door.answer(from, parsed.request);
    } catch (error) {
      this.#deps.log.error({ kind: parsed.request.kind, reason: messageOf(error) }, "lobby request failed");
      return { error: "internal" };
    } finally {
      this.#stepper.wake();
    }
  }

  /** Requests by kind, and those that were dropped with the reason. */
  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...this.#greeter.counters };
  }

  greeting(): Greeting {
    return greetingOf(this.#context, this.#options, this.#deps.disks(), this.#fresh.mayFound());
  }

  /** TXT strings of the announcement: hints, nothing more. */
  announcement(): Record<string, string> {
    return announcementOf(this.#context);
  }

  status(): MembershipStatus {
    const state = this.#record.current;
    const now = this.#clock.now();
    const neighbours = this.#greeter.neighbours();
    const clusters = provenClusters(neighbours, now);
    const window = this.#window();
    return {
      state: shownState(state.state),
      lifecycle: state.state,
      cluster: shownCluster(state),
      window: { open: window.open, until: timeText(window.until) },
      waitingFor: this.#waitingFor(),
      joining: this.#record.joining,
      neighbours: shownNeighbours(neighbours, now),
      clusters,
      conflicts: conflictsOf(state, clusters),
    };
  }

  /** What this node sees, for the lease holder (by gossip or rpc). */
  neighbours(): NeighbourReport[] {
    return reportNeighbours(this.#greeter.neighbours(), this.#clock.now(), clusterOf(this.#record.current));
  }

  /** Greet that neighbour now instead of at its next turn. */
  hurry(peer: PeerId): void {
    this.#greeter.hurry(peer);
  }

  /** See `showToken`. */
  showToken(showing: TokenShowing): Promise<"honoured" | "refused" | "silent"> {
    return showToken(this.#deps.lobby, showing);
  }

  /** The static addresses have changed. */
  refreshStaticPeers(): void {
    this.#greeter.refreshStatic();
  }

  /**
   * Open the window; with a cluster, take claims of that one only. A claim by another cluster is given back.
   * Throws ALREADY_INITIALIZED, NOT_FOUND (no such cluster in sight), AMBIGUOUS_CLUSTER (several of that name).
   */
  join(clusterIdOrName?: string): { readonly cluster: ClusterId | null } {
    const joined = this.#operator.join(clusterIdOrName);
    this.#openedAt = this.#clock.now();
    this.#stepper.wake();
    return joined;
  }

  /** Be bound to no cluster any more, as before `join` named one. A claim that was accepted stays. */
  joinAny(): void {
    this.#record.wish(null);
    this.#stepper.wake();
  }

  /**
   * Found a cluster of this node alone, now. Throws ALREADY_INITIALIZED unless fresh, NO_PUBLIC_NETWORK, USAGE.
   */
  bootstrapAlone(options: BootstrapOptions = {}): ClusterId {
    return this.#operator.bootstrapAlone(options);
  }

  /**
   * Found a cluster once more on this fresh node: what it was has been put on disk before. Throws
   * ALREADY_INITIALIZED.
   */
  restore(restoration: Restoration): void {
    this.#operator.restore(restoration);
  }

  /**
   * Set this node free from a claim, or end its provisional founding. False when it was free already.
   * Throws ALREADY_INITIALIZED for a member and a founder that has committed.
   */
  release(): boolean {
    return this.#operator.release();
  }

  /** The journal has admitted this node, and the certificate came another way: for the founder itself. */
  admitted(admission: Admission): void {
    this.#operator.admitted(admission);
  }

  /** A connection with a fellow member has come or gone. */
  linkChanged(): void {
    this.#stepper.wake();
  }

  /** The journal says that this member was removed. */
  removed(tombstone: Tombstone): void {
    this.#operator.removed(tombstone);
  }

  /** Bring the claim of a reservation to a node in this member's lobby. */
  deliverClaim(...args: Parameters<Deliveries["claim"]>): Promise<ClaimOutcome> {
    return this.#deliveries.claim(...args);
  }

  /** Bring its certificate to an admitted node in this member's lobby. */
  deliverAdmit(...args: Parameters<Deliveries["admit"]>): Promise<ClaimOutcome> {
    return this.#deliveries.admit(...args);
  }

  /** Set a node in this member's lobby free from a claim of this cluster. */
  deliverRelease(...args: Parameters<Deliveries["release"]>): Promise<ClaimOutcome> {
    return this.#deliveries.release(...args);
  }

  #buildContext(self: PeerId): Context {
    const { log } = this.#deps;
    return {
      self,
      startedAt: this.#startedAt,
      settings: this.#settings,
      decisions: { ...formationDecisions, ...this.#deps.decisions },
      clock: this.#clock,
      random: this.#random,
      log,
      record: this.#record,
      neighbours: () => this.#greeter.neighbours(),
      neighbour: (peer) => this.#greeter.neighbour(peer),
      untried: () => this.#greeter.untried(),
      sightedAt: () => this.#greeter.sightedAt,
      interfaces: () => this.#deps.interfaces(),
      window: () => this.#window(),
      sight: () => this.#sight(),
      memberView: () => this.#deps.memberView(),
      hooks: () => this.#deps.hooks,
      become: (next, why) => this.#become(next, why),
      ask: (peer, request) => this.#ask(peer, request),
      wake: () => this.#stepper.wake(),
      background: (what, run) => this.#stepper.background(what, run),
    };
  }

  #role(): Role | null {
    switch (this.#record.current.state) {
      case "fresh":
        return this.#fresh;
      case "founding":
        return this.#founder;
      case "claimed":
        return this.#claimed;
      case "member":
        return this.#member;
      default:
        return null;
    }
  }

  #step(): number | null {
    // The quiet time runs on while the node is claimed or founding.
    if (this.#record.current.state !== "fresh") this.#fresh.listen();
    return this.#role()?.step() ?? null;
  }

  #become(next: Lifecycle, why: string): void {
    const before = this.#record.current;
    this.#record.become(next);
    this.#deps.log.info({ from: before.state, to: next.state, cluster: clusterOf(next), why }, "lifecycle");
    if (next.state === "claimed") this.#claimed.begin();
    if (next.state === "member" && this.#record.joining !== null) this.#record.wish(null);
    this.#tell(next, before.state === next.state ? null : why);
    this.#stepper.wake();
  }

  /** Call the hook of a state. `why` null: nothing has changed, it is told at start. */
  #tell(state: Lifecycle, why: string | null): void {
    const { hooks } = this.#deps;
    hooks.onAnnouncement();
    this.#stepper.background("hook", async () => {
      if (state.state === "founded") await hooks.onFounded(state);
      if (state.state === "member") await hooks.onMember(state.certificate, state.contacts);
      if (state.state === "removed") await hooks.onRemoved(state);
      if (state.state === "fresh" && why !== null) await hooks.onReleased(why);
    });
  }

  /** A lower provisional founder, or a cluster, claims this provisional founder. */
  #overtaken(): void {
    const state = this.#record.current;
    if (state.state === "founding") this.#founder.releaseAll(state.key.id);
  }

  /** After a failed attempt others go first for a while, longer each time; after yielding, a moment. */
  #rest(failed: boolean): void {
    this.#failedAttempts = failed ? this.#failedAttempts + 1 : 0;
    const base = failed ? 10_000 * Math.min(this.#failedAttempts, 4) : this.#settings.quietMs;
    this.#fresh.rest(this.#clock.now() + base * (1 + this.#random()));
  }

  #ask(peer: PeerId, request: LobbyRequest): Promise<Json> {
    const neighbour = this.#greeter.neighbour(peer);
    if (neighbour === undefined) {
      return Promise.reject(
        new MicrocephError("PEER_UNREACHABLE", "the node is not in sight", { data: { peer } }),
      );
    }
    const { address, port } = neighbour;
    return this.#deps.lobby
      .ask({ address, port, expect: peer }, request as unknown as Json, {
        deadlineMs: protocolTimes.askMs,
        signal: this.#abort.signal,
      })
      .then(({ reply }) => reply);
  }

  #window(): { open: boolean; until: number | null } {
    return claimWindow({
      now: this.#clock.now(),
      bootedAt: this.#options.bootedAt ?? this.#startedAt,
      openedAt: this.#openedAt,
      hours: this.#settings.windowHours,
      shut: this.#settings.windowShut,
    });
  }

  #sight(): Sight {
    return sightOf(
      this.#greeter.neighbours(),
      this.#clock.now(),
      clusterOf(this.#record.current),
      ownNetworks(this.#deps.interfaces()),
    );
  }

  /** Fellow members seldom, for the mesh knows them; the rest often enough to stay in sight. */
  #pace(neighbour: Neighbour, tracked: number): number {
    const own = clusterOf(this.#record.current);
    if (own !== null && neighbour.certificate?.cluster === own) return 60_000;
    return Math.min(10_000, Math.max(5_000, tracked * 250));
  }

  #waitingFor(): string | null {
    const state = this.#record.current;
    if (state.state === "founded") return "has founded the cluster and starts it";
    if (state.state === "removed") {
      return "was removed from its cluster: started with a new --state-dir it is a fresh node";
    }
    return this.#role()?.waitingFor() ?? null;
  }

  #count(what: string): void {
    this.#counters[what] = (this.#counters[what] ?? 0) + 1;
  }
}
