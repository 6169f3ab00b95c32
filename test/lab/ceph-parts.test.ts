import { execFileSync, spawn } from "node:child_process";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { access, mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CephClient } from "../../src/ceph/command/ceph-client.ts";
import type { NewOsd } from "../../src/ceph/command/commands.ts";
import { renderCephConf } from "../../src/ceph/config/ceph-conf.ts";
import { type CephPaths, cephPaths } from "../../src/ceph/config/ceph-paths.ts";
import {
  adminCapabilities,
  makeCephKey,
  mdsCapabilities,
  mgrCapabilities,
} from "../../src/ceph/config/keyring.ts";
import { writeAdminKeyring, writeCephConf } from "../../src/ceph/config/write-conf.ts";
import { type DaemonDeps, ensureCephFolders } from "../../src/ceph/daemons/deps.ts";
import { answersOnSocket } from "../../src/ceph/daemons/keyed-daemon.ts";
import { prepareMds, startMds } from "../../src/ceph/daemons/mds.ts";
import { prepareMgr, startMgr } from "../../src/ceph/daemons/mgr.ts";
import {
  bootstrapMon,
  monState,
  prepareMon,
  removeMon,
  startMon,
  waitMonInQuorum,
} from "../../src/ceph/daemons/mon.ts";
import { listLocalOsds, startOsd, waitOsdUp } from "../../src/ceph/daemons/osd.ts";
import { listOsdPlans, makeOsd, planOsd } from "../../src/ceph/daemons/osd-make.ts";
import { waitUntil } from "../../src/ceph/daemons/wait-until.ts";
import { checkPristine, statDisk, surveyDisks, wipeDisk } from "../../src/ceph/disks/disks.ts";
import { ProcessRunner } from "../../src/ceph/runner/process-runner.ts";
import { type Fsid, fsid, handle, type OsdId, osdId } from "../../src/ids/ids.ts";
import { runProgram } from "../../src/process/run-program.ts";
import { labObstacle } from "./support/lab-obstacle.ts";
import { rootTest } from "./support/lab-suite.ts";

/** Small OSDs and quick timers: measured, no product defaults. */
const testSettings = `
[global]
bdev aio poll ms = 10
bluestore fsck on mkfs = false
bluestore rocksdb options annex = write_buffer_size=16777216
paxos propose interval = 0.1
paxos min wait = 0.02
mon tick interval = 1
mgr tick period = 1
mgr stats period = 1
mgr disabled modules = alerts,dashboard,influx,insights,localpool,mirroring,nfs,osd_perf_query,osd_support,prometheus,restful,selftest,snap_schedule,stats,telegraf,test_orchestrator,zabbix,diskprediction_local
mgr initial modules = iostat
osd pool default size = 1
osd pool default pg num = 8
mon warn on pool no redundancy = false
osd heartbeat interval = 1
osd heartbeat grace = 4
mon osd min down reporters = 1
mon lease = 1
mon election timeout = 1
osd memory target = 939524096
mon data avail warn = 2
`;

const reason = labObstacle();
if (reason !== undefined && process.env.CI === "true") throw new Error(`cannot test real Ceph: ${reason}`);

const log = pino({ level: "warn" });
const key = (): string => makeCephKey(randomBytes, Date.now());
const gib = 1024 ** 3;

/** A loopback address on which a monitor's ports are free. */
async function freeAddress(): Promise<string> {
  for (;;) {
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    const free = await Promise.all(
      [3300, 6789].map(
        (port) =>
          new Promise<boolean>((answer) => {
            const server = createServer();
            server.once("error", () => answer(false));
            server.listen(port, address, () => server.close(() => answer(true)));
          }),
      ),
    );
    if (free.every(Boolean)) return address;
  }
}

interface Node {
  readonly handle: ReturnType<typeof handle>;
  readonly address: string;
  readonly paths: CephPaths;
  readonly deps: DaemonDeps;
  readonly runner: ProcessRunner;
}

