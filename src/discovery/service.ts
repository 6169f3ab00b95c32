/** What this node says of itself, a DNS-SD service instance (RFC 6763). */
export interface ServiceAnnouncement {
  /** Unique on the link: `<host name> <last 6 of PeerId>`; at most 63 bytes of UTF-8, dots become hyphens. */
  readonly instance: string;
  /** Host name without its domain: `n1` is announced as `n1.local`. */
  readonly host: string;
  readonly port: number;
  readonly txt: Readonly<Record<string, string>>;
}

/** An instance that is resolved now: it has an SRV, a TXT and at least one address record. */
export interface Sighting {
  readonly instance: string;
  /** Without `.local`. */
  readonly host: string;
  readonly port: number;
  /** Of all interfaces: IPv4, then IPv6, link-local ones last and with `%interface`. */
  readonly addresses: string[];
  /** Names of this host's interfaces on which it is seen. */
  readonly interfaces: string[];
  /** Keys in lower case; the first of equal keys wins (RFC 6763 section 6.4). */
  readonly txt: Record<string, string>;
  /** Milliseconds since the epoch. */
  readonly firstSeen: number;
  /** Milliseconds since the epoch: when the last record of it arrived. */
  readonly lastSeen: number;
}

export type SightingEvent = "seen" | "changed" | "lost";
