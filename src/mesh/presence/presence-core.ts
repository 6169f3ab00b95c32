import type { PeerId } from "../../ids/ids.ts";
import { Hearsay } from "./hearsay.ts";
import { LocalHealth } from "./local-health.ts";
import { OwnRun, type PresenceSelf } from "./own-run.ts";
import type { PresenceChange, PresenceEntry, Testimony, Watch, WitnessCall } from "./presence-facts.ts";
import { PresenceMember, type PresenceState } from "./presence-member.ts";
import type { PresenceTimings } from "./presence-timings.ts";
import { type Rumour, supersedes } from "./rumour.ts";
import { verdictOn } from "./verdict.ts";
import { WakingClock } from "./waking-clock.ts";

export type { PresenceSelf } from "./own-run.ts";
export type { PresenceChange, PresenceEntry, Testimony, Watch, WitnessCall } from "./presence-facts.ts";
export type { PresenceState } from "./presence-member.ts";
export { type PresenceTimings, timingsFor } from "./presence-timings.ts";

const witnessesAsked = 3;

/**
 * Who of the members is there: a core without clock or network. Silence is measured on a waking clock that
 * stands still while this node does and is slow while this node is: what it missed meanwhile is nobody's fault.
 *
 * Either every member is watched and what others say is no more than a witness's word, or (`watch`) a few are,
 * and of the rest this node believes what their watchers conclude.
 */
export class PresenceCore {
  readonly #timings: PresenceTimings;
  readonly #own: OwnRun;
  readonly #members = new Map<PeerId, PresenceMember>();
  readonly #health: LocalHealth;
  readonly #clock: WakingClock;
  /** Those that it watches: all, or of many a few. */
  #watched: ReadonlyMap<PeerId, PresenceMember> = this.#members;
  #watch: Watch | undefined;
  readonly #hearsay: Hearsay;
  /** Those that others say have failed, while they may still refute it. */
  readonly #mayRefute = new Set<PeerId>();
  #roundAt = 0;

  constructor(timings: PresenceTimings, self: PresenceSelf, health: LocalHealth = new LocalHealth()) {
    this.#timings = timings;
    this.#own = new OwnRun(self, timings.announceMs);
    this.#hearsay = new Hearsay(this.#own, this.#members);
    this.#health = health;
    this.#clock = new WakingClock(timings.tickMs);
  }

  /** Which run of this node it is; goes into every ping and answer. */
  get incarnation(): number {
    return this.#own.incarnation;
  }

  /** By how much this node stretches its timeouts, as it doubts itself: 1 is not at all. */
  get stretch(): number {
    return this.#health.stretch;
  }

