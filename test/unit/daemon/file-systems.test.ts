import { describe, expect, it } from "vitest";
import type { CephCommands } from "../../../src/ceph/command/commands.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import {
  checkFileSystemRemoval,
  createFileSystem,
  listFileSystems,
  readFileSystems,
  removeFileSystem,
} from "../../../src/daemon/file-systems.ts";
import type { JobTools } from "../../../src/daemon/jobs.ts";
import type { Json } from "../../../src/ids/json.ts";

const { signal } = new AbortController();
const never = Number.POSITIVE_INFINITY;

interface FakePool {
  readonly id: number;
  readonly name: string;
  readonly applications: string[];
}

/** Pools, file systems and settings; the daemon that asks it ends before its change number `endAt`, or right after. */
class FakeCeph {
  pools: FakePool[] = [];
  fileSystems: { id: number; name: string; metadata: number; data: number; failed: boolean }[] = [];
  readonly settings = new Map<string, string>();
  endAt = never;
  #changes = 0;
  #last = 0;
  readonly #after: boolean;

  constructor(after = false) {
    this.#after = after;
  }

  get changes(): number {
    return this.#changes;
  }

  #change(act: () => void): void {
    this.#changes += 1;
    const ends = this.#changes === this.endAt;
    if (ends && !this.#after) throw new Error("killed");
    act();
    if (ends) throw new Error("killed");
  }

  #id(name: string): number {
    return this.pools.find((pool) => pool.name === name)?.id ?? -1;
  }

  commands(): CephCommands {
    const fake = {
      pools: async () => this.pools.map((pool) => ({ ...pool, applications: [...pool.applications] })),
      osdTree: async () => ({ osds: [{ id: 0, up: true, reweight: 1, host: "n1", rack: null }] }),
      mgrStat: async () => ({ available: true }),
      poolUsage: async () => new Map(this.pools.map(({ name }) => [name, 7])),
      configGet: async (who: string, key: string) => this.settings.get(`${who} ${key}`),
      configSet: async (who: string, key: string, value: string) =>
        this.#change(() => this.settings.set(`${who} ${key}`, value)),
      configRemove: async (who: string, key: string) =>
        this.#change(() => this.settings.delete(`${who} ${key}`)),
      createPool: async (name: string) =>
        this.#change(() => this.pools.push({ id: ++this.#last, name, applications: [] })),
      enableApplication: async (name: string, application: string) =>
        this.#change(() => {
          const pool = this.pools.find((one) => one.name === name);
          if (!pool?.applications.includes(application)) pool?.applications.push(application);
        }),
      run: async (words: readonly string[]) => this.#run(words),
    };
    return fake as unknown as CephCommands;
  }

  #run([group, verb, name = "", first = "", second = ""]: readonly string[]): unknown {
    switch (`${group} ${verb}`) {
      case "fs dump":
        return {
          standbys: [{ name: "n2" }],
          filesystems: this.fileSystems.map((one) => ({
            id: one.id,
            mdsmap: {
              ...{ fs_name: one.name, metadata_pool: one.metadata, data_pools: [one.data] },
              info: one.failed ? {} : { gid_7: { name: "n1", state: "up:active" } },
            },
          })),
        };
      case "fs new":
        return this.#change(() => {
          const [metadata, data] = [this.#id(first), this.#id(second)];
          this.fileSystems.push({ id: ++this.#last, name, metadata, data, failed: false });
        });
      case "fs fail":
        return this.#change(() => {
          for (const one of this.fileSystems) if (one.name === name) one.failed = true;
        });
      case "fs rm":
        return this.#change(() => {
          if (this.fileSystems.some((one) => one.name === name && !one.failed)) throw new Error("in use");
          this.fileSystems = this.fileSystems.filter((one) => one.name !== name);
        });
      default:
        return this.#change(() => {
          if (this.settings.get("mon mon_allow_pool_delete") !== "true") throw new Error("not allowed");
          this.pools = this.pools.filter((pool) => pool.name !== first);
        });
    }
  }
}

const clusterOf = (ceph: FakeCeph): ClusterRuntime => {
  const commands = ceph.commands();
  return {
    deps: { cephNode: { commands } },
    whenCephAnswers: async () => "fsid",
  } as unknown as ClusterRuntime;
};

const daemonOf = (ceph: FakeCeph): Daemon =>
  ({ settled: async () => undefined, cluster: clusterOf(ceph) }) as unknown as Daemon;

/** The job with what it remembers over its ends. */
async function remove(ceph: FakeCeph, doomed: unknown, memory: { kept: Json | null }): Promise<void> {
  const tools = {
    ...{ signal, report: () => undefined, memory: memory.kept },
    remember: (kept: Json) => {
      memory.kept = kept;
    },
  } as unknown as JobTools;
  await removeFileSystem(daemonOf(ceph), doomed as Json, tools);
}

const asked = { name: "home", confirmed: false };

