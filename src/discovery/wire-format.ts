import type { QueryOutgoingPacket, ResponseOutgoingPacket } from "multicast-dns";
import type { Message } from "./core/message.ts";
import type { ResourceRecord } from "./core/records.ts";

type WireRecord = ResponseOutgoingPacket["answers"][number];

/** The declarations of the library leave out "ANY", which it knows. */
type WireType = QueryOutgoingPacket["questions"][number]["type"];

/** TC bit of the flags. */
const truncatedFlag = 1 << 9;

/** A message as the packet library takes it; it keeps nothing of it. */
export function toWire(message: Message): QueryOutgoingPacket & ResponseOutgoingPacket {
  return {
    id: message.id,
    flags: message.truncated ? truncatedFlag : 0,
    questions: message.questions.map(({ name, type }) => ({ name, type: type as WireType, class: "IN" })),
    answers: message.answers.map(toRecord),
    authorities: message.authorities.map(toRecord),
    additionals: message.additionals.map(toRecord),
  };
}

function toRecord(record: ResourceRecord): WireRecord {
  // The library writes into a list of texts it is given.
  if (record.type === "TXT") return { ...record, data: record.data.map((text) => Buffer.from(text)) };
  return record;
}
