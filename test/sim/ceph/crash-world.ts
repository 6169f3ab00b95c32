import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cephPaths } from "../../../src/ceph/config/ceph-paths.ts";
import { makeCephKey } from "../../../src/ceph/config/keyring.ts";
import { addDisks } from "../../../src/ceph/control/add-disks.ts";
import { Agent, type Order } from "../../../src/ceph/control/agent.ts";
import { CephNode } from "../../../src/ceph/control/ceph-node.ts";
import { cephPlanners } from "../../../src/ceph/control/ceph-planner.ts";
import { Controller, type Planner } from "../../../src/ceph/control/controller.ts";
import { kinds, laneOf } from "../../../src/ceph/control/decisions.ts";
import { cephExecutors } from "../../../src/ceph/control/executors.ts";
import { purgedOsds, removalPlanner } from "../../../src/ceph/control/osd-removal.ts";
import { cephSteps, cephUndo } from "../../../src/ceph/control/steps.ts";
import { cleanOsd, purgedHere } from "../../../src/ceph/daemons/osd-clean.ts";
import { systemRoots } from "../../../src/ceph/disks/inventory.ts";
import { Jobs } from "../../../src/daemon/jobs.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { type EntryId, type Handle, handle, type PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import { signWithClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import type { OsdRemoval } from "../../../src/state/document/cluster-document.ts";
import { AgentFence } from "../../../src/state/journal/agent-fence.ts";
import { Decider } from "../../../src/state/journal/decider.ts";
import { catchUp } from "../../../src/state/journal/read-records.ts";
import type { Entry } from "../../../src/state/journal/types.ts";
import { LocalStore } from "../../../src/state/store/local-store.ts";
import { CrashableProcess } from "../../support/crashable-process.ts";
import { key } from "../../support/journal-records.ts";
import { MemoryCopy } from "../../support/memory-copy.ts";
import { SimulatedCeph } from "../../support/simulated-ceph.ts";
import { SimulatedVoters, silent, simulatedCluster } from "../../support/simulated-voter.ts";

const fsid = "00000000-1111-2222-3333-444444444444";
const cephKey = makeCephKey(randomBytes, 0);
const diskJob = "disks";
const names = ["n1", "n2", "n3"] as const;
export type NodeName = (typeof names)[number];

/** What of a node's daemon lives as long as its process. */
interface Running {
  readonly process: CrashableProcess;
  readonly peer: PeerId;
  readonly agent: Agent;
  readonly jobs: Jobs;
  /** Empty the disks of OSDs that are out for good, as on every change of the journal. */
  clean(): void;
  /** On the node with the lease: read the entry by its own etcd. */
  readonly decider: Decider<typeof key> | null;
  stop(): Promise<void>;
}

/**
 * Three nodes' agents and one node's controller, as the daemon puts them together, on a simulated etcd and a
 * simulated Ceph; stores and files are real. Any of the daemons can be killed at any step and started again.
 */
export class CrashWorld {
  readonly ceph = new SimulatedCeph();
  readonly voters = new SimulatedVoters();
  readonly #dir: string;
  readonly #nodes = new Map<NodeName, Running>();
  /** What is wished in the document, which every node has. */
  readonly wishes: Record<string, OsdRemoval> = {};
  #over = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Start a node's daemon; it is killed at that step, counted from its start. */
  start(name: NodeName, killAtStep = Number.POSITIVE_INFINITY): CrashableProcess {
    const process = new CrashableProcess(name);
    process.killAtStep = killAtStep;
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

  /** Ask a node for an OSD, as a person does. */
  addDisk(name: NodeName): void {
    const { process, jobs } = this.node(name);
    process.run(() => jobs.start(diskJob, null));
  }

  /** Let real and virtual time pass until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const end = performance.now() + 20_000;
    while (!isSo()) {
      for (const { process, clean } of this.#nodes.values()) if (process.alive) process.run(clean);
      if (performance.now() > end) throw new Error(`waited in vain for ${what}: ${this.describe()}`);
      await this.voters.pass(10);
    }
  }

  async stop(): Promise<void> {
    this.#over = true;
    for (const { process } of this.#nodes.values()) process.kill();
    await this.ceph.stop();
  }

  /** The journal as its holder has it. */
  entries(): Entry[] {
    return this.#copy?.entries() ?? [];
  }

  describe(): string {
    const { monitors, osds, hasQuorum } = this.ceph;
    const entries = this.#copy?.entries().map(({ kind, state, handed }) => `${kind} ${state} ${handed}`);
    return JSON.stringify({ monitors, osds, hasQuorum, units: [...this.ceph.running.keys()], entries });
  }

  #copy: MemoryCopy | null = null;

  #peer(name: NodeName): PeerId {
    return this.voters.voter(name).peer;
  }

