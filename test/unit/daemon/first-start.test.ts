import { describe, expect, it } from "vitest";
import { firstStart } from "../../../src/daemon/first-start.ts";
import type { Json } from "../../../src/ids/json.ts";

function store(): { get(key: string): Json | undefined; put(key: string, value: Json): void } {
  const values = new Map<string, Json>();
  return { get: (key) => values.get(key), put: (key, value) => void values.set(key, value) };
}

describe("firstStart", () => {
  it("stays the same over restarts of the daemon and begins anew with a boot", () => {
    const kept = store();
    expect(firstStart(kept, "boot-1", 1_000)).toBe(1_000);
    expect(firstStart(kept, "boot-1", 5_000)).toBe(1_000);
    expect(firstStart(kept, "boot-2", 9_000)).toBe(9_000);
    expect(firstStart(kept, "boot-2", 9_500)).toBe(9_000);
  });

  it("begins anew when the boot cannot be told, or the clock went back", () => {
    const kept = store();
    firstStart(kept, "", 1_000);
    expect(firstStart(kept, "", 2_000)).toBe(2_000);
    const other = store();
    firstStart(other, "boot-1", 9_000);
    expect(firstStart(other, "boot-1", 1_000)).toBe(1_000);
  });
});
