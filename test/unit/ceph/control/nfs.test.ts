import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { NodeNfs } from "../../../../src/ceph/control/nfs.ts";
import type { DaemonDeps } from "../../../../src/ceph/daemons/deps.ts";
import { keptNfs } from "../../../../src/ceph/daemons/nfs.ts";
import type { NfsExport } from "../../../../src/ceph/daemons/nfs-config.ts";
import { handle } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";
import { testListener } from "./test-listener.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const self = handle("n1");
const number = (revision: number) => ({ generation: 1, revision });
const home: NfsExport = {
  ...{ id: 7, pseudo: "/home", fs: "home", path: "/", readOnly: false, squash: "none", clients: [] },
};
let fake: FakeNode;
let nfs: NodeNfs;
let memory: Map<string, Json>;
let hasProgram: boolean;
/** Whose sessions there are at the metadata server, and from where, by their numbers. */
let sessions: Map<number, readonly [string, string]>;
let isSilent: boolean;
/** What the metadata server of the file system `home` does; it serves once the sessions that it waits for are ended. */
let state: "nothing" | "replays" | "waits" | "serves";
const ceph = {
  mdsStat: async () => ({
    ...{ active: state === "nothing" ? [] : ["n3"], standby: [], fileSystems: ["home"] },
    waiting: state === "waits" ? ["n3"] : [],
    unserved: state === "serves" ? [] : ["home"],
  }),
  run: async ([, server, , verb, what = ""]: readonly string[]) => {
    if (isSilent || state === "replays") throw new Error("silent");
    if (server !== "mds.n3") return [];
    if (verb === "evict") {
      sessions.delete(Number(what.slice("id=".length)));
      state = "serves";
    }
    return [...sessions].map(([id, [entity_id, address]]) => ({
      ...{ id, inst: `client.${id} v1:${address}:0/1745`, client_metadata: { entity_id } },
    }));
  },
} as unknown as CephCommands;
let pid: number | null;
let port = 0;
let formerClients: string;
/** When it wrote down last who its clients are. */
let written = 0;
const { listen, stopListening } = testListener();

beforeEach(async () => {
  hasProgram = true;
  formerClients = "5432109876543210\n";
  pid = null;
  isSilent = false;
  state = "serves";
  sessions = new Map([
    [4, ["nfs.share.3", "127.0.0.1"]],
    [5, ["nfs.share.2", "127.0.0.1"]],
    [6, ["admin", "127.0.0.1"]],
    [7, ["nfs.share.3", "[::1]"]],
    // The one that has its rank now.
    [8, ["nfs.share.3", "192.0.2.1"]],
  ]);
  fake = await fakeNode(async (program, args) => {
    if (!hasProgram) throw new Error("missing");
    if (program !== "rados") return nothing;
    const [word] = args.slice(-2);
    expect(args.slice(-6)).toEqual(["-p", ".nfs", "-N", "share", word, "node3_recov"]);
    if (word === "listomapkeys") return { ...nothing, stdout: formerClients };
    // Two hours before Greenwich.
    const time = new Date(written - 2 * 3_600_000).toISOString().replace("Z", "789-0200");
    return { ...nothing, stdout: `.nfs/node3_recov mtime ${time}, size 0\n` };
  });
  memory = new Map();
  const { runner } = fake.deps;
  const withPid: DaemonDeps["runner"] = {
    ...runner,
    ensure: async (unit, spec) => {
      const { action, status } = await runner.ensure(unit, spec);
      return { action, status: { ...status, pid } };
    },
    status: async (unit) => {
      const status = await runner.status(unit);
      return status === undefined ? undefined : { ...status, pid };
    },
  };
  nfs = new NodeNfs(
    self,
    {
      ...fake.deps,
      runner: withPid,
      memory: {
        get: (name) => memory.get(name),
        put: (name, value) => void memory.set(name, value),
        delete: (name) => void memory.delete(name),
      },
    },
    () => ceph,
    { sessionsMs: 3_000 },
  );
  port = await listen(0);
  await stopListening();
});

