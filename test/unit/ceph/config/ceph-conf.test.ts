import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CephConfInput, renderCephConf } from "../../../../src/ceph/config/ceph-conf.ts";
import { cephPaths, checkMirrorSocket, checkSocketPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { writeAdminKeyring, writeCephConf } from "../../../../src/ceph/config/write-conf.ts";
import { fsid, handle } from "../../../../src/ids/ids.ts";

const input: CephConfInput = {
  fsid: fsid("00000000-1111-2222-3333-444444444444"),
  handle: handle("n2"),
  address: "10.0.0.2",
  monitors: [
    { name: "n3", address: "10.0.0.3" },
    { name: "n1", address: "10.0.0.1" },
  ],
  publicNetwork: "10.0.0.0/24",
  paths: cephPaths("/s"),
};

describe("ceph.conf", () => {
  it("puts everything below the state directory", () => {
    expect(
      renderCephConf(input),
    ).toBe(`# Written by microcephd from the live monitor map; changes here are overwritten.
[global]
fsid = 00000000-1111-2222-3333-444444444444
mon host = [v2:10.0.0.1:3300,v1:10.0.0.1:6789],[v2:10.0.0.3:3300,v1:10.0.0.3:6789]
public network = 10.0.0.0/24
cluster network = 10.0.0.0/24
ms bind ipv4 = true
ms bind ipv6 = false
auth allow insecure global id reclaim = false
bluestore elastic shared blobs = false
run dir = /s/run
pid file = /s/run/$name.pid
admin socket = /s/run/$cluster-$name.asok
log file = /s/logs/$cluster-$name.log
mon cluster log file = /s/logs/$cluster.$channel.log
crash dir = /s/data/crash
keyring = /s/conf/$cluster.$name.keyring

[mon]
mon data = /s/data/mon/$cluster-$id
keyring = /s/data/mon/$cluster-$id/keyring
mgr initial modules = iostat

[mgr]
mgr data = /s/data/mgr/$cluster-$id
keyring = $mgr_data/keyring
public addr = 10.0.0.2

[mds]
mds data = /s/data/mds/$cluster-$id
keyring = $mds_data/keyring
public addr = 10.0.0.2

[osd]
osd data = /s/data/osd/$cluster-$id
keyring = $osd_data/keyring
crush location = root=default host=n2
bdev aio poll ms = 25
public addr = 10.0.0.2

[client]
admin socket = /s/run/$cluster-$name.$pid.asok
`);
  });

  it("is the same whatever the order of the monitors", () => {
    expect(renderCephConf({ ...input, monitors: [...input.monitors].reverse() })).toBe(renderCephConf(input));
  });

  it.each<[string, Partial<CephConfInput>, string[], string[]]>([
    [
      "IPv6",
      { publicNetwork: "fd00::/64", address: "fd00::2", monitors: [{ name: "a", address: "fd00::1" }] },
      [
        "mon host = [v2:[fd00::1]:3300,v1:[fd00::1]:6789]",
        "ms bind ipv4 = false",
        "ms bind ipv6 = true",
        "public addr = fd00::2",
      ],
      [],
    ],
    [
      "both families",
      { publicNetwork: "10.0.0.0/24, fd00::/64" },
      ["ms bind ipv4 = true", "ms bind ipv6 = true", "public network = 10.0.0.0/24,fd00::/64"],
      [],
    ],
    [
      "a cluster network",
      { clusterNetwork: "10.1.0.0/24" },
      ["cluster network = 10.1.0.0/24", "public network = 10.0.0.0/24"],
      [],
    ],
    ["no address of its own", { address: null }, [], ["public addr"]],
    [
      "the exact vector of the map",
      { monitors: [{ name: "a", address: "10.0.0.1", vector: "[v2:10.0.0.1:3301]" }] },
      ["mon host = [v2:10.0.0.1:3301]\n"],
      ["6789"],
    ],
    [
      "an extra file, whose sections come last and so win",
      { extra: "[osd]\nosd heartbeat grace = 4\n" },
      ["asok\n\n# From the extra configuration file:\n[osd]\nosd heartbeat grace = 4\n"],
      [],
    ],
  ])("knows %s", (_name, change, present, absent) => {
    const text = renderCephConf({ ...input, ...change });
    for (const part of present) expect(text).toContain(part);
    for (const part of absent) expect(text).not.toContain(part);
  });

  it.each<[string, Partial<CephConfInput>]>([
    ["no monitor", { monitors: [] }],
    ["a second line", { publicNetwork: "10.0.0.0/24\n[global]\nauth client required = none" }],
    ["a comment", { clusterNetwork: "10.0.0.0/24 # x" }],
  ])("refuses %s", (_name, change) => {
    expect(() => renderCephConf({ ...input, ...change })).toThrowError(
      expect.objectContaining({ code: "USAGE" }),
    );
  });

  it("is written only when it changed, keys for root alone", async () => {
    const state = await mkdtemp(join(tmpdir(), "conf-"));
    const paths = cephPaths(state);
    const key = "AQDr2QNrYgoyFxAA19nBg/x6koVQ/v/5Rs7JeA==";
    expect(await writeCephConf(paths, "a\n")).toBe(true);
    const before = await stat(paths.cephConf);
    expect(await writeCephConf(paths, "a\n")).toBe(false);
    expect((await stat(paths.cephConf)).ino).toBe(before.ino);
    expect(await writeCephConf(paths, "b\n")).toBe(true);
    expect(await writeAdminKeyring(paths, key)).toBe(true);
    expect(await writeAdminKeyring(paths, key)).toBe(false);
    expect((await stat(paths.adminKeyring)).mode & 0o777).toBe(0o600);
    await rm(state, { recursive: true });
  });
});

describe("socket paths", () => {
  it.each([
    // "/run/ceph-client.admin.4194304.asok" is 35 bytes long, so 72 are left for the state directory.
    [72, "n1", true],
    [73, "n1", false],
    [20, "a".repeat(63), true],
    // "/run/ceph-mon." and ".asok" are 14 and 5 bytes: with a handle of 63 there is room for 25.
    [25, "a".repeat(63), true],
    [26, "a".repeat(63), false],
  ])("a state directory of %i bytes with handle %s: fits %s", (length, name, fits) => {
    const check = (): void => checkSocketPaths(cephPaths(`/${"d".repeat(length - 1)}`), name);
    if (fits) expect(check).not.toThrow();
    else expect(check).toThrowError(expect.objectContaining({ code: "PATH_TOO_LONG" }));
  });

  it.each([
    // "/run/ceph-cephfs-mirror." and ".asok": 24 and 5 bytes; "/run/ceph-client.rbd-mirror." and ".4194304.asok": 28, 13.
    ["cephfs-mirror", 18, 60, true],
    ["cephfs-mirror", 18, 61, false],
    ["rbd-mirror", 18, 48, true],
    ["rbd-mirror", 18, 49, false],
  ] as const)(
    "%s in a state directory of %i bytes with a handle of %i: fits %s",
    (type, length, size, fits) => {
      const check = (): void =>
        checkMirrorSocket(cephPaths(`/${"d".repeat(length - 1)}`), type, "a".repeat(size));
      if (fits) expect(check).not.toThrow();
      else expect(check).toThrowError(expect.objectContaining({ code: "PATH_TOO_LONG" }));
    },
  );

  it("counts bytes, not characters", () => {
    expect(() => checkSocketPaths(cephPaths(`/${"ü".repeat(40)}`), "n1")).toThrow("Linux allows 107");
  });
});
