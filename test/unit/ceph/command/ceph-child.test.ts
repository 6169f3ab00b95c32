import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CephChild } from "../../../../src/ceph/command/ceph-child.ts";

/** Behaves as `ceph -f json` on a pipe does, with a few commands of its own. */
const fake = `
folder=$1
echo start >>$folder/starts
if [ -e $folder/unreachable ]; then echo "RADOS timed out (error connecting to the cluster)" >&2; exit 1; fi
until [ ! -e $folder/slow ]; do sleep 0.02; done
while read -r line; do
  echo "$line" >>$folder/lines
  case $line in
    'osd stat') echo; echo '{"epoch":7,"num_osds":3,"num_up_osds":2,"num_in_osds":2}' ;;
    'say '*) echo "\\"\${line#say }\\"" ;;
    'plain') echo "not JSON" ;;
    'silent') echo "done" >&2 ;;
    'refuse') echo "Error ENOENT: no such thing" >&2 ;;
    'slowly '*) until [ ! -e $folder/slow ]; do sleep 0.02; done; echo "\\"\${line#slowly }\\"" ;;
    'hang') exec sleep 1000 ;;
    'die') exit 9 ;;
    'new') if [ "$(wc -l <$folder/starts)" -gt 1 ]; then echo '"known"'; else
        echo "no valid command found" >&2; echo "Error EINVAL: invalid command" >&2; fi ;;
    'flood') yes '"much"' ;;
  esac
done`;

let folder: string;
let child: CephChild;
const options = { deadlineMs: 20_000 };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "child-"));
  child = new CephChild(
    { argv: ["sh", "-c", fake, "ceph", folder], maxBytes: 1_000_000 },
    { log: pino({ level: "silent" }) },
  );
});

afterEach(async () => {
  await child.stop();
  await rm(folder, { recursive: true });
});

async function lines(name: "starts" | "lines"): Promise<string[]> {
  const text = await readFile(join(folder, name), "utf8").catch(() => "");
  return text.split("\n").filter(Boolean);
}

