import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { manPage } from "./man.ts";
import { nodePackage } from "./node.ts";
import { programs } from "./programs.ts";
import { run } from "./run.ts";
import { type Bundled, licenceTexts } from "./sbom.ts";

export interface DebOptions {
  readonly root: string;
  /** An empty folder of the caller's, where the package is put together. */
  readonly work: string;
  /** The file that is made. */
  readonly target: string;
  readonly version: string;
  /** Debian's word: amd64, arm64. */
  readonly architecture: string;
  /** Node's word: x64, arm64. */
  readonly platform: string;
  /** Seconds since 1970: of every file in it. */
  readonly epoch: number;
  readonly packages: readonly Bundled[];
  /** The list of them, as it goes into the package. */
  readonly bom: string;
}

/** What must be there for the daemon to do its work; the rest is wanted by some services only. */
const depends = [
  "ceph-mon, ceph-mgr, ceph-osd, ceph-mds, ceph-common",
  "etcd-server | etcd, etcd-client | etcd",
  "util-linux, mount, fdisk, iproute2, libatomic1, libc6 (>= 2.28), libstdc++6",
].join(", ");
const recommends = "radosgw, haproxy, keepalived, cryptsetup-bin, openssl, bash-completion";
/** For what few want; the package of nfs-ganesha brings a service of its own. */
const suggests = "rbd-mirror, cephfs-mirror, nfs-ganesha, nfs-ganesha-ceph, apparmor";

/** Of `packaging/deb`: what an administrator may change, and keeps. */
const conffiles = [
  ["microcephd.default", "etc/default/microcephd"],
  ["microcephd.apparmor", "etc/apparmor.d/microcephd"],
] as const;

/** Build the Debian package. The same sources and epoch give the same bytes. */
export function buildDeb(options: DebOptions): void {
  const { root, work, target, version, architecture, platform, epoch, packages, bom } = options;
  const put = (path: string, content: string | Buffer, mode = 0o644): void => {
    const file = join(work, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
  };
  const copy = (from: string, path: string, mode = 0o644): void =>
    put(path, readFileSync(join(root, from)), mode);
  const date = new Date(epoch * 1000).toISOString();
  const lib = "usr/lib/microceph-mesh";
  const doc = "usr/share/doc/microceph-mesh";

  for (const { path, mode } of programs) copy(path, join(lib, path), mode);
  for (const name of ["microceph", "microcephd"]) {
    mkdirSync(join(work, "usr/bin"), { recursive: true });
    symlinkSync(`../lib/microceph-mesh/bin/${name}`, join(work, "usr/bin", name));
  }
  const node = packages.find(({ name }) => name === nodePackage(platform));
  if (node === undefined) throw new Error(`there is no Node for ${platform}`);
  copy(join(node.path, "bin/node"), join(lib, `node_modules/${node.name}/bin/node`), 0o755);

  copy("packaging/deb/microcephd.service", "usr/lib/systemd/system/microcephd.service");
  copy("packaging/deb/microceph.sysusers", "usr/lib/sysusers.d/microceph-mesh.conf");
  for (const [name, path] of conffiles) copy(`packaging/deb/${name}`, path);
  for (const name of ["microceph", "microcephd"]) {
    const page = readFileSync(
      join(root, "docs/reference", name === "microceph" ? "cli.md" : "microcephd.md"),
      "utf8",
    );
    const roff = manPage(page, { name, section: 8, date: date.slice(0, 10), version });
    put(`usr/share/man/man8/${name}.8.gz`, gzipSync(roff, { level: 9 }));
  }
  copy("LICENSE", join(doc, "copyright"));
  put(join(doc, "changelog.gz"), gzipSync(readFileSync(join(root, "CHANGELOG.md")), { level: 9 }));
  put(join(doc, "THIRD-PARTY-LICENSES.gz"), gzipSync(licenceTexts(root, packages), { level: 9 }));
  put(join(doc, "sbom.cdx.json"), bom);
  copy("README.md", join(doc, "README.md"));

  const bytes = readdirSync(work, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  put(
    "DEBIAN/control",
    [
      "Package: microceph-mesh",
      `Version: ${version}`,
      `Architecture: ${architecture}`,
      "Maintainer: The MicroCeph Mesh authors <microceph-mesh@localhost>",
      `Installed-Size: ${Math.ceil(bytes / 1024)}`,
      `Depends: ${depends}`,
      `Recommends: ${recommends}`,
      `Suggests: ${suggests}`,
      "Conflicts: microceph",
      "Section: admin",
      "Priority: optional",
      "Description: Ceph that clusters itself",
      " Nodes find each other by mDNS, form or join a cluster, agree by Raft, and run",
      " Ceph: monitors, managers, OSDs and services are placed and re-placed.",
      " .",
      " The daemon starts with the installation. It waits for company and opens",
      " nothing but mDNS and its lobby until it belongs to a cluster.",
      "",
    ].join("\n"),
  );
  put("DEBIAN/conffiles", conffiles.map(([, path]) => `/${path}\n`).join(""));
  for (const name of ["postinst", "prerm", "postrm"]) copy(`packaging/deb/${name}`, `DEBIAN/${name}`, 0o755);

  // The name of a folder's owner, its time and the order of files must not tell who built it, or when.
  for (const path of ["", ...readdirSync(work, { recursive: true, encoding: "utf8" })]) {
    const file = join(work, path);
    lutimesSync(file, epoch, epoch);
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) chmodSync(file, 0o755);
  }
  run("dpkg-deb", ["--root-owner-group", "-Zxz", "-z6", "--threads-max=1", "--build", work, target], {
    SOURCE_DATE_EPOCH: String(epoch),
  });
}
