import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { keyOf, makeCephKey, renderKeyring } from "../../../../src/ceph/config/keyring.ts";
import { CephNode } from "../../../../src/ceph/control/ceph-node.ts";
import type { Outcome } from "../../../../src/ceph/control/controller.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import type { CephSecrets } from "../../../../src/ceph/control/executors.ts";
import { lastRekey, rekeyExecutor, rekeyedFor, rekeyStep } from "../../../../src/ceph/control/rekey.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { entryId, fsid, type Handle, handle, type PeerId, peerId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";
import { type FakeNode, fakeNode } from "../daemons/fake-node.ts";

const keyAt = (seconds: number): string => makeCephKey((size) => new Uint8Array(size), seconds * 1000);
const cluster = fsid("00000000-1111-2222-3333-444444444444");
const gone = peerId("12D3KooWA1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK");
const number = { generation: 1, revision: 5 };
const first: CephSecrets = { adminKey: keyAt(1), monKey: keyAt(2) };
const entry: Entry = {
  ...{ id: entryId("5-ceph.rekey"), kind: kinds.rekey, body: { peer: gone, handle: "n3" }, agent: null },
  ...{ state: "open", number, openedNumber: number, handed: false, result: null, reason: "it is gone" },
  ...{ openedAt: "", closedAt: null },
};

/** Ceph and etcd, and the holder of the lease with what it knows; it dies at its nth act. */
class World {
  adminKey = first.adminKey;
  readonly monitorKeys = new Map([
    ["n1", first.monKey],
    ["n2", first.monKey],
  ]);
  secrets: CephSecrets = first;
  made: CephSecrets[] = [];
  acts = 0;
  diesAt = 0;
  diesAfter = false;

  async #act<T>(effect: () => T): Promise<T> {
    this.acts += 1;
    if (this.acts === this.diesAt && !this.diesAfter) throw new Error("killed");
    const result = effect();
    if (this.acts === this.diesAt) throw new Error("killed");
    return result;
  }

  /** One that holds the lease, with the key that members have had from the beginning. */
  run(): Promise<Outcome> {
    let own = first.adminKey;
    const open = (): void => {
      if (own !== this.adminKey) throw new MicrocephError("CEPH_UNREACHABLE", "permission denied");
    };
    const monitors = [...this.monitorKeys.keys(), "n9"].map((name, rank) => ({ name, rank, addresses: [] }));
    const ceph = {
      runWithInput: async (_words: readonly string[], input: string) => {
        open();
        await this.#act(() => {
          this.adminKey = keyOf(input, "client.admin") ?? "";
        });
        return null;
      },
      run: async () => open() ?? null,
      quorumStatus: async () => {
        open();
        return {
          electionEpoch: 1,
          leader: "n1",
          quorum: ["n1", "n2"],
          monMap: { epoch: 1, fsid: cluster, monitors },
        };
      },
    } as unknown as CephCommands;
    const executor = rekeyExecutor({
      ceph: () => ceph,
      access: async () => ({
        ...{ fsid: cluster, adminKey: own, publicNetwork: "", clusterNetwork: null, monitors: [] },
      }),
      secrets: async () => this.secrets,
      nextSecrets: async () =>
        this.#act(() => {
          if (this.made.length === 0) this.made.push({ adminKey: keyAt(10), monKey: keyAt(11) });
          return this.made[0] as CephSecrets;
        }),
      keepSecrets: async (secrets) =>
        this.#act(() => {
          this.secrets = secrets;
        }),
      adopt: async ({ adminKey }) => {
        own = adminKey;
      },
      alive: () => new Map([...this.monitorKeys.keys(), "n4"].map((name) => [name, name as PeerId])),
      handed: async () => undefined,
      restamp: async () => entry,
      current: () => entry,
      order: async (peer, { payload }) =>
        this.#act(() => {
          const { monKey, access } = payload as { monKey: string; access: { adminKey: string } };
          expect(access.adminKey).toBe(this.secrets.adminKey);
          this.monitorKeys.set(peer, monKey);
          return null;
        }),
    });
    return executor(entry, new AbortController().signal);
  }

  expectReplaced(): void {
    const [next] = this.made;
    expect(this.made).toHaveLength(1);
    expect(this.adminKey).toBe(next?.adminKey);
    expect(this.secrets).toEqual(next);
    expect(new Set(this.monitorKeys.values())).toEqual(new Set([next?.monKey]));
  }
}

