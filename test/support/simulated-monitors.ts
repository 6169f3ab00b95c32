import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MonMap } from "../../src/ceph/command/commands.ts";
import { keyOf } from "../../src/ceph/config/keyring.ts";
import { monitorAddresses } from "../../src/ceph/config/monitor-address.ts";
import { hostOf, type PlacedMonitor } from "../../src/ceph/plan/moves.ts";
import { type Fsid, fsid } from "../../src/ids/ids.ts";
import type { Json } from "../../src/ids/json.ts";

/** A monitor map as a file, in a store or beside it. */
export interface StoredMap {
  readonly fsid: string;
  readonly epoch: number;
  readonly monitors: readonly PlacedMonitor[];
  /** Injected, or made of what OSDs have: nobody has met with it yet. */
  readonly fresh?: boolean;
  /** Made of what OSDs have: nothing else of the former monitors is left. */
  readonly rebuilt?: boolean;
}

interface RunningMonitor {
  readonly home: string;
  readonly key: string;
  /** A map of its own, with which it looks for others. */
  own: StoredMap | null;
}

const mapIn = (home: string): string => join(home, "store.db", "monmap");
/** A monitor that was in a quorum once does not add itself again. */
const wasIn = (home: string): string => join(home, "store.db", "was-in-quorum");

export function readMap(file: string): StoredMap {
  return JSON.parse(readFileSync(file, "utf8")) as StoredMap;
}

function writeMap(file: string, map: StoredMap): void {
  writeFileSync(file, JSON.stringify(map));
}

/**
 * The monitors of one cluster: who is in the map, who runs where and under which key, and so who is in quorum. Two
 * majorities that could decide beside each other are kept in mind as a violation.
 */
export class SimulatedMonitors {
  fsid: Fsid | null = null;
  epoch = 0;
  map: PlacedMonitor[] = [];
  /** Key of `mon.` of those who are in quorum. */
  key = "";
  /** Addresses that hosts have now, where it matters. */
  readonly hosts = new Map<string, string>();
  readonly violations: string[] = [];
  readonly #running = new Map<string, RunningMonitor>();
  readonly #onRebuilt: () => void;

  constructor(onRebuilt: () => void) {
    this.#onRebuilt = onRebuilt;
  }

  quorum(): string[] {
    return this.#quorumOf(this.map, this.key, (own) => own === null);
  }

  get hasQuorum(): boolean {
    return isMajority(this.quorum(), this.map);
  }

  /** A monitor starts with the map in its store; one that is not in the map adds itself. */
  start(name: string, home: string, address: string): void {
    const stored = readMap(mapIn(home));
    this.fsid ??= fsid(stored.fsid);
    if (this.fsid !== stored.fsid) throw new Error(`a second Ceph cluster: ${stored.fsid}`);
    const key = keyOf(readFileSync(join(home, "keyring"), "utf8"), "mon.") ?? "";
    if (this.map.length === 0) {
      this.map = [...stored.monitors];
      this.key = key;
      this.epoch = 1;
    }
    const isMet = sameMap(stored.monitors, this.map) && key === this.key;
    const running: RunningMonitor = { home, key, own: stored.fresh === true && !isMet ? stored : null };
    this.#running.set(name, running);
    if (running.own !== null) {
      this.#meet(running.own);
      return;
    }
    const isIn = this.map.some((mon) => mon.name === name);
    if (!isIn && key === this.key && !existsSync(wasIn(home))) {
      this.map = [...this.map, { name, addresses: monitorAddresses(address) }];
      this.epoch += 1;
    }
    this.#settle(name, running);
  }

  end(name: string): void {
    this.#running.delete(name);
  }

