import { execFileSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { checkout } from "../../../scripts/lab/layout.ts";
import { Archive } from "../../../scripts/package/snap/archive.ts";
import { packSnap, packTools } from "../../../scripts/package/snap/pack.ts";
import { basePackages } from "../../../scripts/package/snap/stage.ts";

/** What `npm run package -- snap` keeps, and what the tests add to it. */
export const snapWork: string = join(checkout, "dist", "snap");

const meta = z.looseObject({
  version: z.string(),
  environment: z.record(z.string(), z.string()),
  layout: z.record(z.string(), z.object({ bind: z.string() })),
  apps: z.record(z.string(), z.looseObject({ command: z.string() })),
});

/** The image that is tested: MICROCEPH_TRIAL_SNAP, or the newest in dist/packages. */
export function builtSnap(): string {
  const named = process.env.MICROCEPH_TRIAL_SNAP;
  if (named !== undefined) return named;
  const found = globSync(join(checkout, "dist", "packages", "microceph_*.snap"));
  const newest = found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (newest === undefined) throw new Error("there is no snap in dist/packages: npm run package -- snap");
  return newest;
}

function archive(): Archive {
  return new Archive(join(snapWork, "archive"));
}

/** Mount points that snap-confine wants of a base, and that packages do not bring. */
const mountPoints =
  "dev etc/alternatives home media mnt proc root run snap sys tmp var/lib/extrausers var/lib/snapd var/log var/snap var/tmp usr/lib/snapd usr/src lib/modules lib/firmware".split(
    " ",
  );

/**
 * A base of the distribution's own packages in the place of Ubuntu's: it shows that the snap has all that the base has
 * not, and not that Ubuntu's has it.
 */
export function madeBase(): string {
  const tree = join(snapWork, "base");
  if (existsSync(`${tree}.stamp`)) return tree;
  rmSync(tree, { recursive: true, force: true });
  const packages = archive();
  packages.fetch(basePackages);
  packages.unpack(packages.closure(basePackages), tree);
  for (const folder of mountPoints) mkdirSync(join(tree, folder), { recursive: true });
  // Debian makes these links at the installation.
  symlinkSync("dash", join(tree, "bin/sh.new"));
  execFileSync("mv", ["-T", join(tree, "bin/sh.new"), join(tree, "bin/sh")]);
  symlinkSync("/usr/lib/snapd/snapctl", join(tree, "usr/bin/snapctl"));
  writeFileSync(`${tree}.stamp`, "");
  return tree;
}

/** Snaps of the names that snapd asks for first, so that it needs no store: `core24`, and `snapd` itself. */
export function madeBaseSnaps(): string[] {
  const tools = packTools(archive(), join(snapWork, "tools"));
  const base = madeBase();
  const snapd = join(snapWork, "snapd");
  rmSync(snapd, { recursive: true, force: true });
  for (const path of ["usr/lib", "usr/bin"]) mkdirSync(join(snapd, path), { recursive: true });
  execFileSync("cp", ["-a", join(tools, "usr/lib/snapd"), join(snapd, "usr/lib/snapd")]);
  execFileSync("cp", ["-a", join(tools, "usr/bin/snap"), join(snapd, "usr/bin/snap")]);
  return [
    { name: "snapd", type: "snapd", tree: snapd },
    { name: "core24", type: "base", tree: base },
  ].map(({ name, type, tree }) => {
    mkdirSync(join(tree, "meta"), { recursive: true });
    const said = { name, version: "0", type, summary: "made for a test", description: "made for a test" };
    writeFileSync(join(tree, "meta", "snap.yaml"), stringify(said));
    const target = join(snapWork, `${name}.snap`);
    if (existsSync(target) && statSync(target).mtimeMs > statSync(`${base}.stamp`).mtimeMs) return target;
    packSnap(tools, tree, target, "lzo");
    return target;
  });
}

/** A folder for view.sh, with the image mounted below; `close` takes the mount away. */
export function snapView(image: string, cephConfig: string): { readonly folder: string; close(): void } {
  // The lab takes a process for the daemon by such a name among its first words.
  const folder = join(snapWork, "microcephd-view");
  const mounted = join(folder, "image");
  const unmount = (): void => {
    execFileSync("sh", ["-c", 'while mountpoint -q "$1"; do umount "$1"; done', "sh", mounted]);
  };
  mkdirSync(mounted, { recursive: true });
  unmount();
  execFileSync("mount", ["-t", "squashfs", "-o", "loop,ro", image, mounted]);
  const { environment, layout, apps } = meta.parse(
    parse(readFileSync(join(mounted, "meta/snap.yaml"), "utf8")),
  );
  const variables: Readonly<Record<string, string>> = {
    SNAP: "/snap/microceph/x1",
    SNAP_NAME: "microceph",
    SNAP_INSTANCE_NAME: "microceph",
    SNAP_DATA: "/var/snap/microceph/x1",
    SNAP_COMMON: "/var/snap/microceph/common",
  };
  const expand = (text: string): string =>
    text.replace(/\$([A-Z_]+)/g, (_, name: string) => variables[name] ?? "");
  const lines = (entries: readonly (readonly [string, string])[], between: string): string =>
    entries.map(([left, right]) => `${left}${between}${expand(right)}\n`).join("");
  const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  put("environment", lines(Object.entries({ ...variables, ...environment, LANG: "C.UTF-8" }), "="));
  put(
    "layout",
    lines(
      Object.entries(layout).map(([place, { bind }]) => [place, bind] as const),
      " ",
    ),
  );
  put(
    "apps",
    lines(
      [...Object.entries(apps).map(([app, { command }]) => [app, command] as const), ["sh", "/bin/sh"]],
      " ",
    ),
  );
  put("ceph-extra.conf", readFileSync(cephConfig, "utf8"));
  rmSync(join(folder, "base"), { force: true });
  symlinkSync(madeBase(), join(folder, "base"));
  execFileSync("cp", [join(import.meta.dirname, "snapctl"), join(folder, "snapctl")]);
  // The lab starts one program with the daemon's own arguments.
  const start = `#!/bin/sh\nexec "${join(import.meta.dirname, "view.sh")}" "${folder}" daemon "$@"\n`;
  writeFileSync(join(folder, "microcephd"), start, { mode: 0o755 });
  return { folder, close: unmount };
}
