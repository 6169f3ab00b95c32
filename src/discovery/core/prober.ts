import type { Message } from "./message.ts";
import { sameName } from "./names.ts";
import type { RecordSet } from "./record-set.ts";
import { identityOf, type ResourceRecord, tieBreak } from "./records.ts";

/** Probes, and milliseconds between them and after the last (RFC 6762 section 8.1). */
const probeCount = 3;
const probeIntervalMs = 250;
/** Milliseconds the loser of a tie-break waits before it tries again (section 8.2). */
const tieBreakWaitMs = 1_000;

/** Which of our names another host has; null if neither. */
export type NameConflict = "instance" | "host" | null;

/** Schedule of the probes on one link: a step says what is due. */
export class Prober {
  #sent = 0;
  #at: number;

  /** @param startAt milliseconds: first probe, after a random wait of 0–250 ms at the start of a host. */
  constructor(startAt: number) {
    this.#at = startAt;
  }

  due(): number {
    return this.#at;
  }

  /** Before the first probe a conflict is not acted upon: it will be answered to the probe, at our pace. */
  asking(): boolean {
    return this.#sent > 0;
  }

  step(now: number): "wait" | "probe" | "done" {
    if (now < this.#at) return "wait";
    if (this.#sent === probeCount) return "done";
    this.#sent++;
    this.#at = now + probeIntervalMs;
    return "probe";
  }

  /** Lost against a simultaneous probe: the winner announces meanwhile, and then we learn of a conflict. */
  postpone(now: number): void {
    this.#sent = 0;
    this.#at = now + tieBreakWaitMs;
  }
}

/** Asks for anything under our names and says what we are going to announce (RFC 6762 section 8.1). */
export function probeMessage(set: RecordSet): Message {
  const names = [set.instanceName, ...(hasAddresses(set) ? [set.hostName] : [])];
  return {
    kind: "query",
    id: 0,
    truncated: false,
    questions: names.map((name) => ({ name, type: "ANY" })),
    answers: [],
    authorities: set.unique.map((record) => ({ ...record, flush: false })),
    additionals: [],
  };
}

function hasAddresses(set: RecordSet): boolean {
  return set.unique.some(({ type }) => type === "A" || type === "AAAA");
}

/** Whether a probe of another host for one of our names wins over ours. */
export function losesTieBreak(probe: Message, set: RecordSet): boolean {
  return [set.instanceName, set.hostName].some((name) => {
    const theirs = probe.authorities.filter((record) => sameName(record.name, name));
    if (theirs.length === 0 || !probe.questions.some((question) => sameName(question.name, name)))
      return false;
    const ours = set.unique.filter((record) => sameName(record.name, name));
    return ours.length > 0 && tieBreak(ours, theirs) < 0;
  });
}

/**
 * A name of ours under which a response has other data than we do. An address of this host is no conflict
 * whoever says it: an avahi-daemon beside us announces the same host name. Nor is what we said ourselves not
 * long ago: reflectors and bridges bring it back.
 */
export function conflictIn(
  response: Message,
  set: RecordSet,
  own: { readonly addresses: ReadonlySet<string>; said(identity: string): boolean },
): NameConflict {
  for (const record of [...response.answers, ...response.additionals]) {
    if (record.ttl === 0) continue;
    if (sameName(record.name, set.instanceName) && (record.type === "SRV" || record.type === "TXT")) {
      if (!isOurs(record, set) && !own.said(identityOf(record))) return "instance";
    }
    if (sameName(record.name, set.hostName) && (record.type === "A" || record.type === "AAAA")) {
      if (!isOurs(record, set) && !own.addresses.has(record.data) && !own.said(identityOf(record)))
        return "host";
    }
  }
  return null;
}

function isOurs(record: ResourceRecord, set: RecordSet): boolean {
  const identity = identityOf(record);
  return set.unique.some((one) => identityOf(one) === identity);
}
