import type { NewEvent } from "./event-log.ts";

/** What Ceph's maps say, as far as events follow from it. */
export interface CephSnapshot {
  readonly osds: ReadonlyMap<
    number,
    { readonly up: boolean; readonly in: boolean; readonly host: string | null }
  >;
  /** Names of the monitors in quorum. */
  readonly quorum: readonly string[];
}

/** What changed between two looks at Ceph. */
export function cephEvents(before: CephSnapshot, after: CephSnapshot): NewEvent[] {
  const events: NewEvent[] = [];
  for (const osd of [...new Set([...before.osds.keys(), ...after.osds.keys()])].sort((a, b) => a - b)) {
    const old = before.osds.get(osd);
    const now = after.osds.get(osd);
    const host = now?.host ?? old?.host ?? null;
    if (old === undefined) events.push({ type: "osd.added", data: { osd, host } });
    if ((old?.in ?? false) !== (now?.in ?? false))
      events.push({ type: now?.in ? "osd.in" : "osd.out", data: { osd, host } });
    if ((old?.up ?? false) !== (now?.up ?? false))
      events.push({ type: now?.up ? "osd.up" : "osd.down", data: { osd, host } });
    if (now === undefined) events.push({ type: "osd.removed", data: { osd, host } });
  }
  const quorum = [...after.quorum].sort();
  for (const name of before.quorum.filter((one) => !quorum.includes(one)).sort())
    events.push({ type: "mon.down", data: { name, quorum } });
  for (const name of quorum.filter((one) => !before.quorum.includes(one)))
    events.push({ type: "mon.up", data: { name, quorum } });
  return events;
}
