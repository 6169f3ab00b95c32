import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cephPaths } from "../../../src/ceph/config/ceph-paths.ts";
import { addDisks } from "../../../src/ceph/control/add-disks.ts";
import { Agent, type Order } from "../../../src/ceph/control/agent.ts";
import { CephNode } from "../../../src/ceph/control/ceph-node.ts";
import type { PlannedMember } from "../../../src/ceph/control/ceph-planner.ts";
import { purgedOsds } from "../../../src/ceph/control/osd-removal.ts";
import { contributeMaps, type GatherMaps } from "../../../src/ceph/control/rebuild.ts";
import { cephSteps, cephUndo } from "../../../src/ceph/control/steps.ts";
import { listLocalOsds } from "../../../src/ceph/daemons/osd.ts";
import { systemRoots } from "../../../src/ceph/disks/inventory.ts";
import { MemberUpkeep } from "../../../src/daemon/cluster/member-upkeep.ts";
import { replaceInTurn } from "../../../src/daemon/disk-replacement.ts";
import { addressIn } from "../../../src/daemon/interface-facts.ts";
import { Jobs, type JobTools } from "../../../src/daemon/jobs.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { type Handle, handle, type PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import { AgentFence } from "../../../src/state/journal/agent-fence.ts";
import type { Entry } from "../../../src/state/journal/types.ts";
import { LocalStore } from "../../../src/state/store/local-store.ts";
import { CrashableProcess } from "../../support/crashable-process.ts";
import { SimulatedCeph } from "../../support/simulated-ceph.ts";
import { SimulatedVoters, silent } from "../../support/simulated-voter.ts";
import { removedIn, runtimeOf, SharedWishes } from "./crash-runtime.ts";
import { type Seat, sitDown } from "./crash-seat.ts";

const diskJob = "disks";
const replaceJob = "replace";
const names = ["n1", "n2", "n3"] as const;
export type NodeName = (typeof names)[number];

/** What of a node's daemon lives as long as its process. */
interface Running {
  readonly process: CrashableProcess;
  readonly agent: Agent;
  readonly jobs: Jobs;
  readonly node: CephNode;
  /** What the journal says is followed. */
  follow(): void;
  /** On the node with the lease. */
  readonly seat: Seat | null;
}

/**
 * Three nodes' agents and one node's controller, as the daemon puts them together, on a simulated etcd and a
 * simulated Ceph; stores and files are real. Any of the daemons can be killed at any step and started again.
 */
export class CrashWorld {
  readonly ceph = new SimulatedCeph();
  readonly voters = new SimulatedVoters();
  readonly document = new SharedWishes();
  /** Members of etcd. */
  readonly etcd = new Set<string>(names);
  readonly #dir: string;
  readonly #nodes = new Map<NodeName, Running>();
  /** Hosts without power, and addresses other than the first ones. */
  readonly #off = new Set<NodeName>();
  readonly #addresses = new Map<NodeName, string>();
  #seat: Seat | null = null;
  #over = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Start a node's daemon; it is killed at that step, counted from its start. */
  start(name: NodeName, killAtStep = Number.POSITIVE_INFINITY): CrashableProcess {
    const process = new CrashableProcess(name);
    process.killAtStep = killAtStep;
    this.#off.delete(name);
    this.#nodes.set(
      name,
      process.run(() => this.#make(name, process)),
    );
    return process;
  }

  node(name: NodeName): Running {
    const running = this.#nodes.get(name);
    if (running === undefined) throw new Error(`${name} was never started`);
    return running;
  }

  peer(name: NodeName): PeerId {
    return this.voters.voter(name).peer;
  }

  /** Ask a node for an OSD, as a person does. */
  addDisk(name: NodeName): void {
    const { process, jobs } = this.node(name);
    process.run(() => jobs.start(diskJob, null));
  }

