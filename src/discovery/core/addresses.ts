/** An address of this host as `os.networkInterfaces()` has it. */
export interface InterfaceAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefix: number;
}

/** Bytes of an IPv4 or IPv6 address (a `%scope` is ignored), or undefined if the text is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  const bare = text.split("%")[0] ?? "";
  return bare.includes(":") ? ipv6Bytes(bare) : ipv4Bytes(bare);
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [front, back] = halves.map(groupsOf);
  if (front === undefined || (halves.length === 2 && back === undefined)) return undefined;
  const missing = 8 - front.length - (back?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...front, ...Array.from({ length: missing }, () => 0), ...(back ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function groupsOf(half: string): number[] | undefined {
  if (half === "") return [];
  const groups: number[] = [];
  for (const part of half.split(":")) {
    if (part.includes(".")) {
      const tail = ipv4Bytes(part);
      if (tail === undefined) return undefined;
      groups.push(((tail[0] ?? 0) << 8) | (tail[1] ?? 0), ((tail[2] ?? 0) << 8) | (tail[3] ?? 0));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

export function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/i.test(address);
}

/**
 * Whether a node may be dialled there. Others must not send us to ourselves, to nobody or to many: loopback,
 * unspecified, multicast, broadcast and IPv4-mapped addresses are out.
 */
export function isDialable(address: string): boolean {
  const bytes = addressBytes(address);
  if (bytes === undefined) return false;
  const first = bytes[0] ?? 0;
  if (bytes.length === 4) return first !== 0 && first !== 127 && first < 224;
  if (first === 0xff) return false;
  return bytes.subarray(0, 10).some((byte) => byte !== 0);
}

/**
 * Addresses of one interface that are announced on its links: of each family the routable ones, and link-local
 * ones only where there are no others. This is avahi's rule too; where an avahi-daemon on this host announces
 * the same host name, records that differ from its own would be a name conflict to it.
 */
export function announcedAddresses(addresses: readonly InterfaceAddress[]): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const all = addresses.filter((one) => one.family === family).map(({ address }) => address);
    const routable = all.filter((address) => !isLinkLocal(address));
    return (routable.length > 0 ? routable : all).sort();
  });
}

/** Whether the sender of a packet is on the link of an interface with these addresses. */
export function isOnLink(
  sender: string,
  interfaceName: string,
  addresses: readonly InterfaceAddress[],
): boolean {
  const [bare = "", scope] = sender.split("%");
  if (scope !== undefined) return scope === interfaceName;
  const bytes = addressBytes(bare);
  if (bytes === undefined) return false;
  return addresses.some(({ address, prefix }) => {
    const own = addressBytes(address);
    return own !== undefined && own.length === bytes.length && sharePrefix(own, bytes, prefix);
  });
}

function sharePrefix(one: Uint8Array, other: Uint8Array, bits: number): boolean {
  for (let index = 0; index * 8 < bits; index++) {
    const left = Math.min(8, bits - index * 8);
    const mask = (0xff << (8 - left)) & 0xff;
    if (((one[index] ?? 0) & mask) !== ((other[index] ?? 0) & mask)) return false;
  }
  return true;
}

/** IPv4, then IPv6, link-local ones last: the order in which they should be dialled. */
export function sortAddresses(addresses: Iterable<string>): string[] {
  const rank = (address: string): number => (isLinkLocal(address) ? 2 : 0) + (address.includes(":") ? 1 : 0);
  return [...new Set(addresses)].sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
}
