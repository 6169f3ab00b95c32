import type { Sighting, SightingEvent } from "../service.ts";
import { isLinkLocal, sortAddresses } from "./addresses.ts";
import type { LinkSighting } from "./instance-view.ts";

export interface SightingChange {
  readonly event: SightingEvent;
  readonly sighting: Sighting;
}

/** What one link says of an instance. */
export interface Aspect extends LinkSighting {
  readonly instance: string;
  readonly interface: string;
  readonly lastSeen: number;
}

/** One instance over all links. The link that was told last decides where they differ. */
export function mergeAspects(aspects: readonly Aspect[], firstSeen: number): Sighting | null {
  const newest = aspects.reduce<Aspect | null>(
    (best, one) => (best === null || one.toldAt > best.toldAt ? one : best),
    null,
  );
  if (newest === null) return null;
  const addresses = aspects.flatMap((one) => one.addresses.map((address) => scoped(address, one.interface)));
  return {
    instance: newest.instance,
    host: newest.host,
    port: newest.port,
    addresses: sortAddresses(addresses),
    interfaces: [...new Set(aspects.map((one) => one.interface))].sort(),
    txt: { ...newest.txt },
    firstSeen,
    lastSeen: Math.max(...aspects.map((one) => one.lastSeen)),
  };
}

/** A link-local IPv6 address means nothing without the link. */
function scoped(address: string, interfaceName: string): string {
  return address.includes(":") && isLinkLocal(address) ? `${address}%${interfaceName}` : address;
}

/** The instances that are complete on at least one link. */
export class SightingTable {
  readonly #sightings = new Map<string, Sighting>();

  /** Take in the present state of one instance; null changes nothing that anyone asks to be told of. */
  update(key: string, aspects: readonly Aspect[], now: number): SightingChange | null {
    const before = this.#sightings.get(key);
    const after = mergeAspects(aspects, before?.firstSeen ?? now);
    if (after === null) {
      this.#sightings.delete(key);
      return before === undefined ? null : { event: "lost", sighting: before };
    }
    this.#sightings.set(key, after);
    if (before === undefined) return { event: "seen", sighting: after };
    return sameFacts(before, after) ? null : { event: "changed", sighting: after };
  }

  list(): Sighting[] {
    return [...this.#sightings.values()];
  }

  get(key: string): Sighting | undefined {
    return this.#sightings.get(key);
  }
}

function sameFacts(one: Sighting, other: Sighting): boolean {
  const facts = ({ instance, host, port, addresses, interfaces, txt }: Sighting): string =>
    JSON.stringify([instance, host, port, addresses, interfaces, Object.entries(txt).sort()]);
  return facts(one) === facts(other);
}
