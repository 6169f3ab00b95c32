import { z } from "zod";
import type { CallOptions } from "../../ceph/command/commands.ts";
import { isRefusal } from "../../ceph/command/words.ts";
import type { Executor, Planner } from "../../ceph/control/controller.ts";
import { placedDaemons } from "../../ceph/control/placed-daemons.ts";
import { entityOf, keyedDaemons } from "../../ceph/daemons/keyed-daemon.ts";
import { type DeparturePlan, planDepartures } from "../../ceph/plan/departure.ts";
import type { SeatMember } from "../../ceph/plan/seats.ts";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { type Handle, isHandle, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { nfsUser } from "../../ids/nfs.ts";
import { signTombstone } from "../../mesh/identity/certificate.ts";
import type { ClusterKey } from "../../mesh/identity/cluster-key.ts";
import type { ClusterDocument } from "../../state/document/cluster-document.ts";
import { removeKind } from "../../state/journal/members.ts";
import { fsidOf } from "./cluster-facts.ts";
import { osdHosts } from "./cluster-report.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

const removeBody = z.object({
  peer: z.custom<PeerId>(isPeerId),
  handle: z.custom<Handle>(isHandle),
  reason: z.string().max(256).optional(),
});

export interface DepartureDeps {
  readonly members: () => readonly SeatMember[];
  /** Handles of etcd's members by a linearizable read, learners too. */
  readonly etcd: () => Promise<readonly string[]>;
  readonly explain: (subject: string, reasons: readonly string[]) => void;
  readonly key: () => ClusterKey;
  readonly callMs: () => number;
}

/** An OSD of a member that leaves, and how it is to go. */
interface GoingOsd {
  readonly osd: number;
  readonly uuid: string;
  readonly mode: "drain" | "fewer-copies";
}

/** Members that leave are forgotten once they carry nothing more; of those who are gone nothing is kept. */
export class Departures {
  readonly #runtime: ClusterRuntime;
  readonly #deps: DepartureDeps;

  constructor(runtime: ClusterRuntime, deps: DepartureDeps) {
    this.#runtime = runtime;
    this.#deps = deps;
  }

  readonly planner: Planner = async (signal) => {
    const { document, journal } = this.#runtime;
    const view = document.view();
    for (const peer of journal.tombstones().keys()) {
      if (isSpokenOf(view, peer) && !journal.members().has(peer)) document.forget(peer);
    }
    if (!this.#deps.members().some(({ leaving }) => leaving !== null)) return [];
    const { ready, reasons, osds } = await this.#plan({ deadlineMs: this.#deps.callMs(), signal });
    this.#deps.explain("departures", reasons);
    for (const { uuid, osd, mode } of osds) {
      if (view.removals[uuid] === undefined) document.setRemoval(uuid, { osd, mode });
    }
    return ready.map(({ peer, handle, reason }) => ({
      kind: removeKind,
      body: { peer, handle, reason },
      agent: null,
      reason: `${handle} carries nothing more, and ${reason}`,
      lane: `${removeKind} ${peer}`,
    }));
  };

  readonly executor: Executor = async (entry, signal) => {
    const { peer, handle, reason } = removeBody.parse(entry.body);
    // Between the plan and now it may have been called back, or have got a seat or a disk.
    const { ready, reasons } = await this.#plan({ deadlineMs: this.#deps.callMs(), signal });
    if (!ready.some((one) => one.peer === peer)) {
      const why =
        reasons.find((text) => text.startsWith(`${handle} `)) ?? `${handle} does not leave any more`;
      return { state: "abandoned", reason: why, cancelAcknowledged: false };
    }
    await this.#forgetDaemons(handle, signal);
    const { generation, revision } = entry.openedNumber;
    const tombstone = signTombstone({ peer, handle, generation, decision: revision }, this.#deps.key());
    const result = { tombstone: { ...tombstone } } as unknown as Json;
    return { state: "done", result, reason: `${handle} is no member any more: ${reason ?? "it leaves"}` };
  };

  async #plan(call: CallOptions): Promise<DeparturePlan & { osds: GoingOsd[] }> {
    const { journal, deps, self } = this.#runtime;
    const etcd = await this.#deps.etcd();
    const osds = new Map<string, number[]>();
    let monitors: readonly string[] | null = [];
    let uuids = new Map<number, string>();
    if (fsidOf(journal.entries()) !== null) {
      const ceph = deps.cephNode.commands;
      if (ceph === null) throw new MicrocephError("NOT_READY", "this node does not know Ceph yet");
      const [map, tree, dump] = await Promise.all([
        ceph.monMap(call),
        ceph.osdTree(call),
        ceph.osdDump(call),
      ]);
      uuids = new Map(dump.osds.map(({ id, uuid }) => [id, uuid]));
      monitors = map.monitors.map(({ name }) => name);
      for (const { id, host } of tree.osds)
        if (host !== null) osds.set(host, [...(osds.get(host) ?? []), id]);
    }
    const members = this.#deps.members();
    const leaving = members.filter(
      (one) => one.leaving === "moving" || (one.leaving === "dead" && !one.alive),
    );
    const hosts = osdHosts(this.#runtime);
    // One that was adopted is below its former host until it has started where it is now.
    const isElsewhere = (uuid: string): boolean =>
      members.some((one) => one.leaving === null && one.peer === hosts.get(uuid));
    const going = leaving.flatMap(({ handle, leaving }) =>
      (osds.get(handle) ?? []).flatMap((osd): GoingOsd[] => {
        const uuid = uuids.get(osd);
        if (uuid !== undefined && isElsewhere(uuid)) return [];
        // The copies of one that is dead are lost already: the others need only serve all.
        const mode = leaving === "dead" ? "fewer-copies" : "drain";
        return uuid === undefined ? [] : [{ osd, uuid, mode }];
      }),
    );
    return { ...planDepartures({ self, members, etcd, monitors, osds }), osds: going };
  }

  /** Keys of the daemons that it had; who comes back with one of them is a stranger to Ceph. */
  async #forgetDaemons(handle: Handle, signal: AbortSignal): Promise<void> {
    const ceph = this.#runtime.deps.cephNode.commands;
    if (ceph === null) return;
    const call = (): CallOptions => ({ deadlineMs: this.#deps.callMs(), signal });
    // A manager or metadata server that stops to answer is replaced at once, not after its grace time.
    for (const words of [
      ["mgr", "fail", handle],
      ["mds", "fail", handle],
    ]) {
      await ceph.run(words, call()).catch((error: unknown) => {
        if (!isRefusal(error, "ENOENT") && !isRefusal(error, "EINVAL")) throw error;
      });
    }
    for (const type of keyedDaemons) await ceph.authRemove(entityOf(type, handle), call());
    const placed = placedDaemons(this.#runtime.journal.entries());
    for (const { nfs } of placed.filter((one) => one.handle === handle)) {
      if (nfs !== null) await ceph.authRemove(`client.${nfsUser(nfs)}`, call());
    }
  }
}

function isSpokenOf(view: ClusterDocument, peer: PeerId): boolean {
  return [view.nodes, view.labels, view.approvals].some((part) => part[peer] !== undefined);
}
