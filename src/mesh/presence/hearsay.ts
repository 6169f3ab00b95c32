import type { PeerId } from "../../ids/ids.ts";
import type { OwnRun } from "./own-run.ts";
import type { PresenceMember } from "./presence-member.ts";
import type { Rumour } from "./rumour.ts";
import { digestsOf, partOf } from "./view-digest.ts";

/** What is told of the members, and what this node has to tell. */
export class Hearsay {
  readonly #own: OwnRun;
  readonly #members: ReadonlyMap<PeerId, PresenceMember>;
  #rumours: Rumour[] = [];

  constructor(own: OwnRun, members: ReadonlyMap<PeerId, PresenceMember>) {
    this.#own = own;
    this.#members = members;
  }

  spread(rumour: Rumour): void {
    this.#rumours.push(rumour);
  }

  /** Rumours to spread, once. */
  take(): Rumour[] {
    return this.#rumours.splice(0);
  }

  /** From now on that is told of a member. */
  note(member: PresenceMember, told: Rumour, awake: number): void {
    const isNew = member.told === undefined || member.told.kind === "alive";
    if (isNew && told.kind !== "alive") member.accusedAt = awake;
    member.told = told;
  }

  /** A verdict with fewer witnesses than are needed is a suspicion. */
  believable(rumour: Rumour, witnessesNeeded: number): Rumour {
    if (rumour.kind !== "failed") return rumour;
    const named = new Set(rumour.witnesses.filter((peer) => peer !== rumour.peer && this.#isMember(peer)));
    return named.size >= witnessesNeeded ? rumour : { ...rumour, kind: "suspect" };
  }

  /** Of all, this node included, in parts, to compare with others'. */
  digests(): number[] {
    const states = [...this.#members].map(([peer, { told }]) => [peer, told?.kind] as const);
    return digestsOf([...states, [this.#own.peer, this.#own.record().kind]]);
  }

  /** Of the members in these parts. */
  records(parts: ReadonlySet<number>): Rumour[] {
    const told = [...this.#members.values()].flatMap((member) => member.told ?? []);
    return [this.#own.record(), ...told].filter(({ peer }) => parts.has(partOf(peer)));
  }

  #isMember(peer: PeerId): boolean {
    return peer === this.#own.peer || this.#members.has(peer);
  }
}
