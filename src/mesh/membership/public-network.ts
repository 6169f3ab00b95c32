import { MicrocephError } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import { canCarryCluster, compareSubnets, type InterfaceFact, subnetContains, subnetOf } from "./cidr.ts";

/** How a node was reached and on which subnets it says it is. */
export interface ReachedNode {
  readonly peer: PeerId;
  readonly address: string;
  /** Subnets (CIDR) that it reported; empty: unknown, and the address alone counts. */
  readonly networks: readonly string[];
}

export interface NetworkChoice {
  /** CIDR. */
  readonly network: string;
  /** Those of the nodes that are on it. */
  readonly nodes: readonly PeerId[];
}

/** The interface over which an address is reached: by its subnet, or by the zone of a link-local address. */
function interfaceTowards(address: string, interfaces: readonly InterfaceFact[]): string | undefined {
  const zone = address.split("%")[1];
  if (zone !== undefined) return zone;
  return interfaces.find(({ cidr }) => {
    const subnet = subnetOf(cidr);
    return subnet !== undefined && subnetContains(subnet, address);
  })?.name;
}

/**
 * The public network of a new cluster: the subnet on which the founder sees most of the others (all, in the
 * end); of several the default route's, else the lowest. Undefined when none has any of them.
 */
export function choosePublicNetwork(
  interfaces: readonly InterfaceFact[],
  nodes: readonly ReachedNode[],
): NetworkChoice | undefined {
  const choices = candidates(interfaces).map(({ subnet, names, defaultRoute }) => ({
    subnet,
    defaultRoute,
    nodes: nodes.filter(({ address, networks }) => {
      const through = interfaceTowards(address, interfaces);
      if (through === undefined || !names.has(through)) return false;
      return networks.length === 0 ? subnetContains(subnet, address) : networks.includes(subnet.text);
    }),
  }));
  choices.sort(
    (a, b) =>
      b.nodes.length - a.nodes.length ||
      Number(b.defaultRoute) - Number(a.defaultRoute) ||
      compareSubnets(a.subnet, b.subnet),
  );
  const [best] = choices;
  if (best === undefined || (best.nodes.length === 0 && nodes.length > 0)) return undefined;
  return { network: best.subnet.text, nodes: best.nodes.map(({ peer }) => peer) };
}

function candidates(interfaces: readonly InterfaceFact[]): {
  subnet: NonNullable<ReturnType<typeof subnetOf>>;
  names: Set<string>;
  defaultRoute: boolean;
}[] {
  const found = new Map<string, ReturnType<typeof candidates>[number]>();
  for (const { cidr, name, defaultRoute } of interfaces) {
    const subnet = subnetOf(cidr);
    if (subnet === undefined || !canCarryCluster(subnet)) continue;
    const known = found.get(subnet.text) ?? { subnet, names: new Set<string>(), defaultRoute: false };
    known.names.add(name);
    found.set(subnet.text, { ...known, defaultRoute: known.defaultRoute || defaultRoute });
  }
  return [...found.values()];
}

/** The usable subnets of the own interfaces, as told to others. */
export function ownNetworks(interfaces: readonly InterfaceFact[]): string[] {
  return candidates(interfaces)
    .map(({ subnet }) => subnet)
    .sort(compareSubnets)
    .map(({ text }) => text);
}

/** Subnets (CIDR) of one family. Throws USAGE. */
export function parseNetworks(list: string): string[] {
  const parts = list.split(",").map((part) => part.trim());
  const subnets = parts.map((part) => {
    const subnet = subnetOf(part);
    if (subnet?.text === part) return subnet;
    const hint = subnet === undefined ? "" : ` (${subnet.text}?)`;
    throw new MicrocephError("USAGE", `"${part.slice(0, 60)}" is no subnet${hint}`);
  });
  if (new Set(subnets.map(({ family }) => family)).size > 1) {
    throw new MicrocephError("USAGE", `${list}: Ceph's daemons are in IPv4 or in IPv6, not in both`);
  }
  return parts;
}

/** One subnet of this node, and, where other members stand elsewhere, theirs. Throws USAGE. */
export function checkNetworks(list: string, own: readonly string[]): void {
  const parts = parseNetworks(list);
  if (!parts.some((part) => own.includes(part))) {
    throw new MicrocephError(
      "USAGE",
      `${list} is no subnet of this node (it has ${own.join(", ") || "none"})`,
    );
  }
}