async function makeNode(name: string): Promise<Node> {
  const paths = cephPaths(await mkdtemp(join(tmpdir(), `${name}-`)));
  const runner = new ProcessRunner({ folder: paths.supervisors }, { log });
  await runner.open();
  await ensureCephFolders(paths);
  const deps = { paths, runner, log, run: runProgram, keys: () => null };
  return { handle: handle(name), address: await freeAddress(), paths, deps, runner };
}

async function configure(node: Node, cluster: Fsid, monitors: readonly Node[]): Promise<boolean> {
  return writeCephConf(
    node.paths,
    renderCephConf({
      fsid: cluster,
      handle: node.handle,
      address: node.address,
      monitors: monitors.map((mon) => ({ name: mon.handle, address: mon.address })),
      publicNetwork: "127.0.0.0/8",
      paths: node.paths,
      extra: testSettings,
    }),
  );
}

describe.skipIf(reason !== undefined)(`the parts of Ceph${reason ? ` (skipped: ${reason})` : ""}`, () => {
  const cluster = fsid(randomUUID());
  const keys = { mon: key(), admin: key(), mgr: key(), mds: key() };
  const first = randomUUID();
  const nodes: Node[] = [];
  const loops: string[] = [];
  let node: Node;
  let ceph: CephClient;

  const keyring = () => [
    { entity: "client.admin", key: keys.admin, capabilities: adminCapabilities },
    { entity: `mgr.${node.handle}`, key: keys.mgr, capabilities: mgrCapabilities },
    { entity: `mds.${node.handle}`, key: keys.mds, capabilities: mdsCapabilities },
  ];
  const bootstrap = (): Promise<"made" | "present"> =>
    bootstrapMon(node.deps, {
      handle: node.handle,
      fsid: cluster,
      address: node.address,
      monKey: keys.mon,
      keys: keyring(),
    });
  const plan = (uuid: string) =>
    planOsd(node.deps, { uuid, source: { kind: "loop", bytes: gib } }, async () => undefined);
  const make = (uuid: string, deps: DaemonDeps = node.deps): Promise<OsdId> =>
    makeOsd(deps, { uuid, register: (each) => ceph.osdNew(each) });
  const rados = (...args: string[]): string =>
    execFileSync("rados", ["-c", node.paths.cephConf, "-p", "test", ...args], { encoding: "utf8" });
  const pidOf = async (unit: string): Promise<number> => {
    const pid = (await node.runner.status(unit))?.pid;
    if (typeof pid !== "number") throw new Error(`${unit} does not run`);
    return pid;
  };

  beforeAll(async () => {
    node = await makeNode("n1");
    nodes.push(node);
    ceph = new CephClient({ paths: node.paths, connectTimeoutSeconds: 2 }, { log, run: runProgram });
  });

  afterAll(async () => {
    await ceph?.stop();
    for (const each of nodes) {
      const units = (await each.runner.list()).map(({ unit }) => unit).sort();
      // OSDs before monitors: they say goodbye to them.
      for (const unit of units.reverse()) await each.runner.stop(unit, { removeAlso: true });
      await each.runner.close();
    }
    for (const loop of loops) execFileSync("losetup", ["-d", loop]);
    for (const each of nodes) await rm(each.paths.state, { recursive: true, force: true });
  });

  it("go from nothing to a cluster that holds data in seconds", async () => {
    const begin = performance.now();
    await configure(node, cluster, [node]);
    await writeAdminKeyring(node.paths, keys.admin);
    expect(await bootstrap()).toBe("made");
    await startMon(node.deps, node);
    await prepareMgr(node.deps, { handle: node.handle, key: keys.mgr });
    await startMgr(node.deps, node.handle);
    await waitMonInQuorum(node.deps, node.handle, { deadlineMs: 30_000 });
    await ceph.configSet("global", "mon_allow_pool_size_one", "true");
    const rule = await ceph.createReplicatedRule("microceph_auto_osd", "osd");
    await ceph.configSet("global", "osd_pool_default_crush_rule", String(rule));
    await plan(first);
    expect(await make(first)).toBe(0);
    await ceph.createPool("test", { pgNum: 8, rule: "microceph_auto_osd" });
    await ceph.enableApplication("test", "rados");
    await waitUntil(
      "HEALTH_OK",
      async () => {
        const { health, mgr } = await ceph.status();
        // For the first minute Ceph does not mind that there is no manager.
        return health.status === "HEALTH_OK" && mgr.available ? true : undefined;
      },
      { deadlineMs: 60_000, intervalMs: 200 },
    );
    const seconds = (performance.now() - begin) / 1000;
    log.warn({ seconds }, "from nothing to HEALTH_OK");
    // 3 s on an idle machine.
    expect(seconds).toBeLessThan(40);
    const file = join(node.paths.state, "object");
    await writeFile(file, "what was written");
    rados("put", "thing", file);
    expect(rados("get", "thing", "-")).toBe("what was written");
  });

  it("answer with typed values", async () => {
    const quorum = await ceph.quorumStatus();
    expect(quorum).toMatchObject({ quorum: ["n1"], leader: "n1" });
    expect(await ceph.monMap()).toEqual(quorum.monMap);
    expect(quorum.monMap.monitors[0]?.addresses).toEqual([
      { type: "v2", address: `${node.address}:3300` },
      { type: "v1", address: `${node.address}:6789` },
    ]);
    expect(await ceph.monStatus("n1")).toMatchObject({ state: "leader", quorum: ["n1"] });
    expect(await ceph.status()).toMatchObject({
      fsid: cluster,
      osds: { total: 1, up: 1, in: 1 },
      mgr: { available: true },
    });
    expect(await ceph.mgrStat()).toMatchObject({ available: true, activeName: "n1" });
    expect((await ceph.osdTree()).osds).toMatchObject([{ id: 0, host: "n1", up: true, rack: null }]);
    expect((await ceph.osdDump()).osds).toMatchObject([{ id: 0, uuid: first, up: true, in: true }]);
    // The manager tells sizes once the OSD has reported to it; until then they are 0.
    const size = await waitUntil(
      "the OSD's size to be reported",
      async () => (await ceph.osdDf())[0]?.sizeKiB || undefined,
      { deadlineMs: 60_000, intervalMs: 200 },
    );
    expect(size).toBe(gib / 1024);
    expect((await ceph.crushRules()).map(({ name, failureDomain }) => [name, failureDomain])).toContainEqual([
      "microceph_auto_osd",
      "osd",
    ]);
    expect(await ceph.pools()).toContainEqual(
      expect.objectContaining({ name: "test", size: 1, erasure: false, applications: ["rados"] }),
    );
    expect(await ceph.configGet("global", "mon_allow_pool_size_one")).toBe("true");
    expect(await ceph.configGet("osd", "mon_allow_pool_size_one")).toBeUndefined();
    await expect(ceph.run(["osd", "find", "99"])).rejects.toMatchObject({
      code: "CEPH_REFUSED",
      data: { errno: "ENOENT" },
    });
    await expect(ceph.createReplicatedRule("microceph_auto_osd", "host")).rejects.toMatchObject({
      data: { errno: "EEXIST" },
    });
    const odd = `it's "odd" $HOME \\ ; #`;
    await ceph.run(["config-key", "set", "test/odd", odd]);
    expect(await ceph.run(["config-key", "get", "test/odd"])).toBe(odd);
    const made = await ceph.authGetOrCreate("client.x", { mon: "allow r" });
    expect(await ceph.authGetOrCreate("client.x", { mon: "allow rw" })).toBe(made);
    await ceph.authRemove("client.x");
    await ceph.authRemove("client.x");
    await ceph.monRemove("nobody");
  });

  it("leave no socket of a killed ceph child behind", async () => {
    expect((await readdir(node.paths.run)).filter((name) => name.startsWith("ceph-client"))).toEqual([]);
  });

  it("are left alone by a second run of each step", async () => {
    const before = await node.runner.list();
    expect(await configure(node, cluster, [node])).toBe(false);
    expect(await writeAdminKeyring(node.paths, keys.admin)).toBe(false);
    expect(await bootstrap()).toBe("present");
    await startMon(node.deps, node);
    await prepareMgr(node.deps, { handle: node.handle, key: keys.mgr });
    await startMgr(node.deps, node.handle);
    expect(await make(first)).toBe(0);
    expect(await node.runner.list()).toEqual(before);
    expect(await listOsdPlans(node.deps)).toEqual([]);
    expect(await listLocalOsds(node.deps)).toMatchObject([
      {
        osd: 0,
        uuid: first,
        kind: "loop",
        bytes: gib,
        path: `${node.paths.dataDir("osd", 0)}/osd-backing.img`,
      },
    ]);
  });

  it("refuse a store of another cluster", async () => {
    const other = { handle: node.handle, fsid: fsid(randomUUID()), address: node.address, monKey: keys.mon };
    await expect(bootstrapMon(node.deps, { ...other, keys: [] })).rejects.toMatchObject({
      code: "STATE_CORRUPT",
    });
  });

  it("come back when one is killed, the others untouched", async () => {
    const [osd, mon, mgr] = [await pidOf("osd.0"), await pidOf(`mon.n1`), await pidOf("mgr.n1")];
    process.kill(osd, "SIGKILL");
    await waitUntil(
      "another ceph-osd",
      async () => {
        const status = await node.runner.status("osd.0");
        return status?.state === "running" && status.pid !== null && status.pid !== osd ? true : undefined;
      },
      { deadlineMs: 20_000 },
    );
    await waitOsdUp(node.deps, osdId(0), { deadlineMs: 30_000 });
    expect(rados("get", "thing", "-")).toBe("what was written");
    expect(await node.runner.status("osd.0")).toMatchObject({ restarts: 1, lastExit: 137 });
    expect([await pidOf("mon.n1"), await pidOf("mgr.n1")]).toEqual([mon, mgr]);
  });

  it("live on when the process that started them is killed", async () => {
    const source = (path: string): string => JSON.stringify(resolve(import.meta.dirname, "../../src", path));
    const code = `
      import { cephPaths } from ${source("ceph/config/ceph-paths.ts")};
      import { prepareMds, startMds } from ${source("ceph/daemons/mds.ts")};
      import { ProcessRunner } from ${source("ceph/runner/process-runner.ts")};
      const paths = cephPaths(${JSON.stringify(node.paths.state)});
      const log = { warn() {}, error() {} };
      const runner = new ProcessRunner({ folder: paths.supervisors }, { log });
      await runner.open();
      await prepareMds({ paths, runner, log }, { handle: "n1", key: ${JSON.stringify(keys.mds)} });
      await startMds({ paths, runner, log }, "n1");
      console.log("started");
      setInterval(() => undefined, 1000);`;
    const daemon = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((started) => daemon.stdout.once("data", started));
    const gone = new Promise((ended) => daemon.once("close", ended));
    process.kill(-(daemon.pid ?? 0), "SIGKILL");
    await gone;
    await waitUntil(
      "an answer of ceph-mds",
      async () => ((await answersOnSocket(node.deps, "mds", "n1")) ? true : undefined),
      { deadlineMs: 20_000 },
    );
    const pid = await pidOf("mds.n1");
    await prepareMds(node.deps, { handle: node.handle, key: keys.mds });
    await startMds(node.deps, node.handle);
    expect(await pidOf("mds.n1")).toBe(pid);
    await waitUntil(
      "a metadata server in standby",
      async () => ((await ceph.mdsStat()).standby.includes("n1") ? true : undefined),
      { deadlineMs: 20_000, intervalMs: 200 },
    );
  });

  it.each(["before mkfs", "after mkfs"])("complete an OSD whose making was cut short %s", async (when) => {
    const uuid = randomUUID();
    await plan(uuid);
    let id: OsdId | undefined;
    const cut: DaemonDeps = {
      ...node.deps,
      run: async (...call) => {
        if (when === "after mkfs") await runProgram(...call);
        throw new Error("cut short");
      },
    };
    const register = async (each: string): Promise<NewOsd> => {
      const made = await ceph.osdNew(each);
      id = made.osd;
      return made;
    };
    await expect(makeOsd(cut, { uuid, register })).rejects.toThrow("cut short");
    expect((await listOsdPlans(node.deps)).map((each) => each.uuid)).toEqual([uuid]);
    expect((await plan(uuid)).uuid).toBe(uuid);
    expect(await make(uuid)).toBe(id);
    expect(await listOsdPlans(node.deps)).toEqual([]);
  });

  rootTest("make an OSD of a block device, and know it for theirs", "block devices", async () => {
    const file = join(node.paths.state, "disk");
    await writeFile(file, "");
    await truncate(file, gib);
    const loop = execFileSync("losetup", ["-f", "--show", file], { encoding: "utf8" }).trim();
    loops.push(loop);
    const seen = async () => (await surveyDisks()).find(({ device }) => device.path === loop);
    expect(await seen()).toMatchObject({ device: { bytes: gib, type: "loop" }, reasons: [] });
    execFileSync("mkfs.ext4", ["-q", loop]);
    expect(await seen()).toMatchObject({
      reasons: ["holds an ext2, ext3 or ext4 file system"],
      wipeable: true,
    });
    await expect(checkPristine(loop)).rejects.toMatchObject({ code: "DISK_IN_USE" });
    await wipeDisk(loop);
    await checkPristine(loop);
    const uuid = randomUUID();
    const { path, bytes } = await statDisk(loop);
    const source = { kind: "device", path, bytes } as const;
    await planOsd(node.deps, { uuid, source }, (each) => checkPristine(each));
    const osd = await make(uuid);
    expect(await readlink(join(node.paths.dataDir("osd", osd), "block"))).toBe(loop);
    // Its own label does not stand in the way of a second run.
    expect(await make(uuid)).toBe(osd);
    for (const touch of [checkPristine, wipeDisk]) {
      await expect(touch(loop)).rejects.toMatchObject({ code: "DISK_IN_USE" });
    }
    await expect(planOsd(node.deps, { uuid: randomUUID(), source }, async () => undefined)).rejects.toThrow(
      `osd.${osd} already`,
    );
    await node.runner.stop(`osd.${osd}`);
    await expect(checkPristine(loop)).rejects.toThrow("holds an OSD (BlueStore)");
    await startOsd(node.deps, osd);
    await waitOsdUp(node.deps, osd, { deadlineMs: 30_000 });
  });

  it("join a second monitor, which adds itself, and remove it again", async () => {
    const second = await makeNode("n2");
    nodes.push(second);
    await configure(second, cluster, [node]);
    const { monitors } = await ceph.monMap();
    const wanted = { handle: second.handle, fsid: cluster, monitors, monKey: keys.mon };
    expect(await prepareMon(second.deps, wanted)).toBe("made");
    expect(await prepareMon(second.deps, wanted)).toBe("present");
    // Prepared and not started: the map is as it was.
    expect((await ceph.monMap()).monitors.map(({ name }) => name)).toEqual(["n1"]);
    await startMon(second.deps, second);
    await waitMonInQuorum(second.deps, second.handle, { deadlineMs: 60_000 });
    expect((await ceph.monMap()).monitors.map(({ name }) => name)).toEqual(["n1", "n2"]);
    await ceph.monRemove("n2");
    await ceph.monRemove("n2");
    await removeMon(second.deps, second.handle);
    await removeMon(second.deps, second.handle);
    await waitMonInQuorum(node.deps, node.handle, { deadlineMs: 30_000 });
    expect((await monState(node.deps, node.handle))?.monMap.monitors).toHaveLength(1);
    await expect(access(second.paths.dataDir("mon", "n2"))).rejects.toThrow();
  });

  it("say within the deadline that no monitor answers", async () => {
    await node.runner.stop("mon.n1");
    await expect(ceph.osdStat({ deadlineMs: 1500 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    await expect(ceph.osdStat({ deadlineMs: 30_000 })).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
    await expect(ceph.monStatus("n1")).rejects.toMatchObject({ code: "CEPH_DAEMON_DOWN" });
    await startMon(node.deps, node);
    await waitMonInQuorum(node.deps, node.handle, { deadlineMs: 30_000 });
    expect((await ceph.osdStat({ deadlineMs: 30_000 })).total).toBeGreaterThan(1);
    expect(await readFile(join(node.paths.supervisors, "mon.n1/log"), "utf8")).toBeTypeOf("string");
  });
});
