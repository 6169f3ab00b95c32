// Nodes that leave, and nodes that are gone for good, on real etcd and Ceph.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const four = ["n1", "n2", "n3", "n4"];

labSuite("members that leave", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let fsid = "";
  /** Members that are left. */
  let survivors: readonly string[] = four;
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
  const gone = (node: string): Promise<true> =>
    lab.waitFor(
      `${node} to have stopped and forgotten all`,
      async (note) => {
        const { self } = await lab.mesh(node);
        const daemons = [...cluster.daemons(node).keys()];
        note({ self, daemons });
        return self.state === "removed" && daemons.length === 0;
      },
      minutes(3),
    ) as Promise<true>;

  beforeAll(async () => {
    lab = await Lab.up("departure", { nodes: 4 });
    cluster = new LabCluster(lab);
    await cluster.formed(four);
    await cluster.seated("n1", 3);
    await cluster.settled("n1");
    fsid = await cluster.ceph("n1", "fsid");
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("give their seats to another first, and keep no key", async () => {
    const voters = (await lab.mesh("n1")).members.filter(({ voter }) => voter).map(({ name }) => name);
    const holder = (await cluster.holder("n1")).name;
    const leaver = voters.find((name) => name !== holder) ?? "";
    const rest = four.filter((name) => name !== leaver);
    const plan = await cluster.run(holder, "cluster", "remove", leaver, "--dry-run");
    expect(plan).toContain("its monitor leaves the monitor map");
    expect(plan).toContain("3 members with 3 votes will survive the loss of one node");
    await cluster.run(rest.at(-1) ?? "", "cluster", "remove", leaver);
    await seats(holder, rest);
    await gone(leaver);
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
    survivors = rest;
  });

  it("are removed by the survivors alone when they are dead, and stay so when they come back", async () => {
    const { members } = await lab.mesh(survivors[0] ?? "");
    const names = members.map(({ name }) => name);
    const dead = names.find((name) => name !== survivors[0]) ?? "";
    const left = names.filter((name) => name !== dead);
    const [asked = "", other = ""] = left;
    const early = await cluster.cli(asked, "cluster", "remove", dead, "--dead");
    expect([early.exitCode, early.stderr]).toEqual([4, expect.stringContaining("[MEMBER_ALIVE]")]);
    await lab.kill(dead, "all");
    await lab.waitFor(
      `${dead} to be seen as failed`,
      async () => (await lab.mesh(asked)).members.find(({ name }) => name === dead)?.presence === "failed",
      minutes(2),
    );
    const refused = await cluster.cli(other, "cluster", "remove", dead);
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[MEMBER_DEAD]")]);
    await cluster.run(other, "cluster", "remove", dead, "--dead");
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
    await lab.start(dead);
    await gone(dead);
    await cluster.formed(left);
    survivors = left;
  });

  it("hand everything over when the only voter leaves by itself; the last one cannot leave", async () => {
    const { name: leaver } = await cluster.holder(survivors[0] ?? "");
    const [last = ""] = survivors.filter((name) => name !== leaver);
    await cluster.run(leaver, "cluster", "leave");
    await gone(leaver);
    await seats(last, [last]);
    await cluster.formed([last]);
    const refused = await cluster.cli(last, "cluster", "leave");
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining("[LAST_MEMBER]")]);
    expect(await cluster.ceph(last, "fsid")).toBe(fsid);
  });
});
