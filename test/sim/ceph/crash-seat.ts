import { randomBytes } from "node:crypto";
import { makeCephKey } from "../../../src/ceph/config/keyring.ts";
import type { Agent, Order } from "../../../src/ceph/control/agent.ts";
import type { CephNode } from "../../../src/ceph/control/ceph-node.ts";
import { cephPlanners, type PlannedMember } from "../../../src/ceph/control/ceph-planner.ts";
import { Controller, type Planner } from "../../../src/ceph/control/controller.ts";
import { kinds, laneOf } from "../../../src/ceph/control/decisions.ts";
import { done } from "../../../src/ceph/control/done.ts";
import { type CephSecrets, cephExecutors } from "../../../src/ceph/control/executors.ts";
import { removalPlanner } from "../../../src/ceph/control/osd-removal.ts";
import { foundKind, isGoneForGood, networksOf } from "../../../src/daemon/cluster/cluster-facts.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import { Departures } from "../../../src/daemon/cluster/departures.ts";
import { monitorRebuildPlanner } from "../../../src/daemon/cluster/monitor-rebuild.ts";
import { networksPlanner } from "../../../src/daemon/cluster/networks.ts";
import { addressIn } from "../../../src/daemon/interface-facts.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { EntryId, PeerId } from "../../../src/ids/ids.ts";
import { signWithClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import { Decider } from "../../../src/state/journal/decider.ts";
import { removeKind } from "../../../src/state/journal/members.ts";
import { catchUp } from "../../../src/state/journal/read-records.ts";
import type { Entry } from "../../../src/state/journal/types.ts";
import type { CrashableProcess } from "../../support/crashable-process.ts";
import { key } from "../../support/journal-records.ts";
import { MemoryCopy } from "../../support/memory-copy.ts";
import type { SimulatedCeph } from "../../support/simulated-ceph.ts";
import {
  type SimulatedVoter,
  type SimulatedVoters,
  silent,
  simulatedCluster,
} from "../../support/simulated-voter.ts";
import type { SharedWishes } from "./crash-runtime.ts";

export const fsid = "00000000-1111-2222-3333-444444444444";
export const firstNetwork = "10.0.0.0/24";
/** How much faster the planners' clock goes, so that what settles first does so in no time. */
const haste = 50;

export interface SeatParts {
  readonly process: CrashableProcess;
  readonly node: CephNode;
  readonly runtime: (copy: MemoryCopy) => ClusterRuntime;
  readonly voter: SimulatedVoter;
  readonly voters: SimulatedVoters;
  readonly ceph: SimulatedCeph;
  readonly document: SharedWishes;
  /** Names of the members of etcd, which are all voters. */
  readonly etcd: Set<string>;
  readonly members: () => readonly PlannedMember[];
  readonly addresses: (peer: PeerId) => readonly string[];
  /** Its host and the host's agent, when its daemon lives. */
  readonly ownerOf: (host: string | undefined) => { peer: PeerId; handle: string } | null;
  readonly ask: <T>(to: PeerId, question: (agent: Agent) => Promise<T>) => Promise<T>;
}

export interface Seat {
  readonly copy: MemoryCopy;
  readonly decider: Decider<typeof key>;
  stop(): Promise<void>;
}

/** Lease, journal and controller: the parts of a voter, as the daemon puts them together. */
export function sitDown(parts: SeatParts): Seat {
  const { process, node, voter, voters, ceph, document, etcd, members, ask } = parts;
  process.onDeath(() => voters.time.kill(voter.process));
  voter.beforeTxn = (transaction) => {
    const what = transaction.success.map((operation) => `${operation.do} ${operation.key}`.slice(0, 24));
    return process.step(`etcd ${what.join(", ")}`);
  };
  const copy = new MemoryCopy();
  const runtime = parts.runtime(copy);
  const now = (): number => 1_700_000_000_000 + voters.time.now();
  const decider = new Decider<typeof key>(
    { cluster: simulatedCluster, generation: 1 },
    {
      ...{ etcd: voter.etcd, lease: voter.lease, copy, now, log: silent },
      clusterKey: () => key,
      sign: signWithClusterKey,
    },
  );
  const makeSecrets = () => ({
    adminKey: makeCephKey(randomBytes, now()),
    monKey: makeCephKey(randomBytes, now()),
  });
  const secrets = async () => (await decider.ensureSecret("ceph", makeSecrets)) as unknown as CephSecrets;
  const current = (id: EntryId): Entry => {
    const entry = copy.entries().find((one) => one.id === id);
    if (entry === undefined) throw new MicrocephError("NOT_FOUND", `no entry ${id}`);
    return entry;
  };
  const changeOfEtcd = async (what: string, change: () => void): Promise<void> => {
    await process.step(`etcd ${what}`);
    change();
    await process.step(`etcd ${what}: answered`);
  };
  const isBootstrapped = (): boolean =>
    copy.entries().some(({ kind, state }) => kind === kinds.bootstrap && state === "done");
  const wishes = () => document.removals;
  const networks = () => networksOf(copy.entries()) ?? { publicNetwork: null, clusterNetwork: null };
  const commands = () => (isBootstrapped() ? node.commands : null);

  const executors = cephExecutors({
    ceph: () => node.commands,
    secrets,
    access: async () => {
      if (node.access === null) throw new MicrocephError("NOT_INITIALIZED", "no Ceph yet");
      const { adminKey } = await secrets();
      return { ...node.access, ...networksOf(copy.entries()), adminKey };
    },
    order: (to, body: Order) => ask(to, (agent) => agent.obey(body)),
    handed: async (id) => {
      if (!current(id).handed) await decider.handed(id);
    },
    restamp: (id) => decider.restamp(id),
    cancel: (to, { id, number, kind, body }) =>
      ask(to, (agent) => agent.cancel({ entry: id, number, kind, body })),
    voters: {
      remove: async () => undefined,
      takeOut: (name) => changeOfEtcd(`member remove ${name}`, () => etcd.delete(name)),
      addLearner: async () => [],
      promote: (name) => changeOfEtcd(`member promote ${name}`, () => etcd.add(name)),
    },
    isGone: (peer) =>
      isGoneForGood(peer, { members: members(), removed: runtime.journal.tombstones(), lost: new Set() }),
    nextSecrets: async (entry) =>
      (await decider.ensureSecret(`ceph-after-${entry.id}`, makeSecrets)) as unknown as CephSecrets,
    keepSecrets: (kept) => decider.putSecret("ceph", { ...kept }),
    alive: () => new Map(members().flatMap((one) => (one.alive ? [[one.handle as string, one.peer]] : []))),
    removals: wishes,
    callMs: () => 1000,
    current,
    addressesOf: parts.addresses,
    adopt: async (access) => node.configure(access),
  });

  const found: Planner = async () => {
    if (copy.entries().length > 0) return [];
    const networks = { publicNetwork: firstNetwork, clusterNetwork: null };
    const body = { founder: voter.peer, name: "lab", acceptors: [], ...networks };
    return [{ kind: foundKind, body, agent: null, reason: "n1 founds it", lane: foundKind }];
  };
  const bootstrap: Planner = async () => {
    if (copy.entries().some(({ kind, state }) => kind === kinds.bootstrap && state !== "abandoned"))
      return [];
    const body = {
      ...{ fsid, handle: "n1", address: "10.0.0.1" },
      ...{ publicNetwork: firstNetwork, clusterNetwork: null },
    };
    return [{ kind: kinds.bootstrap, body, agent: voter.peer, reason: "first", lane: "seats" }];
  };
  const departures = new Departures(runtime, {
    members,
    etcd: async () => [...etcd],
    explain: () => undefined,
    key: () => key,
    callMs: () => 1000,
  });
  let again: NodeJS.Timeout | undefined;
  const controller: Controller = new Controller(
    { idleMs: 20, retryMs: { first: 5, longest: 20 }, repeatMs: { first: 50, longest: 500 } },
    {
      epoch: () => (voter.lease.shaky() ? null : (voter.lease.held()?.epoch ?? null)),
      writer: decider,
      openEntries: () => copy.openEntries(),
      laneOf,
      planners: {
        found,
        bootstrap,
        rebuild: monitorRebuildPlanner(runtime),
        networks: networksPlanner(runtime),
        departures: departures.planner,
        removals: removalPlanner({
          ceph: commands,
          wishes,
          entries: () => copy.entries(),
          ownerOf: (uuid) => parts.ownerOf(ceph.osds.find((osd) => osd?.uuid === uuid)?.host),
          forget: (uuid) => document.setRemoval(uuid, null),
          explain: () => undefined,
          later: () => undefined,
        }),
        ...cephPlanners(
          { daemonLimit: 3, settleMs: 0, crushPauseMs: 0, unusedPauseMs: 0, quietMs: 0, freeMoveBytes: 0 },
          {
            self: voter.peer,
            members,
            voters: async () => members().flatMap(({ handle, peer }) => (etcd.has(handle) ? [peer] : [])),
            monitorsLost: () => [],
            lostForGood: () => new Set(),
            networks: () => ({
              ...networks(),
              own: parts.addresses(voter.peer).map((address) => address.replace(/\d+$/, "0/24")),
            }),
            addressIn,
            entries: () => copy.entries(),
            ceph: commands,
            cephChanges: () => 0,
            setting: () => undefined,
            services: () => ({}),
            later: (ms) => {
              clearTimeout(again);
              again = setTimeout(() => controller.wake(), ms / haste).unref();
            },
            zones: () => ({ members: new Map(), former: new Set() }),
            estimate: async () => ({ copies: 0, bytes: 0, pools: [] }),
            handOver: () => undefined,
            explain: () => undefined,
            now: () => performance.now() * haste,
          },
        ),
      },
      executors: {
        ...executors,
        [removeKind]: departures.executor,
        [foundKind]: async ({ reason }) => done(reason),
      },
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
  return { copy, decider, stop: () => controller.stop() };
}