  #make(name: NodeName, process: CrashableProcess): Running {
    const dir = join(this.#dir, name);
    mkdirSync(dir, { recursive: true });
    const store = LocalStore.open(join(dir, "state.db"));
    process.onDeath(() => store.close());
    const peer = this.#peer(name);
    const memory = gated(store, process);
    const paths = cephPaths(dir);
    const node = new CephNode(handle(name), {
      ...{ paths, memory, log: silent, extraConfig: undefined },
      runner: this.ceph.runner(name, paths, process),
      run: this.ceph.run(process),
      keys: () => null,
      commands: () => this.ceph.commands(process),
      addressIn: () => `10.0.0.${name.slice(1)}`,
      interfaceIn: () => "eth0",
      hasAddress: () => true,
    });
    const agent = new Agent({
      fence: new AgentFence({ store: memory }),
      confirm: (entry, number) => this.#confirm(entry, number),
      steps: cephSteps(node),
      undo: cephUndo(node),
      log: silent,
    });
    const jobs = new Jobs({
      store: memory,
      runners: {
        [diskJob]: async (_request, tools) => {
          const report = await addDisks(
            { specs: [{ kind: "loop", spec: "loop,4G,1", bytes: 4 * 2 ** 30, count: 1 }] },
            {
              daemons: node.deps,
              ceph: () => {
                if (node.commands === null) throw new MicrocephError("NOT_INITIALIZED", "no Ceph yet");
                return node.commands;
              },
              newUuid: () => "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
              newKey: () => cephKey,
              inspect: async (path) => ({ path, bytes: 0, disk: path, backingFile: null }),
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
        },
      },
      now: () => 0,
      log: silent,
      onChange: () => undefined,
    });
    // As at boot: what the disk says is started first.
    node.startAll().catch(() => undefined);
    jobs.resume();
    const seat = name === "n1" ? this.#seat(process, node, peer) : null;
    return {
      ...{ process, peer, agent, jobs },
      clean: this.#cleaner(node),
      decider: seat?.decider ?? null,
      stop: async () => {
        await seat?.stop();
      },
    };
  }

  #cleaner(node: CephNode): () => void {
    let cleaning = false;
    const clean = async (): Promise<void> => {
      const purged = purgedOsds(this.entries());
      const inMap = async () => this.ceph.osds.flatMap((osd) => (osd === null ? [] : [osd]));
      for (const local of await purgedHere(node.deps, purged, inMap)) await cleanOsd(node.deps, local);
    };
    return () => {
      if (cleaning) return;
      cleaning = true;
      clean()
        .catch(() => undefined)
        .finally(() => {
          cleaning = false;
        });
    };
  }

  /** Lease, journal and controller: the parts of a voter. */
  #seat(process: CrashableProcess, node: CephNode, self: PeerId) {
    const voter = this.voters.voter("n1");
    process.onDeath(() => this.voters.time.kill(voter.process));
    voter.beforeTxn = (transaction) => {
      const what = transaction.success.map((operation) => `${operation.do} ${operation.key}`.slice(0, 24));
      return process.step(`etcd ${what.join(", ")}`);
    };
    const copy = new MemoryCopy();
    this.#copy = copy;
    const now = (): number => 1_700_000_000_000 + this.voters.time.now();
    const decider = new Decider<typeof key>(
      { cluster: simulatedCluster, generation: 1 },
      {
        ...{ etcd: voter.etcd, lease: voter.lease, copy, now, log: silent },
        clusterKey: () => key,
        sign: signWithClusterKey,
      },
    );
    const current = (id: EntryId): Entry => {
      const entry = copy.entries().find((one) => one.id === id);
      if (entry === undefined) throw new Error(`no entry ${id}`);
      return entry;
    };
    const ask = async <T>(to: PeerId, question: (agent: Agent) => Promise<T>): Promise<T> => {
      const target = names.find((name) => this.#peer(name) === to) ?? "n1";
      const { process: other, agent } = this.node(target);
      if (!other.alive) throw new MicrocephError("PEER_UNREACHABLE", `${target} is down`);
      return answered(other, () => other.run(() => question(agent)));
    };
    const executors = cephExecutors({
      ceph: () => node.commands,
      secrets: async () => ({ adminKey: cephKey, monKey: cephKey }),
      access: async () => {
        if (node.access === null) throw new MicrocephError("NOT_INITIALIZED", "no Ceph yet");
        return node.access;
      },
      monmap: async () => Buffer.from((await node.commands?.monMapBinary()) ?? []).toString("base64"),
      order: (to, body: Order) => ask(to, (agent) => agent.obey(body)),
      handed: async (id) => {
        if (!current(id).handed) await decider.handed(id);
      },
      restamp: (id) => decider.restamp(id),
      cancel: (to, { id, number, kind, body }) =>
        ask(to, (agent) => agent.cancel({ entry: id, number, kind, body })),
      voters: {
        remove: async () => undefined,
        takeOut: async () => undefined,
        addLearner: async () => [],
        promote: async () => undefined,
      },
      isGone: () => false,
      nextSecrets: async () => ({ adminKey: cephKey, monKey: cephKey }),
      keepSecrets: async () => undefined,
      alive: () => new Map(members.map(({ handle: name, peer }) => [name, peer])),
      removals: () => this.wishes,
      callMs: () => 1000,
      current,
      addressesOf: (peer) => [`10.0.0.${names.find((name) => this.#peer(name) === peer)?.slice(1)}`],
      adopt: async (access) => node.configure(access),
    });
    const members = names.map((name, index) => ({
      ...{
        peer: this.#peer(name),
        handle: handle(name) as Handle,
        zone: null,
        alive: true,
        leaving: null,
        seats: null,
      },
      ...{ lost: false, servicesLost: false, steady: true },
      ...{ admitted: index, address: `10.0.0.${name.slice(1)}`, addresses: [`10.0.0.${name.slice(1)}`] },
    }));
    const bootstrap: Planner = async () => {
      if (copy.entries().some(({ kind, state }) => kind === kinds.bootstrap && state !== "abandoned"))
        return [];
      const body = {
        fsid,
        handle: "n1",
        address: "10.0.0.1",
        publicNetwork: "10.0.0.0/24",
        clusterNetwork: null,
      };
      return [{ kind: kinds.bootstrap, body, agent: self, reason: "first", lane: "seats" }];
    };
    const isBootstrapped = (): boolean =>
      copy.entries().some(({ kind, state }) => kind === kinds.bootstrap && state === "done");
    const controller = new Controller(
      { idleMs: 20, retryMs: { first: 5, longest: 20 }, repeatMs: { first: 50, longest: 500 } },
      {
        epoch: () => (voter.lease.shaky() ? null : (voter.lease.held()?.epoch ?? null)),
        writer: decider,
        openEntries: () => copy.openEntries(),
        laneOf,
        planners: {
          bootstrap,
          removals: removalPlanner({
            ceph: () => (isBootstrapped() ? node.commands : null),
            wishes: () => this.wishes,
            entries: () => copy.entries(),
            ownerOf: (uuid) => {
              const host = this.ceph.osds.find((osd) => osd?.uuid === uuid)?.host as NodeName | undefined;
              if (host === undefined || !this.node(host).process.alive) return null;
              return { peer: this.#peer(host), handle: host };
            },
            forget: (uuid) => {
              delete this.wishes[uuid];
            },
            explain: () => undefined,
            later: () => undefined,
          }),
          ...cephPlanners(
            { daemonLimit: 3, settleMs: 0, crushPauseMs: 0, quietMs: 0, freeMoveBytes: 0 },
            {
              self,
              members: () => members,
              voters: async () => members.map(({ peer }) => peer),
              monitorsLost: () => [],
              lostForGood: () => new Set(),
              knownMonitors: () => node.access?.monitors ?? [],
              networks: () => ({ publicNetwork: "10.0.0.0/24", clusterNetwork: null, own: ["10.0.0.0/24"] }),
              addressIn: (addresses) => addresses[0] ?? null,
              entries: () => copy.entries(),
              ceph: () => (isBootstrapped() ? node.commands : null),
              cephChanges: () => 0,
              setting: () => undefined,
              services: () => ({}),
              later: () => undefined,
              zones: () => ({ members: new Map(), former: new Set() }),
              estimate: async () => ({ copies: 0, bytes: 0, pools: [] }),
              handOver: () => undefined,
              explain: () => undefined,
              now: () => performance.now(),
            },
          ),
        },
        executors,
        now: () => performance.now(),
        log: silent,
      },
    );
    // A new process reads the journal before it decides.
    catchUp(voter.etcd, copy)
      .catch(() => undefined)
      .then(() => {
        if (!process.alive) return;
        voter.lease.on("taken", () => controller.wake());
        voter.lease.on("lost", () => controller.leaseLost());
        voter.lease.start();
        controller.start();
      });
    process.onDeath(() => void controller.stop());
    return { decider, stop: () => controller.stop() };
  }

  async #confirm(entry: EntryId, number: Order["number"]): Promise<boolean> {
    const { process, decider } = this.node("n1");
    if (!process.alive || decider === null || this.#over) {
      throw new MicrocephError("NO_QUORUM", "no voter can be asked");
    }
    return answered(process, () => decider.confirm(entry, number));
  }
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
