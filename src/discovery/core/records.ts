import { addressBytes } from "./addresses.ts";
import { byteLength, fold, sameName } from "./names.ts";

export type RecordType = "A" | "AAAA" | "PTR" | "SRV" | "TXT";

const typeNumbers: Readonly<Record<RecordType, number>> = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 };

export interface ServiceLocation {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

interface Body<Type extends RecordType, Data> {
  readonly type: Type;
  readonly data: Data;
}

export type RecordBody =
  | Body<"A", string>
  | Body<"AAAA", string>
  | Body<"PTR", string>
  | Body<"SRV", ServiceLocation>
  | Body<"TXT", readonly Uint8Array[]>;

export type ResourceRecord = RecordBody & {
  readonly name: string;
  /** Seconds; 0 is a goodbye. */
  readonly ttl: number;
  /** The cache-flush bit: these are all records of this name and type (RFC 6762 section 10.2). */
  readonly flush: boolean;
};

export type RecordOf<Type extends RecordType> = Extract<ResourceRecord, { readonly type: Type }>;

/** Seconds that records with a host name in name or data live (RFC 6762 section 10). */
export const hostTtl = 120;
/** Seconds that the others live. */
export const otherTtl = 4500;

const encoder = new TextEncoder();

function nameBytes(name: string): number[] {
  return name === "."
    ? [0]
    : [
        ...name.split(".").flatMap((label) => {
          const bytes = encoder.encode(label);
          return [bytes.length, ...bytes];
        }),
        0,
      ];
}

/** The data as on the wire, names uncompressed: what a tie-break compares (RFC 6762 section 8.2). */
export function dataBytes(body: RecordBody): Uint8Array {
  switch (body.type) {
    case "A":
    case "AAAA":
      return addressBytes(body.data) ?? new Uint8Array();
    case "PTR":
      return Uint8Array.from(nameBytes(body.data));
    case "SRV": {
      const { priority, weight, port, target } = body.data;
      const numbers = [priority, weight, port].flatMap((value) => [(value >> 8) & 0xff, value & 0xff]);
      return Uint8Array.from([...numbers, ...nameBytes(target)]);
    }
    case "TXT":
      return Uint8Array.from(body.data.flatMap((text) => [text.length, ...text]));
  }
}

/** One text for equal name, type and data; TTL and flush bit play no part. */
export function identityOf(record: RecordBody & { readonly name: string }): string {
  return `${fold(record.name)} ${record.type} ${dataText(record)}`;
}

function dataText(body: RecordBody): string {
  switch (body.type) {
    case "PTR":
      return fold(body.data);
    case "SRV":
      return `${body.data.priority} ${body.data.weight} ${body.data.port} ${fold(body.data.target)}`;
    default:
      return hex(dataBytes(body));
  }
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Bytes of a record in a packet without name compression. */
export function recordBytes(record: ResourceRecord): number {
  return byteLength(record.name) + 2 + 10 + dataBytes(record).length;
}

/**
 * Order of two sets of proposed records (RFC 6762 section 8.2.1): each sorted by type and data, then compared
 * pair by pair; the lexicographically later one wins the name. Positive: `ours` wins, 0: they are the same.
 */
export function tieBreak(ours: readonly ResourceRecord[], theirs: readonly ResourceRecord[]): number {
  const one = ours.map(tieBreakKey).sort(compareBytes);
  const other = theirs.map(tieBreakKey).sort(compareBytes);
  for (let index = 0; index < Math.max(one.length, other.length); index++) {
    const left = one[index];
    const right = other[index];
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const order = compareBytes(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

function tieBreakKey(record: ResourceRecord): Uint8Array {
  return Uint8Array.from([0, typeNumbers[record.type], ...dataBytes(record)]);
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  for (let index = 0; index < Math.min(one.length, other.length); index++) {
    const order = (one[index] ?? 0) - (other[index] ?? 0);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

export function isOf(record: ResourceRecord, name: string, type: RecordType | "ANY"): boolean {
  return (type === "ANY" || record.type === type) && sameName(record.name, name);
}
