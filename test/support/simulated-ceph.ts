import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:net";
import type { CephCommands, CrushRule, MonMap, OsdDumpEntry, Pool } from "../../src/ceph/command/commands.ts";
import type { CephPaths } from "../../src/ceph/config/ceph-paths.ts";
import { makeCephKey } from "../../src/ceph/config/keyring.ts";
import type { EnsureResult, Runner, UnitSpec, UnitStatus } from "../../src/ceph/runner/runner.ts";
import { MicrocephError } from "../../src/errors/microceph-error.ts";
import { osdId } from "../../src/ids/ids.ts";
import type { Json } from "../../src/ids/json.ts";
import type { runProgram } from "../../src/process/run-program.ts";
import { SimulatedMonitors } from "./simulated-monitors.ts";
import { simulatedPrograms } from "./simulated-programs.ts";

/** Who asks: told of each step before and after it takes effect. */
export interface Caller {
  step(what: string): Promise<void>;
}

interface StoredOsd {
  readonly uuid: string;
  up: boolean;
  host: string;
  weight: number;
  /** How often Ceph must be asked yet until what it held has moved to the others. */
  left: number;
  /** Gone, but for its number and its weight. */
  destroyed?: boolean;
}

/**
 * Ceph as this product uses it, in memory: monitors with their map and quorum, keys, configuration, OSDs, rules
 * and pools; the programs that make stores; and the daemons, which live on when the node's daemon does not.
 * Each monitor and OSD answers on a real admin socket. A second cluster, or a command without a quorum, is an
 * error as in the real one.
 */
export class SimulatedCeph {
  /** The monitors; when they were made anew of what OSDs have, they know nothing else. */
  readonly mon = new SimulatedMonitors(() => {
    this.keys.clear();
    this.config.clear();
  });
  readonly running = new Map<string, { readonly on: string; readonly server: Server | null }>();
  /** Units by host: they are known there beyond a daemon's life. */
  readonly #specs = new Map<string, Map<string, UnitSpec>>();
  readonly keys = new Map<string, string>();
  readonly config = new Map<string, string>();
  /** By number; null: purged. */
  readonly osds: (StoredOsd | null)[] = [];
  /** What was taken out while data depended on it. */
  readonly lost: number[] = [];
  readonly rules: CrushRule[] = [{ id: 0, name: "replicated_rule", failureDomain: "host" }];
  readonly pools: Pool[] = [];

  get monitors(): readonly { readonly name: string }[] {
    return this.mon.map;
  }

  /** A majority of the monitors in the map runs. */
  get hasQuorum(): boolean {
    return this.mon.hasQuorum;
  }

  async stop(): Promise<void> {
    for (const unit of [...this.running.keys()]) this.end(unit);
  }

  monMap(): MonMap {
    return this.mon.monMap();
  }

  /** The power of a host fails: none of its daemons runs. */
  powerOff(host: string): void {
    for (const [unit, { on }] of [...this.running]) if (on === host) this.end(unit);
  }

  /** `runProgram` for the programs of Ceph that make something on disk. */
  run(caller: Caller): typeof runProgram {
    return simulatedPrograms({ monitors: this.mon, isRunning: (unit) => this.running.has(unit) }, caller);
  }

  /** The daemons of one node. They are not the caller's: they go on when it dies. */
  runner(host: string, paths: CephPaths, caller: Caller): Runner {
    const mine = this.#specs.get(host) ?? new Map<string, UnitSpec>();
    this.#specs.set(host, mine);
    const status = (unit: string): UnitStatus => ({
      ...{ unit, state: this.running.has(unit) ? "running" : "stopped", pid: 1, supervisorPid: 1 },
      ...{ restarts: 0, lastExit: null, reason: "", since: 0 },
    });
    return {
      open: async () => undefined,
      close: async () => undefined,
      ensure: async (unit, spec): Promise<EnsureResult> => {
        mine.set(unit, spec);
        if (this.running.has(unit)) return { action: "unchanged", status: status(unit) };
        await caller.step(`start ${unit}`);
        await this.#start(unit, spec, host, paths);
        await caller.step(`start ${unit}: started`);
        return { action: "started", status: status(unit) };
      },
      stop: async (unit, { removeAlso = false } = {}) => {
        if (this.running.has(unit)) await caller.step(`stop ${unit}`);
        this.end(unit);
        if (removeAlso) mine.delete(unit);
      },
      restart: async (unit) => {
        const spec = mine.get(unit);
        if (spec === undefined) throw new Error(`${unit} was never started`);
        await caller.step(`restart ${unit}`);
        this.end(unit);
        await this.#start(unit, spec, host, paths);
        await caller.step(`restart ${unit}: started`);
        return status(unit);
      },
      status: async (unit) => status(unit),
      list: async () => [...mine.keys()].sort().map(status),
      onChange: () => () => undefined,
    };
  }

