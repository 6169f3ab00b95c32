import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kinds } from "../../../src/ceph/control/decisions.ts";
import { foundKind } from "../../../src/daemon/cluster/cluster-facts.ts";
import { clusterKeySecret } from "../../../src/daemon/cluster/genesis.ts";
import type { Json } from "../../../src/ids/json.ts";
import { signWithClusterKey } from "../../../src/mesh/identity/cluster-key.ts";
import { Decider } from "../../../src/state/journal/decider.ts";
import { LeaseKeeper } from "../../../src/state/lease/lease-keeper.ts";
import { EtcdCluster, quiet, testCluster, testPeer, until } from "../../support/etcd-cluster.ts";
import { key } from "../../support/journal-records.ts";
import { MemoryCopy } from "../../support/memory-copy.ts";

const child = fileURLToPath(new URL("recovery-child.ts", import.meta.url));
const watcher = fileURLToPath(new URL("../../../scripts/lab/step-watch.ts", import.meta.url));
const all = [1, 2, 3];

let folder: string;
/** What is left of a cluster of three voters two of which are gone for good. */
let survivor: string;

beforeAll(async () => {
  folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mr-"));
  survivor = join(folder, "survivor");
  const cluster = new EtcdCluster();
  const voters = all.map((number) => cluster.host(number));
  await Promise.all(voters.map((host) => host.start("new", voters)));
  const { client, dir } = cluster.host(1);
  const lease = new LeaseKeeper(
    { self: testPeer(1), ttlSeconds: 10 },
    { etcd: client, now: () => performance.now(), log: quiet },
  );
  const decider = new Decider<typeof key>(
    { cluster: testCluster, generation: 1 },
    {
      ...{ etcd: client, lease, copy: new MemoryCopy(), now: Date.now, log: quiet },
      clusterKey: () => key,
      sign: signWithClusterKey,
    },
  );
  lease.start();
  await until("the lease", () => lease.held() !== null, 30_000);
  await decider.restampOpen();
  await decider.ensureSecret(clusterKeySecret, () => ({ ...key }) as unknown as Json);
  const networks = { publicNetwork: "10.0.0.0/24", clusterNetwork: null };
  const found = { founder: testPeer(1), name: "c", acceptors: [], ...networks };
  await decide(foundKind, found);
  for (const n of [2, 3]) await decide(kinds.voter, { peer: testPeer(n), handle: `n${n}` });
  async function decide(kind: string, body: Json): Promise<void> {
    const { id } = await decider.open({ kind, body, agent: null, reason: "" });
    await decider.close(id, "done", { reason: "" });
  }
  await lease.stop();
  await Promise.all(voters.map((host) => host.kill()));
  mkdirSync(survivor);
  cpSync(dir, join(survivor, "etcd"), { recursive: true, filter: (path) => !/:\d+$/.test(path) });
  await cluster.stop();
  writeFileSync(join(survivor, "cluster.json"), JSON.stringify({ publicKey: key.publicKey }));
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly jobs: { readonly state: string; readonly error: unknown }[];
  readonly recoveries: { readonly state: string; readonly number: { readonly generation: number } }[];
  readonly recovery: unknown;
  readonly voters: readonly string[];
  readonly members: readonly string[];
  readonly generation: number;
}

/** Run the voter; what it said at its end, or null when it was killed. */
async function run(home: string): Promise<Outcome | null> {
  const steps = join(home, "steps");
  mkdirSync(steps, { recursive: true });
  const process_ = spawn(process.execPath, [`--import=${watcher}`, child, home], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, MICROCEPH_LAB_STEPS: steps, NODE_OPTIONS: "" },
  });
  let said = "";
  process_.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const signal = await new Promise<string | null>((resolve, reject) => {
    process_.once("close", (_code, by) => resolve(by));
    process_.once("error", reject);
  });
  return signal === "SIGKILL" ? null : (JSON.parse(said) as Outcome);
}

/** @returns the step at which it was killed; undefined when it was over before */
async function trial(step: number): Promise<string | undefined> {
  const home = join(folder, `t${step}`);
  cpSync(survivor, home, { recursive: true });
  mkdirSync(join(home, "steps"));
  writeFileSync(join(home, "steps", "crash-at"), `${step} 1\n`);
  try {
    let outcome = await run(home);
    const crashed = existsSync(join(home, "steps", "crashed"))
      ? readFileSync(join(home, "steps", "crashed"), "utf8").trim()
      : undefined;
    rmSync(join(home, "steps", "crash-at"), { force: true });
    outcome ??= await run(home);
    const where = `killed at step ${crashed}`;
    expect(outcome?.jobs, where).toEqual([{ state: "success", error: null }]);
    expect(
      outcome?.recoveries.map(({ state }) => state),
      where,
    ).toEqual(["done"]);
    expect(outcome?.recovery, where).toMatchObject({
      ...{ peer: testPeer(1), generation: 2 },
      lost: [testPeer(2), testPeer(3)],
    });
    expect(outcome?.recoveries[0]?.number.generation, where).toBe(2);
    expect(outcome?.voters, where).toEqual([testPeer(1)]);
    expect(outcome?.members, where).toEqual(["n1"]);
    return crashed;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Each trial takes seconds: a third of them each time, unless all are asked for (CRASH_ALL=1). */
const stride = process.env.CRASH_ALL === "1" ? 1 : 3;
const first = 1 + (Number(process.env.SIM_SEED ?? Date.now()) % stride);

describe(`a recovery, on real etcd (SIM_SEED=${first - 1})`, () => {
  it("completes, once, with the daemon killed between any two steps", { timeout: 300_000 }, async () => {
    let over = false;
    let next = first;
    let crashes = 0;
    const work = async (): Promise<void> => {
      while (!over) {
        const step = next;
        next += stride;
        if ((await trial(step)) === undefined) over = true;
        else crashes += 1;
      }
    };
    await Promise.all([1, 2, 3].map(work));
    expect(crashes * stride).toBeGreaterThan(25);
  });
});