  /** A host is at another address from now on. */
  move(name: string, address: string): void {
    this.hosts.set(name, address);
    for (const { own } of this.#running.values()) if (own !== null) this.#meet(own);
  }

  remove(name: string): void {
    const rest = this.map.filter((mon) => mon.name !== name);
    if (rest.length === this.map.length) return;
    this.map = rest;
    this.epoch += 1;
  }

  monMap(): MonMap {
    const monitors = ranked(this.map);
    return { epoch: this.epoch, fsid: this.fsid ?? fsid("00000000-0000-0000-0000-000000000000"), monitors };
  }

  /** What `mon_status` says. */
  status(name: string): Json {
    const own = this.#running.get(name)?.own ?? null;
    const { epoch, fsid: id } = this.monMap();
    const monitors = ranked(own?.monitors ?? this.map);
    const quorum = own === null && this.hasQuorum ? this.quorum() : [];
    return {
      ...{ name, rank: monitors.findIndex((mon) => mon.name === name), election_epoch: 1 },
      state: quorum.includes(name) ? "peon" : "probing",
      quorum: monitors.filter((mon) => quorum.includes(mon.name)).map(({ rank }) => rank),
      monmap: {
        ...{ epoch, fsid: id },
        mons: monitors.map(({ name: mon, rank, addresses }) => ({
          ...{ name: mon, rank },
          public_addrs: { addrvec: addresses.map(({ type, address }) => ({ type, addr: address })) },
        })),
      },
    };
  }

  /** The map that `ceph-mon --extract-monmap` finds: the last one that this monitor has heard of. */
  extract(name: string, home: string): StoredMap {
    if (this.#running.get(name)?.home === home) throw new Error(`the store of ${name} is in use`);
    const stored = readMap(mapIn(home));
    if (stored.fresh === true || !existsSync(wasIn(home))) return stored;
    return { fsid: stored.fsid, epoch: this.epoch, monitors: this.map };
  }

  inject(name: string, home: string, map: StoredMap): void {
    const { rebuilt = false } = this.extract(name, home);
    writeMap(mapIn(home), { ...map, epoch: map.epoch + 1, fresh: true, rebuilt });
  }

  /** Those who run with this very map become the cluster once they are a majority of it. */
  #meet(wanted: StoredMap): void {
    const keys = new Set([...this.#running.values()].map(({ key }) => key));
    for (const key of keys) {
      const isOurs = (own: StoredMap | null): boolean =>
        own !== null && sameMap(own.monitors, wanted.monitors);
      const met = this.#quorumOf(wanted.monitors, key, isOurs);
      if (!isMajority(met, wanted.monitors)) continue;
      if (this.hasQuorum) this.violations.push(`${met.join()} meet beside ${this.quorum().join()}`);
      if (wanted.rebuilt === true) this.#onRebuilt();
      this.map = [...wanted.monitors];
      this.key = key;
      this.epoch = Math.max(this.epoch, wanted.epoch) + 1;
      for (const name of met) {
        const running = this.#running.get(name);
        if (running !== undefined) this.#settle(name, running);
      }
    }
  }

  #settle(name: string, running: RunningMonitor): void {
    running.own = null;
    if (running.key !== this.key || !this.map.some((mon) => mon.name === name)) return;
    writeMap(mapIn(running.home), { fsid: this.fsid ?? "", epoch: this.epoch, monitors: this.map });
    writeFileSync(wasIn(running.home), "");
  }

  #quorumOf(
    map: readonly PlacedMonitor[],
    key: string,
    isWith: (own: StoredMap | null) => boolean,
  ): string[] {
    return map.flatMap(({ name, addresses }) => {
      const running = this.#running.get(name);
      if (running === undefined || running.key !== key || !isWith(running.own)) return [];
      const host = this.hosts.get(name);
      const isThere = host === undefined || addresses.some(({ address }) => hostOf(address) === host);
      return isThere ? [name] : [];
    });
  }
}

function isMajority(some: readonly string[], map: readonly PlacedMonitor[]): boolean {
  return map.length > 0 && some.length * 2 > map.length;
}

function ranked(map: readonly PlacedMonitor[]): MonMap["monitors"] {
  return map
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, addresses }, rank) => ({ name, rank, addresses: [...addresses] }));
}

function sameMap(one: readonly PlacedMonitor[], other: readonly PlacedMonitor[]): boolean {
  return JSON.stringify(ranked(one)) === JSON.stringify(ranked(other));
}
