import { parse, stringify } from "yaml";
import { z } from "zod";

/** Names of snaps, apps, parts, plugs and slots (snapcraft.yaml reference). */
const word = z
  .string()
  .regex(/^[a-z0-9](?:-?[A-Za-z0-9])*$/)
  .max(64);
const line = z.string().min(1).max(400);

const app = z.strictObject({
  command: line,
  daemon: z.enum(["simple", "forking", "oneshot", "notify", "dbus"]).optional(),
  "install-mode": z.enum(["enable", "disable"]).optional(),
  "restart-condition": z
    .enum(["on-failure", "on-success", "on-abnormal", "on-abort", "always", "never"])
    .optional(),
  "restart-delay": z
    .string()
    .regex(/^\d+(?:ms|s|m)$/)
    .optional(),
  "stop-mode": z.enum(["sigterm", "sigterm-all", "sighup", "sighup-all", "sigint", "sigint-all"]).optional(),
  "stop-timeout": z
    .string()
    .regex(/^\d+(?:ms|s|m)$/)
    .optional(),
  "refresh-mode": z.enum(["restart", "endure"]).optional(),
  plugs: z.array(word).optional(),
  slots: z.array(word).optional(),
});
export type SnapApp = z.infer<typeof app>;

const layout = z.union([
  z.strictObject({ bind: line }),
  z.strictObject({ "bind-file": line }),
  z.strictObject({ symlink: line }),
]);
/** A plug or a slot with its interface's own attributes; null stands for an interface of the same name. */
const connection = z.union([z.looseObject({ interface: word.optional() }), z.null()]);

const part = z.strictObject({
  plugin: z.enum(["nil", "dump"]),
  source: line.optional(),
  "stage-packages": z.array(line).optional(),
  "build-packages": z.array(line).optional(),
  "build-snaps": z.array(line).optional(),
  "override-build": z.string().optional(),
  "override-prime": z.string().optional(),
  // What is left out: "-usr/share/man", "-usr/share/doc/*/examples".
  prime: z.array(z.string().regex(/^-[a-z][A-Za-z0-9/._*-]*$/)).optional(),
});

const project = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9](?:-?[a-z0-9])*$/)
    .max(40),
  title: z.string().min(1).max(40),
  summary: z.string().min(1),
  description: z.string().min(1),
  license: z.string().min(1),
  "adopt-info": word,
  base: word,
  grade: z.enum(["stable", "devel"]),
  confinement: z.enum(["strict", "classic", "devmode"]),
  compression: z.enum(["lzo", "xz"]),
  platforms: z.record(z.string(), z.null()),
  environment: z.record(z.string().regex(/^[A-Z_]+$/), line),
  layout: z.record(line, layout),
  plugs: z.record(word, connection).default({}),
  slots: z.record(word, connection).default({}),
  apps: z.record(word, app),
  hooks: z.record(word, z.strictObject({ plugs: z.array(word).optional() })).default({}),
  parts: z.record(word, part),
});
export type SnapProject = z.infer<typeof project>;

/** `snapcraft.yaml`, as far as this project uses it; throws for anything else in it. */
export function parseProject(text: string): SnapProject {
  return project.parse(parse(text, { strict: true, uniqueKeys: true }));
}

/** What Debian calls the processors that a snap may be for (snapcraft.yaml reference), and their folders of libraries. */
export const triplets: Readonly<Record<string, string>> = {
  amd64: "x86_64-linux-gnu",
  arm64: "aarch64-linux-gnu",
  armhf: "arm-linux-gnueabihf",
  i386: "i386-linux-gnu",
  ppc64el: "powerpc64le-linux-gnu",
  riscv64: "riscv64-linux-gnu",
  s390x: "s390x-linux-gnu",
};

/** Everything that snapcraft writes into `meta/snap.yaml` of it, which is all that `snap pack` and snapd read. */
export function metaYaml(
  { name, title, summary, description, license, base, grade, confinement, ...rest }: SnapProject,
  built: { readonly version: string; readonly architecture: string },
): string {
  const { environment, layout, plugs, slots, apps, hooks } = rest;
  const meta = {
    ...{ name, version: built.version, title, summary, description, license },
    ...{ architectures: [built.architecture], base, grade, confinement },
    ...{ environment, layout, plugs, slots, apps, hooks },
  };
  const triplet = triplets[built.architecture];
  if (triplet === undefined) throw new Error(`there is no processor ${built.architecture}`);
  return stringify(meta, { lineWidth: 0 }).replaceAll("$CRAFT_ARCH_TRIPLET_BUILD_FOR", triplet);
}
