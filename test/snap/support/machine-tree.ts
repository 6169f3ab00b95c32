import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { checkout } from "../../../scripts/lab/layout.ts";
import { snapWork } from "./built-snap.ts";

const packages = "systemd,systemd-sysv,dbus,iproute2,procps,e2fsprogs";

/** The release and the archive of the machine that the tests run on. */
function release(): { readonly name: string; readonly archive: string } {
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (name === undefined) throw new Error("/etc/os-release names no release");
  const script =
    "sed -n 's/^URIs: *\\(.*\\/debian\\)\\/*$/\\1/p; s/^deb \\(\\[[^]]*\\] \\)\\{0,1\\}\\([^ ]*\\/debian\\)\\/\\{0,1\\} .*/\\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1";
  return { name, archive: execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim() };
}

/** A tree of the distribution with systemd and snapd, as debootstrap makes it, once; with these files in /opt/microceph-vm. */
export function machineTree(files: readonly string[]): string {
  const tree = join(snapWork, "vm", "tree");
  const stamp = `${tree}.stamp`;
  if (!existsSync(stamp)) {
    const { name, archive } = release();
    rmSync(tree, { recursive: true, force: true });
    mkdirSync(tree, { recursive: true });
    execFileSync("debootstrap", ["--variant=minbase", `--include=${packages}`, name, tree, archive], {
      stdio: "ignore",
    });
    // debootstrap does not choose among alternatives, of which snapd has some.
    cpSync("/etc/apt/apt.conf.d", join(tree, "etc/apt/apt.conf.d"), { recursive: true });
    for (const words of [["update"], ["install", "-y", "--no-install-recommends", "snapd"]]) {
      execFileSync("chroot", [tree, "apt-get", "-qq", ...words], {
        stdio: "ignore",
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive" },
      });
    }
    writeFileSync(stamp, "");
  }
  const own = join(tree, "opt/microceph-vm");
  rmSync(own, { recursive: true, force: true });
  cpSync(join(import.meta.dirname, "machine"), own, { recursive: true });
  cpSync(join(checkout, "scripts/vm/agent.sh"), join(own, "agent.sh"));
  cpSync(join(checkout, "scripts/vm/ceph-extra.conf"), join(own, "ceph-extra.conf"));
  for (const file of files) linkSync(file, join(own, basename(file)));
  const unit = "microceph-vm.service";
  const units = join(tree, "etc/systemd/system");
  cpSync(join(own, unit), join(units, unit));
  mkdirSync(join(units, "multi-user.target.wants"), { recursive: true });
  rmSync(join(units, "multi-user.target.wants", unit), { force: true });
  symlinkSync(`../${unit}`, join(units, "multi-user.target.wants", unit));
  return tree;
}
