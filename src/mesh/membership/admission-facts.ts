import type { ClusterId, EntryId, Handle, PeerId } from "../../ids/ids.ts";
import type { DecisionNumber } from "../lobby/messages.ts";
import type { NeighbourReport } from "./neighbour-report.ts";

export type AdmissionMode = "auto" | "approve" | "closed";

/** One member's report and when it arrived (or was made, for the own one), on the holder's clock. */
export interface ReceivedReport {
  readonly at: number;
  readonly neighbours: readonly NeighbourReport[];
}

/** An open `member.admit` entry. */
export interface Reservation {
  readonly entry: EntryId;
  readonly peer: PeerId;
  readonly name: string;
  readonly handle: Handle;
  /** Number of its opening record: what the claim carries. */
  readonly openedNumber: DecisionNumber;
  readonly openedAt: number;
}

/**
 * What came of delivering a claim: the lease holder remembers it while it holds the lease. `later`: the node is
 * still finding out who is there, and takes no claim before it has.
 */
export type ClaimOutcome =
  | { readonly outcome: "accepted" }
  | { readonly outcome: "later" }
  | { readonly outcome: "refused"; readonly code: string }
  | { readonly outcome: "unreachable"; readonly detail: string };

export interface AdmissionFacts {
  /** The time of day: for what operators said until when. */
  readonly now: number;
  /** Milliseconds on a clock that nobody sets: for what was heard and refused. Its zero is of no matter. */
  readonly steadyNow: number;
  /** The lease holder, where the plan runs. */
  readonly self: PeerId;
  readonly cluster: { readonly id: ClusterId; readonly name: string; readonly publicKey: string };
  /** Reports by the members that are alive, the own one included. */
  readonly reports: ReadonlyMap<PeerId, ReceivedReport>;
  readonly journal: {
    /** `entry`, `openedNumber`: of the admission. */
    readonly members: ReadonlyMap<
      PeerId,
      { readonly handle: Handle; readonly entry: EntryId; readonly openedNumber: DecisionNumber }
    >;
    readonly reservations: readonly Reservation[];
    readonly tombstones: ReadonlySet<PeerId>;
    /** Every handle ever given, those of removed members included. */
    readonly handlesEverGiven: ReadonlySet<string>;
    /** Confirmed acceptors of the founding, which need no further policy. */
    readonly founders: ReadonlySet<PeerId>;
  };
  readonly admission: { readonly mode: AdmissionMode /** Epoch ms. */; readonly until: number | null };
  /** Operators' verdicts with their time (epoch ms); where there are several, deny is here. */
  readonly verdicts: ReadonlyMap<PeerId, { readonly verdict: "approve" | "deny"; readonly at: number }>;
  readonly outcomes: ReadonlyMap<EntryId, ClaimOutcome>;
  /** When (on the steady clock) a node last refused a claim of ours, and why. */
  readonly refusals: ReadonlyMap<PeerId, { readonly code: string; readonly at: number }>;
}

/** One thing to do now. `via`: the member that sees the node and carries it out. */
export type AdmissionStep =
  | { readonly do: "reserve"; readonly peer: PeerId; readonly name: string; readonly handle: Handle }
  | {
      readonly do: "claim";
      readonly peer: PeerId;
      readonly via: PeerId;
      readonly entry: EntryId;
      readonly number: DecisionNumber;
    }
  | { readonly do: "close"; readonly entry: EntryId; readonly peer: PeerId; readonly handle: Handle }
  | {
      readonly do: "abandon";
      readonly entry: EntryId;
      readonly peer: PeerId;
      readonly reason: string;
    }
  | { readonly do: "admit"; readonly peer: PeerId; readonly via: PeerId }
  /** Set free a node that holds a claim of ours which comes to nothing. */
  | { readonly do: "release"; readonly peer: PeerId; readonly via: PeerId };

/** A node seen in the lobby that is not a member: a row of `mesh status`. */
export interface PendingNode {
  readonly id: PeerId;
  readonly name: string;
  readonly address: string;
  readonly fingerprint: string;
  readonly windowOpen: boolean;
  readonly seenBy: readonly PeerId[];
  /** RFC 3339. */
  readonly firstSeen: string;
  readonly stage: "waiting" | "reserved" | "claimed" | "denied";
  /** Why it is where it is. */
  readonly reason: string;
}

export interface Conflict {
  readonly kind: "other-cluster" | "two-clusters" | "lost-membership" | "removed-node";
  readonly detail: string;
}

export interface AdmissionPlan {
  readonly steps: readonly AdmissionStep[];
  readonly pending: readonly PendingNode[];
  readonly conflicts: readonly Conflict[];
}
