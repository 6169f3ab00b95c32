import { describe, expect, it } from "vitest";
import { addressIn, reachableAddresses, recentInterfaceFacts } from "../../../src/daemon/interface-facts.ts";

describe("addressIn", () => {
  it.each([
    [["10.77.0.11", "192.168.5.9"], "192.168.5.0/24", "192.168.5.9"],
    [["10.77.0.11", "fd77::11"], "fd77::/64", "fd77::11"],
    [["10.77.0.11"], "10.0.0.0/24, 10.77.0.0/24", "10.77.0.11"],
    [["10.77.0.11"], "10.78.0.0/24", null],
    [["10.77.0.11"], "nonsense", null],
  ])("%j in %s is %s", (addresses, networks, expected) => {
    expect(addressIn(addresses, networks)).toBe(expected);
  });
});

describe("recentInterfaceFacts", () => {
  it("are read again after a tenth of a second", () => {
    let now = 5;
    const read = recentInterfaceFacts(undefined, () => now);
    const first = read();
    now += 99;
    expect(read()).toBe(first);
    now += 1;
    const second = read();
    expect(second).not.toBe(first);
    expect(second).toEqual(first);
  });
});

describe("reachableAddresses", () => {
  it("leaves link-local addresses out and puts IPv4 first", () => {
    const fact = (address: string) => ({ name: "eth0", address, cidr: `${address}/24`, defaultRoute: false });
    expect(
      reachableAddresses([fact("fe80::1"), fact("fd77::1"), fact("169.254.1.1"), fact("10.0.0.1")]),
    ).toEqual(["10.0.0.1", "fd77::1"]);
  });
});
