import { beforeEach, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../src/ceph/command/commands.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import {
  disableFileReplication,
  fileReplicationOf,
  listFileReplication,
} from "../../../src/daemon/file-replication.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { Entry } from "../../../src/state/journal/types.ts";

const { signal } = new AbortController();
const self = "12D3KooWKZEjw6MFfxFf6j3XZn5NqsVA2cdZncrXCo3m5Aikxe3V";
let folders: string[];
/** The daemon that copies them lets them go at the second look. */
let going: Set<string>;
let looks: number;
let isMirrored: boolean;
let peers: Record<string, { site_name: string; fs_name: string }>;
let asked: string[];
let answer: unknown;
let cluster: ClusterRuntime;
/** The command before which the daemon ends. */
let endsAt = "";

const refusal = (errno: string) => new MicrocephError("CEPH_REFUSED", errno, { data: { errno } });

async function run(words: readonly string[]): Promise<unknown> {
  const line = words.join(" ");
  if (line === "fs dump") {
    const mdsmap = { fs_name: "home", metadata_pool: 1, data_pools: [2], info: {} };
    return { standbys: [], filesystems: [{ id: 7, mdsmap }] };
  }
  if (line === "fs subvolume getpath home one") return "/volumes/_nogroup/one/uuid";
  const [verb = "", volume, what = ""] = words.slice(3);
  if (volume !== "home") throw refusal("ENOENT");
  if (verb === "peer_list") {
    if (!isMirrored) throw refusal("EINVAL");
    return peers;
  }
  if (line === endsAt) throw new Error("killed");
  asked.push(`${verb} ${what}`.trim());
  if (verb === "remove") {
    if (going.has(what))
      throw new MicrocephError("CEPH_REFUSED", "is under removal", { data: { errno: "EINVAL" } });
    going.add(what);
  }
  if (verb === "peer_remove") peers = {};
  if (verb === "disable") isMirrored = false;
  return {};
}

beforeEach(() => {
  folders = ["/a", "/b"];
  going = new Set();
  looks = 0;
  isMirrored = true;
  peers = { u1: { site_name: "magical", fs_name: "home" } };
  asked = [];
  endsAt = "";
  answer = [
    {
      path: "/a",
      state: "idle",
      last_snapshot: "one",
      synced: 1,
      deleted: 0,
      renamed: 0,
      more: "is ignored",
    },
  ];
  const entries = [
    {
      ...{ id: "3-a", kind: "ceph.daemon", body: { type: "cephfs-mirror", handle: "n1" }, state: "done" },
      ...{ number: { generation: 1, revision: 3 }, openedNumber: { generation: 1, revision: 3 } },
    },
  ] as unknown as Entry[];
  cluster = {
    self,
    document: { view: () => ({ services: {}, labels: {}, nodes: {} }) },
    journal: { members: () => new Map([[self, { handle: "n1", name: "n1" }]]), entries: () => entries },
    deps: {
      inject: async () => {
        if (answer === null) throw new Error("no daemon");
        return { status: 200, body: { type: "sync", status: "Success", status_code: 200, metadata: answer } };
      },
      cephNode: {
        commands: { run, pools: async () => [{ id: 1, name: "meta" }] } as unknown as CephCommands,
        deps: {
          paths: { cephConf: "/c", adminKeyring: "/k" },
          run: async (_program: string, args: readonly string[]) => {
            looks += 1;
            if (looks % 2 === 0) folders = folders.filter((path) => !going.has(path));
            const keys = folders.map((path) => `dir_map_${path}`);
            return {
              exitCode: args.includes("meta") ? 0 : 2,
              stdout: [...keys, "instance_1", ""].join("\n"),
              stderr: "",
            };
          },
        },
      },
    },
  } as unknown as ClusterRuntime;
});

describe("folders that are mirrored", () => {
  it("are told with what their daemon says, or without", async () => {
    const [one] = await listFileReplication(cluster, signal);
    expect(one?.remotes).toEqual(["magical"]);
    expect(one?.folders.map(({ path, state, last_snapshot }) => [path, state, last_snapshot])).toEqual([
      ["/a", "idle", "one"],
      ["/b", "unknown", null],
    ]);
    for (const said of [null, [{ path: 7 }], "nonsense"]) {
      answer = said;
      const [silent] = await listFileReplication(cluster, signal);
      expect(silent?.folders.map(({ state }) => state)).toEqual(["unknown", "unknown"]);
    }
    isMirrored = false;
    expect(await listFileReplication(cluster, signal)).toEqual([]);
    await expect(fileReplicationOf(cluster, "home", signal)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("are mirrored no more one by one, and all with a word that is meant", async () => {
    const no = { volume: "home", force: false };
    await disableFileReplication(cluster, { ...no, dir_path: "/a" }, signal);
    expect(asked).toEqual(["remove /a"]);
    await expect(disableFileReplication(cluster, { ...no, dir_path: "/a" }, signal)).rejects.toThrow(
      "/a of home is not mirrored",
    );
    await expect(disableFileReplication(cluster, no, signal)).rejects.toMatchObject({
      code: "REPLICATION_CONFLICT",
    });
    await disableFileReplication(cluster, { ...no, force: true }, signal);
    expect(asked.slice(1)).toEqual(["remove /b", "peer_remove u1", "disable"]);
  });

  it("are named by a path or a subvolume", async () => {
    const no = { volume: "home", force: false };
    const one = { ...no, subvolume: "one" };
    await expect(disableFileReplication(cluster, one, signal)).rejects.toThrow("/volumes/_nogroup/one/uuid");
    for (const both of [
      { ...one, dir_path: "/a" },
      { ...no, subvolume_group: "all" },
    ]) {
      await expect(disableFileReplication(cluster, both, signal)).rejects.toMatchObject({ code: "USAGE" });
    }
  });

  it.each([
    "fs snapshot mirror remove home /a",
    "fs snapshot mirror remove home /b",
    "fs snapshot mirror peer_remove home u1",
    "fs snapshot mirror disable home",
  ])("are parted when that is asked for again, after the daemon ended before `%s`", async (line) => {
    endsAt = line;
    const all = { volume: "home", force: true };
    await expect(disableFileReplication(cluster, all, signal)).rejects.toThrow("killed");
    endsAt = "";
    await disableFileReplication(cluster, all, signal);
    expect([isMirrored, folders, peers]).toEqual([false, [], {}]);
  });
});
