// A voter that lost the others: it recovers, or goes on with that, until it is over; then it says what came of it.
// recovery-child.ts FOLDER; the folder has its etcd's data, and `cluster.json`. It may be killed at any moment.
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { recoveryOf, votersOf } from "../../../src/daemon/cluster/cluster-facts.ts";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import { VoterSeat } from "../../../src/daemon/cluster/voter-seat.ts";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import { Jobs } from "../../../src/daemon/jobs.ts";
import { recoverCluster } from "../../../src/daemon/recovery.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import { handle } from "../../../src/ids/ids.ts";
import { verifyWithClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import { clientSocketName } from "../../../src/state/etcd/etcd-arguments.ts";
import { EtcdClient } from "../../../src/state/etcd/etcd-client.ts";
import { JournalCopy } from "../../../src/state/journal/journal-copy.ts";
import { LocalStore } from "../../../src/state/store/local-store.ts";
import { quiet, testCluster, testPeer } from "../../support/etcd-cluster.ts";

const [folder = ""] = process.argv.slice(2);
const { publicKey } = JSON.parse(readFileSync(join(folder, "cluster.json"), "utf8")) as { publicKey: string };
const self = testPeer(1);
const names = ["n1", "n2", "n3"].map((name, index) => ({ peer: testPeer(index + 1), handle: handle(name) }));
const store = LocalStore.open(join(folder, "state.db"));
const copy = new JournalCopy(
  { cluster: testCluster, clusterKey: publicKey },
  {
    ...{ store, log: quiet, verify: verifyWithClusterKey },
    proofs: { certificate: () => undefined, tombstone: () => undefined },
  },
);
copy.open();
// The seat as it was when the others were still there.
if (store.get("voter-seat") === undefined) store.put("voter-seat", { mode: "existing", members: names });

const journal = {
  on: copy.on.bind(copy),
  entries: () => copy.entries(),
  openEntries: () => copy.openEntries(),
  entry: (id: Parameters<typeof copy.entry>[0]) => copy.entry(id),
  head: () => copy.head(),
  append: (values: readonly unknown[]) => copy.append(values),
  members: () => new Map(names.map(({ peer, handle: name }) => [peer, { handle: name, name }])),
  tombstones: () => new Map(),
};
const gone = (): Promise<never> =>
  Promise.reject(new MicrocephError("PEER_UNREACHABLE", "the others are lost"));
const events = { emit: () => undefined, next: (_signal: AbortSignal, ms: number) => delay(Math.min(ms, 50)) };
// Of a member those parts that its seat and the recovery use; plans about anything else fail, and are none.
const runtime = {
  ...{ self, handle: handle("n1"), journal, seatLosses: new Map() },
  options: {
    settings: { stateDir: folder, leaseTtlSeconds: 2, name: "n1" },
    cluster: { id: testCluster, name: "c", publicKey },
    founded: null,
  },
  deps: { store, log: quiet, events, now: Date.now, steadyNow: () => performance.now() },
  mesh: { offerTunnel: () => () => undefined, openTunnel: gone, request: gone, connected: () => [] },
  presence: { stateOf: (peer: string) => (peer === self ? "alive" : "failed"), view: () => new Map() },
  document: { view: () => ({ labels: {}, nodes: {}, settings: {}, services: {}, removals: {} }) },
  quorum: { refresh: () => undefined, report: () => ({ ok: false }) },
  voters: () => votersOf(copy.entries()),
  tellSeat: () => undefined,
  wake: () => seat.wake(),
} as unknown as ClusterRuntime;
const seat: VoterSeat = new VoterSeat(runtime);
Object.assign(runtime, { seat });
copy.on("change", () => seat.followJournal());
const daemon = { cluster: runtime, settled: async () => undefined, events, settings: { name: "n1" } };

await seat.start();
const jobs = new Jobs({
  store,
  runners: { recovery: (request, tools) => recoverCluster(daemon as unknown as Daemon, request, tools) },
  now: Date.now,
  log: quiet,
  onChange: () => undefined,
});
jobs.resume();
if (jobs.list().length === 0) jobs.start("recovery", { lost: ["n2", "n3"] });
while (jobs.list().some(({ state }) => state === "running")) await delay(20);
const client = new EtcdClient({ socketPath: join(folder, "etcd", clientSocketName) });
const members = (await client.memberList()).map(({ name }) => name);
writeSync(
  1,
  `${JSON.stringify({
    jobs: jobs.list().map(({ state, error }) => ({ state, error: error ?? null })),
    recoveries: copy.entries().filter(({ kind }) => kind === "cluster.recovered"),
    recovery: recoveryOf(copy.entries()),
    voters: votersOf(copy.entries()),
    generation: seat.generation,
    members,
  })}\n`,
);
await seat.stop();
await jobs.stop();
store.close();
