import { describe, expect, it } from "vitest";
import { RateLimiter, rateKey } from "../../../../src/mesh/lobby/rate-limit.ts";

describe("rate limiter", () => {
  it("lets a burst pass, then a steady rate", () => {
    const rates = new RateLimiter({
      perKey: { burst: 3, perSecond: 2 },
      total: { burst: 100, perSecond: 100 },
      maxKeys: 8,
    });
    const taken = (at: number, count: number): number =>
      Array.from({ length: count }, () => rates.take("a", at)).filter(Boolean).length;
    expect(taken(1000, 5)).toBe(3);
    expect(taken(1400, 5)).toBe(0);
    expect(taken(1500, 5)).toBe(1);
    expect(taken(3000, 5)).toBe(3);
    expect(taken(60_000, 5)).toBe(3);
  });

  it("does not let one address spend what all share", () => {
    const rates = new RateLimiter({
      perKey: { burst: 2, perSecond: 0 },
      total: { burst: 3, perSecond: 0 },
      maxKeys: 8,
    });
    for (let i = 0; i < 10; i += 1) rates.take("greedy", 0);
    expect(rates.take("b", 0)).toBe(true);
    expect(rates.take("c", 0)).toBe(false);
  });

  it("forgets the address that asked longest ago", () => {
    const rates = new RateLimiter({
      perKey: { burst: 1, perSecond: 0 },
      total: { burst: 99, perSecond: 0 },
      maxKeys: 2,
    });
    expect(["a", "b", "a", "c", "a", "b"].map((key) => rates.take(key, 0))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
    ]);
  });
});

describe("rate key", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["fe80::1%eth0", "fe80::1"],
    ["fd00::2", "fd00:0:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8::5:6", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("of %s is %s", (address, key) => expect(rateKey(address)).toBe(key));
});
