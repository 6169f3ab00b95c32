import { serviceTypeDomain } from "./names.ts";
import { hostTtl, identityOf, isOf, otherTtl, type RecordType, type ResourceRecord } from "./records.ts";

/** The names and data that a node announces on all of its links. */
export interface Identity {
  /** `_microceph._tcp.local` */
  readonly serviceName: string;
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly text: readonly Uint8Array[];
}

/** The records a node has on one link. */
export interface RecordSet {
  /** Pointers, which others have as well: no probing, no flush bit, delayed answers. */
  readonly shared: readonly ResourceRecord[];
  /** Records whose name is ours alone. */
  readonly unique: readonly ResourceRecord[];
  readonly all: readonly ResourceRecord[];
  readonly instanceName: string;
  readonly hostName: string;
}

/** @param addresses of the link's interface only: others may not be reachable from there. */
export function recordSet(identity: Identity, addresses: readonly string[]): RecordSet {
  const { serviceName, port, text } = identity;
  const instanceName = `${identity.instance}.${serviceName}`;
  const hostName = `${identity.host}.local`;
  const pointer = { type: "PTR", ttl: otherTtl, flush: false } as const;
  const shared: ResourceRecord[] = [
    { ...pointer, name: serviceName, data: instanceName },
    { ...pointer, name: serviceTypeDomain, data: serviceName },
  ];
  const unique: ResourceRecord[] = [
    {
      name: instanceName,
      type: "SRV",
      ttl: hostTtl,
      flush: true,
      data: { priority: 0, weight: 0, port, target: hostName },
    },
    { name: instanceName, type: "TXT", ttl: otherTtl, flush: true, data: text },
    ...addresses.map((address): ResourceRecord => {
      const type = address.includes(":") ? "AAAA" : "A";
      return { name: hostName, type, ttl: hostTtl, flush: true, data: address };
    }),
  ];
  return { shared, unique, all: [...shared, ...unique], instanceName, hostName };
}

export function answersTo(set: RecordSet, name: string, type: RecordType | "ANY"): ResourceRecord[] {
  return set.all.filter((record) => isOf(record, name, type));
}

/** What an asker will want next (RFC 6763 section 12): with a pointer the instance, with it the addresses. */
export function additionalsFor(set: RecordSet, answers: readonly ResourceRecord[]): ResourceRecord[] {
  const given = new Set(answers.map(identityOf));
  const pointsToUs = answers.some(({ type, name }) => type === "PTR" && name !== serviceTypeDomain);
  const needsHost = answers.some(({ type }) => type === "SRV" || type === "A" || type === "AAAA");
  return set.unique.filter((record) => {
    if (given.has(identityOf(record))) return false;
    const isAddress = record.type === "A" || record.type === "AAAA";
    return pointsToUs || (needsHost && isAddress);
  });
}

/** What a change of data calls for: the new records, and goodbyes for those that nothing replaces. */
export function difference(
  before: RecordSet,
  after: RecordSet,
): { readonly said: ResourceRecord[]; readonly withdrawn: ResourceRecord[] } {
  const had = new Set(before.all.map(identityOf));
  const has = new Set(after.all.map(identityOf));
  const gone = before.all.filter((record) => !has.has(identityOf(record)));
  const changed = [...gone, ...after.all.filter((record) => !had.has(identityOf(record)))];
  // The flush bit covers whole sets: if one address comes or goes, all of them are said again.
  const said = after.all.filter((record) => changed.some(({ name, type }) => isOf(record, name, type)));
  const replaced = ({ name, type, flush }: ResourceRecord): boolean =>
    flush && after.all.some((record) => isOf(record, name, type));
  const withdrawn = gone.filter((record) => !replaced(record)).map((record) => ({ ...record, ttl: 0 }));
  return { said, withdrawn };
}
