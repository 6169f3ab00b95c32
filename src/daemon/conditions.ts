import type { MeshStatus } from "../api/contract/mesh.ts";
import type { Condition } from "../api/contract/status.ts";
import type { PeerId } from "../ids/ids.ts";
import { fsidOf } from "./cluster/cluster-facts.ts";
import { configuredDisks } from "./cluster/cluster-report.ts";
import type { Daemon } from "./daemon.ts";
import { addressIn } from "./interface-facts.ts";
import { exportConditions } from "./nfs.ts";

/** Askings of Ceph in a row without an answer: an election ends sooner. */
const missesShown = 4;

/** What a person should know of, each with a stable code. */
export function conditions(daemon: Daemon, mesh: MeshStatus): Condition[] {
  const found: Condition[] = [];
  const { cluster } = daemon;
  if (mesh.lease.quorum === "lost") {
    const at = mesh.lease.lastDecision?.at;
    found.push({
      code: "QUORUM_LOST",
      severity: "error",
      text: `no majority of the voters is reachable: nothing can be decided${at ? ` since ${at}` : ""}; if they are gone for good: microceph cluster recover --dry-run`,
    });
  }
  const hasCeph = cluster !== null && fsidOf(cluster.journal.entries()) !== null;
  if (mesh.lease.quorum === "ok" && hasCeph && cluster.cephView.misses >= missesShown) {
    found.push({
      code: "MONITORS_SILENT",
      severity: "error",
      text: "Ceph's monitors do not answer, although the cluster can decide; if their stores are lost on every host: microceph cluster recover --monitors-from-osds --dry-run",
    });
  }
  const network = hasCeph ? cluster.publicNetwork() : null;
  for (const { id, name, presence } of mesh.members) {
    const addresses = cluster?.addressesOf(id as PeerId) ?? [];
    if (network === null || presence === "failed" || addresses.length === 0) continue;
    if (addressIn(addresses, network) !== null) continue;
    found.push({
      code: "OUTSIDE_PUBLIC_NETWORK",
      severity: "warning",
      text: `${name} has no address in Ceph's public network ${network} (it has ${addresses.join(", ")}), so its daemons are not reached: microceph cluster network set --public ${network},SUBNET`,
    });
  }
  for (const member of mesh.members) {
    if (member.presence === "failed") {
      found.push({ code: "MEMBER_FAILED", severity: "warning", text: `${member.name} does not answer` });
    }
  }
  const voters = mesh.members.filter((member) => member.voter).length;
  if (voters === 2) {
    found.push({
      code: "TWO_VOTERS",
      severity: "warning",
      text: "two voters: no failure is tolerated until the third has joined",
    });
  }
  if (daemon.loop.slow) {
    found.push({
      code: "EVENT_LOOP_SLOW",
      severity: "warning",
      text: "this daemon gets too little CPU, or has too much to do: it answers and notices late",
    });
  }
  const refresh = daemon.refresh?.pending ?? null;
  if (refresh !== null) {
    const snap = daemon.settings.snap ?? "microceph";
    found.push({
      code: "REFRESH_READY",
      severity: "info",
      text: `snapd has ${refresh} of this snap ready, and installs it when it likes unless refreshes are held: snap refresh --hold ${snap} on each member, then snap refresh ${snap} on one after the other`,
    });
  }
  const lost = cluster?.seat.lost ?? null;
  if (lost !== null) found.push({ code: "VOTER_STOPPED", severity: "error", text: lost });
  if (lost === null && cluster?.quorum.ownSilent === true) {
    found.push({
      code: "VOTER_SILENT",
      severity: "warning",
      text: "the etcd of this node does not answer: this voter counts as one that is away",
    });
  }
  for (const { osd, location, state, reason } of cluster === null ? [] : configuredDisks(cluster)) {
    if (state === undefined || state === "running" || state === "starting") continue;
    if (mesh.members.some(({ name, presence }) => name === location && presence === "failed")) continue;
    const severity = reason === "stopped by an operator" ? "info" : "warning";
    found.push({
      code: severity === "info" ? "OSD_STOPPED" : "OSD_DOWN",
      severity,
      text: `osd.${osd} on ${location} does not run${reason ? `: ${reason}` : ""}`,
    });
  }
  found.push(...exportConditions(cluster?.document.view().services ?? {}));
  for (const { path, text } of cluster?.document.problems() ?? []) {
    found.push({ code: "DOCUMENT_PROBLEM", severity: "warning", text: `${path || "document"}: ${text}` });
  }
  for (const { kind, detail } of mesh.conflicts) {
    found.push({ code: kind.toUpperCase().replaceAll("-", "_"), severity: "warning", text: detail });
  }
  return found;
}
