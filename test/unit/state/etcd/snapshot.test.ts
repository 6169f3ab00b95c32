import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { handle } from "../../../../src/ids/ids.ts";
import { EtcdClient } from "../../../../src/state/etcd/etcd-client.ts";
import { EtcdProcess } from "../../../../src/state/etcd/etcd-process.ts";
import { placeRestored, restoreSnapshot, saveSnapshot } from "../../../../src/state/etcd/snapshot.ts";

const log = pino({ level: "silent" });
let root: string;
let running: EtcdProcess | undefined;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "snap-"));
});
afterEach(async () => {
  await running?.stop();
  await rm(root, { recursive: true, force: true });
});

async function run(dir: string, name: string, mode: "new" | "existing"): Promise<EtcdClient> {
  running = new EtcdProcess({ dir, name: handle(name), peers: [], mode, token: "t" }, { log });
  await running.start();
  return new EtcdClient({ socketPath: running.clientSocket });
}

describe("a snapshot of a real etcd", () => {
  it("becomes the etcd of another host alone, with every key at its revision", async () => {
    const first = join(root, "a");
    const client = await run(first, "n1", "new");
    for (const value of ["1", "2", "3"]) {
      const success = [{ do: "put" as const, key: "/k", value }];
      await client.txn({ compare: [], success, failure: [] });
    }
    const before = (await client.range("/k")).kvs;
    const snapshot = await saveSnapshot(first);
    expect((await readdir(first)).filter((name) => name.startsWith("snapshot"))).toEqual([]);
    await running?.stop();

    const second = join(root, "b");
    await mkdir(second);
    await writeFile(join(second, "rubbish"), "of an earlier try");
    await restoreSnapshot(second, { name: handle("n1-2"), token: "t", snapshot });
    expect(await readdir(second)).toEqual(["rubbish"]);
    await placeRestored(second);
    await placeRestored(second);
    const restored = await run(second, "n1-2", "existing");
    expect((await restored.range("/k", { deadlineMs: 15_000 })).kvs).toEqual(before);
    expect((await restored.memberList()).map(({ name }) => name)).toEqual(["n1-2"]);
  }, 60_000);

  it("is refused when it was changed", async () => {
    const dir = join(root, "a");
    await run(dir, "n1", "new");
    const snapshot = await saveSnapshot(dir);
    snapshot[snapshot.length >> 1] = (snapshot[snapshot.length >> 1] ?? 0) ^ 1;
    const member = { name: handle("n2"), token: "t", snapshot };
    await expect(restoreSnapshot(join(root, "b"), member)).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
  }, 60_000);
});
