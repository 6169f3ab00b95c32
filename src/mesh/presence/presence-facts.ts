import type { PeerId } from "../../ids/ids.ts";
import type { PresenceState } from "./presence-member.ts";

export interface PresenceEntry {
  readonly state: PresenceState;
  /** When the state began, milliseconds since the epoch. */
  readonly since: number;
  /** Its last sign of life, milliseconds since the epoch; null: none since this node started. */
  readonly lastSeen: number | null;
}

export interface PresenceChange {
  readonly peer: PeerId;
  readonly from: PresenceState;
  readonly to: PresenceState;
  readonly reason: string;
}

/** Ask these members whether they reach `about`. */
export interface WitnessCall {
  readonly about: PeerId;
  readonly witnesses: readonly PeerId[];
}

/** What a witness says; null: it abstains, as it does not know, or doubts itself. */
export type Testimony = boolean | null;

/** Whom this node pings, of many members. */
export interface Watch {
  readonly peers: ReadonlySet<PeerId>;
  /** Those that ping a member, whoever it is. */
  readonly watchersOf: (peer: PeerId) => Iterable<PeerId>;
}
