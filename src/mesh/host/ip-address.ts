import { isIPv4, isIPv6 } from "node:net";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";

/** An IP address as people write it, taken apart: `zone` is the interface of `fe80::1%eth0`. */
export interface IpAddress {
  readonly ip: string;
  readonly zone: string | undefined;
}

const zonePattern = /^[A-Za-z0-9._@:-]{1,32}$/;

/** Undefined for what is no IP address; names are not looked up. */
export function parseIpAddress(text: string): IpAddress | undefined {
  const [ip = "", zone, ...rest] = text.split("%");
  if (rest.length > 0) return undefined;
  if (isIPv4(ip) && zone === undefined) return { ip, zone };
  if (!isIPv6(ip) || (zone !== undefined && !zonePattern.test(zone))) return undefined;
  return { ip, zone };
}

/** The multiaddr of an IP address and TCP port. libp2p loses a zone on its way to the socket, so it is left out. */
export function tcpMultiaddr({ ip }: IpAddress, port: number): Multiaddr {
  return multiaddr(`/${isIPv4(ip) ? "ip4" : "ip6"}/${ip}/tcp/${port}`);
}

/** IP and port at the beginning of a multiaddr; an IPv4 address mapped into IPv6 comes out as IPv4. */
export function endpointOf(address: Multiaddr): { ip: string; port: number } | undefined {
  let ip: string | undefined;
  let port: number | undefined;
  for (const { name, value } of address.getComponents()) {
    if (name === "ip4" || name === "ip6") ip ??= value;
    if (name === "tcp") port ??= Number(value);
  }
  if (ip === undefined || port === undefined) return undefined;
  return { ip: ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip, port };
}
