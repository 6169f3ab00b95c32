import type { Message, Question } from "./message.ts";
import type { MulticastQueue } from "./multicast-queue.ts";
import { sameName } from "./names.ts";
import { answersTo, type RecordSet } from "./record-set.ts";
import { identityOf, type ResourceRecord } from "./records.ts";

/** Milliseconds of random delay of a shared answer (RFC 6762 section 6). */
const sharedDelayMs = { from: 20, to: 120 };
/** The same for a query whose known answers go on in another packet (section 7.2). */
const truncatedDelayMs = { from: 400, to: 500 };
/** Longest life told to a simple resolver, which takes no part in coherency (section 6.7). */
const simpleResolverTtl = 10;

export interface Sender {
  readonly address: string;
  readonly port: number;
}

/** Queue the multicast answers to a query. Answers are multicast even where a unicast one was asked for. */
export function answerQuery(
  query: Message,
  from: Sender,
  context: {
    readonly set: RecordSet;
    readonly queue: MulticastQueue;
    readonly now: number;
    readonly random: () => number;
  },
): void {
  const { set, queue, now, random } = context;
  const known = new Set(query.answers.filter((record) => isFresh(record, set)).map(identityOf));
  // A packet with known answers alone goes on with the query that came before it.
  if (query.questions.length === 0) {
    for (const identity of known) queue.cancel(identity, from.address);
    return;
  }
  for (const question of query.questions) {
    const defends = isProbeForUs(query, question, set);
    for (const record of answersTo(set, question.name, question.type)) {
      if (known.has(identityOf(record))) continue;
      if (defends) queue.add(record, now, null, true);
      else queue.add(record, now + delay(record, query, random), from.address);
    }
  }
}

/** Known answers count with at least half of their life left (RFC 6762 section 7.1). */
function isFresh(known: ResourceRecord, set: RecordSet): boolean {
  const identity = identityOf(known);
  const own = set.all.find((record) => identityOf(record) === identity);
  return own !== undefined && known.ttl >= own.ttl / 2;
}

function isProbeForUs(query: Message, question: Question, set: RecordSet): boolean {
  return (
    query.authorities.some(({ name }) => sameName(name, question.name)) &&
    set.unique.some(({ name }) => sameName(name, question.name))
  );
}

function delay(record: ResourceRecord, query: Message, random: () => number): number {
  if (!query.truncated && record.flush) return 0;
  const { from, to } = query.truncated ? truncatedDelayMs : sharedDelayMs;
  return from + random() * (to - from);
}

/** The unicast reply to a simple resolver, one that asks from another port than 5353 (RFC 6762 section 6.7). */
export function replyToSimpleResolver(query: Message, set: RecordSet): Message | null {
  const answers = query.questions.flatMap(({ name, type }) => answersTo(set, name, type));
  if (answers.length === 0) return null;
  const unique = new Map(answers.map((record) => [identityOf(record), record]));
  return {
    kind: "response",
    id: query.id,
    truncated: false,
    questions: query.questions.slice(0, 4),
    answers: [...unique.values()].map((record) => ({
      ...record,
      ttl: Math.min(record.ttl, simpleResolverTtl),
      flush: false,
    })),
    authorities: [],
    additionals: [],
  };
}
