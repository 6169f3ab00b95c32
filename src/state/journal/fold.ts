import type { EntryId } from "../../ids/ids.ts";
import { entryIdOf } from "./numbers.ts";
import { numberOf } from "./record.ts";
import type { Entry, JournalRecord } from "./types.ts";

export type Folded =
  | { readonly ok: true; readonly entry: Entry }
  | { readonly ok: false; readonly problem: string };

/** An entry after one more of its records; `before` is undefined for the first. */
export function entryAfter(before: Entry | undefined, record: JournalRecord): Folded {
  if (record.event === "open") return opened(before, record);
  if (before === undefined) return refused(record, "of an entry that was never opened");
  if (before.state !== "open") return refused(record, `of an entry that is ${before.state}`);
  switch (record.event) {
    case "restamp":
      return { ok: true, entry: { ...before, number: numberOf(record) } };
    case "handed":
      return { ok: true, entry: { ...before, handed: true } };
    case "done":
      return { ok: true, entry: closed(before, record, "done") };
    case "abandoned":
      if (mustBeAcknowledged(before) && !releases(record)) {
        return refused(record, "without the agent's acknowledgement");
      }
      return { ok: true, entry: closed(before, record, "abandoned") };
  }
}

/** An agent may be carrying it out: it ends early only with that agent's durable promise not to, or without the agent. */
export function mustBeAcknowledged(entry: Pick<Entry, "handed" | "agent">): boolean {
  return entry.handed && entry.agent !== null;
}

/** All entries that the records come to, in the order of their opening. */
export function foldRecords(records: Iterable<JournalRecord>): {
  entries: Map<EntryId, Entry>;
  problems: string[];
} {
  const entries = new Map<EntryId, Entry>();
  const problems: string[] = [];
  for (const record of records) {
    const after = entryAfter(entries.get(record.entry), record);
    if (after.ok) entries.set(record.entry, after.entry);
    else problems.push(after.problem);
  }
  return { entries, problems };
}

function opened(before: Entry | undefined, record: JournalRecord): Folded {
  const number = numberOf(record);
  if (before !== undefined || record.entry !== entryIdOf(number, record.kind)) {
    return refused(record, "under an id that is not its own");
  }
  const { entry: id, kind, body, agent, reason, at: openedAt } = record;
  const state = "open";
  return {
    ok: true,
    entry: {
      id,
      kind,
      body,
      agent,
      state,
      number,
      handed: false,
      result: null,
      reason,
      openedAt,
      closedAt: null,
      openedNumber: number,
    },
  };
}

function closed(before: Entry, record: JournalRecord, state: "done" | "abandoned"): Entry {
  return { ...before, state, result: record.result, reason: record.reason, closedAt: record.at };
}

/** The agent has promised not to carry it out, or an operator has declared it gone for good. */
function releases({ result }: JournalRecord): boolean {
  return (
    result !== null &&
    typeof result === "object" &&
    !Array.isArray(result) &&
    (result.cancelAcknowledged === true || result.agentGone === true)
  );
}

function refused(record: JournalRecord, why: string): Folded {
  return { ok: false, problem: `record ${record.revision}: ${record.event} of ${record.entry} ${why}` };
}
