import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/process/run-program.ts";

describe("a program that is run to its end", () => {
  it("may have what is left of a lease, which is no whole number", async () => {
    expect((await runProgram("setpriv", ["echo", "done"], { deadlineMs: 20_000.25 })).stdout).toBe("done");
  });

  it("is ended at its deadline, also one that has passed", async () => {
    for (const deadlineMs of [50, 0, -5.5]) {
      await expect(runProgram("setpriv", ["sleep", "30"], { deadlineMs })).rejects.toMatchObject({
        code: "DEADLINE_EXCEEDED",
      });
    }
  });

  it("hides secrets in what it says when it fails", async () => {
    const failing = runProgram("setpriv", ["sh", "-c", "echo the key is hush >&2; exit 3"], {
      deadlineMs: 20_000,
      secrets: ["hush"],
    });
    await expect(failing).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: expect.stringMatching(/ended with 3: the key is \*\*\*/),
    });
  });
});
