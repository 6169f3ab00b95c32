import { describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { fileSystemsOf, restoreFileSystems } from "../../../../src/ceph/control/file-systems.ts";

// `osd dump` of Ceph 16.2.15, shortened.
const pool = (id: number, name: string, uses: object) => ({
  pool: id,
  pool_name: name,
  flags: 1,
  application_metadata: uses,
});
const dump = {
  epoch: 31,
  pools: [
    pool(9, "late.data", { cephfs: { data: "files" } }),
    pool(1, "device_health_metrics", { mgr_devicehealth: {} }),
    pool(2, "data", { test: {} }),
    pool(3, "files.meta", { cephfs: { metadata: "files" } }),
    pool(4, "files.data", { cephfs: { data: "files" } }),
    pool(5, "half.meta", { cephfs: { metadata: "half" } }),
    { pool: 6, pool_name: "bare" },
  ],
};

describe("file systems by their pools", () => {
  it("are those with a metadata pool and data pools, the oldest data pool first", () => {
    expect(fileSystemsOf(dump)).toEqual([
      { name: "files", metadata: "files.meta", data: ["files.data", "late.data"] },
    ]);
  });

  it("are made known where they are not, and let in metadata servers", async () => {
    const said: string[] = [];
    const ceph = (present: readonly string[]): CephCommands =>
      ({
        run: async (words: readonly string[]) => {
          const line = words.join(" ");
          if (line === "osd dump") return dump;
          if (line === "fs ls") return present.map((name) => ({ name }));
          said.push(line);
          return null;
        },
      }) as unknown as CephCommands;
    const { signal } = new AbortController();
    expect(await restoreFileSystems(ceph([]), signal)).toEqual(["files"]);
    expect(said).toEqual([
      "fs new files files.meta files.data --force --recover",
      "fs add_data_pool files late.data",
      "fs set files joinable true",
    ]);
    said.length = 0;
    await restoreFileSystems(ceph(["files"]), signal);
    expect(said.some((line) => line.startsWith("fs new"))).toBe(false);
  });
});
