import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isMicrocephError } from "../../../../src/errors/microceph-error.ts";
import { WatchCompacted, type WatchEvent } from "../../../../src/state/etcd/etcd-api.ts";
import { EtcdClient } from "../../../../src/state/etcd/etcd-client.ts";
import { EtcdProcess } from "../../../../src/state/etcd/etcd-process.ts";
import { identify, isAlive } from "../../../../src/state/etcd/proc-identity.ts";
import { EtcdCluster, quickTimers, quiet, testCluster, until } from "../../../support/etcd-cluster.ts";

const cluster = new EtcdCluster();
const host = cluster.host(1);
const etcd = host.client;

beforeAll(async () => host.start("new", []));
afterAll(async () => cluster.stop());

const put = (key: string, value: string) => ({ do: "put", key, value }) as const;
const write = (key: string, value: string) =>
  etcd.txn({ compare: [], success: [put(key, value)], failure: [] });

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "no error",
    (error: unknown) => (isMicrocephError(error) ? error.code : String(error)),
  );
}

describe("EtcdClient on a real etcd", () => {
  test("reads back what a transaction wrote, by key and by prefix", async () => {
    await write("/a/1", "é");
    await write("/a/2", "two");
    await write("/b", "");
    const one = await etcd.range("/a/1");
    expect(one.kvs.map((kv) => [kv.key, kv.value, kv.lease])).toEqual([["/a/1", "é", "0"]]);
    const all = await etcd.range("/a/", { prefix: true });
    expect(all.kvs.map((kv) => kv.value)).toEqual(["é", "two"]);
    const rest = await etcd.range("/a/", { prefix: true, from: "/a/2", serializable: true, limit: 5 });
    expect(rest.kvs.map((kv) => kv.key)).toEqual(["/a/2"]);
    expect((await etcd.range("/none")).kvs).toEqual([]);
    expect((await etcd.range("/b")).kvs[0]?.value).toBe("");
  });

  test("a transaction compares revisions and takes one branch", async () => {
    const first = await etcd.txn({
      compare: [{ key: "/t", target: "create", result: "equal", revision: 0 }],
      success: [put("/t", "made")],
      failure: [{ do: "range", key: "/t" }],
    });
    expect(first.succeeded).toBe(true);
    const [kv] = (await etcd.range("/t")).kvs;
    expect(kv?.createRevision).toBe(first.revision);
    const second = await etcd.txn({
      compare: [{ key: "/t", target: "mod", result: "equal", revision: first.revision + 1 }],
      success: [{ do: "delete", key: "/t" }],
      failure: [put("/other", "x"), { do: "range", key: "/t" }],
    });
    expect(second.succeeded).toBe(false);
    expect(second.responses.map((response) => response.kvs[0]?.value)).toEqual([undefined, "made"]);
  });

  test("a lease keeps its key alive and takes it along", async () => {
    const { id } = await etcd.leaseGrant(60);
    await etcd.txn({ compare: [], success: [{ ...put("/l", "x"), lease: id }], failure: [] });
    expect((await etcd.range("/l")).kvs[0]?.lease).toBe(id);
    expect(await etcd.leaseKeepAlive(id)).toEqual({ ttlSeconds: 60 });
    await etcd.leaseRevoke(id);
    expect((await etcd.range("/l")).kvs).toEqual([]);
    expect(await codeOf(etcd.leaseRevoke(id))).toBe("NOT_FOUND");
    expect(await etcd.leaseKeepAlive(id)).toEqual({ ttlSeconds: 0 });
    expect(
      await codeOf(etcd.txn({ compare: [], success: [{ ...put("/l", "x"), lease: id }], failure: [] })),
    ).toBe("NOT_FOUND");
  });

  test("a watch brings changes from a revision on, over a restart of etcd", async () => {
    const { revision } = await write("/w/1", "one");
    const seen: string[] = [];
    const stop = new AbortController();
    const watching = etcd.watch(
      "/w/",
      revision,
      (events: readonly WatchEvent[]) => {
        for (const { type, kv } of events) seen.push(`${type} ${kv.key} ${kv.value}`);
      },
      stop.signal,
    );
    await until("first event", () => seen.length === 1);
    const before = host.process.pid;
    process.kill(before ?? 0, "SIGKILL");
    await until("etcd is back", async () => (await codeOf(write("/w/2", "two"))) === "no error");
    expect(host.process.pid).not.toBe(before);
    await etcd.txn({ compare: [], success: [{ do: "delete", key: "/w/1" }], failure: [] });
    await until("all events", () => seen.length >= 3);
    expect(seen).toEqual(["put /w/1 one", "put /w/2 two", "delete /w/1 "]);
    stop.abort();
    await watching;
  });

  test("a watch from before the compaction says so", async () => {
    await write("/c", "1");
    const { revision } = await write("/c", "2");
    await write("/c", "3");
    const response = await fetchCompaction(host.process.clientSocket, revision);
    expect(response).toBe(200);
    const watching = etcd.watch("/c", 1, () => undefined, new AbortController().signal);
    await expect(watching).rejects.toThrow(WatchCompacted);
  });

  test("a listener's error ends the watch", async () => {
    const { revision } = await write("/x", "1");
    const watching = etcd.watch(
      "/x",
      revision,
      () => {
        throw new Error("mine");
      },
      new AbortController().signal,
    );
    await expect(watching).rejects.toThrow("mine");
  });

  test("calls end at their deadline, when cancelled, and when nobody listens", async () => {
    process.kill(host.process.pid ?? 0, "SIGSTOP");
    expect(await codeOf(etcd.range("/a", { deadlineMs: 30 }))).toBe("DEADLINE_EXCEEDED");
    expect(await codeOf(etcd.range("/a", { signal: AbortSignal.timeout(30) }))).toBe("CANCELLED");
    process.kill(host.process.pid ?? 0, "SIGCONT");
    const nobody = new EtcdClient({ socketPath: join(cluster.root, "nobody") });
    expect(await codeOf(nobody.status())).toBe("NO_QUORUM");
    const status = await etcd.status();
    expect(status.member).toBe(status.leader);
    expect(status.version).toBe(host.process.version);
  });
});

