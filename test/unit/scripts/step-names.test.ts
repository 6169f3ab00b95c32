import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  pathStep,
  programStep,
  storeStep,
  writesToCeph,
  writesToEtcd,
} from "../../../scripts/lab/step-names.ts";

describe("a step of a daemon", () => {
  it.each<[string, string | undefined]>([
    ["setpriv --pdeathsig KILL -- etcd --name=n1", "start etcd"],
    ["setpriv --pdeathsig KILL ceph-mon --mkfs -i n1", "start ceph-mon --mkfs"],
    ["monmaptool --create --addv n1", "start monmaptool --create"],
    ["/bin/sh /x/supervise.sh /y", "start supervise.sh"],
    ["setpriv --pdeathsig KILL ceph -c x --admin_socket=", undefined],
    ["ceph -c x --admin_socket= -i /y osd new 6400a3ef-0bb2-4c04-bbc0-aeaac8618f2b", "ceph /y osd new *"],
    ["ceph -c x --admin_socket= -o /y mon getmap", "ceph /y mon getmap"],
    ["lsblk --json", undefined],
    ["etcd --version", undefined],
  ])("is the start of a program that changes something: %s", (line, step) => {
    expect(programStep(line.split(" "))).toBe(step);
  });

  it.each<[string, string | undefined]>([
    ["osd stat\n", undefined],
    ['"config" "dump"\n', undefined],
    ['"auth" "get" "mgr.n1"', undefined],
    ['"auth" "get-or-create" "mgr.n1"\nosd stat\n', "auth get-or-create mgr.n1"],
    ['"mon" "remove" "n1"\n', "mon remove n1"],
    ["", undefined],
  ])("is a command of Ceph that changes something: %j", (line, step) => {
    expect(writesToCeph(line)).toBe(step);
  });

  it.each<[string, string | undefined]>([
    ["/v3/kv/txn", "kv/txn"],
    ["/v3/lease/revoke", "lease/revoke"],
    ["/v3/cluster/member/add", "cluster/member/add"],
    ["/v3/lease/keepalive", undefined],
    ["/v3/kv/range", undefined],
    ["/v3/cluster/member/list", undefined],
  ])("is a change of etcd: %s", (path, step) => expect(writesToEtcd(path)).toBe(step));

  it("is a change of the store", () => {
    expect(storeStep("INSERT OR REPLACE INTO kv (key) VALUES (?)", ["handle", "x"])).toBe("insert kv handle");
    expect(storeStep("DELETE FROM document_change WHERE n <= ?", [4])).toBe("delete document_change");
  });

  it("is a change of the file system, and nothing that is so already", () => {
    const folder = mkdtempSync(join(tmpdir(), "steps-"));
    expect(pathStep("mkdir", [folder])).toBeUndefined();
    expect(pathStep("mkdirSync", [join(folder, "new")])).toMatch(/^mkdir .*new$/);
    expect(pathStep("rm", [join(folder, "new")])).toBeUndefined();
    expect(pathStep("rename", ["/a/.b.tmp", "/var/lib/microceph/conf/b"])).toBe("rename conf/b");
    rmSync(folder, { recursive: true });
  });
});