  async #start(unit: string, spec: UnitSpec, host: string, paths: CephPaths): Promise<void> {
    const [type = "", id = ""] = unit.split(".");
    let server: Server | null = null;
    if (type === "mon") {
      const address = spec.argv[spec.argv.indexOf("--public-addr") + 1] ?? "";
      this.mon.start(id, paths.dataDir("mon", id), address);
      server = await listen(paths.adminSocket("mon", id), () => this.mon.status(id));
    } else if (type === "osd") {
      const osd = this.osds[Number(id)];
      if (!osd) throw new Error(`osd.${id} was never registered`);
      osd.up = true;
      osd.host = host;
      server = await listen(paths.adminSocket("osd", id), () => ({ state: "active" }));
    }
    this.running.set(unit, { on: host, server });
  }

  /** A daemon ends, whoever or whatever ended it. */
  end(unit: string): void {
    this.running.get(unit)?.server?.close();
    const osd = unit.startsWith("osd.") ? this.osds[Number(unit.slice(4))] : undefined;
    if (osd) osd.up = false;
    if (unit.startsWith("mon.")) this.mon.end(unit.slice(4));
    this.running.delete(unit);
  }

  /** Commands about OSDs that go; what they take away too early is lost. */
  async #run(words: readonly string[], write: Tell): Promise<Json> {
    const said = words.join(" ");
    if (said === "osd dump") return { pools: [] };
    // They hand over to others.
    if (/^m(gr|ds) fail /.test(said)) return write(said, () => null);
    const id = Number(/(?:osd\.)?(\d+)/.exec(said)?.[1]);
    const osd = this.osds[id];
    const what = words[1] === "crush" ? "crush reweight" : words[1];
    if (!osd) throw refusal("ENOENT");
    switch (what) {
      case "crush reweight":
        return write(said, () => {
          osd.weight = Number(words.at(-1));
          // Data comes back to what has a weight.
          if (osd.weight > 0) osd.left = 2;
          return null;
        });
      case "down":
        return write(said, () => {
          // One that runs, and says so again, is a moment too late.
          osd.up = false;
          return null;
        });
      case "destroy":
        return write(said, () => {
          if (osd.up) throw refusal("EBUSY");
          this.osds[id] = { ...osd, uuid: noUuid, destroyed: true };
          this.keys.delete(`osd.${id}`);
          return null;
        });
      case "purge":
        return write(said, () => {
          if (osd.up) throw refusal("EBUSY");
          if (osd.left > 0) this.lost.push(id);
          this.osds[id] = null;
          this.keys.delete(`osd.${id}`);
          return null;
        });
      default:
        throw new MicrocephError("USAGE", `${said} is not simulated`);
    }
  }

  /** Ceph's commands as one process asks them. */
  commands(caller: Caller): CephCommands {
    const read = async <T>(answer: () => T): Promise<T> => {
      if (!this.hasQuorum) throw new MicrocephError("CEPH_UNREACHABLE", "no quorum");
      return answer();
    };
    const write = async <T>(what: string, apply: () => T): Promise<T> => {
      await caller.step(`ceph ${what}`);
      const answer = await read(apply);
      // Applied; the answer may never be heard.
      await caller.step(`ceph ${what}: answered`);
      return answer;
    };
    const keyFor = (entity: string): Promise<string> =>
      write(`auth ${entity}`, () => {
        if (!this.keys.has(entity)) this.keys.set(entity, makeCephKey(randomBytes, 0));
        return this.keys.get(entity) ?? "";
      });
    const inMap = (): (StoredOsd & { id: number })[] =>
      this.osds.flatMap((osd, id) => (osd === null ? [] : [{ ...osd, id }]));
    const osdEntries = (): OsdDumpEntry[] =>
      inMap().map(({ id, uuid, up, destroyed = false }) => ({
        id: osdId(id),
        uuid,
        up,
        in: true,
        destroyed,
      }));
    const known: Partial<CephCommands> = {
      stop: async () => undefined,
      reconnect: () => undefined,
      quorumStatus: () =>
        read(() => ({
          electionEpoch: 1,
          quorum: this.mon.quorum(),
          leader: this.mon.quorum()[0] ?? "",
          monMap: this.monMap(),
        })),
      monMap: () => read(() => this.monMap()),
      monRemove: (name) => write(`mon remove ${name}`, () => this.mon.remove(name)),
      okToStop: () => read(() => true),
      placementGroupsOf: () => read(() => [{ pool: 1, state: "active+clean", acting: [] }]),
      status: () => read(() => ({ pgs: { states: { "active+clean": 1 } } }) as never),
      safeToDestroy: (id) =>
        read(() => {
          const osd = this.osds[id];
          if (!osd) throw refusal("ENOENT");
          if (osd.weight === 0 && osd.left > 0) osd.left -= 1;
          return osd.left === 0;
        }),
      mgrStat: () => read(() => ({ epoch: 1, available: false, activeName: null })),
      osdNew: async (uuid, { id } = {}) => {
        const osd = await write("osd new", () => {
          const index = this.osds.findIndex((osd) => osd?.uuid === uuid);
          const same = this.osds[index];
          const former = id === undefined ? null : this.osds[id];
          if (!same && id !== undefined) {
            if (former?.destroyed !== true) throw refusal("EEXIST");
            this.osds[id] = { ...former, uuid, destroyed: false };
            return id;
          }
          if (!same) {
            return osdId(this.osds.push({ uuid, up: false, host: "", weight: 1, left: 2 }) - 1);
          }
          return osdId(index);
        });
        return { osd, key: await keyFor(`osd.${osd}`) };
      },
      osdStat: () =>
        read(() => ({
          epoch: 1,
          total: inMap().length,
          up: inMap().filter(({ up }) => up).length,
          in: inMap().length,
        })),
      osdTree: () =>
        read(() => ({
          osds: inMap().map(({ id, up, host, weight }) => ({
            ...{ id: osdId(id), name: `osd.${id}`, up, reweight: 1, crushWeight: weight },
            ...{ deviceClass: null, host: host === "" ? null : host, rack: null },
          })),
          hosts: [...new Set(inMap().map(({ host }) => host))].map((name) => ({ name, rack: null })),
          buckets: [],
        })),
      osdDump: () =>
        read(() => ({
          ...{ epoch: 1, fsid: this.monMap().fsid, osds: osdEntries(), flags: [] },
          ...{ nearfullRatio: 0.85, fullRatio: 0.95 },
        })),
      run: (words) => this.#run(words, write),
      runWithInput: (words, input) =>
        write(words.join(" "), () => {
          for (const [, entity = "", key = ""] of input.matchAll(/\[(\S+)\]\s+key = (\S+)/g)) {
            this.keys.set(entity, key);
          }
          return null;
        }),
      crushRules: () => read(() => this.rules),
      createReplicatedRule: (name, failureDomain) =>
        write(`rule ${name}`, () => {
          const same = this.rules.find((rule) => rule.name === name);
          if (same !== undefined) return same.id;
          return this.rules.push({ id: this.rules.length, name, failureDomain }) - 1;
        }),
      pools: () => read(() => this.pools),
      configSet: (who, key, value) =>
        write(`config set ${who} ${key}`, () => void this.config.set(`${who} ${key}`, value)),
      configGet: (who, key) => read(() => this.config.get(`${who} ${key}`)),
      configRemove: (who, key) =>
        write(`config rm ${who} ${key}`, () => void this.config.delete(`${who} ${key}`)),
      authGetOrCreate: keyFor,
      authRemove: (entity) => write(`auth rm ${entity}`, () => void this.keys.delete(entity)),
    };
    return new Proxy(known, {
      get: (target, name) =>
        Reflect.get(target, name) ??
        (() => Promise.reject(new MicrocephError("USAGE", `${String(name)} is not simulated`))),
    }) as CephCommands;
  }
}

/** What a destroyed OSD has in the map. */
const noUuid = "00000000-0000-0000-0000-000000000000";

type Tell = <T>(what: string, apply: () => T) => Promise<T>;

function refusal(errno: string): MicrocephError {
  return new MicrocephError("CEPH_REFUSED", "refused", { data: { errno } });
}

/** An admin socket: one question, one answer with its length in front. */
async function listen(path: string, answer: () => Json): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      const body = Buffer.from(JSON.stringify(answer()));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      socket.end(Buffer.concat([length, body]));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  server.unref();
  return server;
}