describe("other keys for client.admin and mon.", () => {
  it("are with Ceph, with everybody who asks, and with every monitor that is there", async () => {
    const world = new World();
    expect(await world.run()).toMatchObject({ state: "done" });
    world.expectReplaced();
    expect([...world.monitorKeys.keys()]).toEqual(["n1", "n2"]);
  });

  const deaths = [1, 2, 3, 4, 5, 6].flatMap((at) => [
    { at, after: false },
    { at, after: true },
  ]);
  it.each(deaths)(
    "are completed by another holder when one dies at act $at (after it: $after)",
    async ({ at, after }) => {
      const world = new World();
      Object.assign(world, { diesAt: at, diesAfter: after });
      await expect(world.run()).rejects.toThrow("killed");
      world.diesAt = 0;
      expect(await world.run()).toMatchObject({ state: "done" });
      world.expectReplaced();
    },
  );

  it("leave everything as it is while no monitor answers", async () => {
    const world = new World();
    world.adminKey = keyAt(99);
    await expect(world.run()).rejects.toMatchObject({ code: "CEPH_UNREACHABLE" });
    expect(world.secrets).toEqual(first);
  });
});

describe("what the journal says of it", () => {
  it("is for whom keys were replaced, and which replacement was the last", () => {
    const done = { ...entry, state: "done" as const };
    expect([...rekeyedFor([done], "done")]).toEqual([gone]);
    expect([...rekeyedFor([done], "open")]).toEqual([]);
    expect(lastRekey([entry])).toBeNull();
    expect(lastRekey([{ ...done, id: entryId("3-x") }, done])).toBe(entry.id);
  });
});

describe("a monitor's host", () => {
  let fake: FakeNode;
  let node: CephNode;
  let restarts: string[];
  const self: Handle = handle("n1");
  const access = {
    ...{ fsid: cluster, adminKey: keyAt(10), publicNetwork: "10.0.0.0/24", clusterNetwork: null },
    monitors: [{ name: "n1", addresses: [{ type: "v2" as const, address: "10.0.0.1:3300" }] }],
  };

  beforeEach(async () => {
    fake = await fakeNode();
    restarts = [];
    const memory = new Map<string, Json>();
    node = new CephNode(self, {
      ...fake.deps,
      runner: Object.assign(Object.create(fake.deps.runner), {
        restart: async (unit: string) => void restarts.push(unit),
      }),
      commands: () => ({ reconnect: () => undefined }) as unknown as CephCommands,
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
  });
  afterEach(() => fake.remove());

  const obey = (confirm = async (): Promise<void> => undefined): Promise<unknown> =>
    rekeyStep(node)(
      {
        ...{ entry: entry.id, kind: entry.kind, number, body: entry.body },
        payload: { access, monKey: keyAt(11) },
      },
      { confirm, signal: new AbortController().signal, log: fake.deps.log },
    );
  const monKey = async (): Promise<string | undefined> =>
    keyOf(await readFile(join(fake.deps.paths.dataDir("mon", self), "keyring"), "utf8"), "mon.");

  it("has the new key beside its store, and restarts its monitor, also when it has had it already", async () => {
    await node.configure(access);
    const home = fake.deps.paths.dataDir("mon", self);
    await mkdir(join(home, "store.db"), { recursive: true });
    await writeFile(join(home, "microceph.json"), JSON.stringify({ v: 1, fsid: cluster, handle: self }));
    await writeFile(join(home, "keyring"), renderKeyring([{ entity: "mon.", key: keyAt(2) }]));
    node.rememberMonAddress("10.0.0.1", number);
    await expect(obey(() => Promise.reject(new Error("withdrawn")))).rejects.toThrow("withdrawn");
    expect(restarts).toEqual([]);
    for (const _ of [1, 2]) await obey();
    expect(await monKey()).toBe(keyAt(11));
    expect(restarts).toEqual(["mon.n1", "mon.n1"]);
  });

  it("that has none only learns how to reach Ceph", async () => {
    await obey();
    expect(restarts).toEqual([]);
    expect(node.access?.adminKey).toBe(keyAt(10));
  });
});
