/** Bytes of the fixed part of a DNS message, and the least that a question and a record take. */
const headerBytes = 12;
const minQuestionBytes = 5;
const minRecordBytes = 11;
/** Opcode and response code, which must be 0 in multicast DNS (RFC 6762 sections 18.3 and 18.11). */
const opcodeAndRcode = 0x780f;
const responseBit = 0x8000;

/** Why a packet is not looked at. */
export type Refusal = "own" | "foreign" | "limited" | "malformed";

/**
 * Limits per link and second, far above what a large quiet network needs: a start of 32 nodes at once makes
 * about 300 packets. The one per sender keeps a single noisy host from using up the link's.
 */
export interface GateLimits {
  readonly packetsPerSecond: number;
  readonly packetsPerSenderAndSecond: number;
}

export const defaultGateLimits: GateLimits = { packetsPerSecond: 500, packetsPerSenderAndSecond: 100 };

/** Senders counted apart in one second. */
const maxSenders = 256;
/** Milliseconds for which a packet of ours can come back, and how many are remembered. */
const ownWindowMs = 2_000;
const maxOwn = 256;

interface Sent {
  readonly bytes: Buffer;
  readonly at: number;
  /** Addresses it may have as its source: those of the link it was sent on. */
  readonly sources: readonly string[];
  /** Links on which it came back already. */
  readonly links: Set<string>;
}

/**
 * Our own packets, which multicast brings back to every socket of ours, and to other interfaces of ours on the
 * same network. Address and port do not tell them from those of an avahi-daemon on this host, so it takes the
 * bytes as well, each sent packet once per link.
 */
export class OwnPackets {
  #sent: Sent[] = [];

  remember(bytes: Buffer, sources: readonly string[], now: number): void {
    this.#sent = this.#sent.filter(({ at }) => at > now - ownWindowMs).slice(1 - maxOwn);
    this.#sent.push({ bytes, at: now, sources, links: new Set() });
  }

  /** Whether this is a packet of ours that has not come back on this link yet. */
  recognise(bytes: Uint8Array, source: string, link: string, now: number): boolean {
    const bare = source.split("%")[0] ?? "";
    const sent = this.#sent.find(
      (one) =>
        one.at > now - ownWindowMs &&
        !one.links.has(link) &&
        one.sources.includes(bare) &&
        one.bytes.equals(bytes),
    );
    sent?.links.add(link);
    return sent !== undefined;
  }
}

/** Counts packets per second, in all and per sender. */
export class RateLimit {
  readonly #limits: GateLimits;
  #second = 0;
  #total = 0;
  #senders = new Map<string, number>();

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  admit(sender: string, now: number): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#total = 0;
      this.#senders.clear();
    }
    const count = (this.#senders.get(sender) ?? 0) + 1;
    if (count > 1 || this.#senders.size < maxSenders) this.#senders.set(sender, count);
    if (count > this.#limits.packetsPerSenderAndSecond) return false;
    this.#total++;
    return this.#total <= this.#limits.packetsPerSecond;
  }
}

/**
 * Whether the header promises no more than the packet can hold. The decoder believes it and would make arrays
 * of 65535 entries for an empty packet.
 */
export function hasPlausibleHeader(bytes: Buffer): boolean {
  if (bytes.length < headerBytes) return false;
  if ((bytes.readUInt16BE(2) & opcodeAndRcode) !== 0) return false;
  const questions = bytes.readUInt16BE(4);
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  return headerBytes + questions * minQuestionBytes + records * minRecordBytes <= bytes.length;
}

export function isResponse(bytes: Buffer): boolean {
  return (bytes.readUInt16BE(2) & responseBit) !== 0;
}
