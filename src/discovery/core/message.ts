import { z } from "zod";
import { addressBytes } from "./addresses.ts";
import { byteLength, isCleanName, maxNameBytes } from "./names.ts";
import { otherTtl, type RecordType, type ResourceRecord, recordBytes } from "./records.ts";
import { maxTextBytes, textBytes } from "./text-record.ts";

export interface Question {
  readonly name: string;
  readonly type: RecordType | "ANY";
}

/** What of a DNS message matters to DNS-SD: five record types of class IN. */
export interface Message {
  readonly kind: "query" | "response";
  /** 0 except in a query of a simple resolver and the reply to it. */
  readonly id: number;
  /** TC bit: more known answers follow in another packet. */
  readonly truncated: boolean;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

/** Bytes of a packet we send: below Ethernet's MTU with room for IPv6 and UDP headers and a tunnel. */
export const maxPacketBytes = 1200;
/** Records of one section that are looked at; RFC 6762 allows packets of 9000 bytes, about this many. */
const maxSectionEntries = 512;

const recordTypes = ["A", "AAAA", "PTR", "SRV", "TXT"] as const;
/** dns-packet keeps the "unicast response" bit of a question in its class: 0x8001 has no name there. */
const questionClasses = ["IN", "ANY", "UNKNOWN_32769", "UNKNOWN_33023"];

const name = z.string().min(1).max(maxNameBytes);
const address = z
  .string()
  .max(64)
  .refine((text) => addressBytes(text) !== undefined);
const uint16 = z.int().min(0).max(0xffff);
const strings = z
  .array(z.instanceof(Uint8Array).refine((bytes) => bytes.length <= 255))
  .max(256)
  .refine((list) => textBytes(list) <= maxTextBytes);

const dataSchemas = {
  A: address,
  AAAA: address,
  PTR: name,
  SRV: z.object({ priority: uint16, weight: uint16, port: uint16, target: name }),
  TXT: strings,
} as const;

const questionSchema = z.object({ name, type: z.string().max(32), class: z.string().max(32) });
const recordSchema = z.object({
  name,
  type: z.string().max(32),
  // Absent in OPT, which is not looked at.
  class: z.string().max(32).optional(),
  ttl: z.int().min(0).max(0xffffffff).optional(),
  flush: z.boolean().optional(),
  data: z.unknown(),
});
const section = z.array(recordSchema).max(maxSectionEntries);
const packetSchema = z.object({
  type: z.enum(["query", "response"]),
  id: uint16,
  flag_tc: z.boolean(),
  questions: z.array(questionSchema).max(maxSectionEntries),
  answers: section,
  authorities: section,
  additionals: section,
});

/**
 * The message in a packet as the packet library decoded it, or undefined if it breaks a limit. Questions and
 * records of other types and classes are left out, and so are names that could not be asked for again.
 */
export function parseMessage(packet: unknown): Message | undefined {
  const parsed = packetSchema.safeParse(packet);
  if (!parsed.success) return undefined;
  const { type, id, flag_tc } = parsed.data;
  try {
    return {
      kind: type,
      id,
      truncated: flag_tc,
      questions: parsed.data.questions.flatMap(readQuestion),
      answers: parsed.data.answers.flatMap(readRecord),
      authorities: parsed.data.authorities.flatMap(readRecord),
      additionals: parsed.data.additionals.flatMap(readRecord),
    };
  } catch (error) {
    if (error instanceof z.ZodError) return undefined;
    throw error;
  }
}

function readQuestion(question: z.infer<typeof questionSchema>): Question[] {
  if (!questionClasses.includes(question.class) || !isCleanName(question.name)) return [];
  const type = question.type === "ANY" ? "ANY" : recordTypes.find((known) => known === question.type);
  return type === undefined ? [] : [{ name: question.name, type }];
}

function readRecord(record: z.infer<typeof recordSchema>): ResourceRecord[] {
  const type = recordTypes.find((known) => known === record.type);
  if (type === undefined || record.class !== "IN" || !isCleanName(record.name)) return [];
  // A longer life than our own longest would let one packet occupy the cache for years.
  const ttl = Math.min(record.ttl ?? 0, otherTtl);
  const base = { name: record.name, ttl, flush: record.flush ?? false };
  switch (type) {
    case "A":
    case "AAAA":
      return [{ ...base, type, data: dataSchemas[type].parse(record.data) }];
    case "PTR": {
      const data = dataSchemas.PTR.parse(record.data);
      return isCleanName(data) ? [{ ...base, type, data }] : [];
    }
    case "SRV": {
      const data = dataSchemas.SRV.parse(record.data);
      return isCleanName(data.target) ? [{ ...base, type, data }] : [];
    }
    case "TXT":
      // A copy: the library's buffers are views of the whole packet and would keep it alive.
      return [
        { ...base, type, data: dataSchemas.TXT.parse(record.data).map((bytes) => Uint8Array.from(bytes)) },
      ];
  }
}

/** A query in as many packets as its questions and known answers need, all but the last truncated. */
export function queryPackets(
  questions: readonly Question[],
  knownAnswers: readonly ResourceRecord[] = [],
): Message[] {
  const base = { kind: "query", id: 0, authorities: [], additionals: [] } as const;
  const groups = inPackets(questions, questionBytes);
  const last = groups.pop() ?? [];
  const room = maxPacketBytes - last.reduce((sum, question) => sum + questionBytes(question), 0);
  const known = inPackets(knownAnswers, recordBytes, room);
  return [
    ...groups.map((group) => ({ ...base, questions: group, answers: [], truncated: false })),
    ...(known.length === 0 ? [[]] : known).map((answers, index) => ({
      ...base,
      questions: index === 0 ? last : [],
      answers,
      truncated: index < known.length - 1,
    })),
  ];
}

/** Answers in as many packets as they need; additional records only where the last one has room. */
export function responsePackets(
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): Message[] {
  const base = { kind: "response", id: 0, truncated: false, questions: [], authorities: [] } as const;
  const groups = inPackets(answers, recordBytes);
  return groups.map((group, index) => {
    const used = group.reduce((sum, record) => sum + recordBytes(record), 0);
    const extra = index < groups.length - 1 ? [] : fitting(additionals, maxPacketBytes - used);
    return { ...base, answers: group, additionals: extra };
  });
}

function questionBytes(question: Question): number {
  return byteLength(question.name) + 2 + 4;
}

function fitting(records: readonly ResourceRecord[], room: number): ResourceRecord[] {
  return inPackets(records, recordBytes, room)[0] ?? [];
}

function inPackets<T>(items: readonly T[], size: (item: T) => number, firstRoom = maxPacketBytes): T[][] {
  const groups: T[][] = [];
  let group: T[] = [];
  let room = firstRoom;
  for (const item of items) {
    const bytes = size(item);
    if (bytes > room && group.length > 0) {
      groups.push(group);
      group = [];
      room = maxPacketBytes;
    }
    group.push(item);
    room -= bytes;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}
