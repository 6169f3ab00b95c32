import { beforeEach, describe, expect, it } from "vitest";
import { exportKey, shownExports } from "../../../src/ceph/control/nfs-exports.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import {
  createExport,
  exportConditions,
  listExports,
  refuseExported,
  removeExport,
  unwantNfs,
  wantNfs,
} from "../../../src/daemon/nfs.ts";
import type { Json } from "../../../src/ids/json.ts";

const { signal } = new AbortController();
const self = "12D3KooWKZEjw6MFfxFf6j3XZn5NqsVA2cdZncrXCo3m5Aikxe3V";
let services: Record<string, Json>;
let woken: string[];
let cluster: ClusterRuntime;
let daemon: Daemon;

beforeEach(() => {
  services = {};
  woken = [];
  const fileSystems = [
    { id: 1, mdsmap: { fs_name: "home", metadata_pool: 1, data_pools: [2], info: {} } },
    { id: 2, mdsmap: { fs_name: "other", metadata_pool: 3, data_pools: [4], info: {} } },
  ];
  cluster = {
    self,
    document: {
      view: () => ({ services }),
      setService: (name: string, value: Json) => {
        const { [name]: _, ...rest } = services;
        services = value === null ? rest : { ...rest, [name]: value };
      },
    },
    journal: { members: () => new Map([[self, { handle: "n1" }]]), head: () => ({ revision: 7 }) },
    wake: (subject: string) => void woken.push(subject),
    deps: {
      cephNode: {
        commands: {
          run: async () => ({ standbys: [], filesystems: fileSystems }),
          pools: async () => [],
          mgrStat: async () => ({ available: false }),
          poolUsage: async () => new Map(),
        },
      },
    },
  } as unknown as ClusterRuntime;
  daemon = { cluster, settings: { name: "n1" } } as unknown as Daemon;
});

const asked = {
  ...{ pseudo_path: "/home", fs: "home", path: "/", read_only: false, squash: "none" as const },
  clients: [] as string[],
};

describe("exports", () => {
  it("that got one number on two nodes at once are named, but for the one that is shown", async () => {
    for (const pseudo_path of ["/a", "/b", "/c"])
      await createExport(cluster, { ...asked, pseudo_path }, signal);
    expect(exportConditions(services)).toEqual([]);
    const number = (pseudo: string): number => (services[exportKey(pseudo)] as { id: number }).id;
    const same = services[exportKey("/c")] as Record<string, Json>;
    services = { ...services, [exportKey("/c")]: { ...same, id: number("/b") } };
    expect(exportConditions(services)).toEqual([
      {
        ...{ code: "NFS_EXPORT_HIDDEN", severity: "warning" },
        text: expect.stringMatching(/^no NFS gateway shows \/c: it was given the number of \/b,/),
      },
    ]);
    // As the text says.
    removeExport(cluster, "/c");
    await createExport(cluster, { ...asked, pseudo_path: "/c" }, signal);
    expect(exportConditions(services)).toEqual([]);
  });

  it("that are for some clients only are not shown at a common address, and named", async () => {
    await createExport(cluster, { ...asked, pseudo_path: "/all" }, signal);
    await createExport(cluster, { ...asked, pseudo_path: "/few", clients: ["192.0.2.7"] }, signal);
    const paths = (): string[] => shownExports(services).map(({ pseudo }) => pseudo);
    expect([paths(), exportConditions(services)]).toEqual([["/all", "/few"], []]);
    // Another node put NFS behind the ingress before it had heard of the second one.
    const ingress = { vip: "192.0.2.10", prefix: 24, port: 80, targets: [], count: 2 };
    services = { ...services, ingress };
    expect(paths()).toEqual(["/all", "/few"]);
    services = { ...services, ingress: { ...ingress, nfsPort: 2049 } };
    expect(paths()).toEqual(["/all"]);
    expect(exportConditions(services)).toEqual([
      {
        ...{ code: "NFS_EXPORT_HIDDEN", severity: "warning" },
        text: expect.stringMatching(/^no NFS gateway shows \/few: it is for some clients only,/),
      },
    ]);
  });

  it("are made once, whoever asks again, and never become another", async () => {
    const made = await createExport(cluster, asked, signal);
    expect(made).toEqual(asked);
    const kept = services[exportKey("/home")];
    expect(await createExport(cluster, asked, signal)).toEqual(asked);
    expect(services).toEqual({ [exportKey("/home")]: kept });
    await expect(createExport(cluster, { ...asked, read_only: true }, signal)).rejects.toMatchObject({
      code: "NAME_TAKEN",
    });
    expect(listExports(cluster)).toEqual([asked]);
  });

  it("are of file systems that there are, and keep those from being removed", async () => {
    await expect(createExport(cluster, { ...asked, fs: "none" }, signal)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await createExport(cluster, asked, signal);
    refuseExported(cluster, "other");
    expect(() => refuseExported(cluster, "home")).toThrow("home is exported by NFS as /home");
    expect(removeExport(cluster, "/home")).toEqual(asked);
    refuseExported(cluster, "home");
    expect(() => removeExport(cluster, "/home")).toThrow("nothing is exported as /home");
  });
});

describe("NFS gateways", () => {
  const nothing = { targets: [], cluster_id: "share" };

  it("are wanted under one name, here when nobody says where; what was said before stays", () => {
    wantNfs(daemon, { ...nothing, bind_port: 2050, v4_min_version: 0 });
    const first = { cluster: "share", port: 2050, bind: null, minVersion: 0, targets: [self], count: 0 };
    expect(services.nfs).toEqual(first);
    wantNfs(daemon, { ...nothing, count: 2, bind_address: "10.0.0.1" });
    expect(services.nfs).toEqual({ ...first, bind: "10.0.0.1", count: 2 });
    wantNfs(daemon, { ...nothing, bind_address: "0.0.0.0" });
    expect(services.nfs).toMatchObject({ bind: null, count: 2 });
    expect(woken).toEqual(["nfs", "nfs", "nfs"]);
    expect(() => wantNfs(daemon, { ...nothing, cluster_id: "second" })).toThrow("there is one only");
  });

  it("are wanted no more by their name only", () => {
    wantNfs(daemon, nothing);
    const all = { targets: [], all: true };
    expect(() => unwantNfs(daemon, { ...all, cluster_id: "second" })).toThrow("there is one only");
    expect(services.nfs).toBeDefined();
    unwantNfs(daemon, { ...all, cluster_id: "share" });
    expect(services.nfs).toBeUndefined();
    expect(() => unwantNfs(daemon, all)).toThrow("no nfs is wanted");
  });
});
