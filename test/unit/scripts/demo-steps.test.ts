import { expect, it } from "vitest";
import { monitorsFor } from "../../../scripts/demo/cluster.ts";
import { Steps } from "../../../scripts/demo/steps.ts";

it("numbers the steps and gives each its time", async () => {
  let now = 1000;
  let text = "";
  const steps = new Steps({ write: (more) => (text += more) }, () => now);
  await steps.step("first", async (tell) => {
    now += 1500;
    tell("half");
    tell("half");
    now += 500;
  });
  await expect(
    steps.step("second", async () => {
      now += 100;
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  expect(text).toBe(
    [" 1. first", "     1.5 s  half", "     2.0 s  done", " 2. second", "     0.1 s  failed", ""].join("\n"),
  );
  expect(steps.total()).toBe("2.1 s");
});

it.each([
  [1, 1],
  [2, 1],
  [3, 3],
  [6, 3],
  [7, 5],
  [12, 5],
])("%d nodes run %d monitors", (nodes, monitors) => expect(monitorsFor(nodes)).toBe(monitors));
