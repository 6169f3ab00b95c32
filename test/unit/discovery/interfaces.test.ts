import type { NetworkInterfaceInfo } from "node:os";
import { describe, expect, it } from "vitest";
import { allAddresses, linksOf } from "../../../src/discovery/interfaces.ts";

function v4(address: string, prefix: number, mac = "02:00:00:00:00:01"): NetworkInterfaceInfo {
  const cidr = `${address}/${prefix}`;
  return { address, netmask: "", family: "IPv4", mac, internal: address.startsWith("127."), cidr };
}

function v6(address: string, mac = "02:00:00:00:00:01", scopeid = 2): NetworkInterfaceInfo {
  return {
    address,
    netmask: "",
    family: "IPv6",
    mac,
    internal: address === "::1",
    cidr: `${address}/64`,
    scopeid,
  };
}

const host = {
  lo: [v4("127.0.0.1", 8), v6("::1")],
  eth0: [v4("10.0.0.1", 24), v6("fd00::1"), v6("fe80::1")],
  eth1: [v6("fe80::2")],
};

describe("links", () => {
  it("are interface and family, without loopback, with the addresses of the interface", () => {
    const shown = linksOf(host).map(({ id, addresses, own }) => [
      id,
      addresses,
      own.map(({ address }) => address),
    ]);
    expect(shown).toEqual([
      ["eth0/IPv4", ["10.0.0.1", "fd00::1"], ["10.0.0.1"]],
      ["eth0/IPv6", ["10.0.0.1", "fd00::1"], ["fd00::1", "fe80::1"]],
      ["eth1/IPv6", ["fe80::2"], ["fe80::2"]],
    ]);
  });

  it("are those of the chosen interfaces, never loopback", () => {
    expect(linksOf(host, ["eth1", "lo", "absent"]).map(({ id }) => id)).toEqual(["eth1/IPv6"]);
  });

  const key = (eth0: NetworkInterfaceInfo[], id = "eth0/IPv4"): string | undefined =>
    linksOf({ eth0 }).find((link) => link.id === id)?.socketKey;
  const before = [v4("10.0.0.1", 24), v6("fe80::1")];
  it.each<[string, NetworkInterfaceInfo[], string, boolean]>([
    ["nothing changed", [v6("fe80::1"), v4("10.0.0.1", 24)], "eth0/IPv4", false],
    ["an address was added", [v4("10.0.0.1", 24), v4("10.0.0.9", 32), v6("fe80::1")], "eth0/IPv4", false],
    ["the address changed", [v4("10.0.0.2", 24), v6("fe80::1")], "eth0/IPv4", true],
    ["the address changed", [v4("10.0.0.2", 24), v6("fe80::1")], "eth0/IPv6", false],
    [
      "another card has the name",
      [v4("10.0.0.1", 24, "02:00:00:00:00:09"), v6("fe80::1", "02:00:00:00:00:09")],
      "eth0/IPv4",
      true,
    ],
    [
      "the interface was made anew",
      [v4("10.0.0.1", 24), v6("fe80::1", "02:00:00:00:00:01", 7)],
      "eth0/IPv6",
      true,
    ],
  ])("when %s: %j %s needs a new socket: %s", (_what, after, id, isNew) => {
    expect(key(after, id) !== key(before, id)).toBe(isNew);
  });

  it("know every address of this host", () => {
    expect(allAddresses(host)).toEqual(["127.0.0.1", "::1", "10.0.0.1", "fd00::1", "fe80::1", "fe80::2"]);
  });
});
