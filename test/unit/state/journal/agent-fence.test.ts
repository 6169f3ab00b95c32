import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { entryId } from "../../../../src/ids/ids.ts";
import { AgentFence } from "../../../../src/state/journal/agent-fence.ts";
import { LocalStore } from "../../../../src/state/store/local-store.ts";

let directory: string;
let store: LocalStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "fence-"));
  store = LocalStore.open(join(directory, "state.db"));
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

const first = entryId("1-ceph.mon");
const second = entryId("2-ceph.mon");
const number = (revision: number, generation = 1) => ({ generation, revision });

/** As after a restart of the daemon: nothing but what is on disk. */
function reopened(): AgentFence {
  store.close();
  store = LocalStore.open(join(directory, "state.db"));
  return new AgentFence({ store });
}

test("refuses numbers below the highest obeyed, also after a restart", () => {
  const fence = new AgentFence({ store });
  expect(fence.check(first, number(5))).toEqual({ verdict: "obey" });
  expect(fence.check(first, number(5))).toEqual({ verdict: "obey" });
  expect(fence.check(second, number(4))).toEqual({ verdict: "stale" });
  expect(reopened().check(second, number(4))).toEqual({ verdict: "stale" });
  expect(reopened().check(second, number(6))).toEqual({ verdict: "obey" });
  expect(reopened().check(first, number(5))).toEqual({ verdict: "stale" });
  expect(reopened().check(first, number(1, 2))).toEqual({ verdict: "obey" });
  expect(reopened().highest()).toEqual(number(1, 2));
});

test("what was carried out is answered, whatever the number, and never done again", () => {
  const fence = new AgentFence({ store });
  fence.check(first, number(5));
  fence.finish(first, number(5), { epoch: 3 });
  fence.check(second, number(9));
  expect(reopened().check(first, number(5))).toEqual({ verdict: "done", result: { epoch: 3 } });
  expect(reopened().check(first, number(12))).toEqual({ verdict: "done", result: { epoch: 3 } });
  expect(reopened().acknowledgeCancel(first, number(12))).toBe(false);
  // Taken back all the same it is as if it had not been carried out.
  expect(reopened().acknowledgeCancel(first, number(12), true)).toBe(true);
  expect(reopened().check(first, number(13))).toEqual({ verdict: "stale" });
});

test("a promise not to carry an entry out holds for ever", () => {
  expect(new AgentFence({ store }).acknowledgeCancel(first, number(5))).toBe(true);
  expect(reopened().check(first, number(5))).toEqual({ verdict: "stale" });
  expect(reopened().check(first, number(8))).toEqual({ verdict: "stale" });
  expect(reopened().acknowledgeCancel(first, number(8))).toBe(true);
  expect(() => reopened().finish(first, number(8), null)).toThrow(/cancellation/);
});

test("whoever was overtaken gets no promise", () => {
  const fence = new AgentFence({ store });
  fence.check(first, number(9));
  expect(() => fence.acknowledgeCancel(first, number(5))).toThrow(/later number/);
  expect(fence.check(first, number(9))).toEqual({ verdict: "obey" });
  // Another entry's later number does not matter: entries of different kinds are carried out side by side.
  expect(fence.acknowledgeCancel(second, number(4))).toBe(true);
});
