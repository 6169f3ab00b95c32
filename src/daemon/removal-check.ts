import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { readCrush } from "../ceph/control/crush-facts.ts";
import { crushSettings } from "../ceph/plan/crush-wish.ts";
import { domainOfRule } from "../ceph/plan/failure-domain.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";

/** MicroCeph's options, for what would leave fewer hosts or racks with OSDs than there are copies. */
export interface SpareConsent {
  readonly confirmDowngrade: boolean;
  readonly prohibitScaledown: boolean;
}

/** OSDs that are to go together. */
export interface Leavers {
  readonly osds: readonly number[];
  /** Of the OSD or the node, as people know it. */
  readonly name: string;
  /** What helps where it is needed, in words. */
  readonly how: string;
}

/**
 * How OSDs are to go: `drain` where the others can take all copies, `fewer-copies` where that is consented to.
 * Throws OSD_NEEDED where the others are too few or have no room, DOWNGRADE_UNCONFIRMED.
 */
export async function checkSpare(
  cluster: ClusterRuntime,
  ceph: CephCommands,
  { osds, name, how }: Leavers,
  { confirmDowngrade, prohibitScaledown }: SpareConsent,
  call: CallOptions,
): Promise<"drain" | "fewer-copies"> {
  const [tree, df, pools, dump] = await Promise.all([
    ceph.osdTree(call),
    ceph.osdDf(call),
    ceph.pools(call),
    ceph.osdDump(call),
  ]);
  const removals = Object.values(cluster.document.view().removals);
  const going = new Set([...removals.map((wish) => wish.osd), ...osds]);
  const left = tree.osds.filter((one) => one.up && one.reweight > 0 && !going.has(one.id));
  const copies = Math.max(1, ...pools.filter(({ erasure }) => !erasure).map(({ size }) => size));
  if (left.length < copies) {
    throw new MicrocephError(
      "OSD_NEEDED",
      `${name} is needed: pools keep ${copies} copies and ${left.length} other OSDs would be left (${how})`,
      { data: { osds: [...osds], copies, left: left.length } },
    );
  }
  const usage = (id: number): { sizeKiB: number; usedKiB: number } =>
    df.find((one) => one.id === id) ?? { sizeKiB: 0, usedKiB: 0 };
  const room = left.reduce((sum, { id }) => {
    const { sizeKiB, usedKiB } = usage(id);
    return sum + Math.max(0, sizeKiB * dump.nearfullRatio - usedKiB);
  }, 0);
  const held = osds.reduce((sum, osd) => sum + usage(osd).usedKiB, 0);
  if (held > room) {
    throw new MicrocephError(
      "OSD_NEEDED",
      `${name} is needed: it holds ${mib(held)} and the others have room for ${mib(room)} before they are nearly full`,
      { data: { osds: [...osds] } },
    );
  }
  const state = await readCrush(ceph, call);
  const level = typeof state === "string" ? null : domainOfRule(state.defaultRule ?? "");
  if (level !== "host" && level !== "rack") return "drain";
  const places = new Set(left.map((one) => (level === "host" ? one.host : one.rack)));
  if (places.size >= Math.min(copies, 3)) return "drain";
  if (prohibitScaledown) return "fewer-copies";
  if (!confirmDowngrade) {
    throw new MicrocephError(
      "DOWNGRADE_UNCONFIRMED",
      `without ${name} only ${places.size} ${level}s have OSDs, and copies are spread over ${level}s (--prohibit-crush-scaledown keeps the rule, with fewer copies)`,
      { data: { osds: [...osds], level } },
    );
  }
  const wish = { level: "osd", downgrade: true };
  cluster.document.setSetting(crushSettings.wish, JSON.stringify(wish));
  return "drain";
}

function mib(kib: number): string {
  return `${Math.round(kib / 1024)} MiB`;
}
