import { daemonUsage } from "../../src/daemon/settings.ts";

/** docs/reference/microcephd.md: the daemon's options as its help has them, and what they do not say. */
export function daemonPage(): string {
  const [usage = "", description = "", ...rest] = daemonUsage.trimEnd().split("\n\n");
  return [
    "# `microcephd`",
    "<!-- Written by scripts/generate-docs.ts from src/daemon/settings.ts. -->",
    description,
    `\`\`\`text\n${usage}\n\n${rest.join("\n\n")}\n\`\`\``,
    "In parentheses: the default, and the environment variable that an option may be given by. " +
      "An option on the command line wins. There is no configuration file.",
    "It runs in the foreground, as root, and writes one JSON object per line to standard output: that is its log. " +
      "SIGTERM and SIGINT stop it; Ceph's daemons go on. It may be killed at any moment: the next start completes or " +
      "undoes what was begun, and takes over the Ceph daemons that run.",
    "Exit codes: 0 stopped, and those of the [errors](errors.md).",
    "## Ports",
    table(
      ["port", "for"],
      [
        ["5353/udp", "mDNS, beside avahi-daemon or alone"],
        ["7443/tcp", "the lobby: small requests of anyone on the network (`--lobby-port`)"],
        ["7444/tcp", "the mesh: members only; Raft travels in it (`--mesh-port`)"],
        ["3300, 6789/tcp", "Ceph's monitors"],
        ["6800 to 7300/tcp", "Ceph's other daemons"],
      ],
    ),
    "The control socket is `control.socket` in the state directory: mode 0660, group `microceph` if there is one.",
    "## State directory",
    table(
      ["path", "holds"],
      [
        ["`node.key`", "the node's identity; nothing replaces it"],
        ["`state.db`", "membership, cluster document, copy of the journal, jobs"],
        ["`etcd/`", "on voters: the lease, the journal, the cluster's key"],
        ["`conf/`", "`ceph.conf` and keyrings; written again by the daemon"],
        ["`data/`", "the stores of Ceph's daemons, loop files among them"],
        ["`logs/`", "logs of Ceph's daemons"],
        ["`run/`, `supervisors/`", "sockets, and what keeps each Ceph daemon running"],
      ],
    ),
  ]
    .join("\n\n")
    .concat("\n");
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}
