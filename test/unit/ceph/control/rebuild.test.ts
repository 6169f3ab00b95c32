import { access as exists, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, QuorumStatus } from "../../../../src/ceph/command/commands.ts";
import { keyOf, makeCephKey, renderKeyring } from "../../../../src/ceph/config/keyring.ts";
import { CephNode } from "../../../../src/ceph/control/ceph-node.ts";
import { cephAccess, kinds, laneOf, type RebuildBody } from "../../../../src/ceph/control/decisions.ts";
import type { CephSecrets } from "../../../../src/ceph/control/executors.ts";
import { importOwnKeys } from "../../../../src/ceph/control/own-keys.ts";
import { rebuildExecutor, rebuildStep, rebuildUndo } from "../../../../src/ceph/control/rebuild.ts";
import { renumberingOf } from "../../../../src/ceph/control/renumber.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, handle, osdId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";
import { type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";

const keyAt = (seconds: number): string => makeCephKey((size) => new Uint8Array(size), seconds * 1000);
const cluster = "00000000-1111-2222-3333-444444444444";
const builder = peerId("12D3KooWA1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK");
const other = peerId("12D3KooWB1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK");
const number = { generation: 1, revision: 9 };
const monitors = [
  { name: handle("n1"), peer: builder, addresses: [{ type: "v2" as const, address: "10.0.0.1:3300" }] },
];
const body: RebuildBody = {
  ...{ publicNetwork: "10.0.0.0/24", clusterNetwork: null, monitors, builder, handle: handle("n1") },
  hosts: [
    { peer: builder, handle: handle("n1") },
    { peer: other, handle: handle("n2") },
  ],
  wish: "w-1",
};
const entry: Entry = {
  ...{
    id: entryId("9-ceph.mon-rebuild"),
    kind: kinds.rebuild,
    body: body as unknown as Json,
    agent: builder,
  },
  ...{ state: "open", number, openedNumber: number, handed: false, result: null, reason: "all are lost" },
  ...{ openedAt: "", closedAt: null },
};
const access = cephAccess.parse({
  ...{ fsid: cluster, adminKey: keyAt(1), publicNetwork: "10.0.0.0/24", clusterNetwork: null },
  monitors: [{ name: "n3", addresses: [{ type: "v2", address: "10.0.0.3:3300" }] }],
});
const signal = new AbortController().signal;
const silent = new MicrocephError("CEPH_UNREACHABLE", "no monitor answers");
const quorumOf = (name: string): QuorumStatus =>
  ({
    quorum: [name],
    leader: name,
    electionEpoch: 1,
    monMap: { epoch: 2, fsid: cluster, monitors: [] },
  }) as never;

describe("the decision to rebuild the monitors", () => {
  let secrets: CephSecrets;
  let made: CephSecrets | undefined;
  let answers: string | null;
  let alive: string[];
  let handed: boolean;
  let ordered: string[];
  let order: () => Promise<Json>;
  let promise: boolean;
  let adopted: string;

  beforeEach(() => {
    secrets = { adminKey: keyAt(1), monKey: keyAt(2) };
    made = undefined;
    answers = null;
    alive = ["n1", "n2"];
    handed = false;
    ordered = [];
    promise = true;
    adopted = "";
    order = async () => {
      answers = "n1";
      return { hosts: [], fileSystems: [] };
    };
  });

  const run = () =>
    rebuildExecutor({
      ceph: () =>
        ({
          quorumStatus: async () => {
            if (answers === null) throw silent;
            return quorumOf(answers);
          },
        }) as unknown as CephCommands,
      access: async () => access,
      secrets: async () => secrets,
      nextSecrets: async () => {
        made ??= { adminKey: keyAt(10), monKey: keyAt(11) };
        return made;
      },
      keepSecrets: async (next) => {
        secrets = next;
      },
      adopt: async ({ monitors: [first] }) => {
        adopted = first?.name ?? "";
      },
      alive: () => new Map(alive.map((name) => [name, builder])),
      handed: async () => {
        handed = true;
      },
      restamp: async () => entry,
      current: () => ({ ...entry, handed }),
      cancel: async () => promise,
      order: async (_peer, { payload }) => {
        ordered.push((payload as { monKey: string }).monKey);
        return order();
      },
    })(entry, signal);

  it("gives the monitors another key and the administrator none, and is where they are to be found", async () => {
    expect(await run()).toMatchObject({ state: "done" });
    expect(secrets).toEqual({ adminKey: keyAt(1), monKey: keyAt(11) });
    expect(ordered).toEqual([keyAt(11)]);
    expect(adopted).toBe("n1");
    expect(renumberingOf([{ ...entry, state: "done" }])?.monitors[0]?.name).toBe("n1");
  });

  it("waits behind no change that itself waits for the monitors", () => {
    expect(laneOf(entry)).not.toBe(laneOf({ kind: kinds.monitor, body: {} }));
  });

  it("does nothing while the monitors answer", async () => {
    answers = "n3";
    expect(await run()).toMatchObject({ state: "abandoned", reason: "the monitors answer" });
    expect(ordered).toEqual([]);
    expect(secrets.monKey).toBe(keyAt(2));
  });

  it("does nothing without a host whose OSDs were to be asked", async () => {
    alive = ["n1"];
    expect(await run()).toMatchObject({ state: "abandoned", reason: "n2 failed meanwhile" });
    expect(ordered).toEqual([]);
  });

  it("goes on after the holder died behind the order, although a monitor answers by then", async () => {
    handed = true;
    answers = "n1";
    expect(await run()).toMatchObject({ state: "done" });
    expect(secrets.monKey).toBe(keyAt(11));
  });

  it("is given up when the builder refuses, and only with its promise", async () => {
    order = async () => {
      throw new MicrocephError("RECOVERY_REFUSED", "the monitor n2 runs");
    };
    expect(await run()).toMatchObject({ state: "abandoned", cancelAcknowledged: true });
    promise = false;
    await expect(run()).rejects.toMatchObject({ code: "RECOVERY_REFUSED" });
    expect(secrets.monKey).toBe(keyAt(2));
  });

  it("is given up when a host fails on the way, and tried again when it was only slow", async () => {
    order = async () => {
      throw new MicrocephError("PEER_UNREACHABLE", "n2 does not answer");
    };
    await expect(run()).rejects.toMatchObject({ code: "PEER_UNREACHABLE" });
    alive = ["n1"];
    expect(await run()).toMatchObject({ state: "abandoned", cancelAcknowledged: true });
  });
});

describe("the host that builds", () => {
  let fake: FakeNode;
  let node: CephNode;
  let answers: boolean;
  let dies: string | null;
  let asked: string[];

  const home = (): string => node.deps.paths.dataDir("mon", "n1");
  const stores = async (): Promise<string[]> => (await readdir(join(node.deps.paths.data, "mon"))).sort();

  beforeEach(async () => {
    answers = false;
    dies = null;
    asked = [];
    fake = await fakeNode(async (program, args) => {
      const all = [program, ...args].join(" ");
      if (dies !== null && all.includes(dies)) throw new Error("killed");
      if (all.includes("--op update-mon-db")) {
        await mkdir(join(args.at(-1) ?? "", "store.db"), { recursive: true });
      }
      return nothing;
    });
    const memory = new Map<string, Json>();
    const ceph = {
      reconnect: () => undefined,
      quorumStatus: async () => {
        if (!answers) throw silent;
        return quorumOf("n1");
      },
      createReplicatedRule: async () => 1,
      configGet: async () => "1",
      configSet: async () => undefined,
      run: async ([, word]: readonly string[]) => (word === "ls" ? [] : { pools: [] }),
    } as unknown as CephCommands;
    node = new CephNode(handle("n1"), {
      ...fake.deps,
      commands: () => ceph,
      memory: {
        get: (name) => memory.get(name),
        put: (name, value) => void memory.set(name, value),
        delete: (name) => void memory.delete(name),
      },
      addressIn: () => "10.0.0.1",
      hasAddress: () => true,
      interfaceIn: () => "eth0",
      extraConfig: undefined,
    });
    await node.configure(access);
    await mkdir(join(home(), "store.db"), { recursive: true });
    await writeFile(join(home(), "microceph.json"), `{"v":1,"fsid":"${cluster}","handle":"n1"}\n`);
    await writeFile(join(home(), "keyring"), renderKeyring([{ entity: "mon.", key: keyAt(2) }]));
  });
  afterEach(() => fake.remove());

  const obey = (
    confirm = async (): Promise<void> => undefined,
    left: readonly string[] = [],
  ): Promise<unknown> =>
    rebuildStep(node, async (peer, _entry, store) => {
      asked.push(peer);
      if (left.length === 0) await mkdir(join(store, "store.db"), { recursive: true });
      return { osds: left.length === 0 ? [osdId(asked.length)] : [], left };
    })(
      {
        ...{ entry: entry.id, kind: entry.kind, number, body: entry.body },
        payload: { access: { ...access, monitors }, monKey: keyAt(11) } as unknown as Json,
      },
      // No monitor runs in this test, so the wait for it is ended.
      { confirm, signal: AbortSignal.timeout(300), log: fake.deps.log },
    ).catch((error: unknown) => error);

  it("asks each host in turn, and puts the new store in the place of the former one, which stays", async () => {
    await obey();
    expect(asked).toEqual([builder, other]);
    expect(await stores()).toEqual(["ceph-n1", "ceph-n1.aside-1"]);
    expect(keyOf(await readFile(join(home(), "keyring"), "utf8"), "mon.")).toBe(keyAt(11));
    expect(fake.units.has("mon.n1")).toBe(true);
    expect(node.access?.monitors.map(({ name }) => name)).toEqual(["n1"]);
    const rebuilds = fake.calls.filter((call) => call.includes("ceph-monstore-tool"));
    expect(rebuilds).toHaveLength(1);
    // Begun again it only starts what is there.
    await obey();
    expect(asked).toHaveLength(2);
    expect(await stores()).toEqual(["ceph-n1", "ceph-n1.aside-1"]);
    expect(await rebuildUndo(node)(entry.body, entry.id)).toBe(false);
  });

  it.each(["ceph-monstore-tool", "--extract-monmap", "--inject-monmap"])(
    "leaves the former store where it is when it is killed at %s, and completes later",
    async (at) => {
      dies = at;
      await obey();
      expect(await exists(join(home(), "store.db"))).toBeUndefined();
      expect(keyOf(await readFile(join(home(), "keyring"), "utf8"), "mon.")).toBe(keyAt(2));
      dies = null;
      await obey();
      expect(await stores()).toEqual(["ceph-n1", "ceph-n1.aside-1"]);
    },
  );

  it("completes after a kill between setting aside and putting in place", async () => {
    await obey();
    const { rename } = await import("node:fs/promises");
    await rename(home(), `${home()}.new-rebuilt`);
    await obey();
    expect(await stores()).toEqual(["ceph-n1", "ceph-n1.aside-1"]);
  });

  it("does nothing that cannot be taken back once the decision was overtaken", async () => {
    const stale = new MicrocephError("STALE_DECISION", "overtaken");
    expect(await obey(() => Promise.reject(stale))).toBe(stale);
    expect((await stores()).filter((name) => !name.includes(".new-"))).toEqual(["ceph-n1"]);
    expect(await rebuildUndo(node)(entry.body, entry.id)).toBe(true);
  });

  it("refuses while the monitors answer, and where no OSD knows anything", async () => {
    answers = true;
    expect(await obey()).toMatchObject({ code: "RECOVERY_REFUSED" });
    expect(asked).toEqual([]);
    answers = false;
    expect(await obey(undefined, ["osd.1: broken"])).toMatchObject({
      code: "RECOVERY_REFUSED",
      message: expect.stringContaining("osd.1: broken"),
    });
    expect(await stores()).toEqual(["ceph-n1"]);
  });

  it("tells the new monitors the keys of its daemons, of OSDs only where Ceph has them so", async () => {
    const { paths } = node.deps;
    const osd = async (id: number, uuid: string): Promise<void> => {
      const folder = paths.dataDir("osd", id);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "ready"), "");
      await writeFile(join(folder, "fsid"), uuid);
      await writeFile(join(folder, "keyring"), renderKeyring([{ entity: `osd.${id}`, key: keyAt(id) }]));
      const { symlink } = await import("node:fs/promises");
      await symlink("/dev/null", join(folder, "block"));
    };
    await osd(4, "a");
    await osd(5, "another's");
    await mkdir(paths.dataDir("mgr", "n1"), { recursive: true });
    await writeFile(
      join(paths.dataDir("mgr", "n1"), "keyring"),
      renderKeyring([{ entity: "mgr.n1", key: keyAt(3) }]),
    );
    let imported = "";
    const told = await importOwnKeys(node, {
      osdDump: async () => ({
        osds: [
          { id: 4, uuid: "a" },
          { id: 5, uuid: "b" },
        ],
      }),
      runWithInput: async (words: readonly string[], input: string) => {
        expect(words).toEqual(["auth", "import"]);
        imported = input;
        return null;
      },
    } as unknown as CephCommands);
    expect(told).toEqual(["mgr.n1", "osd.4"]);
    expect(keyOf(imported, "osd.4")).toBe(keyAt(4));
    expect(imported).toContain('caps mgr = "allow profile osd"');
    expect(imported).not.toContain("osd.5");
  });
});
