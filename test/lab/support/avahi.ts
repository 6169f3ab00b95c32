import type { Lab } from "./lab.ts";

// The system's own configuration changes to another user, which a rootless lab does not have.
const busConfiguration = `<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>`;

/** Run avahi on a node, with a system bus of its own; returns when it answers. */
export async function startAvahi(lab: Lab, node: string): Promise<void> {
  const start = [
    "mkdir -p /run/dbus /run/avahi-daemon",
    "cat >/run/dbus/lab.conf",
    "dbus-daemon --config-file=/run/dbus/lab.conf --fork --nopidfile",
    "avahi-daemon --daemonize --no-drop-root --no-chroot --no-rlimits",
  ].join(" && ");
  await lab.run(node, ["sh", "-c", start], { input: busConfiguration });
  await lab.waitFor(
    `avahi on ${node}`,
    async () => (await lab.exec(node, ["avahi-browse", "-tp", "_nothing._tcp"])).exitCode === 0,
    { deadlineMs: 15_000 },
  );
}
