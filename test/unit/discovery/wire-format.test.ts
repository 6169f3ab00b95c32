import { EventEmitter } from "node:events";
import mdns from "multicast-dns";
import { afterAll, describe, expect, it } from "vitest";
import {
  type Message,
  parseMessage,
  queryPackets,
  responsePackets,
} from "../../../src/discovery/core/message.ts";
import { probeMessage } from "../../../src/discovery/core/prober.ts";
import { recordSet } from "../../../src/discovery/core/record-set.ts";
import { recordBytes } from "../../../src/discovery/core/records.ts";
import { encodeText } from "../../../src/discovery/core/text-record.ts";
import { hasPlausibleHeader } from "../../../src/discovery/packet-gate.ts";
import { toWire } from "../../../src/discovery/wire-format.ts";
import { fullSet, message, records, seeded, serviceName } from "./simulated-lan.ts";

/** multicast-dns over a socket that is no socket: what it sends is caught, what is given it decodes. */
class Codec {
  readonly #socket = new EventEmitter();
  readonly #mdns: mdns.MulticastDNS;
  #decoded: unknown;
  #sent: (bytes: Buffer) => void = () => {};

  constructor() {
    const send = (bytes: Buffer): void => this.#sent(bytes);
    const socket = Object.assign(this.#socket, { send, close: (done: () => void) => done() });
    this.#mdns = mdns({ socket: socket as never, bind: false });
    this.#mdns.on("packet", (packet) => {
      this.#decoded = packet;
    });
  }

  /** What the library throws while it encodes is an uncaught exception, also for the daemon: it encodes later. */
  encode(given: Message): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#sent = resolve;
      if (given.kind === "query") this.#mdns.query(toWire(given));
      else this.#mdns.respond(toWire(given));
    });
  }

  /** Undefined if the library cannot decode it. */
  decode(bytes: Buffer): unknown {
    this.#decoded = undefined;
    this.#socket.emit("message", bytes, { address: "10.0.0.9", port: 5353 });
    return this.#decoded;
  }

  close(): void {
    this.#mdns.destroy();
  }
}

const codec = new Codec();
const all = fullSet("n1 – ö", "n1", "10.0.0.1");
const set = recordSet({ serviceName, instance: "n1", host: "n1", port: 7000, text: encodeText({}) }, [
  "10.0.0.1",
  "fd00:0:0:1::1",
]);
const question = { name: serviceName, type: "PTR" as const };

afterAll(() => codec.close());

/** Comparable: bytes as lists, addresses in one of their texts. */
function normal(given: Message | undefined): unknown {
  const text = JSON.stringify(given, (_key, value) => (value instanceof Uint8Array ? [...value] : value));
  return text === undefined ? undefined : JSON.parse(text.replaceAll("fd00:0:0:1::1", "fd00::1:0:0:0:1"));
}

describe("the wire format", () => {
  it.each<[string, Message]>([
    ["an announcement", message({ answers: all })],
    ["an answer with additional records", message({ answers: all.slice(0, 1), additionals: all.slice(1) })],
    ["an empty TXT and an IPv6 address", message({ answers: [...set.all] })],
    [
      "a query with known answers",
      message({ kind: "query", questions: [question], answers: all.slice(0, 1) }),
    ],
    ["a truncated query", message({ kind: "query", truncated: true, questions: [question] })],
    ["a probe", probeMessage(set)],
    ["a reply to a simple resolver", message({ id: 77, questions: [question], answers: all.slice(0, 1) })],
  ])("carries %s unchanged", async (_what, given) => {
    const read = parseMessage(codec.decode(await codec.encode(given)));
    expect(normal(read)).toEqual(normal(given));
  });

  it("reads a question that asks for a unicast answer", async () => {
    const bytes = await codec.encode(message({ kind: "query", questions: [question] }));
    // The class is the last field of the only question.
    bytes.writeUInt16BE(0x8001, bytes.length - 2);
    expect(parseMessage(codec.decode(bytes))?.questions).toEqual([question]);
  });

  it("knows how long a record is without compression", async () => {
    for (const record of set.all) {
      expect((await codec.encode(message({ answers: [record] }))).length, record.type).toBe(
        12 + recordBytes(record),
      );
    }
  });

  it("keeps packets below 1200 bytes, additional records only where they fit", async () => {
    const many = Array.from({ length: 60 }, (_, n) => records.pointer(`instance ${n}`));
    const extra = Array.from({ length: 60 }, (_, n) => records.address("n1", `10.0.0.${n}`));
    const packets = [
      ...responsePackets(many, extra),
      ...queryPackets([question, ...many.map(({ name }) => ({ name, type: "SRV" as const }))], many),
    ];
    for (const packet of packets) expect((await codec.encode(packet)).length).toBeLessThanOrEqual(1_212);
    expect(packets.filter(({ kind }) => kind === "response").flatMap(({ answers }) => answers)).toEqual(many);
    expect(responsePackets(many.slice(0, 1), extra)).toHaveLength(1);
    expect(responsePackets([])).toEqual([]);
  });
});