  /** Ask a node for another OSD in the place of osd.0. */
  replaceDisk(name: NodeName): void {
    const { process, jobs } = this.node(name);
    process.run(() => jobs.start(replaceJob, null));
  }

  #replace(name: NodeName, node: CephNode, tools: JobTools): Promise<Json> {
    const { ceph, document } = this;
    return replaceInTurn(
      {
        check: async () => ({ uuid: ceph.osds[0]?.uuid ?? null, wished: false, mode: "replace", add: null }),
        wish: (uuid, mode) => document.setRemoval(uuid, { osd: 0, mode }),
        gone: async (uuid) => {
          const isLocal = async () => (await listLocalOsds(node.deps)).some((one) => one.uuid === uuid);
          while (!purgedOsds(this.entries()).has(uuid) || (await isLocal())) await delay(2);
        },
        add: (addTools) => addOneDisk(name, node, addTools, 0),
      },
      tools,
    );
  }

  /** The host loses its power, the daemon and Ceph's daemons with it. */
  powerOff(name: NodeName): void {
    this.node(name).process.kill();
    this.ceph.powerOff(name);
    this.#off.add(name);
  }

  /** The host has this address alone from now on. */
  move(name: NodeName, address: string): void {
    this.#addresses.set(name, address);
    this.ceph.mon.move(name, address);
  }

  /** What the node's monitor had is lost. */
  loseMonitor(name: NodeName): void {
    this.ceph.end(`mon.${name}`);
    rmSync(join(this.#dir, name, "data", "mon"), { recursive: true, force: true });
  }

  /** Let real and virtual time pass until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const end = performance.now() + 60_000;
    while (!isSo()) {
      for (const { process, follow } of this.#nodes.values()) if (process.alive) process.run(follow);
      if (performance.now() > end) throw new Error(`waited in vain for ${what}: ${this.describe()}`);
      await this.voters.pass(10);
      // Much is waited for in real time: others have the processor meanwhile.
      await delay(1);
    }
  }

  async stop(): Promise<void> {
    this.#over = true;
    for (const { process } of this.#nodes.values()) process.kill();
    await this.ceph.stop();
  }

  /** The journal as its holder has it. */
  entries(): Entry[] {
    return this.#seat?.copy.entries() ?? [];
  }

  describe(): string {
    const { mon, osds, hasQuorum } = this.ceph;
    const entries = this.entries().map(
      ({ kind, state, handed, reason }) => `${kind} ${state} ${handed} ${reason}`,
    );
    const units = [...this.ceph.running.keys()];
    const jobs = [...this.#nodes.values()].flatMap(({ jobs: each, process }) =>
      process.alive
        ? each.list().map(({ kind, state, step, result }) => ({ kind, state, step, result }))
        : [],
    );
    return JSON.stringify({ jobs, map: mon.map, etcd: [...this.etcd], osds, hasQuorum, units, entries });
  }

  #addressesOf(peer: PeerId): readonly string[] {
    const name = names.find((one) => this.peer(one) === peer) ?? "n1";
    return [this.#addresses.get(name) ?? `10.0.0.${name.slice(1)}`];
  }

  #members(): PlannedMember[] {
    const removed = removedIn(this.entries());
    return names.flatMap((name, index): PlannedMember[] => {
      const peer = this.peer(name);
      if (removed.has(peer)) return [];
      const addresses = this.#addressesOf(peer);
      return [
        {
          ...{ peer, handle: handle(name), zone: null, alive: !this.#off.has(name), admitted: index },
          ...{ leaving: this.document.labels[peer]?.leaving ?? null, seats: null },
          ...{ lost: false, servicesLost: false, steady: true },
          ...{ address: addresses[0] ?? null, addresses },
        },
      ];
    });
  }

  #make(name: NodeName, process: CrashableProcess): Running {
    const dir = join(this.#dir, name);
    mkdirSync(dir, { recursive: true });
    const store = LocalStore.open(join(dir, "state.db"));
    process.onDeath(() => store.close());
    const peer = this.peer(name);
    const memory = gated(store, process);
    const paths = cephPaths(dir);
    const node = new CephNode(handle(name), {
      ...{ paths, memory, log: silent, extraConfig: undefined },
      runner: this.ceph.runner(name, paths, process),
      run: this.ceph.run(process),
      keys: () => null,
      commands: () => this.ceph.commands(process),
      addressIn: (networks) => addressIn(this.#addressesOf(peer), networks),
      interfaceIn: () => "eth0",
      hasAddress: (address) => this.#addressesOf(peer).includes(address),
    });
    const agent = new Agent({
      fence: new AgentFence({ store: memory }),
      confirm: (entry, number) => this.#confirm(entry, number),
      steps: cephSteps(node, { gather: this.#gather(name, node) }),
      undo: cephUndo(node),
      log: silent,
    });
    const jobs = new Jobs({
      store: memory,
      runners: {
        [diskJob]: (_request, tools) => addOneDisk(name, node, tools),
        [replaceJob]: (_request, tools) => this.#replace(name, node, tools),
      },
      now: () => 0,
      log: silent,
      onChange: () => undefined,
    });
    // As at boot: what the disk says is started first.
    node.startAll().catch(() => undefined);
    jobs.resume();
    const runtime = (entries: () => Entry[]) =>
      runtimeOf({
        ...{ self: peer, handle: handle(name), node, store: memory, document: this.document, entries },
        everyone: new Map(names.map((one) => [this.peer(one), { handle: handle(one) as Handle }])),
        addresses: (of) => this.#addressesOf(of),
        isAlive: (of) => names.some((one) => this.peer(one) === of && !this.#off.has(one)),
      });
    const seat = name === "n1" ? this.#sit(process, node, runtime) : null;
    this.#seat = seat ?? this.#seat;
    return { process, agent, jobs, node, seat, follow: this.#follower(name, process, node, runtime) };
  }

  #sit(
    process: CrashableProcess,
    node: CephNode,
    runtime: (entries: () => Entry[]) => ReturnType<typeof runtimeOf>,
  ): Seat {
    return sitDown({
      ...{ process, node, voters: this.voters, ceph: this.ceph, document: this.document, etcd: this.etcd },
      runtime: (copy) => runtime(() => copy.entries()),
      voter: this.voters.voter("n1"),
      members: () => this.#members(),
      addresses: (of) => this.#addressesOf(of),
      ownerOf: (host) => {
        const owner = names.find((one) => one === host);
        if (owner === undefined || !this.node(owner).process.alive) return null;
        return { peer: this.peer(owner), handle: owner };
      },
      ask: (to, question) => {
        const { process: other, agent } = this.node(names.find((one) => this.peer(one) === to) ?? "n1");
        if (!other.alive) throw new MicrocephError("PEER_UNREACHABLE", `${other.name} is down`);
        return answered(other, () => other.run(() => question(agent)));
      },
    });
  }

  /** Told of the journal on each change, and now and then; a removed node has nothing more of the cluster. */
  #follower(
    name: NodeName,
    process: CrashableProcess,
    node: CephNode,
    runtime: (entries: () => Entry[]) => ReturnType<typeof runtimeOf>,
  ): () => void {
    const upkeep = new MemberUpkeep(runtime(() => this.entries()));
    process.onDeath(() => upkeep.stop());
    let seen = "";
    let calls = 0;
    let isRetiring = false;
    return () => {
      const entries = this.entries();
      const now = entries.map(({ id, state }) => `${id} ${state}`).join();
      calls += 1;
      if (now === seen && calls % 25 !== 0) return;
      seen = now;
      if (!removedIn(entries).has(this.peer(name))) {
        try {
          upkeep.journalChanged();
        } catch (error) {
          // Killed in the middle of it, and its store is closed.
          if (process.alive) throw error;
        }
        return;
      }
      if (isRetiring) return;
      isRetiring = true;
      node.retire().catch(() => {
        isRetiring = false;
      });
    };
  }

  /** Another host adds to the store what its OSDs know; as over the mesh, it does so on a copy of its own. */
  #gather(self: NodeName, node: CephNode): GatherMaps {
    return async (peer, _entry, target, signal) => {
      if (peer === this.peer(self)) return contributeMaps(node, target, signal);
      const other = names.find((one) => this.peer(one) === peer) ?? "n1";
      const { process, node: there } = this.node(other);
      if (!process.alive) throw new MicrocephError("PEER_UNREACHABLE", `${other} is down`);
      const parcel = join(this.#dir, other, "parcel");
      rmSync(parcel, { recursive: true, force: true });
      const gathered = await answered(process, () =>
        process.run(() => contributeMaps(there, parcel, signal)),
      );
      cpSync(parcel, target, { recursive: true });
      return gathered;
    };
  }

  async #confirm(entry: Entry["id"], number: Order["number"]): Promise<boolean> {
    const { process, seat } = this.node("n1");
    if (!process.alive || seat === null || this.#over) {
      throw new MicrocephError("NO_QUORUM", "no voter can be asked");
    }
    return answered(process, () => seat.decider.confirm(entry, number));
  }
}

async function addOneDisk(
  name: NodeName,
  node: CephNode,
  tools: Parameters<typeof addDisks>[2],
  replaces: number | null = null,
): Promise<Json> {
  const disk = join(node.deps.paths.state, "disk");
  const report = await addDisks(
    replaces === null
      ? { specs: [{ kind: "loop", spec: "loop,4G,1", bytes: 4 * 2 ** 30, count: 1 }] }
      : { specs: [{ kind: "device", spec: disk, path: disk }], replaces },
    {
      daemons: node.deps,
      ceph: () => {
        if (node.commands === null) throw new MicrocephError("NOT_INITIALIZED", "no Ceph yet");
        return node.commands;
      },
      newUuid: () =>
        `aaaaaaaa-bbbb-4ccc-8ddd-00000000${replaces === null ? "00" : "ff"}${name.replace("n", "0")}`,
      inspect: async (path) => ({ path, bytes: 4 * 2 ** 30, disk: path, backingFile: null }),
      survey: async () => [],
      readTable: async () => undefined,
      patternTest: () => false,
      host: name,
      roots: systemRoots,
      run: node.deps.run,
      exclusive: (_keys, act) => act(),
      checkDevice: async () => undefined,
      wipe: async () => undefined,
      onUp: () => undefined,
    },
    tools,
  );
  return report as unknown as Json;
}

/** Each process does its own work; a dead one answers nobody, and who asked it is told so. */
function answered<T>(process: CrashableProcess, work: () => Promise<T>): Promise<T> {
  return Promise.race([
    work(),
    new Promise<never>((_, reject) =>
      process.onDeath(() => reject(new MicrocephError("PEER_UNREACHABLE", `${process.name} died`))),
    ),
  ]);
}

type Gated = Pick<LocalStore, "get" | "put" | "delete" | "list" | "transaction">;

/** The store, each of whose writes is a step. */
function gated(store: LocalStore, process: CrashableProcess): Gated & LocalStore {
  let inside = false;
  return {
    get: (name: string) => store.get(name),
    list: (prefix: string) => store.list(prefix),
    put: (name: string, value: Json) => {
      if (!inside) process.stepNow(`put ${name}`);
      store.put(name, value);
    },
    delete: (name: string) => {
      process.stepNow(`delete ${name}`);
      store.delete(name);
    },
    transaction: <T>(work: () => T): T => {
      process.stepNow("transaction");
      inside = true;
      try {
        return store.transaction(work);
      } finally {
        inside = false;
      }
    },
  } as Gated & LocalStore;
}
