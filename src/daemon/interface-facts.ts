import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type InterfaceFact, subnetContains, subnetOf } from "../mesh/membership/cidr.ts";

/** Names of the interfaces through which an IPv4 default route leaves (proc(5), /proc/net/route). */
function defaultRouteInterfaces(): Set<string> {
  const names = new Set<string>();
  try {
    for (const line of readFileSync("/proc/net/route", "utf8").split("\n").slice(1)) {
      const [name, destination] = line.split(/\s+/);
      if (name && destination === "00000000") names.add(name);
    }
  } catch {
    // Without /proc there is no telling; the lowest network is chosen then.
  }
  return names;
}

/** The own interfaces' addresses, link-local ones included, loopback not. */
export function interfaceFacts(only?: readonly string[]): InterfaceFact[] {
  const routed = defaultRouteInterfaces();
  return Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    only && !only.includes(name)
      ? []
      : (list ?? [])
          .filter((entry) => !entry.internal && entry.cidr !== null)
          .map(({ address, cidr }) => ({
            name,
            address,
            cidr: cidr ?? `${address}/128`,
            defaultRoute: routed.has(name),
          })),
  );
}

/** Milliseconds for which what was read holds: many ask in one turn, and each reading is some system calls. */
const freshMs = 100;

/** `interfaceFacts`, read at most ten times a second. */
export function recentInterfaceFacts(
  only: readonly string[] | undefined,
  steadyNow: () => number,
): () => InterfaceFact[] {
  let last: { readonly at: number; readonly facts: InterfaceFact[] } | null = null;
  return () => {
    const now = steadyNow();
    if (last === null || now - last.at >= freshMs) last = { at: now, facts: interfaceFacts(only) };
    return last.facts;
  };
}

/** Own addresses that others may reach: no link-local ones, IPv4 first. */
export function reachableAddresses(interfaces: readonly InterfaceFact[]): string[] {
  return interfaces
    .map(({ address }) => address)
    .filter((address) => !/^fe[89ab]/i.test(address) && !address.startsWith("169.254."))
    .sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
}

/** The first address that lies in one of these networks (CIDR, comma list); null when none does. */
export function addressIn(addresses: readonly string[], networks: string): string | null {
  for (const text of networks.split(",")) {
    const subnet = subnetOf(text.trim());
    const found = subnet && addresses.find((address) => subnetContains(subnet, address));
    if (found) return found;
  }
  return null;
}
