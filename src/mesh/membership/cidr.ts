import { isIP } from "node:net";

/** One address of an own network interface. */
export interface InterfaceFact {
  /** Interface name, such as eth0. */
  readonly name: string;
  readonly address: string;
  /** The address with its prefix length, such as 10.0.0.5/24. */
  readonly cidr: string;
  /** Whether the default route leaves through this interface. */
  readonly defaultRoute: boolean;
}

/** A subnet in canonical form (10.0.0.0/24) with the bytes of its network address. */
export interface Subnet {
  readonly text: string;
  readonly family: 4 | 6;
  readonly bytes: readonly number[];
  readonly prefix: number;
}

function bytesOf(address: string): { family: 4 | 6; bytes: number[] } | undefined {
  const family = isIP(address);
  if (family === 4) return { family, bytes: address.split(".").map(Number) };
  if (family !== 6) return undefined;
  const [head = "", tail] = address.split("::");
  const words = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((word) => {
          if (word.includes(".")) return word.split(".").map(Number);
          const value = Number.parseInt(word, 16);
          return [value >> 8, value & 255];
        });
  const front = words(head);
  const back = tail === undefined ? [] : words(tail);
  const gap = Array.from({ length: 16 - front.length - back.length }, () => 0);
  return { family, bytes: [...front, ...gap, ...back] };
}

function textOf(family: 4 | 6, bytes: readonly number[]): string {
  if (family === 4) return bytes.join(".");
  const words = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  // RFC 5952: the longest run of two or more zero words is shortened, the first of equals.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (words[start + length] === "0") length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return words.join(":");
  return `${words.slice(0, best.start).join(":")}::${words.slice(best.start + best.length).join(":")}`;
}

/** The subnet of an address with prefix length; undefined when it is none. */
export function subnetOf(cidr: string): Subnet | undefined {
  const [address = "", length = ""] = cidr.split("/");
  const parsed = bytesOf(address.split("%")[0] ?? "");
  if (parsed === undefined || !/^\d{1,3}$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > parsed.bytes.length * 8) return undefined;
  const bytes = parsed.bytes.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefix - 8 * i));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
  return { text: `${textOf(parsed.family, bytes)}/${prefix}`, family: parsed.family, bytes, prefix };
}

const unusable = ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"].flatMap(
  (cidr) => subnetOf(cidr) ?? [],
);

/** Loopback and link-local networks cannot carry a cluster. */
export function canCarryCluster({ family, bytes }: Subnet): boolean {
  const address = textOf(family, bytes);
  return !unusable.some((subnet) => subnetContains(subnet, address));
}

export function subnetContains(subnet: Subnet, address: string): boolean {
  const plain = address.split("%")[0] ?? "";
  return subnetOf(`${plain}/${subnet.prefix}`)?.text === subnet.text;
}

/** Order of subnets: IPv4 first, then by address, then the wider one. */
export function compareSubnets(a: Subnet, b: Subnet): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i += 1) {
    const difference = (a.bytes[i] ?? 0) - (b.bytes[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.prefix - b.prefix;
}
