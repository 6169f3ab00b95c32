import { describe, expect, it } from "vitest";
import { RecordCache } from "../../../src/discovery/core/record-cache.ts";
import { records } from "./simulated-lan.ts";

const address = (host: string, ttl = 120) => records.address(host, "10.0.0.1", ttl);

describe("the cache", () => {
  it("refuses new records when it is full, not new lives of known ones, and has room after an end", () => {
    const cache = new RecordCache({ random: () => 0, capacity: 2 });
    expect(["a", "b", "c"].map((host) => cache.put(address(host, 60), 0, 9))).toEqual([true, true, false]);
    expect(cache.put(address("a"), 1_000, 9)).toBe(true);
    expect(cache.advance(60_000).ended.map(({ record }) => record.name)).toEqual(["b.local"]);
    expect(cache.put(address("c"), 60_000, 9)).toBe(true);
    cache.remove("a.local", "A");
    expect(cache.size).toBe(1);
  });

  it("spreads its questions by a random part of a life", () => {
    const cache = new RecordCache({ random: () => 0.5, capacity: 9 });
    cache.put(address("a", 100), 0, 9);
    expect(cache.due()).toBe(81_000);
    expect(cache.advance(80_999).refresh).toEqual([]);
    expect(cache.advance(81_000).refresh).toHaveLength(1);
    expect(cache.due()).toBe(86_000);
  });

  it("asks once for what it should have asked for several times while nobody called", () => {
    const cache = new RecordCache({ random: () => 0, capacity: 9 });
    cache.put(address("a", 100), 0, 9);
    expect(cache.advance(96_000).refresh).toHaveLength(1);
    expect(cache.due()).toBe(100_000);
  });
});
