// Three fresh hosts become one Ceph cluster by themselves and serve; what is killed comes back. Real Ceph.
import { afterAll, beforeAll, expect, it } from "vitest";
import { isRootless } from "../../scripts/lab/machine.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { EventReader } from "./support/event-reader.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];
const all = [...trio, "n4"];

/** All keys of a JSON value, sorted: `members[].id`, `cluster.admission.mode`, `pending` (an empty list). */
function keysOf(value: unknown, path = ""): string[] {
  const objects = Array.isArray(value) ? value.filter((one) => typeof one === "object") : [];
  if (objects.length > 0) return [...new Set(objects.flatMap((one) => keysOf(one, `${path}[]`)))].sort();
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [path];
  return Object.entries(value)
    .flatMap(([key, inner]) => keysOf(inner, path === "" ? key : `${path}.${key}`))
    .sort();
}

const meshKeys = [
  "asOf",
  ...["cluster.id", "cluster.name", "cluster.fsid", "cluster.admission.mode", "cluster.admission.until"],
  ...["self.id", "self.name", "self.handle", "self.state", "self.window.open", "self.window.until"],
  "self.waitingFor",
  ...["lease.holder", "lease.epoch", "lease.quorum", "lease.lastDecision.number", "lease.lastDecision.at"],
  ...["id", "name", "handle", "addresses", "presence", "lastSeen", "voter", "services", "zone"].map(
    (key) => `members[].${key}`,
  ),
  // Empty here; admission.test.ts looks at the keys of their elements.
  ...["pending", "conflicts"],
].sort();

const rfc3339 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$/;

