import { snapInterfaces } from "./interfaces.ts";
import { type SnapProject, triplets } from "./project.ts";

/** What lies in the folder that is packed: paths below it. */
export interface SnapTree {
  /** Whether it is a file that may be executed. */
  isProgram(path: string): boolean;
  isFolder(path: string): boolean;
}

/** Hooks that snapd runs, without those of interfaces (https://snapcraft.io/docs/supported-snap-hooks). */
const knownHooks: ReadonlySet<string> = new Set(
  "check-health configure default-configure fde-setup gate-auto-refresh install install-device post-refresh pre-refresh remove".split(
    " ",
  ),
);

/** Where snapd refuses a layout (snap/validate.go of snapcore/snapd). */
const offLimits: readonly string[] =
  "/boot /dev /home /lib/firmware /lib/modules /lost+found /media /proc /run /sys /tmp /usr/lib/firmware /usr/lib/modules /var/lib/snapd /var/run /var/snap".split(
    " ",
  );

const own = /^\$SNAP(?:_DATA|_COMMON)?(?:\/|$)/;

function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** What is wrong with it that `snap pack` does not notice, or only on the machine where it is installed. */
export function lintProject(project: SnapProject): string[] {
  const faults: string[] = [];
  const { name, summary, base, parts, platforms, plugs, slots, apps, hooks } = project;
  if (summary.length > 78) faults.push(`the summary has ${summary.length} characters; 78 are shown`);
  if (summary.includes("\n") || summary !== summary.trim()) faults.push("the summary is not one line");
  if (!/^core(?:18|20|22|24)$/.test(base)) faults.push(`there is no base ${base}`);
  if (Object.keys(platforms).length === 0) faults.push("it is for no processor");
  for (const platform of Object.keys(platforms)) {
    if (!(platform in triplets)) faults.push(`there is no processor ${platform}`);
  }
  if (!(project["adopt-info"] in parts)) faults.push(`adopt-info names no part: ${project["adopt-info"]}`);
  if (!(name in apps)) faults.push(`no app is called ${name}, so there is no command of that name`);

  for (const [kind, declared] of [
    ["plug", plugs],
    ["slot", slots],
  ] as const) {
    for (const [label, attributes] of Object.entries(declared)) {
      const used = attributes?.interface ?? label;
      if (!snapInterfaces.has(used)) faults.push(`${kind} ${label}: snapd has no interface ${used}`);
      if (used === "content") faults.push(...contentFaults(kind, label, attributes ?? {}));
    }
    const users = [
      ...Object.entries(apps).map(([user, uses]) => [`app ${user}`, uses[`${kind}s`] ?? []] as const),
      ...Object.entries(hooks).map(
        ([user, uses]) => [`hook ${user}`, kind === "plug" ? (uses.plugs ?? []) : []] as const,
      ),
    ];
    for (const [user, labels] of users) {
      for (const label of labels) {
        if (!(label in declared) && !snapInterfaces.has(label)) {
          faults.push(`${user}: snapd has no interface ${label}`);
        }
        if (labels.indexOf(label) !== labels.lastIndexOf(label)) faults.push(`${user} names ${label} twice`);
      }
    }
  }

  for (const [label, { daemon, ...uses }] of Object.entries(apps)) {
    const ofServices = [
      "install-mode",
      "refresh-mode",
      "restart-condition",
      "restart-delay",
      "stop-mode",
      "stop-timeout",
    ] as const;
    const said = ofServices.filter((key) => uses[key] !== undefined);
    if (daemon === undefined && said.length > 0)
      faults.push(`app ${label} is no service, and has ${said.join(", ")}`);
  }
  faults.push(...layoutFaults(project));
  for (const hook of Object.keys(hooks)) if (!knownHooks.has(hook)) faults.push(`snapd runs no hook ${hook}`);
  return faults;
}

function contentFaults(
  kind: "plug" | "slot",
  label: string,
  attributes: Readonly<Record<string, unknown>>,
): string[] {
  if (kind === "plug") {
    return typeof attributes.target === "string" ? [] : [`plug ${label}: content without a target`];
  }
  const source = attributes.source as { readonly read?: unknown; readonly write?: unknown } | undefined;
  const paths = [source?.read, source?.write].flatMap((list) => (Array.isArray(list) ? list : []));
  if (paths.length === 0) return [`slot ${label}: content without a source that is read or written`];
  return paths
    .filter((path) => typeof path !== "string" || !own.test(path) || path.includes(".."))
    .map((path) => `slot ${label}: ${String(path)} is not below $SNAP, $SNAP_DATA or $SNAP_COMMON`);
}

function layoutFaults({ layout }: SnapProject): string[] {
  const faults: string[] = [];
  const places = Object.keys(layout);
  for (const [place, how] of Object.entries(layout)) {
    const target = Object.values(how)[0] ?? "";
    const clean = (path: string): boolean => !/\/\.{0,2}(?:\/|$)/.test(path);
    if (!place.startsWith("/") || !clean(place)) faults.push(`layout ${place} is no absolute, clean path`);
    if (place.split("/").length < 3) faults.push(`layout ${place} would be a new folder of the root`);
    if (!own.test(target) || !clean(target)) {
      faults.push(`layout ${place}: ${target} is not below $SNAP, $SNAP_DATA or $SNAP_COMMON`);
    }
    const limit = offLimits.find((folder) => within(place, folder));
    if (limit !== undefined) faults.push(`layout ${place}: snapd allows none in ${limit}`);
    const outer = places.find((other) => other !== place && within(place, other));
    if (outer !== undefined) faults.push(`layout ${place} lies in layout ${outer}`);
  }
  return faults;
}

/** What the folder that is packed lacks of what the project says. */
export function lintTree(
  { apps, hooks, layout }: SnapProject,
  tree: SnapTree,
  built: { readonly architecture: string; readonly hookFiles: readonly string[] },
): string[] {
  const faults: string[] = [];
  for (const [label, { command }] of Object.entries(apps)) {
    const program = command.split(" ")[0] ?? "";
    if (!tree.isProgram(program)) faults.push(`app ${label}: there is no program ${program}`);
  }
  for (const hook of Object.keys(hooks)) {
    if (!built.hookFiles.includes(hook)) faults.push(`hook ${hook} has no file in snap/hooks`);
  }
  for (const hook of built.hookFiles) {
    if (!knownHooks.has(hook)) faults.push(`snapd runs no hook ${hook}`);
    if (!tree.isProgram(`meta/hooks/${hook}`)) faults.push(`hook ${hook} may not be executed`);
  }
  for (const [place, how] of Object.entries(layout)) {
    const target = (Object.values(how)[0] ?? "").replaceAll(
      "$CRAFT_ARCH_TRIPLET_BUILD_FOR",
      triplets[built.architecture] ?? "",
    );
    if (target.startsWith("$SNAP/") && "bind" in how && !tree.isFolder(target.slice("$SNAP/".length))) {
      faults.push(`layout ${place}: there is no folder ${target}`);
    }
  }
  return faults;
}