describe("a file system", () => {
  it("is made with its two pools, listed, and made once", async () => {
    const ceph = new FakeCeph();
    expect(await createFileSystem(clusterOf(ceph), asked, signal)).toEqual({
      ...{ name: "home", metadata_pool: "cephfs.home.meta", data_pools: ["cephfs.home.data"] },
      ...{ active: ["n1"], standby: 1, bytes: 7 },
    });
    await expect(createFileSystem(clusterOf(ceph), asked, signal)).rejects.toMatchObject({
      code: "NAME_TAKEN",
    });
    expect(ceph.pools.map(({ applications }) => applications)).toEqual([["cephfs"], ["cephfs"]]);
  });

  it.each([false, true])("is made whole when the daemon ends at any change (after it: %s)", async (after) => {
    const whole = new FakeCeph();
    await createFileSystem(clusterOf(whole), asked, signal);
    expect(whole.changes).toBe(5);
    for (let step = 1; step <= whole.changes; step += 1) {
      const ceph = new FakeCeph(after);
      ceph.endAt = step;
      await expect(createFileSystem(clusterOf(ceph), asked, signal)).rejects.toThrow("killed");
      await createFileSystem(clusterOf(ceph), asked, signal).catch((error: unknown) => {
        // Made, and only the answer was lost.
        expect([step, after, error]).toEqual([
          ...[whole.changes, true],
          expect.objectContaining({ code: "NAME_TAKEN" }),
        ]);
      });
      expect(ceph.pools.map(({ name }) => name)).toEqual(["cephfs.home.meta", "cephfs.home.data"]);
      expect(ceph.fileSystems.map(({ name }) => name)).toEqual(["home"]);
    }
  });

  it("takes no pool that something else uses, and asks before there is a single copy", async () => {
    const ceph = new FakeCeph();
    ceph.pools.push({ id: 99, name: "cephfs.home.data", applications: ["rbd"] });
    await expect(createFileSystem(clusterOf(ceph), asked, signal)).rejects.toMatchObject({
      ...{ code: "NAME_TAKEN", message: expect.stringContaining("is used by rbd") },
    });
    const single = { ...asked, name: "other", size: 1 };
    await expect(createFileSystem(clusterOf(ceph), single, signal)).rejects.toMatchObject({
      code: "DATA_LOSS_UNCONFIRMED",
    });
    expect(ceph.fileSystems).toEqual([]);
  });

  it.each([false, true])(
    "is removed whole when the daemon ends at any change (after it: %s)",
    async (after) => {
      const made = async (): Promise<FakeCeph> => {
        const ceph = new FakeCeph(after);
        await createFileSystem(clusterOf(ceph), asked, signal);
        await createFileSystem(clusterOf(ceph), { ...asked, name: "work" }, signal);
        return ceph;
      };
      const whole = await made();
      const before = whole.changes;
      const doomed = await checkFileSystemRemoval(clusterOf(whole), "home", true, signal);
      await remove(whole, doomed, { kept: null });
      const steps = whole.changes - before;
      expect(steps).toBeGreaterThan(5);
      for (let step = 1; step <= steps; step += 1) {
        const ceph = await made();
        ceph.endAt = ceph.changes + step;
        const memory = { kept: null };
        const one = await checkFileSystemRemoval(clusterOf(ceph), "home", true, signal);
        await expect(remove(ceph, one, memory)).rejects.toThrow("killed");
        await remove(ceph, one, memory);
        expect((await listFileSystems(clusterOf(ceph), signal)).map(({ name }) => name)).toEqual(["work"]);
        expect(ceph.pools.map(({ name }) => name)).toEqual(["cephfs.work.meta", "cephfs.work.data"]);
        expect([...ceph.settings]).toEqual([]);
      }
    },
  );

  it("is not removed for another that had its name, nor without a word", async () => {
    const ceph = new FakeCeph();
    await createFileSystem(clusterOf(ceph), asked, signal);
    await expect(checkFileSystemRemoval(clusterOf(ceph), "home", false, signal)).rejects.toMatchObject({
      ...{ code: "DATA_LOSS_UNCONFIRMED", data: { name: "home", bytes: 7 } },
    });
    await expect(checkFileSystemRemoval(clusterOf(ceph), "away", true, signal)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    const doomed = await checkFileSystemRemoval(clusterOf(ceph), "home", true, signal);
    await remove(ceph, doomed, { kept: null });
    await createFileSystem(clusterOf(ceph), asked, signal);
    await remove(ceph, doomed, { kept: null });
    expect(ceph.fileSystems.map(({ name }) => name)).toEqual(["home"]);
    expect(ceph.pools).toHaveLength(2);
  });
});

it.each([[null], [{}], [{ standbys: [], filesystems: [{ id: "1" }] }]])(
  "what Ceph does not say so is refused: %j",
  (answer) => {
    expect(() => readFileSystems(answer)).toThrow();
  },
);
