import { z } from "zod";
import { type EntryId, type Handle, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { MemberCertificate, Tombstone } from "../../mesh/identity/certificate.ts";
import { compareNumbers } from "./numbers.ts";
import type { DecisionNumber, Entry } from "./types.ts";

export const admitKind = "member.admit";
export const removeKind = "member.remove";

/** A member as the journal has it. */
export interface JournalMember {
  readonly peer: PeerId;
  readonly handle: Handle;
  /** The host's name when it was admitted. */
  readonly name: string;
  readonly certificate: MemberCertificate;
  readonly entry: EntryId;
  readonly openedNumber: DecisionNumber;
}

/** `verifyCertificate` and `verifyTombstone` of the mesh, for this cluster. */
export interface MemberProofs {
  certificate(value: unknown): MemberCertificate | undefined;
  tombstone(value: unknown): Tombstone | undefined;
}

const admitBody = z.looseObject({
  peer: z.custom<PeerId>(isPeerId),
  name: z.string().max(255),
  handle: z.custom<Handle>(isHandle),
});
const admitResult = z.looseObject({ certificate: z.unknown() });
const removeResult = z.looseObject({ tombstone: z.unknown() });

export interface Membership {
  readonly members: ReadonlyMap<PeerId, JournalMember>;
  readonly tombstones: ReadonlyMap<PeerId, Tombstone>;
}

/** Who belongs to the cluster by the decisions that are done: admitted, and not removed later. */
export function membershipOf(entries: Iterable<Entry>, proofs: MemberProofs): Membership {
  const members = new Map<PeerId, JournalMember>();
  const tombstones = new Map<PeerId, Tombstone>();
  const done = [...entries]
    .filter((entry) => entry.state === "done" && (entry.kind === admitKind || entry.kind === removeKind))
    .sort((a, b) => compareNumbers(a.openedNumber, b.openedNumber));
  for (const entry of done) {
    if (entry.kind === admitKind) {
      const member = admitted(entry, proofs);
      if (!member) continue;
      members.set(member.peer, member);
      tombstones.delete(member.peer);
    } else {
      const tombstone = proofs.tombstone(removeResult.safeParse(entry.result).data?.tombstone);
      if (!tombstone) continue;
      members.delete(tombstone.peer);
      tombstones.set(tombstone.peer, tombstone);
    }
  }
  return { members, tombstones };
}

function admitted(entry: Entry, proofs: MemberProofs): JournalMember | undefined {
  const body = admitBody.safeParse(entry.body).data;
  const certificate = proofs.certificate(admitResult.safeParse(entry.result).data?.certificate);
  if (!body || !certificate || certificate.peer !== body.peer || certificate.handle !== body.handle) {
    return undefined;
  }
  const { peer, handle, name } = body;
  return { peer, handle, name, certificate, entry: entry.id, openedNumber: entry.openedNumber };
}
