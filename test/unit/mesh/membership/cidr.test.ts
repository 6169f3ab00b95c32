import { describe, expect, it } from "vitest";
import {
  canCarryCluster,
  compareSubnets,
  subnetContains,
  subnetOf,
} from "../../../../src/mesh/membership/cidr.ts";

describe("subnetOf", () => {
  it.each([
    ["10.77.0.13/24", "10.77.0.0/24"],
    ["192.168.7.200/20", "192.168.0.0/20"],
    ["10.1.2.3/32", "10.1.2.3/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["fd00:77::12/64", "fd00:77::/64"],
    ["fd00:77:0:1:2:3:4:5/64", "fd00:77:0:1::/64"],
    ["2001:db8:0:0:1:0:0:1/128", "2001:db8::1:0:0:1/128"],
    ["::ffff:1.2.3.4/128", "::ffff:102:304/128"],
  ])("of %s is %s", (cidr, text) => {
    expect(subnetOf(cidr)?.text).toBe(text);
  });

  it.each(["10.0.0.1", "10.0.0.1/33", "nonsense/8", "fd00::/129", "10.0.0.1/x"])("of %s is none", (cidr) => {
    expect(subnetOf(cidr)).toBeUndefined();
  });
});

describe("subnets", () => {
  const subnet = (cidr: string): NonNullable<ReturnType<typeof subnetOf>> => {
    const found = subnetOf(cidr);
    if (found === undefined) throw new TypeError(cidr);
    return found;
  };

  it("contain their addresses and no others", () => {
    expect(subnetContains(subnet("10.0.0.0/24"), "10.0.0.255")).toBe(true);
    expect(subnetContains(subnet("10.0.0.0/24"), "10.0.1.0")).toBe(false);
    expect(subnetContains(subnet("fd00::/64"), "fd00::1")).toBe(true);
    expect(subnetContains(subnet("10.0.0.0/24"), "fd00::1")).toBe(false);
  });

  it("of loopback and of one link carry no cluster", () => {
    const usable = ["127.0.0.1/8", "169.254.3.4/16", "::1/128", "fe80::1/64", "10.0.0.1/8"].map((cidr) =>
      canCarryCluster(subnet(cidr)),
    );
    expect(usable).toEqual([false, false, false, false, true]);
  });

  it("are ordered: IPv4 first, numbers not letters, the wider first", () => {
    const sorted = ["fd00::/64", "10.0.10.0/24", "10.0.9.0/24", "10.0.9.0/16"]
      .map(subnet)
      .sort(compareSubnets);
    expect(sorted.map(({ text }) => text)).toEqual([
      "10.0.0.0/16",
      "10.0.9.0/24",
      "10.0.10.0/24",
      "fd00::/64",
    ]);
  });
});
