import { isIPv6 } from "node:net";

/** A token bucket: `burst` at once, then `perSecond` in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  /** Milliseconds, monotonic. */
  at: number;
}

/**
 * Token buckets per address and one over all. Memory is bounded: beyond `maxKeys` addresses the one that asked
 * longest ago is forgotten, which gives it a full bucket again; the bucket over all still holds.
 */
export class RateLimiter {
  readonly #perKey: Rate;
  readonly #total: Rate;
  readonly #maxKeys: number;
  /** In order of last use: a Map keeps insertion order. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;

  constructor(options: { perKey: Rate; total: Rate; maxKeys: number }) {
    this.#perKey = options.perKey;
    this.#total = options.total;
    this.#maxKeys = options.maxKeys;
    this.#all = { tokens: options.total.burst, at: 0 };
  }

  /** Whether this one may pass. One that is refused costs the others nothing. */
  take(key: string, now: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: this.#perKey.burst, at: now };
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#maxKeys) break;
      this.#buckets.delete(oldest);
    }
    refill(bucket, this.#perKey, now);
    refill(this.#all, this.#total, now);
    if (bucket.tokens < 1 || this.#all.tokens < 1) return false;
    bucket.tokens -= 1;
    this.#all.tokens -= 1;
    return true;
  }
}

function refill(bucket: Bucket, rate: Rate, now: number): void {
  const elapsed = Math.max(0, now - bucket.at);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsed / 1000) * rate.perSecond);
  bucket.at = now;
}

/** What counts as one asker: an IPv4 address, a link-local IPv6 address, or the /64 of another IPv6 address. */
export function rateKey(address: string): string {
  const [ip = ""] = address.split("%");
  if (!isIPv6(ip) || ip.toLowerCase().startsWith("fe80:")) return ip;
  const [head = "", tail] = ip.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after].slice(0, 4).join(":");
}