labSuite("three fresh hosts, no command", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    lab = await Lab.up("cluster", { nodes: 3 });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("form exactly one cluster with three voters and three monitors", async () => {
    const meshes = await cluster.formed(trio);
    expect(new Set([...meshes.values()].map((mesh) => mesh.self.handle))).toEqual(new Set(trio));
    await cluster.seated("n1", 3);
    expect(await cluster.monitors("n2")).toEqual(trio);
    await cluster.settled("n1");
    const journal = await cluster.journal("n1");
    const count = (kind: string) => journal.filter((entry) => entry.kind === kind).length;
    expect([count("cluster.found"), count("ceph.bootstrap")]).toEqual([1, 1]);
    const done = journal.filter((entry) => entry.state === "done");
    expect(done.filter((entry) => entry.kind === "member.admit")).toHaveLength(3);
    // The founder and the first monitor have their seats from the start; two each were added.
    expect(done.filter((entry) => entry.kind === "quorum.voter")).toHaveLength(2);
    expect(done.filter((entry) => entry.kind === "ceph.mon")).toHaveLength(2);
    // While it is built, changes of the maps are not gathered; disk-and-clock.test.ts looks at the end of that.
    expect(await cluster.overrides("n1", "mon.n1")).toContain("paxos_propose_interval");
    for (const node of trio) {
      // Who joined asked often whether it was let in; its next start is like any other.
      expect(await lab.run(node, ["cat", "/var/lib/microceph/conf/ceph.conf"])).not.toContain(
        "probe timeout",
      );
    }
  });

  it("say the same of the mesh, with exactly the public keys", async () => {
    const told = await lab.waitFor(
      "the three to agree on holder, last decision, and voters with their monitor, manager and metadata server",
      async (note) => {
        const found = await Promise.all(
          trio.map((node) => lab.json(node, ["microceph", "mesh", "status", "--format", "json"])),
        );
        note(found);
        const views = found.map((one) => {
          const { cluster: shown, lease, members } = one as Awaited<ReturnType<Lab["mesh"]>>;
          return JSON.stringify([shown, lease, members.map(({ id, voter }) => [id, voter])]);
        });
        const served = (found as Awaited<ReturnType<Lab["mesh"]>>[]).every(({ members }) =>
          members.every(({ services }) => ["mds", "mgr", "mon"].every((type) => services.includes(type))),
        );
        return served && new Set(views).size === 1
          ? (found as Awaited<ReturnType<Lab["mesh"]>>[])
          : undefined;
      },
      minutes(2),
    );
    for (const [index, mesh] of told.entries()) {
      const node = trio[index] ?? "";
      expect(keysOf(mesh), node).toEqual(meshKeys);
      expect(mesh.pending, node).toEqual([]);
      expect(mesh.conflicts, node).toEqual([]);
      expect(mesh.asOf, node).toMatch(rfc3339);
      expect(mesh.cluster?.admission.mode, node).toBe("auto");
      expect(mesh.cluster?.admission.until, node).toMatch(rfc3339);
      expect(mesh.cluster?.fsid, node).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
      expect(mesh.self, node).toMatchObject({ name: node, handle: node, state: "member", waitingFor: null });
      expect(mesh.lease.quorum, node).toBe("ok");
      const { ip } = await lab.node(node);
      expect(mesh.members.find((member) => member.name === node)?.addresses, node).toContain(ip);
      expect(
        mesh.members.every((member) => member.voter),
        node,
      ).toBe(true);
    }
    const fsid = (await cluster.ceph("n3", "fsid")).trim();
    expect(told[0]?.cluster?.fsid).toBe(fsid);
  });

  it("serve their OpenAPI document", async () => {
    const { status, body } = await lab.api("n1", "GET", "/1.0/openapi.json");
    expect(status).toBe(200);
    const document = body as { openapi: string; paths: Record<string, Record<string, unknown>> };
    expect(document.openapi).toMatch(/^3\./);
    for (const [path, method] of [
      ["/1.0/mesh", "get"],
      ["/1.0/status", "get"],
      ["/1.0/disks", "post"],
      ["/1.0/cluster", "post"],
      ["/1.0/mesh/approve", "post"],
      ["/1.0/events", "get"],
    ] as const) {
      expect(document.paths[path]?.[method], `${method} ${path}`).toBeDefined();
    }
  });

  it("take disks through the CLI, and tell of it in events", async () => {
    const reader = await EventReader.open(lab, "n1", 0);
    const later: EventReader[] = [];
    try {
      // Replayed: all since the daemon started, in order.
      await lab.waitFor("the replay", async () => reader.events.length > 0, minutes(1));
      expect(reader.events[0]?.seq).toBe(1);

      expect(await cluster.run("n1", "disk", "add", "loop,1G,1")).toMatch(/loop,1G,1.*Success/);
      await lab.waitFor(
        "osd.up in the event stream",
        async (note) => {
          note(reader.events.slice(-5));
          return reader.events.some((event) => event.type === "osd.up");
        },
        minutes(1),
      );
      // It was hastened while it started, and has its usual timers from here on.
      const changed = await cluster.overrides("n1", "osd.0");
      expect(changed.filter((name) => /^(bdev_aio|ms_|mgr_connect)/.test(name))).toEqual([]);
      expect(reader.events.some((event) => event.type === "job.changed")).toBe(true);
      const seen = reader.events.map((event) => event.seq);
      expect(seen).toEqual(seen.map((_, index) => index + 1));

      // A reader that comes back gets exactly what it missed.
      const middle = Math.floor(seen.length / 2);
      const again = await EventReader.open(lab, "n1", middle);
      later.push(again);
      await lab.waitFor("the rest", async () => again.events.length >= seen.length - middle, minutes(1));
      expect(again.events.slice(0, seen.length - middle)).toEqual(reader.events.slice(middle, seen.length));
    } finally {
      for (const one of [reader, ...later]) one.close();
    }
  });

  it("spread copies over hosts once three have disks, and leave the user's rule and pool alone", async () => {
    await lab.waitFor(
      "a default rule of our own over OSDs",
      async (note) => {
        const rule = await cluster.defaultRule("n1");
        note(rule);
        return rule.name === "microceph_auto_osd" && rule.domain === "osd";
      },
      minutes(3),
    );
    // What a user makes by hand: a rule over OSDs, and a pool that uses it with two copies.
    await cluster.ceph("n1", "osd", "crush", "rule", "create-replicated", "mine", "default", "osd");
    await cluster.ceph("n1", "osd", "pool", "create", "theirs", "8", "8", "replicated", "mine");
    await cluster.ceph("n1", "osd", "pool", "set", "theirs", "size", "2");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "theirs", "test");
    const ruleBefore = await cluster.ceph("n1", "osd", "crush", "rule", "dump", "mine");
    await cluster.ceph("n1", "osd", "pool", "create", "ours", "8");
    await cluster.ceph("n1", "osd", "pool", "application", "enable", "ours", "test");
    expect((await cluster.ceph("n1", "osd", "pool", "get", "ours", "crush_rule")).trim()).toBe(
      "crush_rule: microceph_auto_osd",
    );

    // From n1 for n2, and a real block device on n3 where there can be one.
    expect(await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", "n2")).toMatch(/Success/);
    expect((await cluster.defaultRule("n1")).domain).toBe("osd");
    const [device = ""] = isRootless() ? ["loop,1G,1"] : await lab.disk("n3", "1G");
    expect(await cluster.run("n3", "disk", "add", device)).toMatch(/Success/);

    await lab.waitFor(
      "the default rule to spread over hosts and our pool to follow",
      async (note) => {
        const rule = await cluster.defaultRule("n1");
        const pool = (await cluster.ceph("n1", "osd", "pool", "get", "ours", "crush_rule")).trim();
        note({ rule, pool });
        return (
          rule.name === "microceph_auto_host" &&
          rule.domain === "host" &&
          pool === "crush_rule: microceph_auto_host"
        );
      },
      minutes(3),
    );
    expect((await cluster.ceph("n1", "osd", "pool", "get", "theirs", "crush_rule")).trim()).toBe(
      "crush_rule: mine",
    );
    expect((await cluster.ceph("n1", "osd", "pool", "get", "theirs", "size")).trim()).toBe("size: 2");
    expect(await cluster.ceph("n1", "osd", "crush", "rule", "dump", "mine")).toBe(ruleBefore);
    const disks = (await lab.json("n2", ["microceph", "disk", "list", "--json"])) as {
      ConfiguredDisks: { location: string }[];
    };
    expect(disks.ConfiguredDisks.map((disk) => disk.location).sort()).toEqual(trio);
  });

  it("become healthy; an object written on one is read on another", async () => {
    await lab.waitFor(
      "three copies of new pools",
      async () => (await cluster.ceph("n1", "config", "get", "mon", "osd_pool_default_size")).trim() === "3",
      minutes(2),
    );
    await cluster.ceph("n1", "osd", "pool", "set", "ours", "size", "3");
    await cluster.healthy("n1");
    await cluster.put("n1", "ours", "greeting", "written on n1");
    expect(await cluster.object("n3", "ours", "greeting")).toBe("written on n1");
    expect(await cluster.run("n2", "waitready", "--storage", "--timeout", "60")).toBe("");
  });

  it("print MicroCeph's layout where nobody watches", async () => {
    const shown = await lab.waitFor(
      "managers, metadata servers and one disk on each node",
      async (note) => {
        const text = await cluster.run("n1", "status");
        note(text);
        return text.match(/Services: mds, mgr, mon, osd$/gm)?.length === 3 ? text : undefined;
      },
      minutes(3),
    );
    const ips = (await lab.status()).nodes.map((node) => node.ip);
    expect(shown).toBe(
      `MicroCeph deployment summary:\n${trio
        .map((node, n) => `- ${node} (${ips[n]})\n  Services: mds, mgr, mon, osd\n  Disks: 1\n`)
        .join("")}`,
    );
  });

  it("bring back an OSD that was killed, and touch no other daemon", async () => {
    const before = new Map(trio.map((node) => [node, cluster.daemons(node)]));
    const [name, pid] = [...(before.get("n2") ?? [])].find(([daemon]) => daemon.startsWith("osd.")) ?? [
      "",
      0,
    ];
    process.kill(pid, "SIGKILL");
    await lab.waitFor(
      `${name} to run again`,
      async () => (cluster.daemons("n2").get(name) ?? pid) !== pid,
      minutes(2),
    );
    await cluster.healthy("n1");
    for (const node of trio) {
      const others = (daemons: ReadonlyMap<string, number>) =>
        [...daemons].filter(([daemon]) => daemon !== name).sort();
      expect(others(cluster.daemons(node)), node).toEqual(others(before.get(node) ?? new Map()));
    }
  });

  it("go on serving while no microcephd runs, and are adopted afterwards", async () => {
    const before = trio.map((node) => [...cluster.daemons(node)].sort());
    expect(before.map((daemons) => daemons.length)).toEqual([4, 4, 4]);
    await Promise.all(trio.map((node) => lab.kill(node, "daemon")));
    expect((await cluster.cli("n1", "status")).exitCode).toBe(3);
    await cluster.put("n1", "ours", "unattended", "no daemon runs");
    expect(await cluster.object("n2", "ours", "unattended")).toBe("no daemon runs");
    await Promise.all(trio.map((node) => lab.start(node)));
    await cluster.formed(trio);
    await cluster.seated("n1", 3);
    expect(trio.map((node) => [...cluster.daemons(node)].sort())).toEqual(before);
    // Adopted, not only left alone: a killed one is started again.
    const [name, pid] = [...cluster.daemons("n3")].find(([daemon]) => daemon.startsWith("mgr.")) ?? ["", 0];
    process.kill(pid, "SIGKILL");
    await lab.waitFor(
      `${name} to run again`,
      async () => (cluster.daemons("n3").get(name) ?? pid) !== pid,
      minutes(2),
    );
  });

  it("choose another holder when the lease's is killed, and go on deciding: a new node is claimed", async () => {
    const old = await cluster.holder("n1");
    const witness = trio.find((node) => node !== old.name) ?? "";
    const { lease } = await lab.mesh(witness);
    await lab.kill(old.name, "daemon");
    const next = await cluster.holder(witness, ({ name }) => name !== old.name);
    expect(next.epoch).toBeGreaterThan(old.epoch);
    const admission = await cluster.run(witness, "mesh", "admission", "auto", "--for", "2h");
    expect(admission).toMatch(/auto/);

    await lab.add("n4");
    const rest = all.filter((node) => node !== old.name);
    await lab.waitFor(
      "n4 to be a member",
      async (note) => {
        const mesh = await lab.mesh("n4");
        note(mesh.self);
        return mesh.self.state === "member" && mesh.members.length === 4;
      },
      minutes(3),
    );
    const decided = (await lab.mesh(witness)).lease.lastDecision?.number ?? 0;
    expect(decided).toBeGreaterThan(lease.lastDecision?.number ?? 0);
    await lab.waitFor(
      "n4 to have what it needs for a disk",
      async () => ((await lab.get("n4", "/1.0/ready")) as { ready: boolean }).ready,
      minutes(2),
    );
    expect(await cluster.run("n4", "disk", "add", "loop,1G,1")).toMatch(/Success/);
    for (const node of rest) {
      expect((await lab.mesh(node)).cluster?.admission.until, node).toMatch(rfc3339);
    }
    await lab.start(old.name);
    await cluster.formed(all);
    // Three seats for four nodes: the killed one keeps its own.
    await cluster.seated(old.name, 3);
    await cluster.healthy("n4");
    expect(await cluster.object("n4", "ours", "greeting")).toBe("written on n1");
  });
});
