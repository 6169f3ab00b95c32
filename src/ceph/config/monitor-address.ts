import { isIPv6 } from "node:net";

/** Ports of the two messenger protocols. */
export const monitorPorts = { v2: 3300, v1: 6789 } as const;

/** An IP address as Ceph writes it before a port: IPv6 in brackets. */
export function hostPart(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** `[v2:10.0.0.1:3300,v1:10.0.0.1:6789]`, as `monmaptool --addv` and `mon host` want it. */
export function monitorAddressVector(address: string, v2Only = false): string {
  return addressVector(monitorAddresses(address, v2Only));
}

/** Whether these monitors, which are some, speak the second protocol alone. */
export function speakV2Only(
  monitors: readonly { readonly addresses: readonly { readonly type: string }[] }[],
): boolean {
  const types = monitors.flatMap(({ addresses }) => addresses.map(({ type }) => type));
  return types.length > 0 && types.every((type) => type === "v2");
}

/** The vector of these addresses, each with its port already. */
export function addressVector(
  addresses: readonly { readonly type: string; readonly address: string }[],
): string {
  return `[${addresses.map(({ type, address }) => `${type}:${address}`).join(",")}]`;
}

/** Both protocols on Ceph's own ports, or the second alone (Ceph doc: msgr2). */
export function monitorAddresses(address: string, v2Only = false): { type: "v1" | "v2"; address: string }[] {
  const host = hostPart(address);
  return [
    { type: "v2", address: `${host}:${monitorPorts.v2}` },
    ...(v2Only ? [] : [{ type: "v1", address: `${host}:${monitorPorts.v1}` } as const]),
  ];
}
