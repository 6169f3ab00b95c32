/** Daemons in the order in which an upgrade restarts them (Ceph's "Upgrading non-cephadm clusters"). */
export const rollingOrder = [
  "mon",
  "mgr",
  "osd",
  "mds",
  "rgw",
  "rbd-mirror",
  "cephfs-mirror",
  "nfs",
] as const;
export type RollingType = (typeof rollingOrder)[number];

export interface RunningDaemon {
  readonly type: RollingType;
  /** Handle of its host, or the OSD's number. */
  readonly id: string;
  readonly host: string;
  /** As it says itself: `ceph version 16.2.15 (…) pacific (stable)`. */
  readonly running: string;
  /** As its host says, where the program is not Ceph's; default: what the host has of Ceph. */
  readonly installed?: string;
  /** It serves now, and others stand by. */
  readonly active: boolean;
  /** It does not run: when it is started, it runs what is installed. One that was stopped stays so. */
  readonly down: boolean;
}

export interface RollingFacts {
  readonly daemons: readonly RunningDaemon[];
  /** What each host has installed; hosts that do not answer are absent. */
  readonly installed: ReadonlyMap<string, string>;
  /** Release that OSDs must have at least, as the OSD map says. */
  readonly requiredRelease: string;
}

export interface RollingStep {
  readonly type: RollingType;
  readonly id: string;
  readonly host: string;
  readonly running: string;
  readonly installed: string;
}

/**
 * What is to be restarted so that it runs what its host has installed, in order: monitors, managers, OSDs host by host,
 * metadata servers, S3 gateways, mirrors, NFS gateways; what stands by before what is active. `all`: also what runs it already.
 */
export function planRolling(facts: RollingFacts, all: boolean): RollingStep[] {
  return facts.daemons
    .flatMap(({ active, down, ...daemon }) => {
      const installed = daemon.installed ?? facts.installed.get(daemon.host);
      if (down || installed === undefined || (!all && installed === daemon.running)) return [];
      return [{ ...daemon, installed, active }];
    })
    .sort(
      (a, b) =>
        rollingOrder.indexOf(a.type) - rollingOrder.indexOf(b.type) ||
        Number(a.active) - Number(b.active) ||
        (a.host === b.host ? a.id.localeCompare(b.id, "en", { numeric: true }) : a.host < b.host ? -1 : 1),
    )
    .map(({ active: _, ...step }) => step);
}

/** The release that every OSD runs once the steps are done, where it is newer than what is required; else null. */
export function nextRelease(facts: RollingFacts): string | null {
  const osds = facts.daemons.filter(({ type }) => type === "osd");
  const names = new Set(osds.map(({ host, running }) => releaseOf(facts.installed.get(host) ?? running)));
  const [name] = names;
  if (names.size !== 1 || name === undefined || name === null) return null;
  // Ceph names its releases by the alphabet.
  return name > facts.requiredRelease ? name : null;
}

/** Releases that Ceph's daemons can go forward at once. */
const longestLeap = 2;

/**
 * Why what is installed must not run: Ceph goes two releases at most at once, and never back (its "Before upgrading"
 * notes); null when nothing is against it.
 */
export function refusedLeap({ daemons, installed, requiredRelease }: RollingFacts): string | null {
  for (const { type, id, host, running, ...own } of daemons) {
    const [from, to] = [releaseOf(running), releaseOf(own.installed ?? installed.get(host) ?? running)];
    if (from === null || to === null) continue;
    const leap = to.charCodeAt(0) - from.charCodeAt(0);
    if (leap < 0) return `${type}.${id} runs ${from}, ${host} has ${to} installed: Ceph cannot go back`;
    const required = requiredRelease === "" ? from : requiredRelease;
    const oldest = required < from ? required : from;
    if (to.charCodeAt(0) - oldest.charCodeAt(0) > longestLeap) {
      return `${host} has ${to} installed, and the cluster is at ${oldest}: Ceph goes two releases at most at once`;
    }
  }
  return null;
}

/** `reef` of `ceph version 18.2.7 (…) reef (stable)`; null where there is none. */
export function releaseOf(version: string): string | null {
  return /\)\s+([a-z]+)\s+\(/.exec(version)?.[1] ?? null;
}

/** For people: `18.2.7`. */
export function shortVersion(version: string): string {
  return /\b\d+\.\d+\.\d+\S*/.exec(version)?.[0] ?? version;
}
