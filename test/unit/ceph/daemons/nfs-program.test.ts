import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { DaemonDeps } from "../../../../src/ceph/daemons/deps.ts";
import { nfsProgram, runsReplacedFiles } from "../../../../src/ceph/daemons/nfs-program.ts";
import { handle } from "../../../../src/ids/ids.ts";
import { fakeNode, nothing } from "./fake-node.ts";

const self = handle("n1");
const clean: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of clean.splice(0).reverse()) await undo();
});

async function depsWith(pid: number | null, isInstalled = true): Promise<DaemonDeps> {
  const fake = await fakeNode(async () => {
    if (!isInstalled) throw new Error("missing");
    return { ...nothing, stdout: "NFS-Ganesha Release = V4.3\n" };
  });
  clean.push(() => fake.remove());
  const status = async (unit: string) => {
    const known = await fake.deps.runner.status(unit);
    return known === undefined ? undefined : { ...known, pid };
  };
  return { ...fake.deps, runner: { ...fake.deps.runner, status } };
}

describe("what an NFS gateway runs", () => {
  it.each([
    ["/usr/bin/ganesha.nfsd (deleted)", true],
    ["/usr/lib/x86_64-linux-gnu/libcephfs.so.2.0.0 (deleted)", true],
    ["/usr/lib/x86_64-linux-gnu/ganesha/libfsalceph.so (deleted)", true],
    ["/usr/lib/x86_64-linux-gnu/libcephfs.so.2.0.0", false],
    ["/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)", false],
    ["/dev/shm/ganesha.nfsd/x (deleted)", false],
  ])("%s: replaced is %s", (path, replaced) => {
    const maps = [
      "7f0e1c000000-7f0e1c021000 r-xp 00000000 fd:00 12 /usr/lib/x86_64-linux-gnu/ld-2.so",
      `7f0e1d000000-7f0e1d021000 r-xp 00000000 fd:00 13                         ${path}`,
      "7ffc5d000000-7ffc5d021000 rw-p 00000000 00:00 0  [stack]",
      "",
    ].join("\n");
    expect(runsReplacedFiles(maps)).toBe(replaced);
  });

  it("is asked of the process itself", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ganesha-"));
    clean.push(() => rm(folder, { recursive: true, force: true }));
    const program = join(folder, "ganesha.nfsd");
    await copyFile("/bin/sleep", program);
    const child = spawn(program, ["60"]);
    await once(child, "spawn");
    clean.push(async () => {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    });
    const deps = await depsWith(child.pid ?? null);
    expect(await nfsProgram(deps, self)).toEqual({ installed: "nfs-ganesha 4.3", replaced: false });
    await rm(program);
    expect(await nfsProgram(deps, self)).toEqual({ installed: "nfs-ganesha 4.3", replaced: true });
    expect(await nfsProgram(await depsWith(child.pid ?? null, false), self)).toBeNull();
  });

  it("is nothing where none runs", async () => {
    expect(await nfsProgram(await depsWith(null), self)).toBeNull();
    // Above what Linux gives out (pid_max): it ended while it was asked.
    expect(await nfsProgram(await depsWith(2 ** 23), self)).toBeNull();
  });
});
