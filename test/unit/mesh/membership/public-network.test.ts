import { describe, expect, it } from "vitest";
import type { InterfaceFact } from "../../../../src/mesh/membership/cidr.ts";
import {
  checkNetworks,
  choosePublicNetwork,
  ownNetworks,
} from "../../../../src/mesh/membership/public-network.ts";
import { peer } from "./fixtures.ts";

function face(name: string, cidr: string, defaultRoute = false): InterfaceFact {
  return { name, cidr, address: cidr.split("/")[0] ?? "", defaultRoute };
}

const [a, b, c] = [peer("a"), peer("b"), peer("c")];

describe("networks that are asked for", () => {
  const own = ["10.0.0.0/24", "fd10::/64"];

  it.each(["10.0.0.0/24", "10.9.0.0/16,10.0.0.0/24", "fd10::/64, fd20::/64"])("may be %s", (list) => {
    expect(() => checkNetworks(list, own)).not.toThrow();
  });

  it.each([
    ["10.9.0.0/24", "is no subnet of this node"],
    ["10.0.0.1/24", "(10.0.0.0/24?)"],
    ["10.0.0.0/24,nonsense", "is no subnet"],
    ["10.0.0.0/24,", "is no subnet"],
    ["10.0.0.0/24,fd10::/64", "in IPv4 or in IPv6"],
  ])("may not be %s", (list, why) => {
    expect(() => checkNetworks(list, own)).toThrow(why);
  });
});

describe("choosePublicNetwork", () => {
  it("takes the subnet that contains the addresses of the others", () => {
    const own = [face("eth0", "192.168.1.5/24", true), face("eth1", "10.0.0.5/24")];
    const nodes = [a, b].map((one, i) => ({ peer: one, address: `10.0.0.${i + 6}`, networks: [] }));
    expect(choosePublicNetwork(own, nodes)).toEqual({ network: "10.0.0.0/24", nodes: [a, b] });
  });

  it("prefers the default route's where several are common", () => {
    const own = [face("eth0", "10.0.0.5/24"), face("eth0", "172.16.0.5/24", true)];
    const networks = ["10.0.0.0/24", "172.16.0.0/24"];
    const nodes = [{ peer: a, address: "10.0.0.6", networks }];
    expect(choosePublicNetwork(own, nodes)?.network).toBe("172.16.0.0/24");
  });

  it("takes the lowest without a default route, IPv4 before IPv6", () => {
    const own = [face("eth0", "fd00::5/64"), face("eth0", "10.0.9.5/24"), face("eth0", "10.0.10.5/24")];
    const networks = ["fd00::/64", "10.0.10.0/24", "10.0.9.0/24"];
    expect(choosePublicNetwork(own, [{ peer: a, address: "fd00::6", networks }])?.network).toBe(
      "10.0.9.0/24",
    );
  });

  it("counts nodes that were reached by a link-local address by their interface", () => {
    const own = [face("eth0", "10.0.0.5/24"), face("eth1", "10.1.0.5/24", true)];
    const nodes = [{ peer: a, address: "fe80::1%eth0", networks: ["10.0.0.0/24"] }];
    expect(choosePublicNetwork(own, nodes)).toEqual({ network: "10.0.0.0/24", nodes: [a] });
  });

  it("takes the subnet of most, and names only those on it", () => {
    const own = [face("eth0", "10.0.0.5/24", true), face("eth1", "10.1.0.5/24")];
    const nodes = [
      { peer: a, address: "10.0.0.6", networks: ["10.0.0.0/24"] },
      { peer: b, address: "10.1.0.7", networks: ["10.1.0.0/24"] },
      { peer: c, address: "10.1.0.8", networks: ["10.1.0.0/24"] },
    ];
    expect(choosePublicNetwork(own, nodes)).toEqual({ network: "10.1.0.0/24", nodes: [b, c] });
  });

  it("finds none where addresses are foreign or only link-local", () => {
    const own = [face("eth0", "10.0.0.5/24"), face("eth0", "fe80::5/64"), face("lo", "127.0.0.1/8")];
    expect(choosePublicNetwork(own, [{ peer: a, address: "10.9.0.1", networks: [] }])).toBeUndefined();
    expect(choosePublicNetwork([face("lo", "127.0.0.1/8")], [])).toBeUndefined();
  });

  it("alone takes the default route's, else the lowest", () => {
    const own = [face("eth0", "10.0.0.5/24"), face("eth1", "192.168.1.5/24", true)];
    expect(choosePublicNetwork(own, [])?.network).toBe("192.168.1.0/24");
    expect(ownNetworks(own)).toEqual(["10.0.0.0/24", "192.168.1.0/24"]);
  });
});
