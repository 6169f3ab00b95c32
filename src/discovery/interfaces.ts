import type { NetworkInterfaceInfo } from "node:os";
import { announcedAddresses, type InterfaceAddress } from "./core/addresses.ts";
import type { LinkFacts } from "./core/discovery-core.ts";

/** What `os.networkInterfaces()` gives. */
export type NetworkInterfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** One socket's worth of an interface: it in one family. */
export interface InterfaceLink extends LinkFacts {
  readonly family: 4 | 6;
  /** All addresses of the interface in this family: who is on the link. */
  readonly own: readonly InterfaceAddress[];
  /** Differs if the socket must be made anew: another card under the same name, another own address. */
  readonly socketKey: string;
}

/** Interfaces to announce and browse on: the chosen ones, by default all; never loopback. */
export function linksOf(interfaces: NetworkInterfaces, chosen?: readonly string[]): InterfaceLink[] {
  return Object.entries(interfaces).flatMap(([name, list]) => {
    if (chosen !== undefined && !chosen.includes(name)) return [];
    const entries = (list ?? []).filter(({ internal }) => !internal);
    const all = entries.map(toAddress);
    const announced = announcedAddresses(all);
    return ([4, 6] as const).flatMap((family) => {
      const own = all.filter((address) => address.family === family);
      const card = entries.map(({ mac, scopeid }) => `${mac}/${scopeid ?? 0}`).sort();
      const first = own[0];
      if (first === undefined) return [];
      const socketKey = [...new Set(card), family === 4 ? first.address : ""].join(" ");
      return [{ id: `${name}/IPv${family}`, interface: name, family, addresses: announced, own, socketKey }];
    });
  });
}

function toAddress(info: NetworkInterfaceInfo): InterfaceAddress {
  const family = info.family === "IPv4" ? 4 : 6;
  const prefix = info.cidr === null ? (family === 4 ? 32 : 128) : Number(info.cidr.split("/")[1]);
  return { family, address: info.address, prefix };
}

/** Every address of this host, loopback included. */
export function allAddresses(interfaces: NetworkInterfaces): string[] {
  return Object.values(interfaces).flatMap((list) => (list ?? []).map(({ address }) => address));
}
