// Hosts whose addresses change, one alone and all at once: real monitors and OSDs, with data on them.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const three = ["n1", "n2", "n3"];

labSuite("hosts that move", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const text = "what must not be lost";
  const written = (): Promise<string> => cluster.object("n1", "data", "kept");

  beforeAll(async () => {
    lab = await Lab.up("moving", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
  });
  afterAll(async () => {
    await lab?.down();
  });

  const ips = async (): Promise<Map<string, string>> =>
    new Map(await Promise.all(three.map(async (name) => [name, (await lab.node(name)).ip] as const)));

  /** Monitors in quorum and running OSDs are where their hosts are now, and every ceph.conf knows. */
  async function settledAt(expected: ReadonlyMap<string, string>, seenBy: string): Promise<void> {
    await lab.waitFor(
      `monitors and OSDs at ${[...expected.values()].join(", ")}, seen from ${seenBy}`,
      async (note) => {
        const { quorum_names, monmap } = await cluster.cephJson<QuorumStatus>(seenBy, "quorum_status");
        const monitors = new Map(monmap.mons.map(({ name, addr }) => [name, addr.split(":")[0]]));
        const { osds } = await cluster.cephJson<OsdDump>(seenBy, "osd", "dump");
        const served = osds.map(({ up, public_addr }) => `${up} ${public_addr.split(":")[0]}`).sort();
        const configs = await Promise.all(
          three.map((node) => lab.run(node, ["grep", "mon host", "/var/lib/microceph/conf/ceph.conf"])),
        );
        note({ quorum_names, monitors: [...monitors], served, configs });
        return (
          quorum_names.length === 3 &&
          three.every((name) => monitors.get(name) === expected.get(name)) &&
          `${served}` === `${[...expected.values()].map((ip) => `1 ${ip}`).sort()}` &&
          configs.every((config) => [...expected.values()].every((ip) => config.includes(`${ip}:`)))
        );
      },
      { ...minutes(6), everyMs: 1000 },
    );
    await cluster.formed(three);
    await cluster.healthy(seenBy);
    expect(await written()).toBe(text);
  }

  it("are followed by their monitor and OSD when one gets another address", async () => {
    const holder = (await cluster.holder("n1")).name;
    const moved = three.find((name) => name !== holder) ?? "";
    const before = await ips();
    const address = (before.get(moved) ?? "").replace(/[0-9]+$/, "91");
    await lab.renumber(moved, address);
    await settledAt(new Map([...before, [moved, address]]), holder);
    const reasons = (await cluster.journal(holder)).map(({ reason }) => reason).join("\n");
    expect(reasons).toContain(`the monitor ${moved} is lost: it is made anew`);
  });

  it("come back when all were switched off, moved to another network and switched on", async () => {
    for (const name of three) await lab.kill(name, "all");
    const moved = new Map(three.map((name, index) => [name, `10.88.0.${index + 11}`]));
    for (const [name, address] of moved) await lab.renumber(name, address);
    for (const name of three) await lab.start(name);
    await settledAt(moved, "n1");
    const decisions = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber");
    expect(decisions.map(({ state }) => state)).toEqual(["done"]);
    const config = await lab.run("n2", ["cat", "/var/lib/microceph/conf/ceph.conf"]);
    expect(config).toContain("public network = 10.88.0.0/24");
  });

  it("come back when all move while they run and the holder's daemon is killed in the middle", async () => {
    const holder = (await cluster.holder("n1")).name;
    const seenBy = three.find((name) => name !== holder) ?? "";
    const moved = new Map(three.map((name, index) => [name, `10.89.0.${index + 11}`]));
    for (const [name, address] of moved) await lab.renumber(name, address);
    await lab.waitFor(
      "all monitors' new addresses to be decided",
      async (note) => {
        const { lease, members } = await lab.mesh(seenBy);
        const journal = await cluster.journal(seenBy);
        note({ lease, members: members.map(({ name, presence }) => [name, presence]) });
        return journal.some(({ kind, state }) => kind === "ceph.renumber" && state === "open");
      },
      { ...minutes(4), everyMs: 100 },
    );
    const deciding = (await cluster.holder(seenBy)).name;
    await lab.kill(deciding, "daemon");
    await lab.start(deciding);
    await settledAt(moved, seenBy);
  });

  it("come back when all move once more before their monitors have met", async () => {
    const before = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber").length;
    const at = (network: string) => new Map(three.map((name, n) => [name, `${network}.${n + 11}`]));
    for (const [name, address] of at("10.90.0")) await lab.renumber(name, address);
    await lab.waitFor(
      "a monitor to have the new map",
      async (note) => {
        const journal = await cluster.journal("n1");
        note(journal.at(-1));
        const units = three.flatMap((name) => lab.processes(name));
        const isMoved = units.some(({ args }) => args.join(" ").includes("--public-addr 10.90.0."));
        return isMoved && journal.filter(({ kind }) => kind === "ceph.renumber").length > before;
      },
      { ...minutes(4), everyMs: 20 },
    );
    const last = at("10.91.0");
    for (const [name, address] of last) await lab.renumber(name, address);
    await settledAt(last, "n2");
    const decisions = (await cluster.journal("n1")).filter(({ kind }) => kind === "ceph.renumber");
    expect(decisions.at(-1)?.state).toBe("done");
  });
});

interface QuorumStatus {
  readonly quorum_names: readonly string[];
  readonly monmap: { readonly mons: readonly { readonly name: string; readonly addr: string }[] };
}

interface OsdDump {
  readonly osds: readonly { readonly up: number; readonly public_addr: string }[];
}
