import { kinds, voterBody } from "../../ceph/control/decisions.ts";
import type { Handle, PeerId } from "../../ids/ids.ts";
import { admitKind, removeKind } from "../../state/journal/members.ts";
import type { Entry, JournalRecord } from "../../state/journal/types.ts";
import type { NewEvent } from "./event-log.ts";

const stateOf = { open: "open", restamp: "open", done: "done", abandoned: "abandoned" } as const;

/** What a record of the journal tells. `entryOf`: the decision that it belongs to. */
export function journalEvents(
  record: JournalRecord,
  entryOf: (record: JournalRecord) => Entry | undefined,
  handleOf: (peer: PeerId) => Handle | null,
): NewEvent[] {
  // That an agent may have it from now on is no news for people.
  if (record.event === "handed") return [];
  const { entry: id, kind, generation, revision, reason, at, by, agent } = record;
  const entry = entryOf(record);
  const made: NewEvent = {
    type: "decision.made",
    node: by,
    data: {
      id,
      kind,
      state: stateOf[record.event],
      number: { generation, revision },
      reason: (reason || entry?.reason || "").slice(0, 4096),
      agent: agent ?? entry?.agent ?? null,
      at,
    },
  };
  if (record.event !== "done" || entry === undefined) return [made];
  return [made, ...followUp(kind, entry, handleOf)];
}

/** What has come about with the end of a decision. */
function followUp(kind: string, { body }: Entry, handleOf: (peer: PeerId) => Handle | null): NewEvent[] {
  const peer = subjectOf(body);
  if (peer === null) return [];
  switch (kind) {
    case admitKind:
      return [{ type: "member.joined", data: { peer, handle: handleIn(body) ?? handleOf(peer) } }];
    case removeKind:
      return [{ type: "member.removed", data: { peer, handle: handleOf(peer) } }];
    case kinds.voter: {
      const seated = voterBody.safeParse(body);
      return seated.success
        ? [{ type: "voter.seated", data: { peer: seated.data.peer, handle: seated.data.handle } }]
        : [];
    }
    default:
      return [];
  }
}

function subjectOf(body: Entry["body"]): PeerId | null {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return null;
  return typeof body.peer === "string" ? (body.peer as PeerId) : null;
}

function handleIn(body: Entry["body"]): string | null {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return null;
  return typeof body.handle === "string" ? body.handle : null;
}
