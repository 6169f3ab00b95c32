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

const packages = "systemd,systemd-sysv,dbus,iproute2,procps,e2fsprogs";

/** Where a tree has the files of its test. */
export const machineFolder = "/opt/microceph-vm";

export interface MachineTree {
  /** Kept from run to run. */
  readonly folder: string;
  /** Packages besides systemd, installed once; others make another tree. */
  readonly packages: readonly string[];
  /** The script that is number 1 before systemd is; its name is systemd.sh. */
  readonly firstScript: string;
  /** What is in the machine's folder besides. */
  readonly files: readonly string[];
}

/** The release and the archive of the machine that the tests run on. */
function release(): { readonly name: string; readonly archive: string } {
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (name === undefined) throw new Error("/etc/os-release names no release");
  const script =
    "sed -n 's/^URIs: *\\(.*\\/debian\\)\\/*$/\\1/p; s/^deb \\(\\[[^]]*\\] \\)\\{0,1\\}\\([^ ]*\\/debian\\)\\/\\{0,1\\} .*/\\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1";
  return { name, archive: execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim() };
}

/** Run a program in the tree, which starts no service. */
export function inTree(tree: string, program: string, ...args: string[]): void {
  const policy = join(tree, "usr/sbin/policy-rc.d");
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    execFileSync("chroot", [tree, program, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", LANG: "C.UTF-8" },
    });
  } finally {
    rmSync(policy, { force: true });
  }
}

/** A tree of the distribution with systemd and these packages, as debootstrap makes it, for a machine that takes commands. */
export function machineTree(asked: MachineTree): string {
  const { folder: tree } = asked;
  const stamp = `${tree}.stamp`;
  const wanted = asked.packages.join(" ");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    const { name, archive } = release();
    rmSync(tree, { recursive: true, force: true });
    mkdirSync(tree, { recursive: true });
    execFileSync("debootstrap", ["--variant=minbase", `--include=${packages}`, name, tree, archive], {
      stdio: "ignore",
    });
    // debootstrap does not choose among alternatives, of which some packages have some.
    cpSync("/etc/apt/apt.conf.d", join(tree, "etc/apt/apt.conf.d"), { recursive: true });
    inTree(tree, "apt-get", "-qq", "update");
    if (asked.packages.length > 0) {
      inTree(tree, "apt-get", "-qq", "install", "-y", "--no-install-recommends", ...asked.packages);
    }
    writeFileSync(stamp, wanted);
  }
  const own = join(tree, machineFolder);
  rmSync(own, { recursive: true, force: true });
  cpSync(join(import.meta.dirname, "machine"), own, { recursive: true });
  cpSync(asked.firstScript, join(own, "systemd.sh"));
  cpSync(join(checkout, "scripts/vm/agent.sh"), join(own, "agent.sh"));
  cpSync(join(checkout, "scripts/vm/ceph-extra.conf"), join(own, "ceph-extra.conf"));
  for (const file of asked.files) linkSync(file, join(own, basename(file)));
  const unit = "microceph-vm.service";
  const units = join(tree, "etc/systemd/system");
  cpSync(join(own, unit), join(units, unit));
  mkdirSync(join(units, "multi-user.target.wants"), { recursive: true });
  rmSync(join(units, "multi-user.target.wants", unit), { force: true });
  symlinkSync(`../${unit}`, join(units, "multi-user.target.wants", unit));
  return tree;
}
