import type { Handle, PeerId } from "../../ids/ids.ts";
import type { ClusterDocument, NodeFacts } from "../../state/document/cluster-document.ts";
import type { NewEvent } from "./event-log.ts";

/** What changed from one state of the document to a later one. */
export function documentEvents(
  before: ClusterDocument,
  after: ClusterDocument,
  handleOf: (peer: PeerId) => Handle | null,
): NewEvent[] {
  return [
    ...changedKeys(before.settings, after.settings).map((key): NewEvent => {
      return { type: "setting.changed", data: { key, value: after.settings[key] ?? null } };
    }),
    ...admissionEvents(before, after),
    ...changedKeys(before.approvals, after.approvals).map((peer): NewEvent => {
      const verdict = after.approvals[peer as PeerId]?.verdict ?? null;
      return { type: "approval.changed", data: { peer, verdict } };
    }),
    ...changedKeys(before.services, after.services).map((service): NewEvent => {
      const wanted = Object.hasOwn(after.services, service);
      return { type: wanted ? "service.wanted" : "service.unwanted", data: { service } };
    }),
    ...[...new Set([...Object.keys(before.nodes), ...Object.keys(after.nodes)])].flatMap((key) => {
      const peer = key as PeerId;
      const subject = { peer, handle: handleOf(peer) };
      return nodeEvents(subject, before.nodes[peer], after.nodes[peer]);
    }),
  ];
}

function admissionEvents({ admission: old }: ClusterDocument, { admission }: ClusterDocument): NewEvent[] {
  if (old.mode === admission.mode && old.until === admission.until) return [];
  return [{ type: "admission.changed", data: { mode: admission.mode, until: admission.until } }];
}

function nodeEvents(
  subject: { readonly peer: PeerId; readonly handle: Handle | null },
  before: NodeFacts | undefined,
  after: NodeFacts | undefined,
): NewEvent[] {
  const node = subject.peer;
  const services = difference(before?.services ?? [], after?.services ?? []);
  const disks = difference(disksOf(before), disksOf(after));
  const disk = (text: string): { peer: PeerId; handle: Handle | null; path: string; osd: number | null } => ({
    ...subject,
    ...(JSON.parse(text) as { path: string; osd: number | null }),
  });
  return [
    ...services.gone.map((service): NewEvent => {
      return { type: "service.stopped", node, data: { ...subject, service } };
    }),
    ...services.come.map((service): NewEvent => {
      return { type: "service.started", node, data: { ...subject, service } };
    }),
    ...disks.gone.map((text): NewEvent => ({ type: "disk.removed", node, data: disk(text) })),
    ...disks.come.map((text): NewEvent => ({ type: "disk.added", node, data: disk(text) })),
  ];
}

/** Disks without an OSD and those of OSDs, each as the text of what an event says of it. */
function disksOf(facts: NodeFacts | undefined): string[] {
  if (facts === undefined) return [];
  const disks = Array.isArray(facts.disks) ? facts.disks : [];
  const taken = new Set(facts.osds.map(({ path }) => path));
  const paths = disks.flatMap((disk) =>
    disk !== null && typeof disk === "object" && !Array.isArray(disk) && typeof disk.path === "string"
      ? [disk.path.slice(0, 512)]
      : [],
  );
  return [
    ...paths.filter((path) => !taken.has(path)).map((path) => JSON.stringify({ path, osd: null })),
    ...facts.osds.map(({ path, osd }) => JSON.stringify({ path, osd })),
  ];
}

function difference(before: readonly string[], after: readonly string[]): { come: string[]; gone: string[] } {
  return {
    come: after.filter((one) => !before.includes(one)),
    gone: before.filter((one) => !after.includes(one)),
  };
}

function changedKeys(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}
