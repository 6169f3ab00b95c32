// A network that loses packets or carries them one way only, and processes that stand still. Real Ceph.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { JournalEntry } from "../../src/api/contract/journal.ts";
import type { Health } from "../../src/api/contract/status.ts";
import { type LabCluster, minutes } from "../lab/support/cluster.ts";
import { healthyTrio, trio } from "../lab/support/healthy-trio.ts";
import type { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";
import { type Watched, watchWhile } from "../lab/support/watch-lease.ts";

const lossMs = 15_000;

labSuite("three hosts on a bad network", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    ({ lab, cluster } = await healthyTrio("network"));
  });
  afterAll(async () => {
    await lab?.down();
  });

  const othersThan = (...without: string[]): string[] => trio.filter((node) => !without.includes(node));

  /** Written on one side of the journal and read on the other: the same decisions in the same order. */
  async function oneJournal(nodes: readonly string[]): Promise<JournalEntry[]> {
    return lab.waitFor(
      "all to have the same journal",
      async (note) => {
        const heads = [...(await cluster.meshes(nodes)).values()].map(
          ({ lease }) => lease.lastDecision?.number,
        );
        note(heads);
        return new Set(heads).size === 1 ? cluster.journal(nodes[0] ?? "n1") : undefined;
      },
      minutes(2),
    );
  }

  /** No epoch had two holders, and there was one cluster. */
  function expectOne(watched: Watched): void {
    for (const [epoch, holders] of watched.holders) expect([epoch, holders.size]).toEqual([epoch, 1]);
    expect(watched.clusters.size).toBe(1);
  }

  async function decide(node: string, key: string): Promise<void> {
    const reply = await lab.api(node, "PUT", `/1.0/settings/${key}`, { value: "said" });
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  }

  async function whole(nodes: readonly string[]): Promise<void> {
    await cluster.formed(nodes);
    await cluster.seated("n1", 3);
    await cluster.healthy("n1");
    expect(await cluster.object("n2", "data", "before")).toBe("written when all was well");
  }

  it("stay one cluster and admit a node while one of them loses a third of its packets", async () => {
    const { name: holder } = await cluster.holder("n1");
    const [lossy = ""] = othersThan(holder);
    const sound = othersThan(lossy);
    await lab.add("n4", { bare: true });
    await lab.loss(lossy, 30);
    const { watched } = await watchWhile(lab, trio, async () => {
      const since = performance.now();
      await lab.start("n4");
      await cluster.put(holder, "data", "lossy", "written while packets were lost");
      await lab.waitFor(
        "the new node to be a member",
        async (note) => {
          const { self } = await lab.mesh("n4");
          note(self);
          return self.state === "member";
        },
        minutes(4),
      );
      // The fault itself lasts so long; nothing is waited for.
      await delay(Math.max(0, lossMs - (performance.now() - since)));
      // It may be suspected now and then, and still counts as alive again.
      await lab.waitFor(
        `${lossy} to be alive for the others`,
        async (note) => {
          const meshes = await cluster.meshes(sound);
          const states = [...meshes.values()].map(
            ({ members }) => members.find(({ name }) => name === lossy)?.presence,
          );
          note(states);
          return states.every((state) => state === "alive");
        },
        minutes(2),
      );
    });
    expectOne(watched);
    for (const node of sound) {
      const [other = ""] = sound.filter((name) => name !== node);
      expect(watched.presence.get(`${node} says ${other} failed`) ?? 0).toBe(0);
    }
    await lab.heal();
    await whole([...trio, "n4"]);
    const admitted = (await oneJournal([...trio, "n4"])).filter(({ kind, state }) => {
      return kind === "member.admit" && state === "done";
    });
    expect(admitted).toHaveLength(4);
    expect(await cluster.object("n4", "data", "lossy")).toBe("written while packets were lost");
  });

  it("have one holder at any time while the holder reaches another one way only", async () => {
    const { name: holder } = await cluster.holder("n1");
    const [deaf = "", third = ""] = othersThan(holder);
    await lab.cutOneWay(holder, deaf);
    const { watched } = await watchWhile(lab, trio, async () => {
      await decide(third, "test.one-way");
      // The way back is open, so packets arrive; nothing that needs an answer does.
      await lab.waitFor(
        `${holder} or ${deaf} to notice`,
        async (note) => {
          const meshes = await cluster.meshes([holder, deaf]);
          const states = [...meshes.values()].flatMap(({ members }) =>
            members.map(({ presence }) => presence),
          );
          note(states);
          return states.some((state) => state !== "alive");
        },
        minutes(2),
      );
      // What becomes of I/O between two OSDs that hear each other one way only is for Ceph to find out.
      await cluster.holder(third);
    });
    expectOne(watched);
    await lab.heal();
    await whole([...trio, "n4"]);
    await oneJournal(trio);
    await cluster.put(holder, "data", "one-way", "written after it");
    expect(await cluster.object(deaf, "data", "one-way")).toBe("written after it");
  });

  it("go on when an etcd stands still, say so, and have it back when it runs again", async () => {
    const { name: holder, epoch } = await cluster.holder("n1");
    const [witness = ""] = othersThan(holder);
    await lab.pause(holder, "etcd");
    const { watched } = await watchWhile(lab, trio, async () => {
      const next = await cluster.holder(witness, ({ name }) => name !== holder);
      expect(next.epoch).toBeGreaterThan(epoch);
      await lab.waitFor(
        `${holder} to say that its etcd does not answer`,
        async (note) => {
          const { conditions } = (await lab.get(holder, "/1.0/health")) as Health;
          note(conditions);
          return conditions.some(({ code }) => code === "VOTER_SILENT");
        },
        minutes(1),
      );
    });
    expectOne(watched);
    await lab.resume(holder, "etcd");
    await lab.waitFor(
      `${holder} to be a sound voter again`,
      async (note) => {
        const { conditions } = (await lab.get(holder, "/1.0/health")) as Health;
        note(conditions);
        return !conditions.some(({ code }) => code === "VOTER_SILENT");
      },
      minutes(1),
    );
    await whole([...trio, "n4"]);
    await oneJournal(trio);
  });

  it("say so when a monitor stands still, and when a daemon does, and recover", async () => {
    const { name: holder } = await cluster.holder("n1");
    const [monitor = "", daemon = ""] = othersThan(holder);
    await lab.pause(monitor, "ceph-mon");
    await lab.waitFor(
      "status to tell two of three monitors",
      async (note) => {
        const { health } = await lab.cephStatus(holder);
        note(health?.monitors);
        return health?.monitors.inQuorum === 2 && health.monitors.total === 3;
      },
      minutes(2),
    );
    await lab.pause(daemon, "daemon");
    await lab.waitFor(
      `${holder} to find ${daemon} failed`,
      async (note) => {
        const { conditions } = (await lab.get(holder, "/1.0/health")) as Health;
        note(conditions);
        return conditions.some(({ code, text }) => code === "MEMBER_FAILED" && text.includes(daemon));
      },
      minutes(2),
    );
    await cluster.put(holder, "data", "still", "written while two stood still");
    await lab.resume(monitor, "ceph-mon");
    await lab.resume(daemon, "daemon");
    await whole([...trio, "n4"]);
    const { conditions } = (await lab.get(holder, "/1.0/health")) as Health;
    expect(conditions.map(({ code }) => code)).not.toContain("MEMBER_FAILED");
    expect(await cluster.object(daemon, "data", "still")).toBe("written while two stood still");
  });
});
