import type { Lab } from "./lab.ts";

/** Run avahi on a node, with a system bus of its own; returns when it answers. */
export async function startAvahi(lab: Lab, node: string): Promise<void> {
  const start = [
    "mkdir -p /run/dbus /run/avahi-daemon",
    "dbus-daemon --system --fork --nopidfile",
    "avahi-daemon --daemonize --no-drop-root --no-chroot --no-rlimits",
  ].join(" && ");
  await lab.run(node, ["sh", "-c", start]);
  await lab.waitFor(
    `avahi on ${node}`,
    async () => (await lab.exec(node, ["avahi-browse", "-tp", "_nothing._tcp"])).exitCode === 0,
    { deadlineMs: 15_000 },
  );
}
