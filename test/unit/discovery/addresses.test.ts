import { describe, expect, it } from "vitest";
import {
  addressBytes,
  announcedAddresses,
  isDialable,
  isOnLink,
  sortAddresses,
} from "../../../src/discovery/core/addresses.ts";

function bytes(...pairs: [number, number][]): number[] {
  const all = new Array<number>(16).fill(0);
  for (const [index, value] of pairs) all[index] = value;
  return all;
}

describe("addresses", () => {
  it.each([
    ["10.77.0.11", [10, 77, 0, 11]],
    ["::1", bytes([15, 1])],
    ["fe80::1%eth0", bytes([0, 0xfe], [1, 0x80], [15, 1])],
    ["2001:db8::", bytes([0, 0x20], [1, 1], [2, 0x0d], [3, 0xb8])],
    ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ["::ffff:10.0.0.1", bytes([10, 255], [11, 255], [12, 10], [15, 1])],
  ])("reads %s", (text, expected) => expect([...(addressBytes(text) ?? [])]).toEqual(expected));

  it.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "1.2.3.4.5",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "12345::",
    "g::",
    "::1:2:3:4:5:6:7:8",
    "n1",
  ])("refuses %s", (text) => expect(addressBytes(text)).toBeUndefined());

  it.each([
    ["10.0.0.1", true],
    ["169.254.3.4", true],
    ["fe80::1", true],
    ["2001:db8::1", true],
    ["0.0.0.0", false],
    ["127.0.0.1", false],
    ["224.0.0.251", false],
    ["255.255.255.255", false],
    ["::", false],
    ["::1", false],
    ["ff02::fb", false],
    ["::ffff:127.0.0.1", false],
    ["nonsense", false],
  ])("says whether %s may be dialled", (address, may) => expect(isDialable(address)).toBe(may));

  const v4 = (address: string, prefix = 24) => ({ family: 4 as const, address, prefix });
  const v6 = (address: string, prefix = 64) => ({ family: 6 as const, address, prefix });

  it("announces link-local addresses only where a family has no others, as avahi does", () => {
    expect(announcedAddresses([v4("10.0.0.1"), v6("fe80::1"), v6("fd00::1")])).toEqual([
      "10.0.0.1",
      "fd00::1",
    ]);
    expect(announcedAddresses([v6("fe80::1"), v4("10.0.0.1")])).toEqual(["10.0.0.1", "fe80::1"]);
    expect(announcedAddresses([v4("169.254.1.1"), v6("fd00::1")])).toEqual(["169.254.1.1", "fd00::1"]);
  });

  it.each([
    ["10.0.0.200", true],
    ["10.0.1.1", false],
    ["192.168.4.7", true],
    ["192.168.4.8", false],
    ["fe80::9%eth0", true],
    ["fe80::9%eth1", false],
    ["fd00::9", true],
    ["fd00:1::9", false],
    ["nonsense", false],
  ])("maps the sender %s to the link", (sender, on) => {
    const own = [v4("10.0.0.1"), v4("192.168.4.5", 29), v6("fe80::1"), v6("fd00::1")];
    expect(isOnLink(sender, "eth0", own)).toBe(on);
  });

  it("puts IPv4 first and link-local addresses last, without repeating", () => {
    const given = ["fe80::1%eth0", "fd00::1", "169.254.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1"];
    expect(sortAddresses(given)).toEqual(["10.0.0.1", "10.0.0.2", "fd00::1", "169.254.0.1", "fe80::1%eth0"]);
  });
});
