import { describe, expect, it } from "vitest";
import { exportId, exportKey, exportsOf } from "../../../../src/ceph/control/nfs-exports.ts";
import {
  ganeshaConfig,
  type NfsExport,
  type NfsSettings,
  nfsExport,
} from "../../../../src/ceph/daemons/nfs-config.ts";

const settings: NfsSettings = { cluster: "share", port: 2049, bind: null, minVersion: 1 };
const own = { rank: 3, conf: "/var/lib/microceph/ceph.conf" };
const home: NfsExport = {
  ...{ id: 7, pseudo: "/home", fs: "home", path: "/", readOnly: false, squash: "none", clients: [] },
};
const block = (text: string, pseudo: string): string =>
  text.split("\nEXPORT {").find((part) => part.includes(`Pseudo = "${pseudo}"`)) ?? "";

describe("the configuration of an NFS gateway", () => {
  it("has what it is told, and nothing that waits for names to be looked up", () => {
    const text = ganeshaConfig({ ...settings, port: 2050, bind: "10.0.0.1" }, [home], own);
    for (const line of [
      "\tNFS_Port = 2050;",
      "\tBind_Addr = 10.0.0.1;",
      "\tMinor_Versions = 1, 2;",
      "\tActive_krb5 = false;",
      "\tRecoveryBackend = rados_ng;",
      '\tServer_Owner = "share.3";',
      '\tServer_Scope = "share";',
      `\tceph_conf = "${own.conf}";`,
      '\tuserid = "nfs.share.3";',
      '\tnodeid = "share.3";',
      '\tnamespace = "share";',
      '\t\tUser_Id = "nfs.share.3";',
      '\t\tFilesystem = "home";',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(ganeshaConfig({ ...settings, minVersion: 0 }, [], own)).toContain("Minor_Versions = 0, 1, 2;");
    expect(ganeshaConfig(settings, [], own)).not.toContain("Bind_Addr");
  });

  it("shows a folder to all, or to those that are named alone", () => {
    const text = ganeshaConfig(
      settings,
      [
        home,
        {
          ...{ id: 8, pseudo: "/pub", fs: "home", path: "/pub", readOnly: true, squash: "all" },
          clients: ["10.0.0.0/24", "fd00::5"],
        },
      ],
      own,
    );
    expect(block(text, "/home")).toMatch(/Access_Type = RW;\n\tSquash = No_Root_Squash;/);
    expect(block(text, "/home")).not.toContain("CLIENT");
    expect(block(text, "/pub")).toMatch(
      /Access_Type = None;[\s\S]*CLIENT \{\n\t\tClients = 10\.0\.0\.0\/24, fd00::5;\n\t\tAccess_Type = RO;\n\t\tSquash = All_Squash;/,
    );
  });

  it("has each number once: a gateway would not start with two of one", () => {
    const text = ganeshaConfig(settings, [{ ...home, pseudo: "/z" }, home], own);
    expect(text.match(/Export_Id/g)).toHaveLength(1);
    expect(text).toContain('Pseudo = "/home"');
  });

  it.each([
    ["pseudo", '/a"; EXPORT {'],
    ["pseudo", "/a/../b"],
    ["pseudo", "relative"],
    ["path", "/a\nb"],
    ["fs", "a b"],
    ["clients", ["10.0.0.0/24; Access_Type = RW"]],
    ["clients", ["*"]],
    ["id", 0],
    ["id", 65_536],
  ])("takes no %s that would break out of its line: %j", (field, value) => {
    expect(nfsExport.safeParse(home).success).toBe(true);
    expect(nfsExport.safeParse({ ...home, [field]: value }).success).toBe(false);
  });

  it("takes no name or file of its own that would", () => {
    expect(() => ganeshaConfig({ ...settings, cluster: 'a"' }, [], own)).toThrow("not a name");
    expect(() => ganeshaConfig(settings, [], { ...own, conf: "/a b" })).toThrow("not a name");
  });
});

describe("exports in the document", () => {
  it("are one entry each, in the order of their paths; what is no export is left out", () => {
    const pub: NfsExport = { ...home, id: 8, pseudo: "/a" };
    const services = {
      [exportKey("/home")]: home,
      [exportKey("/a")]: pub,
      // Under another's name.
      [exportKey("/b")]: { ...home, id: 9 },
      [exportKey("/c")]: { pseudo: "/c" },
      rgw: { port: 80 },
    };
    expect(exportsOf(services as never)).toEqual([pub, home]);
  });

  it("have numbers that follow from their paths, and are not given twice", () => {
    const first = exportId("/home", new Set());
    expect(exportId("/home", new Set())).toBe(first);
    const second = exportId("/home", new Set([first]));
    expect(second).toBe(1 + (first % 65_535));
    for (const path of ["/a", "/b", "/c"]) {
      const id = exportId(path, new Set());
      expect(id).toBeGreaterThan(0);
      expect(id).toBeLessThan(65_536);
    }
  });
});