test("a reply with another status than 200 is no answer, whatever it says", async () => {
  const socketPath = join(cluster.root, "refusing");
  const server = createServer((_request, response) => {
    response.writeHead(503).end(JSON.stringify({ header: { revision: "1", member_id: "1" } }));
  });
  await new Promise<void>((ready) => server.listen(socketPath, ready));
  const refused = new EtcdClient({ socketPath }).txn({ compare: [], success: [], failure: [] });
  await expect(refused).rejects.toThrow("HTTP status 503");
  server.close();
});

describe("EtcdProcess", () => {
  test("keeps its directory to itself and has no port", async () => {
    expect(statSync(host.dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(host.dir)).toEqual(expect.arrayContaining(["client:1", "n1:0", "data", "etcd.log"]));
  });

  test("a program that is not installed is named", async () => {
    const missing = new EtcdProcess(
      { dir: join(cluster.root, "none"), name: host.handle, peers: [], mode: "new", token: testCluster },
      { log: quiet },
    );
    vi.stubEnv("PATH", "/nowhere");
    try {
      expect(await codeOf(missing.start())).toBe("MISSING_PROGRAM");
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("never starts empty where there was data", async () => {
    const lost = new EtcdCluster();
    const lone = lost.host(1);
    await lone.start("new", []);
    await lone.stop();
    rmSync(join(lone.dir, "data"), { recursive: true });
    expect(await codeOf(lone.start("new", []))).toBe("STATE_CORRUPT");
    await lone.process.setDataAside(new Date(0));
    await lone.start("new", []);
    expect((await lone.client.status()).version).not.toBe("");
    await lone.stop();
    const walFolder = join(lone.dir, "data/member/wal");
    for (const name of readdirSync(walFolder)) writeFileSync(join(walFolder, name), "torn".repeat(50));
    expect(await codeOf(lone.start("new", []))).toBe("STATE_CORRUPT");
    await lost.stop();
  });

  test("a first start that was killed before it had founded anything begins anew", async () => {
    const other = new EtcdCluster();
    const next = other.host(1);
    const wal = join(next.dir, "data/member/wal");
    mkdirSync(wal, { recursive: true });
    writeFileSync(join(wal, "0000000000000000-0000000000000000.wal"), "");
    await next.start("new", []);
    expect((await next.client.status()).leader).not.toBe("0");
    expect(readdirSync(next.dir)).toContain("data.unfinished");
    await other.stop();
  });

  test("SIGKILL of the daemon takes etcd with it, and a left-over is killed by the next start", async () => {
    const other = new EtcdCluster();
    const next = other.host(1);
    const daemon = runDaemon(next.dir);
    const pid = await firstLine(daemon).then(Number);
    const identity = await identify(pid);
    if (!identity) throw new Error("etcd does not run");
    daemon.kill("SIGKILL");
    await until("etcd is gone", async () => !(await isAlive(identity)));
    expect(existsSync(join(next.dir, "client:1"))).toBe(true);
    // As if the daemon had died before the signal was set up.
    const leftOver = spawn("sleep", ["60"], { stdio: "ignore" });
    const exited = new Promise((resolve) => leftOver.once("exit", (_code, signal) => resolve(signal)));
    writeFileSync(join(next.dir, "etcd.pid"), JSON.stringify(await identify(leftOver.pid ?? 0)));
    await next.start("new", []);
    expect(await exited).toBe("SIGKILL");
    expect((await next.client.status()).leader).not.toBe("0");
    await other.stop();
  });

  test("the only member leads at once, at its first start and later", async () => {
    const other = new EtcdCluster();
    const dir = join(other.root, "slow");
    // By itself it would wait for between 10 and 50 s.
    const timers = { heartbeatMs: 10_000, electionMs: 50_000 };
    const options = { dir, name: host.handle, peers: [], mode: "new", token: testCluster, timers } as const;
    const alone = new EtcdProcess(options, { log: quiet });
    const client = new EtcdClient({ socketPath: alone.clientSocket });
    await alone.start();
    const { leader, member } = await client.status();
    expect(leader).toBe(member);
    await alone.stop();
    await alone.start();
    expect((await client.status()).leader).toBe(leader);
    await alone.stop();
    const elections = readFileSync(join(dir, "etcd.log"), "utf8").match(/received MsgTimeoutNow/g);
    expect(elections).toHaveLength(2);
    await other.stop();
  });

  test("the log stays within its bound", async () => {
    const log = join(host.dir, "etcd.log");
    truncateSync(log, 5 * 1024 * 1024);
    await host.process.stop();
    await host.process.start();
    expect(statSync(log).size).toBeLessThan(1024 * 1024);
    expect(statSync(`${log}.1`).size).toBeGreaterThanOrEqual(5 * 1024 * 1024);
  });
});

async function fetchCompaction(socketPath: string, revision: number): Promise<number | undefined> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: "/v3/kv/compaction", method: "POST" }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode));
    });
    call.once("error", reject);
    call.end(JSON.stringify({ revision: String(revision), physical: true }));
  });
}

function runDaemon(dir: string): ChildProcess {
  const module = join(import.meta.dirname, "../../../../src/state/etcd/etcd-process.ts");
  const options = { dir, name: "n1", peers: [], mode: "new", token: testCluster, timers: quickTimers };
  const script = `
    import { EtcdProcess } from ${JSON.stringify(module)};
    const log = { warn() {}, error() {}, info() {}, debug() {} };
    const etcd = new EtcdProcess(${JSON.stringify(options)}, { log });
    await etcd.start();
    console.log(etcd.pid);
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (data: Buffer) => resolve(data.toString().trim()));
    child.once("exit", () => reject(new Error("the daemon ended")));
  });
}