describe("the long-lived ceph child", () => {
  it("answers one command after the other with one process", async () => {
    const answers = await Promise.all([
      child.run(["say", "one"], options),
      child.run(["silent"], options),
      child.run(["say", "two"], { ...options, answers: true }),
      child.run(["plain"], options),
      child.run(["osd", "stat"], options),
      child.run(["say", "three"], options),
    ]);
    const stat = { epoch: 7, num_osds: 3, num_up_osds: 2, num_in_osds: 2 };
    expect(answers).toEqual(["one", null, "two", "not JSON", stat, "three"]);
    expect(await lines("starts")).toHaveLength(1);
  });

  it("lets a slow one connect, though no call waits as long", async () => {
    await writeFile(join(folder, "slow"), "");
    for (let n = 0; n < 3; n += 1) {
      await expect(child.run(["say", "x"], { deadlineMs: 30 })).rejects.toMatchObject({
        code: "DEADLINE_EXCEEDED",
        data: { begun: false },
      });
    }
    await rm(join(folder, "slow"));
    expect(await child.run(["say", "there"], options)).toBe("there");
    expect(await lines("starts")).toHaveLength(1);
  });

  it("lets a question be answered late, and gives nobody the answer of another", async () => {
    expect(await child.run(["say", "first"], options)).toBe("first");
    await writeFile(join(folder, "slow"), "");
    await expect(child.run(["slowly", "one"], { deadlineMs: 30, answers: true })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      data: { begun: true },
    });
    await expect(child.run(["say", "two"], { deadlineMs: 30, answers: true })).rejects.toMatchObject({
      data: { begun: false },
    });
    const next = child.run(["say", "three"], { ...options, answers: true });
    await rm(join(folder, "slow"));
    expect(await next).toBe("three");
    expect(await lines("starts")).toHaveLength(1);
  });

  it("answers the same question once for all who wait with it, and none who asked while it was answered", async () => {
    await child.run(["osd", "stat"], options);
    await writeFile(join(folder, "slow"), "");
    const ask = (): Promise<unknown> => child.run(["slowly", "one"], { ...options, answers: true });
    const waiting = [ask(), ask(), ask()];
    await expect.poll(() => lines("lines")).toContain("slowly one");
    const late = ask();
    await rm(join(folder, "slow"));
    expect(await Promise.all([...waiting, late])).toEqual(["one", "one", "one", "one"]);
    expect((await lines("lines")).filter((line) => line === "slowly one")).toHaveLength(2);
  });

  it("carries out what changes something before the questions that wait", async () => {
    await child.run(["osd", "stat"], options);
    await writeFile(join(folder, "slow"), "");
    const first = child.run(["slowly", "x"], { ...options, answers: true });
    await expect.poll(() => lines("lines")).toContain("slowly x");
    const rest = [
      child.run(["say", "three"], { ...options, answers: true }),
      child.run(["say", "one"], options),
      child.run(["say", "two"], options),
    ];
    await rm(join(folder, "slow"));
    await Promise.all([first, ...rest]);
    const said = (await lines("lines")).filter((line) => line.startsWith("say"));
    expect(said).toEqual(["say one", "say two", "say three"]);
  });

  it("gives one up that answers nothing, while the next call still has time", async () => {
    await child.stop();
    child = new CephChild(
      { argv: ["sh", "-c", fake, "ceph", folder], answerMs: 600 },
      { log: pino({ level: "silent" }) },
    );
    // One that has not started by the deadline was never asked.
    await child.run(["say", "ready"], options);
    await expect(child.run(["hang"], { deadlineMs: 400, answers: true })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    expect(await child.run(["say", "again"], { ...options, answers: true })).toBe("again");
    expect(await lines("starts")).toHaveLength(2);
  });

  it("ends what changes something at its deadline", async () => {
    await expect(child.run(["hang"], { deadlineMs: 300 })).rejects.toMatchObject({ data: { begun: true } });
    expect(await child.run(["say", "next"], options)).toBe("next");
    expect(await lines("starts")).toHaveLength(2);
  });

  it("takes a call that comes in the very turn in which the last one ends", async () => {
    for (let n = 0; n < 5; n += 1) {
      expect(await child.run(["say", `${n}`], options).then(() => child.run(["say", "next"], options))).toBe(
        "next",
      );
    }
  });

  it.each([true, false])("throws what Ceph refuses and goes on (answers: %s)", async (answers) => {
    await expect(child.run(["refuse"], { ...options, answers })).rejects.toMatchObject({
      code: "CEPH_REFUSED",
      data: { errno: "ENOENT", command: "refuse" },
    });
    expect(await child.run(["say", "again"], options)).toBe("again");
    expect(await lines("starts")).toHaveLength(1);
  });

  it("kills a command that passes its deadline, says that its outcome is unknown, and starts afresh", async () => {
    await child.run(["say", "one"], options);
    await expect(child.run(["hang"], { deadlineMs: 100 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      data: { begun: true },
    });
    expect(await child.run(["say", "two"], options)).toBe("two");
    expect(await lines("starts")).toHaveLength(2);
  });

  it("never begins a command whose deadline passed while it waited", async () => {
    const first = child.run(["hang"], { deadlineMs: 400 }).catch(() => undefined);
    await expect(child.run(["say", "late"], { deadlineMs: 50 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      data: { begun: false },
    });
    await first;
    await child.run(["say", "next"], options);
    expect(await lines("lines")).not.toContain("say late");
  });

  it("can be cancelled, in flight and in the queue", async () => {
    const abort = new AbortController();
    await child.run(["say", "one"], options);
    const first = child.run(["hang"], { ...options, signal: abort.signal });
    const second = child.run(["say", "two"], { ...options, signal: abort.signal });
    const third = child.run(["say", "three"], options);
    abort.abort();
    await expect(first).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(second).rejects.toMatchObject({ code: "CANCELLED", data: { begun: false } });
    expect(await third).toBe("three");
    expect(await lines("lines")).not.toContain("say two");
  });

  it("tells all who wait that no monitor answers, and tries again for the next", async () => {
    await writeFile(join(folder, "unreachable"), "");
    const calls = [child.run(["say", "one"], options), child.run(["say", "two"], options)];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
      await expect(call).rejects.toThrow("RADOS timed out");
    }
    expect(await lines("starts")).toHaveLength(1);
    await rm(join(folder, "unreachable"));
    expect(await child.run(["say", "three"], options)).toBe("three");
  });

  it("takes the death of the child for an unknown outcome", async () => {
    await child.run(["say", "one"], options);
    await expect(child.run(["die"], options)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      data: { begun: true },
    });
    expect(await child.run(["say", "two"], options)).toBe("two");
  });

  it("learns the commands of a manager that came later", async () => {
    await child.run(["say", "one"], options);
    expect(await child.run(["new"], options)).toBe("known");
    expect(await lines("starts")).toHaveLength(2);
  });

  it("ends an answer over the cap", async () => {
    await expect(child.run(["flood"], options)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(await child.run(["say", "two"], options)).toBe("two");
  });

  it("throws CANCELLED to all once it is stopped", async () => {
    await child.run(["say", "one"], options);
    const calls = [child.run(["hang"], options), child.run(["say", "two"], options)];
    const ended = Promise.allSettled(calls);
    await child.stop();
    for (const result of await ended) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "CANCELLED" } });
    }
    await expect(child.run(["say", "three"], options)).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it.each([["setpriv", "--pdeathsig", "KILL", "no-such-ceph"], ["no-such-ceph"]])(
    "says that the program is missing (%s)",
    async (...argv) => {
      const other = new CephChild({ argv: argv as [string] }, { log: pino({ level: "silent" }) });
      await expect(other.run(["status"], options)).rejects.toMatchObject({ code: "MISSING_PROGRAM" });
      await other.stop();
    },
  );
});