  /** New ones begin as suspect: nothing is known of them. */
  setMembers(peers: Iterable<PeerId>, now: number): void {
    const named = new Set(peers);
    for (const peer of this.#members.keys()) if (!named.has(peer)) this.#members.delete(peer);
    for (const peer of named) {
      if (peer === this.#own.peer || this.#members.has(peer)) continue;
      this.#members.set(peer, new PresenceMember(now, this.#clock.now));
    }
    this.#watched = this.#watchedBy(this.#watch);
  }

  /** Whom to ping; undefined: every member. After `setMembers`. */
  watch(watch: Watch | undefined, now: number): PresenceChange[] {
    const changes: PresenceChange[] = [];
    const watched = this.#watchedBy(watch);
    for (const [peer, member] of this.#members) {
      const before = this.#watched.has(peer);
      const after = watched.has(peer);
      if (after && !before) {
        member.quietSince = this.#clock.now;
        member.isSighted = false;
        member.votes.clear();
      }
      // From now on this node goes by what is told, as all others do.
      const { told } = member;
      if (before && !after && told !== undefined && told.incarnation >= member.incarnation) {
        changes.push(...this.#believe(peer, member, told, now));
      }
    }
    this.#watch = watch;
    this.#watched = watched;
    return changes;
  }

  has(peer: PeerId): boolean {
    return this.#members.has(peer);
  }

  isWatched(peer: PeerId): boolean {
    return this.#watched.has(peer);
  }

  stateOf(peer: PeerId): PresenceState | undefined {
    return this.#members.get(peer)?.state;
  }

  view(): Map<PeerId, PresenceEntry> {
    const entry = ({ state, since, lastSeen }: PresenceMember): PresenceEntry => ({ state, since, lastSeen });
    return new Map([...this.#members].map(([peer, member]) => [peer, entry(member)]));
  }

  /** A sign of life from the peer itself. One of a run that said goodbye is late mail and is ignored. */
  seen(peer: PeerId, incarnation: number, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    const { told } = member;
    if (told?.kind === "left" && incarnation <= told.incarnation) return [];
    member.incarnation = Math.max(member.incarnation, incarnation);
    member.seenIn = incarnation;
    // Of many members all go by what is told: it says so itself, as it learns that others don't know.
    if (this.#watch === undefined && (told === undefined || told.incarnation < incarnation)) {
      member.told = { kind: "alive", peer, incarnation, witnesses: [] };
    }
    return this.#alive(peer, member, now);
  }

  /** A sign of life that doesn't tell of which run it is: nothing new of one that said goodbye. */
  heard(peer: PeerId, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    if (member === undefined || member.state === "left" || !this.isWatched(peer)) return [];
    return this.#alive(peer, member, now);
  }

  /** The peer said goodbye. */
  left(peer: PeerId, incarnation: number, now: number): PresenceChange[] {
    const member = this.#members.get(peer);
    if (member === undefined || incarnation < member.incarnation) return [];
    member.lastSeen = now;
    const rumour: Rumour = { kind: "left", peer, incarnation, witnesses: [] };
    if (supersedes(rumour, member.told)) this.#tell(member, rumour);
    return this.#enter(peer, member, "left", now, "it said goodbye");
  }

  /** This node is about to end: it no longer refutes that it left. */
  leave(): void {
    this.#hearsay.spread(this.#own.leave());
  }

  /** What this node testifies of a member. */
  testify(about: PeerId): Testimony {
    if (about === this.#own.peer) return true;
    const member = this.#members.get(about);
    if (member === undefined || !this.#judges(about, member)) return null;
    const isQuiet = this.#silence(member) >= this.#timings.reachedMs;
    if (!isQuiet && member.state === "alive") return true;
    return isQuiet && !this.#health.doubts ? false : null;
  }

  /** A witness answered whether it reaches the peer. */
  witnessed(about: PeerId, witness: PeerId, testimony: Testimony): void {
    this.#health.witness(true);
    if (testimony === null) return;
    this.#members.get(about)?.votes.set(witness, { reached: testimony, at: this.#clock.now });
  }

  /** A witness did not answer in time: it tells nothing of others, but something of this node. */
  witnessSilent(): void {
    this.#health.witness(false);
  }

  /**
   * In pings to the peer: the incarnation in which it is told to be gone, for it to refute, or that it was known
   * in before it took a lower one; 0: of many members most don't know it, and it should say that it is there.
   */
  accusation(peer: PeerId): number | undefined {
    const member = this.#members.get(peer);
    if (member === undefined) return undefined;
    const { told, seenIn, incarnation } = member;
    if (seenIn !== undefined && seenIn < incarnation) return incarnation;
    if (told === undefined) return this.#watch === undefined ? undefined : 0;
    return told.kind === "alive" ? undefined : told.incarnation;
  }

  /** Somebody takes this node for gone in that incarnation. */
  accused(incarnation: number): void {
    const answer = this.#own.accused(incarnation, this.#clock.now);
    if (answer !== undefined) this.#hearsay.spread(answer);
  }

  /** A rumour came, from a member that heard or made it. */
  hear(rumour: Rumour, by: PeerId, now: number): PresenceChange[] {
    if (rumour.peer === this.#own.peer) {
      const isMine = rumour.kind === "alive" && rumour.incarnation <= this.#own.incarnation;
      if (!isMine) this.accused(rumour.incarnation);
      return [];
    }
    const member = this.#members.get(rumour.peer);
    if (member === undefined || this.#watch === undefined) return [];
    const possible = this.#witnesses(rumour.peer).filter((peer) => peer !== by).length;
    const told = this.#hearsay.believable(rumour, Math.min(this.#timings.witnessesNeeded, possible));
    if (!supersedes(told, member.told)) return [];
    this.#hearsay.note(member, told, this.#clock.now);
    member.incarnation = Math.max(member.incarnation, told.incarnation);
    if (this.#judges(rumour.peer, member)) return this.#heardOfJudged(rumour.peer, member, told, now);
    if (told.kind === "alive") member.lastSeen = now;
    return this.#believe(rumour.peer, member, told, now);
  }

  /** Rumours to spread, once: take them after every call that may have made some. */
  takeRumours(): Rumour[] {
    return this.#hearsay.take();
  }

  /** What is told of all, this node included, in parts, to compare with others'. */
  digests(): number[] {
    return this.#hearsay.digests();
  }

  /** What is told of the members in these parts. */
  records(parts: ReadonlySet<number>): Rumour[] {
    return this.#hearsay.records(parts);
  }

  /** A moment went by. */
  tick(now: number): { changes: PresenceChange[]; calls: WitnessCall[] } {
    this.#wake(now);
    const changes: PresenceChange[] = [];
    const calls: WitnessCall[] = [];
    for (const [peer, member] of this.#watched) {
      if (member.state !== "alive" || !this.#judges(peer, member) || !this.#isSilent(member)) continue;
      changes.push(...this.#enter(peer, member, "suspect", now, "it does not answer"));
    }
    for (const peer of [...this.#mayRefute]) {
      const member = this.#members.get(peer);
      this.#mayRefute.delete(peer);
      if (member?.told === undefined || this.#judges(peer, member)) continue;
      changes.push(...this.#believe(peer, member, member.told, now));
    }
    // After all silent ones are suspect: they are no witnesses.
    for (const [peer, member] of this.#watched) {
      if (member.state !== "suspect" || !this.#judges(peer, member) || !this.#isSilent(member)) continue;
      const possible = this.#witnesses(peer);
      const verdict = verdictOn(peer, member, {
        awake: this.#clock.now,
        stretch: this.#health.stretch,
        witnesses: possible.length,
        timings: this.#timings,
      });
      if (verdict === undefined) {
        calls.push(...this.#call(peer, member, possible));
        this.#accuse(peer, member, possible.length);
        continue;
      }
      if (supersedes(verdict.rumour, member.told)) this.#tell(member, verdict.rumour);
      changes.push(...this.#enter(peer, member, verdict.to, now, verdict.reason));
    }
    return { changes, calls };
  }

  #wake(now: number): void {
    const { intervalMs } = this.#timings;
    const lateMs = this.#clock.tick(now);
    if (lateMs > 0) this.#health.late(lateMs / intervalMs);
    if (this.#clock.now - this.#roundAt < intervalMs) return;
    this.#roundAt = this.#clock.now;
    const { reachedMs, aloneMs } = this.#timings;
    // Long gone, or never there: no fault of this node's.
    const watched = [...this.#watched.values()].filter(
      (member) =>
        (member.state === "alive" || member.state === "suspect") &&
        member.isSighted &&
        this.#silence(member) < aloneMs,
    );
    const quiet = watched.filter((member) => this.#silence(member) >= reachedMs).length;
    this.#health.round({ watched: watched.length, quiet });
  }

  /** Goes by its own eyes. Until it has seen a member, as their link is being made, it believes others. */
  #judges(peer: PeerId, member: PresenceMember): boolean {
    return this.isWatched(peer) && (member.isSighted || this.#silence(member) >= this.#timings.aloneMs);
  }

  #watchedBy(watch: Watch | undefined): ReadonlyMap<PeerId, PresenceMember> {
    if (watch === undefined) return this.#members;
    return new Map([...this.#members].filter(([peer]) => watch.peers.has(peer)));
  }

  #silence(member: PresenceMember): number {
    return this.#clock.now - member.quietSince;
  }

  #isSilent(member: PresenceMember): boolean {
    return this.#silence(member) >= this.#timings.suspectMs * this.#health.stretchOfSuspicion;
  }

  #alive(peer: PeerId, member: PresenceMember, now: number): PresenceChange[] {
    member.lastSeen = now;
    member.quietSince = this.#clock.now;
    member.isSighted = true;
    return this.#enter(peer, member, "alive", now, "it answers");
  }

  /** Those that could testify: who watches the peer, and is there. */
  #witnesses(about: PeerId): PeerId[] {
    const all = this.#watch === undefined ? this.#members.keys() : this.#watch.watchersOf(about);
    return [...all].filter((peer) => peer !== about && this.#members.get(peer)?.state === "alive");
  }

  #call(about: PeerId, member: PresenceMember, possible: readonly PeerId[]): WitnessCall[] {
    if (possible.length === 0 || this.#clock.now - member.askedAt < this.#timings.askMs) return [];
    member.askedAt = this.#clock.now;
    return [{ about, witnesses: member.nextWitnesses(possible, witnessesAsked) }];
  }

  /** Tell all of a suspicion, as soon as one witness shares it. Who doubts itself keeps it to itself. */
  #accuse(peer: PeerId, member: PresenceMember, possible: number): void {
    if (this.#watch === undefined || this.#health.doubts) return;
    const accusers = member.accusers(this.#clock.now, this.#timings.voteMs);
    if (accusers === undefined || accusers.length < Math.min(1, possible)) return;
    const { incarnation } = member;
    const rumour: Rumour = { kind: "suspect", peer, incarnation, witnesses: accusers };
    if (supersedes(rumour, member.told)) this.#tell(member, rumour);
  }

  /**
   * What is told of one that this node does not see. A verdict out of the blue comes from a part of the network
   * that was cut off, and the refutation is mostly on its way.
   */
  #believe(peer: PeerId, member: PresenceMember, told: Rumour, now: number): PresenceChange[] {
    const mayRefute = told.kind === "failed" && this.#clock.now - member.accusedAt < this.#timings.refuteMs;
    if (!mayRefute || member.state === "failed") {
      return this.#enter(peer, member, told.kind, now, "others say so");
    }
    this.#mayRefute.add(peer);
    return this.#enter(peer, member, "suspect", now, "others say that it failed");
  }

  #heardOfJudged(peer: PeerId, member: PresenceMember, told: Rumour, now: number): PresenceChange[] {
    switch (told.kind) {
      case "alive":
        return this.#alive(peer, member, now);
      case "left":
        return this.#enter(peer, member, "left", now, "it said goodbye");
      case "suspect":
      case "failed":
        // Its own silence decides, at the next tick: who hears it right now knows better.
        return [];
    }
  }

  #tell(member: PresenceMember, rumour: Rumour): void {
    this.#hearsay.note(member, rumour, this.#clock.now);
    if (this.#watch !== undefined) this.#hearsay.spread(rumour);
  }

  #enter(
    peer: PeerId,
    member: PresenceMember,
    to: PresenceState,
    now: number,
    reason: string,
  ): PresenceChange[] {
    const from = member.state;
    if (from === to) return [];
    member.state = to;
    member.since = now;
    return [{ peer, from, to, reason }];
  }
}