describe("what cannot be understood", () => {
  const query = {
    type: "query",
    id: 0,
    flag_tc: false,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
  };
  const record = { name: "n1.local", type: "A", class: "IN", ttl: 120, flush: true, data: "10.0.0.1" };
  const answer = (part: object): object => ({
    ...query,
    type: "response",
    answers: [{ ...record, ...part }],
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["no packet", { type: "query" }],
    ["a long name", answer({ name: "x".repeat(256) })],
    ["a negative TTL", answer({ ttl: -1 })],
    ["an address that is none", answer({ data: "10.0.0" })],
    ["a TXT that is no list", answer({ type: "TXT", data: "x" })],
    [
      "a TXT above 1300 bytes",
      answer({ type: "TXT", data: Array.from({ length: 6 }, () => new Uint8Array(250)) }),
    ],
    [
      "a port above 65535",
      answer({ type: "SRV", data: { priority: 0, weight: 0, port: 65_536, target: "x" } }),
    ],
    ["too many records", { ...query, answers: Array.from({ length: 513 }, () => record) }],
  ])("is refused: %s", (_what, packet) => expect(parseMessage(packet)).toBeUndefined());

  it.each<[string, object]>([
    ["of another type", { type: "HINFO", data: {} }],
    ["of another class", { class: "CH" }],
    ["whose name would fool a terminal", { name: "a\u001b[2Jb.local" }],
    ["that is no UTF-8", { name: "\ufffd.local" }],
    ["that points to such a name", { type: "PTR", data: "\u0007" }],
  ])("is left out: a record %s", (_what, part) => expect(parseMessage(answer(part))?.answers).toEqual([]));

  it("lives no longer than 75 minutes", () => {
    expect(parseMessage(answer({ ttl: 0xffffffff }))?.answers[0]?.ttl).toBe(4_500);
  });

  it("is told by its header before it is decoded", () => {
    const header = (...counts: number[]): Buffer => {
      const bytes = Buffer.alloc(40);
      for (const [index, count] of counts.entries()) bytes.writeUInt16BE(count, 4 + 2 * index);
      return bytes;
    };
    expect(hasPlausibleHeader(Buffer.alloc(11))).toBe(false);
    expect(hasPlausibleHeader(Buffer.alloc(12))).toBe(true);
    expect(hasPlausibleHeader(header(1, 2, 0, 0))).toBe(true);
    expect(hasPlausibleHeader(header(1, 2, 0, 1))).toBe(false);
    expect(hasPlausibleHeader(header(0, 0xffff, 0xffff, 0xffff))).toBe(false);
    const status = header(0);
    status.writeUInt16BE(2 << 11, 2);
    expect(hasPlausibleHeader(status)).toBe(false);
  });

  it.each(Array.from({ length: 5 }, (_, seed) => seed))(
    "is survived: random and damaged packets (seed %i)",
    async (seed) => {
      const random = seeded(seed);
      const good = await codec.encode(message({ answers: all, additionals: [...set.all] }));
      let understood = 0;
      for (let n = 0; n < 5_000; n++) {
        const isRandom = random() < 0.3;
        const bytes = isRandom ? Buffer.alloc(Math.floor(random() * 200)) : Buffer.from(good);
        const changes = isRandom ? bytes.length : 1 + Math.floor(random() * 8);
        for (let k = 0; k < changes; k++)
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        const cut = random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
        if (!hasPlausibleHeader(cut)) continue;
        const read = parseMessage(codec.decode(cut));
        if (read === undefined) continue;
        understood++;
        // Whatever is understood can be sent again.
        expect(() => codec.encode(read), `packet ${n}: ${cut.toString("hex")}`).not.toThrow();
      }
      expect(understood).toBeGreaterThan(500);
    },
  );
});
