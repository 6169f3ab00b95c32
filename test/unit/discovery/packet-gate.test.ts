import { describe, expect, it } from "vitest";
import { OwnPackets, RateLimit } from "../../../src/discovery/packet-gate.ts";

describe("own packets", () => {
  const bytes = Buffer.from("a packet");
  const other = Buffer.from("another packet");
  const sources = ["10.0.0.1", "fe80::1"];

  it.each<[string, Buffer, string, number, boolean]>([
    ["our packet", bytes, "10.0.0.1", 0, true],
    ["our packet with a scope", bytes, "fe80::1%eth0", 0, true],
    ["other bytes from our address (avahi on this host)", other, "10.0.0.1", 0, false],
    ["our bytes from another host (the same query)", bytes, "10.0.0.2", 0, false],
    ["our packet after two seconds", bytes, "10.0.0.1", 2_000, false],
  ])("recognises %s: %s", (_what, arrived, source, later, isOwn) => {
    const own = new OwnPackets();
    own.remember(bytes, sources, 1_000);
    expect(own.recognise(arrived, source, "eth0", 1_000 + later)).toBe(isOwn);
  });

  it("takes each only once per link: an avahi-daemon on this host may send the same", () => {
    const own = new OwnPackets();
    own.remember(bytes, sources, 0);
    const seen = ["eth0", "eth0", "eth1", "eth1"].map((link) => own.recognise(bytes, "10.0.0.1", link, 10));
    expect(seen).toEqual([true, false, true, false]);
  });

  it("remembers 256 at most", () => {
    const own = new OwnPackets();
    own.remember(bytes, sources, 0);
    for (let n = 0; n < 256; n++) own.remember(Buffer.from([n]), sources, 0);
    expect(own.recognise(bytes, "10.0.0.1", "eth0", 1)).toBe(false);
  });
});

describe("the rate limit", () => {
  const limits = { packetsPerSecond: 10, packetsPerSenderAndSecond: 4 };
  const admitted = (rate: RateLimit, sender: string, count: number, now: number): number =>
    Array.from({ length: count }, () => rate.admit(sender, now)).filter(Boolean).length;

  it("holds one sender and all together, second by second", () => {
    const rate = new RateLimit(limits);
    expect(admitted(rate, "a", 9, 0)).toBe(4);
    expect(admitted(rate, "b", 9, 500)).toBe(4);
    expect(admitted(rate, "c", 9, 999)).toBe(2);
    expect(admitted(rate, "d", 9, 999)).toBe(0);
    expect(admitted(rate, "a", 9, 1_000)).toBe(4);
  });

  it("does not let one sender use up the others' share", () => {
    const rate = new RateLimit(limits);
    expect(admitted(rate, "loud", 1_000, 0)).toBe(4);
    expect(admitted(rate, "quiet", 1, 0)).toBe(1);
  });
});
