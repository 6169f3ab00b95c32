import { networkInterfaces } from "node:os";

/** One address of this host that others may reach. */
export interface OwnAddress {
  readonly interface: string;
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  /** Network in CIDR form, as 10.77.0.0/24. */
  readonly network: string;
}

/** Addresses of this host without loopback and link-local ones, IPv4 first. */
export function ownAddresses(only?: readonly string[]): OwnAddress[] {
  const found: OwnAddress[] = [];
  for (const [name, list] of Object.entries(networkInterfaces())) {
    if (only && !only.includes(name)) continue;
    for (const entry of list ?? []) {
      if (entry.internal || entry.cidr === null || isLinkLocal(entry.address)) continue;
      const prefix = Number(entry.cidr.split("/")[1]);
      const network = networkOf(entry.address, prefix);
      found.push({ interface: name, address: entry.address, family: entry.family, network });
    }
  }
  return found.sort((a, b) => (a.family === b.family ? 0 : a.family === "IPv4" ? -1 : 1));
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab]/i.test(address);
}

/** The network of an address, in canonical CIDR text. */
export function networkOf(address: string, prefix: number): string {
  const bits = address.includes(":") ? 128 : 32;
  const value = toNumber(address);
  const mask = ((1n << BigInt(prefix)) - 1n) << BigInt(bits - prefix);
  return `${toText(value & mask, bits)}/${prefix}`;
}

/** Whether an address lies in a network given as CIDR. */
export function inNetwork(address: string, network: string): boolean {
  const [base = "", length = ""] = network.split("/");
  if (base.includes(":") !== address.includes(":")) return false;
  return networkOf(address, Number(length)) === networkOf(base, Number(length));
}

function toNumber(address: string): bigint {
  if (!address.includes(":")) {
    return address.split(".").reduce((all, part) => (all << 8n) | BigInt(Number(part)), 0n);
  }
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array.from({ length: gap }, () => "0"), ...back];
  return groups.reduce((all, group) => (all << 16n) | BigInt(Number.parseInt(group, 16)), 0n);
}

function toText(value: bigint, bits: number): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => ((value >> shift) & 255n).toString()).join(".");
  const groups = Array.from({ length: 8 }, (_, n) =>
    ((value >> BigInt(16 * (7 - n))) & 0xffffn).toString(16),
  );
  return groups.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
}
