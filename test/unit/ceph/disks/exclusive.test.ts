import { expect, it } from "vitest";
import { Exclusive } from "../../../../src/ceph/disks/exclusive.ts";

it("of one key one runs at a time, in order; others do not wait", async () => {
  const turns = new Exclusive();
  const seen: string[] = [];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const first = turns.run(["a"], async () => {
    seen.push("first begins");
    await gate;
    seen.push("first ends");
  });
  const second = turns.run(["a", "b"], async () => void seen.push("second"));
  await turns.run(["c"], async () => void seen.push("other"));
  open();
  await Promise.all([first, second]);
  expect(seen).toEqual(["first begins", "other", "first ends", "second"]);
});

it("two that want the same keys in different order do not wait for each other for ever", async () => {
  const turns = new Exclusive();
  const both = [turns.run(["a", "b"], async () => 1), turns.run(["b", "a"], async () => 2)];
  expect(await Promise.all(both)).toEqual([1, 2]);
});

it("one that fails gives way to the next", async () => {
  const turns = new Exclusive();
  const failing = turns.run(["a"], () => Promise.reject(new Error("no")));
  const next = turns.run(["a"], async () => "yes");
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("yes");
});
