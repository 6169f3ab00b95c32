import { describe, expect, it } from "vitest";
import { optionsOfCephConf, renderCephConf } from "../../../src/ceph/config/ceph-conf.ts";
import { cephPaths } from "../../../src/ceph/config/ceph-paths.ts";
import { readersOf } from "../../../src/daemon/ceph-config.ts";
import { clientOptionsOf } from "../../../src/daemon/cluster/client-options.ts";
import { getLogLevel, restoreLogLevel, setLogLevel } from "../../../src/daemon/log-level.ts";
import { fsid, handle } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";

describe("whose daemons read an option", () => {
  it.each([
    ["osd_max_backfills", "global", ["osd"]],
    ["bluestore_cache_size", "osd", ["osd"]],
    ["mon_osd_down_out_interval", "global", ["mon"]],
    ["rgw_keystone_url", "global", ["rgw"]],
    ["debug_ms", "mds", ["mds"]],
    ["ms_crc_data", "global", ["mon", "mgr", "osd", "mds", "rgw", "rbd-mirror", "cephfs-mirror", "nfs"]],
    ["ms_crc_data", "osd.3", ["osd"]],
    ["rbd_default_features", "global", []],
    ["rbd_mirror_image_state_check_interval", "global", ["rbd-mirror"]],
    ["objecter_timeout", "client.rgw", ["rgw"]],
    ["objecter_timeout", "client.rbd-mirror.n1", ["rbd-mirror"]],
    ["objecter_timeout", "client", ["rgw", "rbd-mirror", "cephfs-mirror", "nfs"]],
    ["cephfs_mirror_directory_scan_interval", "global", ["cephfs-mirror"]],
    ["client_mount_timeout", "global", ["cephfs-mirror", "nfs"]],
    ["client_mount_timeout", "client.nfs.n1", ["nfs"]],
    ["client_mount_timeout", "client.rgw.n1", []],
    ["objecter_timeout", "client.backup", []],
  ])("%s for %s: %j", (key, section, types) => {
    expect(readersOf(key, section)).toEqual(types);
  });
});

describe("what clients on a host are told", () => {
  const settings = {
    "client-config._all.rbd_cache": "true",
    "client-config._all.rbd_cache_size": "1000",
    "client-config.n2.rbd_cache": "false",
    "client-config.n2.evil\nkey": "1",
    "client-config.n2.rbd_cache_max_dirty": "1\nkeyring = /etc/passwd",
    "grace.monitor": "10",
  };

  it("is the word for all hosts, unless there is one for this", () => {
    expect(clientOptionsOf(settings, "n1")).toEqual({ rbd_cache: "true", rbd_cache_size: "1000" });
    expect(clientOptionsOf(settings, "n2")).toEqual({ rbd_cache: "false", rbd_cache_size: "1000" });
  });

  it("is in the client's part of ceph.conf", () => {
    const text = renderCephConf({
      fsid: fsid("11111111-2222-3333-4444-555555555555"),
      handle: handle("n1"),
      address: null,
      monitors: [{ name: "n1", address: "10.0.0.1" }],
      publicNetwork: "10.0.0.0/24",
      client: { rbd_cache: "false" },
      paths: cephPaths("/var/lib/microceph"),
    });
    expect(text).toMatch(/\[client\]\n.*\nrbd cache = false\n/);
    for (const [, key = ""] of text.matchAll(/^([a-z][a-z0-9 ]*) = /gm)) {
      const option = key.replaceAll(" ", "_");
      expect([option, optionsOfCephConf.has(option) || option === "rbd_cache"]).toEqual([option, true]);
    }
  });
});

describe("the log level", () => {
  const store = new Map<string, Json>();
  const deps = {
    log: { level: "info" },
    store: {
      get: (key: string) => store.get(key),
      put: (key: string, value: Json) => void store.set(key, value),
    },
  };

  it("is MicroCeph's number, and is kept over a restart", () => {
    expect(getLogLevel(deps)).toEqual({ level: 4 });
    expect(setLogLevel(deps, "trace")).toEqual({ level: 6 });
    expect(deps.log.level).toBe("trace");
    setLogLevel(deps, "0");
    expect(deps.log.level).toBe("fatal");
    setLogLevel(deps, 5);
    deps.log.level = "info";
    restoreLogLevel(deps);
    expect([deps.log.level, getLogLevel(deps)]).toEqual(["debug", { level: 5 }]);
  });

  it("is refused when there is none of that name", () => {
    expect(() => setLogLevel(deps, "loud")).toThrow("no log level");
    store.set("log-level", "garbage");
    deps.log.level = "info";
    restoreLogLevel(deps);
    expect(deps.log.level).toBe("info");
  });
});
