import { expect, test } from "vitest";
import { isShaky, remainingMs, shakyAt } from "../../../../src/state/lease/renewal.ts";

const renewal = { sentAt: 1000, wallAt: 500_000, ttlMs: 6000 };

// By hand: shaky from 1000 + 3000 on; a gap is the wall's progress less the monotonic one, above 1000 either way.
test.for([
  { now: 1000, wall: 500_000, shaky: false, left: 6000 },
  { now: 3999, wall: 502_999, shaky: false, left: 3001 },
  { now: 4000, wall: 503_000, shaky: true, left: 3000 },
  { now: 2000, wall: 502_000, shaky: false, left: 5000 },
  { now: 2000, wall: 502_001, shaky: true, left: 5000 },
  { now: 2000, wall: 500_000, shaky: false, left: 5000 },
  { now: 2000, wall: 499_999, shaky: true, left: 5000 },
  { now: 7000, wall: 506_000, shaky: true, left: 0 },
  { now: 9000, wall: 508_000, shaky: true, left: 0 },
])("at $now with the wall at $wall: shaky $shaky, $left ms left", ({ now, wall, shaky, left }) => {
  expect(isShaky(renewal, now, wall)).toBe(shaky);
  expect(remainingMs(renewal, now)).toBe(left);
  expect(shakyAt(renewal)).toBe(4000);
});
