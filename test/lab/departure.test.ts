// Nodes that are lost for a while, are maintained, leave, or are gone for good: real etcd and Ceph, with data on it.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { DiskList } from "../../src/cli/render/disk-lists.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const four = ["n1", "n2", "n3", "n4"];

labSuite("members that come and go", () => {
  let lab: Lab;
  let cluster: LabCluster;
  /** Members that are left. */
  let survivors: readonly string[] = four;
  /** Where no monitor is wanted. */
  let unwanted = "";
  /** The one that was removed as dead, and came back. */
  let removed = "";
  /** Seats: voters by the members' own status, monitors by Ceph's map. */
  const seats = (node: string, names: readonly string[]): Promise<true> =>
    lab.waitFor(
      `voters and monitors on ${names.join(", ")}, seen from ${node}`,
      async (note) => {
        const { members, lease } = await lab.mesh(node);
        const voters = members.filter(({ voter }) => voter).map(({ name }) => name);
        const monitors = await cluster.monitors(node);
        note({ voters, monitors, lease });
        return lease.quorum === "ok" && `${voters.sort()}` === `${names}` && `${monitors}` === `${names}`;
      },
      minutes(4),
    ) as Promise<true>;
  const text = "what must not be lost";
  const written = (node: string): Promise<string> => cluster.object(node, "data", "kept");
  const osdOf = async (node: string): Promise<number> => {
    const disks = JSON.parse(await cluster.run("n1", "disk", "list", "--json")) as DiskList;
    return disks.ConfiguredDisks.find(({ location }) => location === node)?.osd ?? -1;
  };
  const votersOf = async (node: string): Promise<string[]> =>
    (await lab.mesh(node)).members.filter(({ voter }) => voter).map(({ name }) => name);
  const failed = (node: string, seenBy: string): Promise<true> =>
    lab.waitFor(
      `${node} to be seen as failed`,
      async () => (await lab.mesh(seenBy)).members.find(({ name }) => name === node)?.presence === "failed",
      minutes(2),
    ) as Promise<true>;

  beforeAll(async () => {
    lab = await Lab.up("departure", { nodes: 4 });
    cluster = new LabCluster(lab);
    await cluster.holding(four, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("give vote, monitor, manager and metadata server to another when they are asked to", async () => {
    const source = (await cluster.holder("n1")).name;
    const voters = await votersOf("n1");
    const destination = four.find((name) => !voters.includes(name)) ?? "";
    const kinds = (node: string): string[] =>
      [...cluster.daemons(node).keys()].map((unit) => unit.split(".")[0] ?? "").sort();
    // What only stands by comes some seconds after the monitors.
    await lab.waitFor(
      `all daemons on ${source}`,
      async (note) => {
        note(kinds(source));
        return `${kinds(source)}` === "mds,mgr,mon,osd";
      },
      minutes(2),
    );
    await cluster.settled(source);
    const moved = await cluster.run(source, "cluster", "migrate", source, destination);
    expect(moved).toBe(`voter, mon, mgr, mds moved from ${source} to ${destination}.\n`);
    await seats(
      destination,
      four.filter((name) => name !== source),
    );
    await lab.waitFor(
      `no daemon but its OSD on ${source}, and all of them on ${destination}`,
      async (note) => {
        note([kinds(source), kinds(destination)]);
        const there = kinds(destination);
        return `${kinds(source)}` === "osd" && ["mds", "mgr", "mon"].every((kind) => there.includes(kind));
      },
      minutes(2),
    );
    const again = await cluster.cli("n1", "cluster", "migrate", source, destination);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining("[NOTHING_TO_MOVE]")]);
    await cluster.healthy("n1");
    expect(await written("n1")).toBe(text);
  });

  it("have no monitor where none is wanted by name; another has it first", async () => {
    const holder = (await cluster.holder("n1")).name;
    unwanted = (await votersOf("n1")).find((name) => name !== holder) ?? "";
    const printed = await cluster.run(unwanted, "disable", "mon");
    expect(printed).not.toContain(`${unwanted} `);
    await seats(
      holder,
      four.filter((name) => name !== unwanted),
    );
    for (const [code, ...args] of [
      ["DAEMON_NEEDED", "disable", "mon", "--target", holder],
      ["WISH_CONFLICT", "cluster", "migrate", holder, unwanted],
    ] as const) {
      const { exitCode, stderr } = await cluster.cli("n1", ...args);
      expect([exitCode, stderr]).toEqual([4, expect.stringContaining(`[${code}]`)]);
    }
    await cluster.healthy("n1");
  });

  it("lose their seats to another when they are away for longer than the grace time, and come back without", async () => {
    const holder = (await cluster.holder("n1")).name;
    // On one that stays: what was said a moment before a power loss may have reached nobody.
    await cluster.run(holder, "mesh", "setting", "set", "grace.monitor", "10");
    await cluster.run(holder, "mesh", "setting", "set", "grace.service", "10");
    const lost = (await votersOf("n1")).find((name) => name !== holder) ?? "";
    const rest = four.filter((name) => name !== lost);
    await lab.kill(lost, "all");
    // Also to one that was to have none, as nobody else is left.
    await seats(holder, rest);
    expect(await cluster.run(holder, "mesh", "explain", "seats")).toContain(
      `no monitor is wanted on ${unwanted}`,
    );
    await cluster.run(holder, "enable", "mon", "--target", unwanted);
    expect(await written(holder)).toBe(text);
    const reasons = (await cluster.journal(holder)).map(({ reason }) => reason).join("\n");
    expect(reasons).toContain(`${lost} is lost: its vote goes to another`);
    expect(reasons).toContain(`the monitor ${lost} is lost`);
    await lab.waitFor(
      "a manager on every other host",
      async () => rest.every((name) => cluster.daemons(name).has(`mgr.${name}`)),
      minutes(2),
    );
    await lab.start(lost);
    await cluster.formed(four);
    await lab.waitFor(
      `${lost} to have its OSD again, and no monitor or etcd`,
      async (note) => {
        const daemons = [...cluster.daemons(lost).keys()];
        note(daemons);
        return daemons.includes(`osd.${await osdOf(lost)}`) && !daemons.includes(`mon.${lost}`);
      },
      minutes(3),
    );
    // The moment its OSD is up all is well, and then placement groups go back to it.
    await lab.waitFor(
      `${lost} to serve data again`,
      async (note) => {
        const of = ["pg", "ls-by-osd", `osd.${await osdOf(lost)}`];
        const { pg_stats } = await cluster.cephJson<{ pg_stats: { state: string }[] }>(holder, ...of);
        const states = pg_stats.map(({ state }) => state);
        note(states);
        return states.length > 0 && states.every((state) => state === "active+clean");
      },
      minutes(3),
    );
    await seats(holder, rest);
    for (const name of ["grace.monitor", "grace.service"])
      await cluster.run(holder, "mesh", "setting", "reset", name);
    await cluster.healthy(holder);
  });

  it("are maintained and come back: what was changed is put back, and nothing is moved meanwhile", async () => {
    const osd = await osdOf("n2");
    const nodeFlags = async (): Promise<unknown> =>
      (await cluster.cephJson<{ crush_node_flags: unknown }>("n1", "osd", "dump")).crush_node_flags;
    const isUp = async (): Promise<boolean> =>
      (await cluster.cephJson<{ osds: { osd: number; up: number }[] }>("n1", "osd", "dump")).osds.find(
        (one) => one.osd === osd,
      )?.up === 1;
    const dry = await cluster.run("n3", "cluster", "maintenance", "enter", "n2", "--dry-run");
    expect(dry).toContain(`Check if osds [${osd}] in node 'n2' are ok-to-stop.\n`);
    expect(await nodeFlags()).toEqual({});
    const entered = await cluster.run("n3", "cluster", "maintenance", "enter", "n2", "--stop-osds");
    expect(entered).toContain("Stop osd service in node 'n2'. (succeeded)\n");
    expect(await nodeFlags()).toEqual({ n2: ["noout"] });
    await lab.waitFor("its OSD to be down", async () => !(await isUp()), minutes(2));
    expect((await cluster.cephJson<{ active_name: string }>("n1", "mgr", "dump")).active_name).not.toBe("n2");
    expect(await written("n1")).toBe(text);
    // Another one cannot be spared now.
    const second = await cluster.cli("n1", "cluster", "maintenance", "enter", "n3");
    expect([second.exitCode, second.stdout]).toEqual([4, expect.stringContaining("(failed: ")]);
    await cluster.run("n1", "cluster", "maintenance", "exit", "n2");
    expect(await nodeFlags()).toEqual({});
    await lab.waitFor("its OSD to be up", isUp, minutes(2));
    await cluster.healthy("n1");
  });

  it("are called what an operator calls them, while Ceph knows them by their handle", async () => {
    await cluster.run("n1", "cluster", "rename", "n4", "attic");
    const isCalled = (name: string): Promise<true> =>
      lab.waitFor(
        `all to call it ${name}`,
        async () => {
          const lists = await Promise.all(
            four.map((node) => cluster.run(node, "cluster", "list", "-f", "csv")),
          );
          return lists.every((list) => list.includes(`${name},`));
        },
        minutes(1),
      ) as Promise<true>;
    await isCalled("attic");
    const taken = await cluster.cli("n2", "cluster", "rename", "n3", "attic");
    expect([taken.exitCode, taken.stderr]).toEqual([4, expect.stringContaining("[NAME_TAKEN]")]);
    const tree = await cluster.cephJson<{ nodes: { name: string }[] }>("n1", "osd", "tree");
    expect(tree.nodes.map(({ name }) => name)).toContain("n4");
    await cluster.run("n2", "cluster", "rename", "attic", "n4");
    await isCalled("n4");
  });

  it("give their seats and their data to others first, and keep no key", async () => {
    const holder = (await cluster.holder("n1")).name;
    const leaver = (await votersOf("n1")).find((name) => name !== holder) ?? "";
    const osd = await osdOf(leaver);
    const rest = four.filter((name) => name !== leaver);
    const plan = await cluster.run(holder, "cluster", "remove", leaver, "--dry-run");
    expect(plan).toContain("its monitor leaves the monitor map");
    expect(plan).toContain("3 members with 3 votes will survive the loss of one node");
    await cluster.run(rest.at(-1) ?? "", "cluster", "remove", leaver);
    await seats(holder, rest);
    await cluster.removed(leaver);
    await cluster.formed(rest);
    const keys = await cluster.cephJson<{ auth_dump: { entity: string }[] }>(holder, "auth", "ls");
    expect(keys.auth_dump.filter(({ entity }) => entity.endsWith(`.${leaver}`))).toEqual([]);
    expect(
      await lab.run(leaver, [
        "sh",
        "-c",
        "ls /var/lib/microceph/etcd /var/lib/microceph/conf/*keyring* 2>&1 || true",
      ]),
    ).not.toMatch(/^[^:]*keyring$/m);
    await cluster.settled(holder);
    const { osds } = await cluster.cephJson<{ osds: { osd: number }[] }>(holder, "osd", "dump");
    expect(osds.map((one) => one.osd)).not.toContain(osd);
    await lab.waitFor(
      "its host bucket to be taken out of CRUSH",
      async () => {
        const { nodes } = await cluster.cephJson<{ nodes: { name: string }[] }>(holder, "osd", "tree");
        return nodes.every(({ name }) => name !== leaver);
      },
      minutes(2),
    );
    await cluster.healthy(holder);
    expect(await written(holder)).toBe(text);
    survivors = rest;
  });

  it("stay when the others could not keep the copies", async () => {
    const [asked = "", leaver = ""] = survivors;
    const refused = await cluster.cli(asked, "cluster", "remove", leaver);
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[OSD_NEEDED]")]);
    expect((await lab.mesh(asked)).members).toHaveLength(3);
  });

  it("are removed by the survivors alone when they are dead, and stay so when they come back", async () => {
    const { members } = await lab.mesh(survivors[0] ?? "");
    const names = members.map(({ name }) => name);
    const dead = names.find((name) => name !== survivors[0]) ?? "";
    const left = names.filter((name) => name !== dead);
    const [asked = "", other = ""] = left;
    const early = await cluster.cli(asked, "cluster", "remove", dead, "--dead");
    expect([early.exitCode, early.stderr]).toEqual([4, expect.stringContaining("[MEMBER_ALIVE]")]);
    // What a thief has of it.
    const stolen = await lab.run(dead, ["sh", "-c", "cat /var/lib/microceph/conf/*client.admin.keyring"]);
    const monKeys = (node: string): Promise<string> =>
      lab.run(node, ["sh", "-c", "cat /var/lib/microceph/data/mon/*/keyring 2>/dev/null || true"]);
    const former = (await monKeys(dead)) + (await monKeys(asked)) + (await monKeys(other));
    expect([stolen, former].every((text) => /\bkey = \S{38,}/.test(text))).toBe(true);
    await lab.kill(dead, "all");
    // Each hears it by itself, one a moment after the other.
    for (const node of left) await failed(dead, node);
    const refused = await cluster.cli(other, "cluster", "remove", dead);
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[MEMBER_DEAD]")]);
    const removal = await cluster.run(other, "cluster", "remove", dead, "--dead", "--revoke");
    expect(removal).toBe(`${dead} is no member any more.\n`);
    await lab.run(asked, ["sh", "-c", `umask 077; cat > /tmp/stolen.keyring <<'END'\n${stolen}\nEND`]);
    const thief = await lab.exec(asked, [
      ...["timeout", "60", "ceph", "-n", "client.admin", "--keyring", "/tmp/stolen.keyring", "auth", "ls"],
    ]);
    expect([thief.exitCode === 0, thief.stdout]).toEqual([false, expect.not.stringContaining("key:")]);
    for (const node of left) {
      await lab.waitFor(
        `${node} to have the new key`,
        () => cluster.ceph(node, "auth", "get", "client.admin"),
        minutes(1),
      );
      for (const key of (await monKeys(node)).match(/[A-Za-z0-9+/=]{40}/g) ?? [])
        expect(former).not.toContain(key);
    }
    // Two members want one seat: what two tolerate is nothing, and one says so.
    const first = await lab.waitFor(
      "one vote and one monitor, on one of the two",
      async (note) => {
        const seen = await lab.mesh(asked);
        const voters = seen.members.filter(({ voter }) => voter).map(({ name }) => name);
        const monitors = await cluster.monitors(asked);
        note({ voters, monitors });
        return `${voters}` === `${monitors}` && voters.length === 1 ? voters[0] : undefined;
      },
      minutes(3),
    );
    expect(left).toContain(first);
    await cluster.formed(left);
    expect(await written(asked)).toBe(text);
    const { osds } = await cluster.cephJson<{ osds: unknown[] }>(asked, "osd", "dump");
    expect(osds).toHaveLength(2);
    await lab.start(dead);
    await cluster.removed(dead);
    await cluster.formed(left);
    survivors = left;
    removed = dead;
  });

  it("become fresh nodes with another key when they are reset; a member that is needed does not", async () => {
    const [asked = ""] = survivors;
    const refused = await cluster.cli(asked, "cluster", "reset", "--keep-disks");
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[RESET_REFUSED]")]);
    await cluster.run(asked, "mesh", "admission", "approve");
    const former = (await lab.mesh(removed)).self.id;
    await cluster.run(removed, "cluster", "reset", "--keep-disks");
    const { id, state } = (await lab.mesh(removed)).self;
    expect([id === former, state]).toEqual([false, "fresh"]);
    await lab.waitFor(
      "the reset node to be pending, as any fresh node is",
      async () => (await lab.mesh(asked)).pending.some((node) => node.id === id),
      minutes(2),
    );
  });
});

// Of hosts that had no monitor before: with Ceph 16 one that is given its second one may never get through to the other.
labSuite("a cluster of two", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    lab = await Lab.up("departure-two", { nodes: 2, bare: true });
    cluster = new LabCluster(lab);
    await lab.start("n1");
    await cluster.run("n1", "cluster", "bootstrap");
    await lab.start("n2");
    await cluster.formed(["n1", "n2"]);
    await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", "all");
    await cluster.ceph("n1", "osd", "pool", "create", "data", "8");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "data", "test");
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("hands everything over when the only voter leaves by itself; the last one cannot leave", async () => {
    const fsid = await cluster.ceph("n2", "fsid");
    await cluster.singleCopies("n2");
    await cluster.put("n1", "data", "kept", "what must not be lost");
    await cluster.run("n1", "cluster", "leave");
    await cluster.removed("n1");
    await cluster.formed(["n2"]);
    await cluster.seated("n2", 1);
    expect(await cluster.monitors("n2")).toEqual(["n2"]);
    const refused = await cluster.cli("n2", "cluster", "leave");
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[LAST_MEMBER]")]);
    expect(await cluster.ceph("n2", "fsid")).toBe(fsid);
    expect(await cluster.object("n2", "data", "kept")).toBe("what must not be lost");
  });
});
