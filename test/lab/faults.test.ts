// Nodes stop, lose power, are cut off and come back; what is decided is decided once. Real Ceph.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { JournalEntry } from "../../src/api/contract/journal.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];
/** How long the holder stands still: four times the life of its lease. */
const pauseMs = 20_000;

labSuite("three hosts with one disk each, and faults", () => {
  let lab: Lab;
  let cluster: LabCluster;

  const others = (nodes: readonly string[], ...without: string[]) =>
    nodes.filter((node) => !without.includes(node));
  const put = async (node: string, key: string, value: string): Promise<void> => {
    const reply = await lab.api(node, "PUT", `/1.0/settings/${key}`, { value });
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  };
  const settings = async (node: string) => (await lab.get(node, "/1.0/settings")) as Record<string, string>;
  const presence = (observer: string, node: string, states: readonly string[]): Promise<string> =>
    lab.waitFor(
      `${observer} to find ${node} ${states.join(" or ")}`,
      async (note) => {
        const state = (await lab.mesh(observer)).members.find((member) => member.name === node)?.presence;
        note(state);
        return state !== undefined && states.includes(state) ? state : undefined;
      },
      minutes(3),
    );
  const quorumLost = (node: string): Promise<true> =>
    lab.waitFor(
      `${node} to say that the quorum is lost`,
      async (note) => {
        const { lease } = await lab.mesh(node);
        note(lease);
        return lease.quorum === "lost" ? true : undefined;
      },
      minutes(2),
    );

  beforeAll(async () => {
    lab = await Lab.up("faults", { nodes: 3 });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
  });

  /** Ceph's first monitor stands still until there are three votes: the other monitors come after those then. */
  async function votesBeforeMonitors(): Promise<void> {
    const pid = await lab.waitFor(
      "the first monitor",
      async () => trio.flatMap((node) => cluster.daemons(node).get(`mon.${node}`) ?? [])[0],
      { ...minutes(2), everyMs: 20 },
    );
    process.kill(pid, "SIGSTOP");
    try {
      await lab.waitFor(
        "three votes",
        async (note) => {
          const journal = await cluster.journal("n1");
          const votes = journal.filter(({ kind, state }) => kind === "quorum.voter" && state === "done");
          note(votes.length);
          return votes.length === 2;
        },
        minutes(2),
      );
    } finally {
      process.kill(pid, "SIGCONT");
    }
  }

  /** The holder of three votes and its open monitor change, as a node that is not the holder knows them. */
  function monitorInFlight(): Promise<{ holder: string; witness: string; entry: JournalEntry }> {
    return lab.waitFor(
      "a monitor change in flight once all have a vote, known to a node beside the holder",
      async (note) => {
        const meshes = await cluster.meshes(trio).catch(() => new Map());
        for (const [node, mesh] of meshes) {
          const holder = mesh.members.find((member: { id: string }) => member.id === mesh.lease.holder)?.name;
          if (holder === undefined || holder === node) continue;
          const journal = await cluster.journal(node);
          const entry = journal.find((one) => one.kind === "ceph.mon" && one.state === "open");
          note(journal.map(({ kind, state }) => `${kind} ${state}`));
          // Two voters decide nothing while one of them stands still.
          const votes = journal.filter((one) => one.kind === "quorum.voter" && one.state === "done");
          if (entry !== undefined && votes.length === 2) return { holder, witness: node, entry };
        }
        return undefined;
      },
      { ...minutes(5), everyMs: 20 },
    );
  }

  it("add each monitor once though the holder stands still for 20 s in the middle", async () => {
    let paused: { holder: string; witness: string } | undefined;
    await votesBeforeMonitors();
    // A change may end while the holder is being stopped; then the next one serves.
    for (let attempt = 0; attempt < 2 && paused === undefined; attempt += 1) {
      const { holder, witness, entry } = await monitorInFlight();
      await lab.pause(holder);
      const now = (await cluster.journal(witness)).find((one) => one.id === entry.id);
      if (now?.state === "open") paused = { holder, witness };
      else await lab.resume(holder);
    }
    if (paused === undefined) throw new Error("no monitor change was still open once its holder stood still");
    const { holder, witness } = paused;
    const since = performance.now();
    const before = (await lab.mesh(witness)).lease;
    const next = await cluster.holder(witness, ({ name }) => name !== holder);
    expect(next.epoch).toBeGreaterThan(before.epoch ?? 0);
    // The fault itself lasts so long; nothing is waited for.
    await delay(Math.max(0, pauseMs - (performance.now() - since)));
    await lab.resume(holder);

    await cluster.formed(trio);
    for (const node of trio) await cluster.seated(node, 3);
    for (const node of trio) await cluster.settled(node);
    const decided = await lab.waitFor(
      "all to have the same journal",
      async (note) => {
        const heads = [...(await cluster.meshes(trio)).values()].map(
          (mesh) => mesh.lease.lastDecision?.number,
        );
        note(heads);
        return new Set(heads).size === 1 ? cluster.journal(holder) : undefined;
      },
      minutes(2),
    );
    const added = decided.filter((entry) => entry.kind === "ceph.mon" && entry.state === "done");
    expect(added.map((entry) => entry.reason).sort()).toHaveLength(2);
    expect(new Set(added.map((entry) => entry.agent)).size, "one entry per monitor").toBe(2);
    expect(await cluster.monitors(holder)).toEqual(trio);
    for (const node of trio) {
      const monitors = [...cluster.daemons(node).keys()].filter((name) => name.startsWith("mon."));
      expect(monitors).toEqual([`mon.${node}`]);
    }
  });

  it("become healthy with a disk each", async () => {
    for (const node of trio) {
      expect(await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", node)).toMatch(/Success/);
    }
    await lab.waitFor(
      "copies on three hosts",
      async (note) => {
        const rule = await cluster.defaultRule("n1");
        const size = (await cluster.ceph("n1", "config", "get", "mon", "osd_pool_default_size")).trim();
        note({ rule, size });
        return rule.name === "microceph_auto_host" && size === "3";
      },
      minutes(3),
    );
    await cluster.ceph("n1", "osd", "pool", "create", "data", "8");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "data", "test");
    await cluster.healthy("n1");
    await cluster.put("n1", "data", "first", "written when all was well");
  });

  it("go on without the holder when it loses power, and take it back by itself", async () => {
    const { name: victim, epoch } = await cluster.holder("n1");
    const [observer = "", witness = ""] = others(trio, victim);
    await lab.kill(victim, "all");
    for (const node of [observer, witness]) await presence(node, victim, ["suspect", "failed"]);
    for (const node of [observer, witness]) await presence(node, victim, ["failed"]);
    const next = await cluster.holder(observer, ({ name }) => name !== victim);
    expect(next.epoch).toBeGreaterThan(epoch);
    await cluster.put(observer, "data", "second", "written on two of three");
    expect(await cluster.object(witness, "data", "second")).toBe("written on two of three");

    await lab.start(victim);
    await cluster.formed(trio);
    await cluster.seated(victim, 3);
    await cluster.healthy(victim);
    expect(await cluster.object(victim, "data", "second")).toBe("written on two of three");
    expect([...cluster.daemons(victim).keys()].map((name) => name.split(".")[0]).sort()).toEqual([
      "mds",
      "mgr",
      "mon",
      "osd",
    ]);
  });

  it("let a cut holder say at once that it decides nothing, take its wishes, and merge them", async () => {
    const { name: lonely } = await cluster.holder("n1");
    const rest = others(trio, lonely);
    const [observer = ""] = rest;
    const before = (await lab.mesh(lonely)).lease.lastDecision;
    await lab.cut(lonely);
    await quorumLost(lonely);
    const { lease } = await lab.mesh(lonely);
    expect(lease.lastDecision).toEqual(before);
    const shown = await cluster.cli(lonely, "mesh", "status");
    expect(shown).toMatchObject({ exitCode: 0 });
    expect(shown.stdout).toMatch(/NO QUORUM/);
    const summary = await cluster.cli(lonely, "status");
    expect(summary).toMatchObject({ exitCode: 0 });
    expect(summary.stderr).toMatch(/no quorum/);

    await put(lonely, "test.alone", "said while cut off");
    expect(await settings(lonely)).toMatchObject({ "test.alone": "said while cut off" });
    await put(observer, "test.rest", "said meanwhile");
    await cluster.holder(observer, ({ name }) => name !== lonely);
    await cluster.put(observer, "data", "third", "written while one was cut off");
    for (const node of rest) {
      expect((await settings(node))["test.alone"], node).toBeUndefined();
      await presence(node, lonely, ["failed"]);
    }
    expect((await lab.mesh(lonely)).lease).toMatchObject({ quorum: "lost", lastDecision: before });

    await lab.heal(lonely);
    for (const node of trio) {
      await lab.waitFor(
        `${node} to know the wishes of both sides`,
        async (note) => {
          const found = await settings(node);
          note(found);
          return found["test.alone"] === "said while cut off" && found["test.rest"] === "said meanwhile";
        },
        minutes(2),
      );
    }
    await cluster.formed(trio);
    await cluster.seated(lonely, 3);
    await cluster.healthy(lonely);
  });

  it("decide nothing on the small side of a partition, and everything after it", async () => {
    await lab.add("n4", { bare: true });
    await lab.partition(["n1", "n2"], ["n3", "n4"]);
    await quorumLost("n3");
    await cluster.holder("n1", ({ name }) => name !== "n3");
    const before = await cluster.journal("n3");
    // A fresh node there is seen and would be claimed, but that is a decision.
    await lab.start("n4");
    const { id } = (await lab.mesh("n4")).self;
    await lab.waitFor(
      "n3 to list n4, and n4 to wait for the cluster",
      async (note) => {
        const [member, fresh] = await Promise.all([lab.mesh("n3"), lab.mesh("n4")]);
        note({ pending: member.pending, self: fresh.self });
        return (
          member.pending.some((one) => one.id === id) && /waits for cluster/.test(fresh.self.waitingFor ?? "")
        );
      },
      minutes(2),
    );
    expect((await lab.mesh("n4")).self.state).toBe("fresh");
    expect(await cluster.journal("n3")).toEqual(before);
    await put("n1", "test.side", "large");
    await put("n3", "test.other", "small");
    await cluster.put("n1", "data", "fourth", "written by the majority");

    await lab.heal();
    await cluster.formed([...trio, "n4"]);
    for (const node of [...trio, "n4"]) {
      await lab.waitFor(
        `${node} to know the wishes of both sides`,
        async () => {
          const found = await settings(node);
          return found["test.side"] === "large" && found["test.other"] === "small";
        },
        minutes(2),
      );
    }
    await cluster.healthy("n3");
    expect(await cluster.object("n4", "data", "fourth")).toBe("written by the majority");
  });

  it("come back as the same cluster with all data after all lost power at once", async () => {
    const nodes = [...trio, "n4"];
    const before = (await lab.mesh("n1")).cluster;
    const members = (await lab.mesh("n1")).members.map(({ id, handle }) => ({ id, handle }));
    await Promise.all(nodes.map((node) => lab.kill(node, "all")));
    for (const node of nodes) expect(cluster.daemons(node), node).toEqual(new Map());
    await Promise.all(nodes.map((node) => lab.start(node)));
    const meshes = await cluster.formed(nodes);
    for (const [node, mesh] of meshes) {
      expect(mesh.cluster, node).toMatchObject({ id: before?.id, fsid: before?.fsid });
      expect(
        mesh.members.map(({ id, handle }) => ({ id, handle })),
        node,
      ).toEqual(members);
    }
    await cluster.seated("n1", 3);
    await cluster.healthy("n1");
    const objects = ["first", "second", "third", "fourth"];
    const read = await Promise.all(objects.map((object) => cluster.object("n2", "data", object)));
    expect(read).toEqual([
      "written when all was well",
      "written on two of three",
      "written while one was cut off",
      "written by the majority",
    ]);
    expect((await cluster.ceph("n3", "fsid")).trim()).toBe(before?.fsid);
  });

  it("seat a voter anew whose etcd has lost its data", async () => {
    const { members, lease } = await lab.mesh("n1");
    const victim = members.find(({ voter, id }) => voter && id !== lease.holder);
    const witness = members.find(({ id }) => id === lease.holder)?.name ?? "n1";
    if (victim === undefined) throw new Error("no voter beside the holder");
    const seated = async (): Promise<number> =>
      (await cluster.journal(witness)).filter(
        ({ kind, state, agent }) => kind === "quorum.voter" && state === "done" && agent === victim.id,
      ).length;
    const before = await seated();
    await lab.kill(victim.name, "daemon");
    await lab.run(victim.name, ["rm", "-rf", "/var/lib/microceph/etcd/data"]);
    await lab.start(victim.name);
    await lab.waitFor(
      `${victim.name} to be seated again`,
      async (note) => {
        const now = await seated();
        note({ before, now });
        return now === before + 1;
      },
      minutes(3),
    );
    const status = (await lab.get(victim.name, "/1.0/health")) as { conditions: { code: string }[] };
    expect(status.conditions.map(({ code }) => code)).not.toContain("VOTER_STOPPED");
    await cluster.seated(witness, 3);
  });
});
