import type { MemberStatus, MeshStatus, PendingNode, Presence } from "../../api/contract/mesh.ts";
import { admissionText } from "./admission.ts";
import type { Paint, Style } from "./paint.ts";
import { alignedTable, type Cell } from "./table.ts";
import { ago, counted, left, naturally, serviceOrder } from "./words.ts";

const presenceStyles: Readonly<Record<Presence, Style>> = {
  alive: "green",
  suspect: "yellow",
  failed: "red",
  left: "dim",
};

/** `microceph mesh status` for people: what is, what it waits for, what to do. */
export function meshStatusText(mesh: MeshStatus, paint: Paint): string {
  return [
    quorumAlarm(mesh, paint),
    overview(mesh, paint),
    members(mesh, paint),
    pending(mesh, paint),
    conflicts(mesh, paint),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

/** The first thing to know when nothing can be decided; empty otherwise. */
export function quorumAlarm(mesh: MeshStatus, paint: Paint): string {
  if (mesh.lease.quorum !== "lost") return "";
  const missing = mesh.members.filter((member) => member.voter && member.presence !== "alive");
  const voters = missing.map((member) => `${member.name} (${member.presence})`).join(", ");
  return [
    `${paint("alarm", "NO QUORUM:")} ${paint("red", "a majority of the voters cannot be reached: nothing can be decided.")}`,
    `  Last decision: ${lastDecision(mesh)}.${voters ? ` Voters that are away: ${voters}.` : ""}`,
    "  Running Ceph daemons go on; reads and wishes work here. Bring the missing voters or the network back.",
    "",
  ].join("\n");
}

export function lastDecision(mesh: MeshStatus): string {
  const decision = mesh.lease.lastDecision;
  return decision ? `${decision.number}, ${ago(decision.at, mesh.asOf)}` : "none known here";
}

/** `quorum ok; n2 leads (epoch 12); last decision 42, 3 min ago`. */
export function decisionsText(mesh: MeshStatus, paint: Paint): string {
  const { lease } = mesh;
  const last = `last decision ${lastDecision(mesh)}`;
  if (lease.quorum === "lost") return `${paint("red", "none possible: no quorum")}; ${last}`;
  const leader =
    lease.holder === null ? "no leader yet" : `${nameOf(mesh, lease.holder)} leads (epoch ${lease.epoch})`;
  return `${paint("green", "quorum ok")}; ${leader}; ${last}`;
}

/** Name of a known node, else the start of its PeerId. */
export function nameOf(mesh: MeshStatus, id: string): string {
  const known = [mesh.self, ...mesh.members, ...mesh.pending].find((node) => node.id === id);
  return known?.name ?? `${id.slice(0, 16)}…`;
}

function overview(mesh: MeshStatus, paint: Paint): string {
  const { cluster, self } = mesh;
  const rows: [string, string][] = [];
  if (cluster) {
    const ceph = cluster.fsid === null ? "no Ceph yet" : `Ceph ${cluster.fsid}`;
    rows.push(["Cluster", `${paint("bold", cluster.name)}  ${paint("dim", `id ${cluster.id}, ${ceph}`)}`]);
    rows.push(["Admission", admissionText(cluster.admission, mesh.asOf)]);
    rows.push(["Decisions", decisionsText(mesh, paint)]);
    rows.push(["Voters", tolerance(mesh, paint)]);
  } else {
    rows.push(["Cluster", paint("yellow", "none yet")]);
  }
  rows.push(["This node", `${selfText(mesh, paint)}  ${paint("dim", self.id)}`]);
  if (self.state !== "member") rows.push(["Window", windowText(mesh)]);
  if (self.waitingFor !== null) rows.push(["Waiting", paint("yellow", self.waitingFor)]);
  return rows.map(([label, text]) => `${paint("dim", label.padEnd(10))} ${text}\n`).join("");
}

function selfText(mesh: MeshStatus, paint: Paint): string {
  const { self } = mesh;
  const name = paint("bold", self.name);
  switch (self.state) {
    case "fresh":
      return `${name} is fresh: it belongs to no cluster`;
    case "claimed":
      return `${name} is claimed: it accepted a cluster's claim and waits to be admitted`;
    case "member":
      return `${name} is a member${self.handle === null || self.handle === self.name ? "" : `, known to Ceph as ${self.handle}`}`;
    case "removed":
      return `${name} ${paint("red", "was removed from its cluster")}`;
  }
}

function windowText(mesh: MeshStatus): string {
  const { open, until } = mesh.self.window;
  if (!open) return "shut: no cluster may claim this node; `microceph mesh join` opens it";
  const rest = until === null ? undefined : left(until, mesh.asOf);
  return `open: a cluster may claim this node${rest ? ` for another ${rest}` : ""}`;
}

/** How many voters may still fail; two are no better than one, and that is said. */
function tolerance(mesh: MeshStatus, paint: Paint): string {
  const voters = mesh.members.filter((member) => member.voter);
  if (voters.length === 0) return "none known yet";
  const away = voters.filter((member) => member.presence !== "alive").length;
  const spare = Math.floor((voters.length - 1) / 2) - away;
  const count = `${voters.length}${away === 0 ? "" : ` (${away} away)`}`;
  if (spare < 0) return paint("red", `${count}: ${-spare} short of a majority`);
  if (spare === 0) return `${count}: ${paint("yellow", `none ${away === 0 ? "" : "more "}may fail`)}`;
  return `${count}: ${spare} ${away === 0 ? "" : "more "}may fail`;
}

function members(mesh: MeshStatus, paint: Paint): string {
  if (mesh.members.length === 0) return "";
  const alive = mesh.members.filter((member) => member.presence === "alive").length;
  const rows = [...mesh.members]
    .sort((a, b) => naturally(a.name, b.name))
    .map((member) => memberRow(mesh, member));
  const title = `Members: ${alive} of ${mesh.members.length} alive`;
  const header = ["NAME", "ADDRESS", "PRESENCE", "LAST SEEN", "VOTER", "SERVICES", "ZONE"];
  return `${paint("bold", title)}\n${alignedTable(header, rows, paint)}`;
}

function memberRow(mesh: MeshStatus, member: MemberStatus): Cell[] {
  const self = member.id === mesh.self.id;
  const leader = mesh.lease.quorum === "ok" ? mesh.lease.holder : null;
  const handle = member.handle === member.name ? "" : ` [${member.handle}]`;
  return [
    {
      text: `${member.name}${handle}${self ? " (this node)" : ""}`,
      ...(self ? { style: "bold" as const } : {}),
    },
    { text: member.addresses.join(" ") },
    { text: member.presence, style: presenceStyles[member.presence] },
    { text: self ? "now" : member.lastSeen === null ? "never" : ago(member.lastSeen, mesh.asOf) },
    { text: member.voter ? (member.id === leader ? "leads" : "yes") : "no" },
    { text: serviceOrder(member.services).join(", ") },
    { text: member.zone ?? "" },
  ];
}

function pending(mesh: MeshStatus, paint: Paint): string {
  if (mesh.pending.length === 0) return "";
  const title = mesh.cluster
    ? `Pending: ${counted(mesh.pending.length, "node")} not in the cluster`
    : `Seen on this network: ${counted(mesh.pending.length, "fresh node")}`;
  const blocks = mesh.pending.map((node) => pendingBlock(mesh, node, paint));
  return `${paint("bold", title)}\n${blocks.join("")}`;
}

function pendingBlock(mesh: MeshStatus, node: PendingNode, paint: Paint): string {
  const seenBy = node.seenBy.map((id) => nameOf(mesh, id)).join(", ");
  const seen = `seen ${seenBy ? `by ${seenBy}, ` : ""}first ${ago(node.firstSeen, mesh.asOf)}`;
  const lines = [`  ${paint("bold", node.name)}  ${node.address}  ${paint("dim", `${seen}  ${node.id}`)}`];
  if (mesh.cluster) {
    lines.push(`    words    ${paint("cyan", node.fingerprint)}`);
    lines.push(`    next     ${nextStep(mesh, node, paint)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** What has to happen until a pending node is a member. */
function nextStep(mesh: MeshStatus, node: PendingNode, paint: Paint): string {
  const mode = mesh.cluster?.admission.mode;
  if (!node.windowOpen)
    return `its window is shut: run ${paint("bold", "microceph mesh join")} on ${node.name}`;
  if (mode === "auto") return "nothing to do: it is claimed by itself";
  const command = `microceph mesh approve ${referenceOf(mesh, node)}`;
  if (mode === "closed")
    return `admission is closed: ${paint("bold", "microceph mesh admission approve")}, then ${command}`;
  return `${paint("bold", command)}, if \`microceph mesh fingerprint\` on ${node.name} shows the same words`;
}

/** How to name a node in a command: its name where that is safe and unique, else a PeerId prefix that is. */
export function referenceOf(mesh: MeshStatus, node: { readonly id: string; readonly name: string }): string {
  const others = [mesh.self, ...mesh.members, ...mesh.pending].filter((other) => other.id !== node.id);
  const unique = others.every((other) => other.name !== node.name);
  if (unique && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(node.name)) return node.name;
  // Every Ed25519 PeerId starts with 12D3KooW, so a shorter prefix says nothing.
  for (let length = 14; length < node.id.length; length += 1) {
    const prefix = node.id.slice(0, length);
    if (others.every((other) => !other.id.startsWith(prefix))) return prefix;
  }
  return node.id;
}

function conflicts(mesh: MeshStatus, paint: Paint): string {
  if (mesh.conflicts.length === 0) return "";
  const lines = mesh.conflicts.map(({ kind, detail }) => `  ${paint("yellow", kind)}: ${detail}\n`);
  return `${paint("bold", "Conflicts")}\n${lines.join("")}`;
}
