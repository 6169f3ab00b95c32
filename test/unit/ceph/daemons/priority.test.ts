import { spawn } from "node:child_process";
import { once } from "node:events";
import { getPriority, setPriority } from "node:os";
import { describe, expect, it } from "vitest";
import { goAsUsual, goBehind } from "../../../../src/ceph/daemons/priority.ts";

/** Whether this process may give itself a better priority: only then it could undo what it does. */
function mayRaise(): boolean {
  const own = getPriority();
  try {
    setPriority(own - 1);
    setPriority(own);
    return true;
  } catch {
    return false;
  }
}

describe("a program that is to go behind others", () => {
  it("goes behind, and beside them again; where that could not be undone nothing is done", async () => {
    const child = spawn("sleep", ["1000"]);
    try {
      await once(child, "spawn");
      const pid = child.pid ?? 0;
      const own = getPriority();
      await goBehind(pid);
      expect(getPriority(pid)).toBe(mayRaise() ? own + 6 : own);
      expect(getPriority()).toBe(own);
      for (const _again of [1, 2]) {
        await goAsUsual(pid);
        expect(getPriority(pid)).toBe(own);
      }
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("may have ended", async () => {
    const child = spawn("true");
    await once(child, "exit");
    await goBehind(child.pid ?? 0);
    await goAsUsual(child.pid ?? 0);
  });
});