afterEach(async () => {
  await stopListening();
  await fake.remove();
});

/** What it starts is the test's own listener. */
function place(revision: number, confirm?: () => Promise<void>, minVersion = 1): Promise<void> {
  let isListening = false;
  const listenOnce = async (): Promise<void> => {
    if (!isListening) await listen(port);
    isListening = true;
  };
  const settings = { cluster: "share", port, bind: null, minVersion };
  return nfs.place({
    key,
    settings,
    rank: 3,
    exports: [home],
    by: number(revision),
    confirm: confirm ?? listenOnce,
    signal,
  });
}

const { signal } = new AbortController();
const folder = (): string => fake.deps.paths.dataDir("nfs", "n1");
const config = (): Promise<string> => readFile(join(folder(), "ganesha.conf"), "utf8");

describe("the NFS gateway of a node", () => {
  it("is started with what it is told, and is found there again at boot", async () => {
    await place(5);
    const spec = fake.units.get("nfs.n1");
    expect(spec?.argv.slice(0, 6)).toEqual(
      ["ganesha.nfsd", "-F", "-I", "3", "-f", join(folder(), "ganesha.conf")], //
    );
    expect(spec?.env).toMatchObject({
      CEPH_CONF: fake.deps.paths.cephConf,
      CEPH_KEYRING: join(folder(), "keyring"),
    });
    expect(await readFile(join(folder(), "keyring"), "utf8")).toContain("[client.nfs.share.3]");
    expect(await config()).toContain('Pseudo = "/home"');
    fake.units.clear();
    await nfs.start(signal);
    expect(fake.units.get("nfs.n1")).toEqual(spec);
  });

  it("is another command with other settings, so that it is restarted; not with other exports", async () => {
    await place(5);
    const spec = fake.units.get("nfs.n1");
    expect(await nfs.follow([{ ...home, pseudo: "/other" }])).toBe(true);
    expect(fake.units.get("nfs.n1")).toEqual(spec);
    await stopListening();
    await place(6, undefined, 0);
    expect(fake.units.get("nfs.n1")?.env).not.toEqual(spec?.env);
  });

  it("serves after a restart once its former clients have claimed their locks; exports are followed meanwhile", async () => {
    await expect(nfs.restart(() => undefined, signal)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await place(5);
    written = Date.now() - 1000;
    let isDone = false;
    const waits = new Promise<string>((resolve) => {
      void nfs.restart(resolve, signal).then(() => {
        isDone = true;
      });
    });
    expect(await waits).toBe("clients claim their locks again");
    expect(await nfs.follow([])).toBe(true);
    expect(isDone).toBe(false);
    written = Date.now() + 1000;
    await vi.waitFor(() => expect(isDone).toBe(true), { timeout: 10_000 });
  });

  it("serves at once after a restart when nobody was its client", async () => {
    await place(5);
    formerClients = "";
    written = 0;
    await nfs.restart(() => undefined, signal);
  });

  it("is told of other exports while it runs, and only of news", async () => {
    await place(5);
    const told = spawn("sh", ["-c", "trap 'echo told; exit' HUP; echo ready; while :; do sleep 0.05; done"]);
    await once(told.stdout, "data");
    pid = told.pid ?? null;
    expect(await nfs.follow([home])).toBe(false);
    expect(await nfs.follow([])).toBe(true);
    const [said] = await once(told.stdout, "data");
    expect(String(said)).toBe("told\n");
    expect(await config()).not.toContain("Pseudo");
    expect((await keptNfs(fake.deps, self))?.exports).toEqual([]);
  });

  it("is not begun without its program, where another listens, nor once the decision is overtaken", async () => {
    hasProgram = false;
    await expect(place(5)).rejects.toThrow("missing");
    hasProgram = true;
    await listen(port);
    await expect(place(5)).rejects.toMatchObject({ code: "PORT_IN_USE" });
    await stopListening();
    await expect(place(5, () => Promise.reject(new Error("overtaken")))).rejects.toThrow("overtaken");
    expect([fake.units.size, await keptNfs(fake.deps, self)]).toEqual([0, null]);
  });

  it("goes for a later decision only, and then does not start at boot", async () => {
    await place(5);
    expect(await nfs.drop(number(4))).toBe(false);
    expect(await nfs.drop(number(6))).toBe(true);
    expect([nfs.isHere, await nfs.follow([home])]).toEqual([false, false]);
    await nfs.start(signal);
    expect(fake.units.size).toBe(0);
    // A metadata server that takes over would wait for them.
    expect([...sessions.keys()]).toEqual([5, 6, 8]);
  });

  it("starts once its file systems are served, and no metadata server waits for who had its rank", async () => {
    state = "replays";
    const placed = place(5);
    const started = vi.fn();
    void placed.then(started);
    await delay(1200);
    expect([fake.units.size, started.mock.calls.length, sessions.size]).toEqual([0, 0, 5]);
    state = "waits";
    await placed;
    expect([...sessions.keys()]).toEqual([5, 6]);
    // One that runs is left alone, whatever metadata servers do.
    state = "nothing";
    pid = process.pid;
    await place(6, async () => undefined);
    // A decision that is overtaken meanwhile starts nothing.
    pid = null;
    fake.units.clear();
    await stopListening();
    state = "waits";
    sessions.set(9, ["nfs.share.3", "192.0.2.1"]);
    const confirm = vi.fn(async () => undefined);
    confirm.mockResolvedValueOnce(undefined).mockRejectedValueOnce(new Error("overtaken"));
    await expect(place(7, confirm)).rejects.toThrow("overtaken");
    expect([fake.units.size, confirm.mock.calls.length]).toEqual([0, 2]);
  });

  it("does not start at boot when it is taken off before its file systems are served", async () => {
    await place(5);
    fake.units.clear();
    state = "nothing";
    const starts = nfs.start(signal);
    await delay(100);
    state = "serves";
    await nfs.drop(number(6));
    await starts;
    expect(fake.units.size).toBe(0);
    await stopListening();
    await place(7);
    fake.units.clear();
    state = "nothing";
    const ended = new AbortController();
    const waits = nfs.start(ended.signal);
    ended.abort();
    await waits;
    expect(fake.units.size).toBe(0);
  });

  it("ends at boot what it left itself; who may have its rank now is not harmed", async () => {
    await place(5);
    fake.units.clear();
    state = "waits";
    await nfs.start(signal);
    expect([fake.units.size, ...sessions.keys()]).toEqual([1, 5, 6, 8]);
  });

  it("ends its sessions as soon as a metadata server that takes over hears of it", async () => {
    await place(5);
    state = "replays";
    const dropped = nfs.drop(number(6));
    await delay(700);
    expect(sessions.size).toBe(5);
    state = "waits";
    expect(await dropped).toBe(true);
    expect([...sessions.keys()]).toEqual([5, 6, 8]);
  });

  it("goes also where no metadata server tells of its sessions", async () => {
    await place(5);
    isSilent = true;
    expect(await nfs.drop(number(6))).toBe(true);
    expect([fake.units.size, sessions.size]).toEqual([0, 5]);
  });

  it("is taken back where it does not run, and only what was asked", async () => {
    await place(5);
    const asked = { cluster: "share", port, bind: null, minVersion: 1, rank: 3 };
    expect(await nfs.undo({ ...asked, rank: 2 })).toBe(true);
    expect(fake.units.size).toBe(1);
    expect(await nfs.undo({ ...asked, port: 1 })).toBe(true);
    expect(fake.units.size).toBe(1);
    expect(await nfs.undo(asked)).toBe(true);
    expect([fake.units.size, nfs.isHere]).toEqual([0, false]);
  });
});
