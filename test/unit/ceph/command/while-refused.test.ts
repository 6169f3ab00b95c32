import { expect, it } from "vitest";
import { whileRefused } from "../../../../src/ceph/command/while-refused.ts";
import { refusedError } from "../../../../src/ceph/command/words.ts";

const refusal = (errno: string): Error => refusedError(["pool"], { errno, message: "not yet" });

function attempt(
  answers: (Error | string)[],
  deadlineMs = 10_000,
): { tries: () => number; result: Promise<string> } {
  let tries = 0;
  const act = async (): Promise<string> => {
    tries += 1;
    const answer = answers.shift() ?? refusal("EPERM");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const result = whileRefused(["EPERM"], act, { deadlineMs, intervalMs: 1 });
  return { tries: () => tries, result };
}

it("tries again while Ceph refuses with what was named", async () => {
  const { result, tries } = attempt([refusal("EPERM"), refusal("EPERM"), "done"]);
  expect([await result, tries()]).toEqual(["done", 3]);
});

it("gives up at once after any other error, and after its time", async () => {
  const other = attempt([refusal("EBUSY"), "done"]);
  await expect(other.result).rejects.toMatchObject({ data: { errno: "EBUSY" } });
  expect(other.tries()).toBe(1);
  const late = attempt([], -1);
  await expect(late.result).rejects.toMatchObject({ data: { errno: "EPERM" } });
  expect(late.tries()).toBe(1);
});
