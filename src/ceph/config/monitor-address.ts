import { isIPv6 } from "node:net";

/** Ports of the two messenger protocols. */
export const monitorPorts = { v2: 3300, v1: 6789 } as const;

/** An IP address as Ceph writes it before a port: IPv6 in brackets. */
export function hostPart(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** `[v2:10.0.0.1:3300,v1:10.0.0.1:6789]`, as `monmaptool --addv` and `mon host` want it. */
export function monitorAddressVector(address: string): string {
  return addressVector(monitorAddresses(address));
}

/** The vector of these addresses, each with its port already. */
export function addressVector(
  addresses: readonly { readonly type: string; readonly address: string }[],
): string {
  return `[${addresses.map(({ type, address }) => `${type}:${address}`).join(",")}]`;
}

/** Both protocols on Ceph's own ports (Ceph doc: msgr2). */
export function monitorAddresses(address: string): { type: "v1" | "v2"; address: string }[] {
  const host = hostPart(address);
  return [
    { type: "v2", address: `${host}:${monitorPorts.v2}` },
    { type: "v1", address: `${host}:${monitorPorts.v1}` },
  ];
}
