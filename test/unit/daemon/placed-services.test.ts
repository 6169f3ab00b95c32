import { beforeEach, describe, expect, it } from "vitest";
import { exportKey } from "../../../src/ceph/control/nfs-exports.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import { wantIngress } from "../../../src/daemon/placed-services.ts";
import type { Json } from "../../../src/ids/json.ts";

const { signal } = new AbortController();
const self = "12D3KooWKZEjw6MFfxFf6j3XZn5NqsVA2cdZncrXCo3m5Aikxe3V";
const vip = "192.0.2.10/24";
/** As it is in the document before: who has the address by our own doing is not asked whether it is free. */
const before = { vip: "192.0.2.10", prefix: 24, port: 80, targets: [], count: 2 };
let services: Record<string, Json>;
let addresses: string[];
let daemon: Daemon;

beforeEach(() => {
  services = { ingress: before };
  addresses = ["192.0.2.1"];
  const cluster = {
    self,
    addressesOf: () => addresses,
    document: {
      view: () => ({ services, labels: {}, nodes: {} }),
      setService: (name: string, value: Json) => {
        services = { ...services, [name]: value };
      },
    },
    journal: {
      members: () => new Map([[self, { handle: "n1", name: "n1" }]]),
      head: () => ({ revision: 7 }),
    },
    wake: () => undefined,
  } as unknown as ClusterRuntime;
  daemon = { cluster, settings: { name: "n1" } } as unknown as Daemon;
});

type Asked = Partial<Parameters<typeof wantIngress>[1]>;
const want = (asked: Asked = {}): Promise<unknown> =>
  wantIngress(daemon, { vip, targets: [], ...asked }, signal);
const shown = (pseudo: string, clients: string[]): void => {
  const one = { id: 7, pseudo, fs: "home", path: "/", readOnly: false, squash: "none", clients };
  services = { ...services, [exportKey(pseudo)]: one };
};

describe("the common address", () => {
  it("is that of S3 and of the dashboard until somebody says whose it is", async () => {
    await want();
    expect(services.ingress).toEqual({ ...before, tlsPort: 443 });
    await want({ services: ["nfs"] });
    expect(services.ingress).toMatchObject({ fronts: [], nfsPort: 2049 });
    await want({ services: ["dashboard", "rgw"] });
    expect(services.ingress).toMatchObject({ fronts: ["rgw", "dashboard"] });
    expect(services.ingress).not.toHaveProperty("nfsPort");
  });

  it("keeps what was said before, and a port of NFS only where it is for NFS", async () => {
    await want({ services: ["nfs", "rgw"], nfs_port: 3049, port: 8080, ssl_port: 8443, count: 3 });
    const said = { fronts: ["rgw"], nfsPort: 3049, port: 8080, tlsPort: 8443, count: 3 };
    expect(services.ingress).toMatchObject(said);
    await want();
    expect(services.ingress).toMatchObject(said);
    await want({ services: ["rgw"] });
    await want({ nfs_port: 4049 });
    expect(services.ingress).not.toHaveProperty("nfsPort");
  });

  it("has a port for each of its services, and none that a gateway beside it has", async () => {
    await expect(want({ services: ["nfs"], nfs_port: 80 })).rejects.toThrow("cannot be for S3 and for NFS");
    await expect(want({ services: ["nfs"], nfs_port: 443 })).rejects.toThrow("cannot be for S3 and for NFS");
    await expect(want({ port: 443 })).rejects.toThrow("with and without TLS");
    services = {
      ...services,
      rgw: { port: 7480, targets: [], count: 2 },
      nfs: { cluster: "share", port: 2049, bind: null, minVersion: 1, targets: [], count: 2 },
    };
    await expect(want({ port: 7480 })).rejects.toThrow("cannot both listen on port 7480");
    await expect(want({ services: ["nfs"] })).rejects.toThrow("cannot both listen on port 2049");
    await want({ services: ["nfs"], nfs_port: 3049 });
    expect(services.ingress).toMatchObject({ nfsPort: 3049 });
  });

  it("is not for NFS while an export is for some clients only", async () => {
    shown("/all", []);
    shown("/few", ["192.0.2.7"]);
    await want({ services: ["rgw"] });
    await expect(want({ services: ["nfs"] })).rejects.toMatchObject({
      code: "NFS_CLIENTS_HIDDEN",
      message: expect.stringMatching(/^\/few is for some clients only/),
    });
    expect(services.ingress).not.toHaveProperty("nfsPort");
  });

  it("is nobody's own, in a network of some member, and free", async () => {
    addresses = ["192.0.2.10"];
    await expect(want()).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    addresses = ["198.51.100.1"];
    await expect(want()).rejects.toThrow("no member has an address in the network of 192.0.2.10/24");
    addresses = ["127.0.0.1"];
    await expect(want({ vip: "127.0.0.9/8" })).rejects.toThrow("something answers at 127.0.0.9 already");
    expect(services.ingress).toEqual(before);
  });
});
