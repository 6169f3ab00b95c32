// The disk of a node's state fills up, and clocks are set forward and back. Real Ceph.
import { getPriority } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ApiReply } from "../../scripts/lab/control-socket.ts";
import { type LabCluster, minutes } from "../lab/support/cluster.ts";
import { healthyTrio, trio } from "../lab/support/healthy-trio.ts";
import type { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";
import { watchWhile } from "../lab/support/watch-lease.ts";

const day = 86_400;
const hour = 3_600;

labSuite("three hosts with small disks and clocks of their own", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    const options = { stateBytes: 600 * 2 ** 20, clock: true, devices: true };
    ({ lab, cluster } = await healthyTrio("disk-clock", options));
  });
  afterAll(async () => {
    await lab?.down();
  });

  const othersThan = (...without: string[]): string[] => trio.filter((node) => !without.includes(node));
  const say = (node: string, key: string): Promise<ApiReply> =>
    lab.api(node, "PUT", `/1.0/settings/${key}`, { value: "said" });
  const codeOf = ({ body }: ApiReply): unknown => (body as { metadata?: { code?: string } }).metadata?.code;

  /** Said again until it is taken, as a person would. */
  function takes(node: string, key: string): Promise<true> {
    return lab.waitFor(
      `${node} to take a wish`,
      async (note) => {
        const reply = await say(node, key);
        note(reply.body);
        return reply.status === 200 ? true : undefined;
      },
      minutes(1),
    );
  }

  async function member(node: string): Promise<void> {
    await lab.waitFor(
      `${node} to be a member`,
      async (note) => {
        const { self } = await lab.mesh(node);
        note(self);
        return self.state === "member";
      },
      minutes(3),
    );
  }

  async function whole(nodes: readonly string[]): Promise<void> {
    await cluster.formed(nodes);
    await cluster.seated("n1", 3);
    await cluster.healthy("n1");
    await lab.waitFor(
      "all to have the same journal",
      async (note) => {
        const meshes = [...(await cluster.meshes(nodes)).values()];
        const heads = meshes.map(({ lease }) => lease.lastDecision?.number);
        note(heads);
        return new Set(heads).size === 1;
      },
      minutes(2),
    );
    expect(await cluster.object("n3", "data", "before")).toBe("written when all was well");
  }

  it("read on, refuse writes by name and decide elsewhere while the holder's disk is full", async () => {
    const { name: full } = await cluster.holder("n1");
    const [witness = ""] = othersThan(full);
    await takes(full, "test.before");
    await lab.add("n4", { bare: true });
    await lab.fill(full);

    const refused = await say(full, "test.full");
    expect(refused.status, JSON.stringify(refused.body)).toBe(507);
    expect(codeOf(refused)).toBe("DISK_FULL");
    const added = await cluster.cli(full, "disk", "add", "loop,1G,1");
    expect(`${added.stdout}${added.stderr}`).toMatch(/DISK_FULL/);
    for (const path of ["/1.0", "/1.0/mesh", "/1.0/status", "/1.0/journal", "/1.0/settings", "/1.0/health"]) {
      await lab.get(full, path);
    }
    expect(await lab.get(full, "/1.0/settings")).not.toHaveProperty("test.full");

    const { watched } = await watchWhile(lab, trio, async () => {
      await takes(witness, "test.elsewhere");
      await lab.start("n4");
      await member("n4");
      await cluster.put(witness, "data", "full", "written while a disk was full");
    });
    for (const [epoch, holders] of watched.holders) expect([epoch, holders.size]).toEqual([epoch, 1]);

    await lab.drain(full);
    await takes(full, "test.drained");
    await whole([...trio, "n4"]);
    expect(await lab.get(full, "/1.0/settings")).toMatchObject({
      "test.before": "said",
      "test.elsewhere": "said",
      "test.drained": "said",
    });
    // What is on disk is read, and checked, by the next start.
    await lab.kill(full, "daemon");
    await lab.start(full);
    await cluster.formed([...trio, "n4"]);
    expect(await lab.run(full, ["sh", "-c", "ls /var/lib/microceph"])).not.toMatch(/corrupt/);
    expect(await cluster.object(full, "data", "full")).toBe("written while a disk was full");
  });

  it("start, or refuse to by name, on a full disk, while Ceph goes on", async () => {
    const { name: holder } = await cluster.holder("n1");
    const [full = ""] = othersThan(holder);
    await lab.kill(full, "daemon");
    await lab.fill(full);
    await lab.start(full).catch((error: unknown) => expect(String(error)).toMatch(/DISK_FULL/));
    expect([...cluster.daemons(full).keys()].some((name) => name.startsWith("osd."))).toBe(true);
    await lab.drain(full);
    await lab.start(full);
    await takes(full, "test.started");
    await whole([...trio, "n4"]);
  });

  it("lose neither lease nor anyone when clocks are set", async () => {
    const { name: ahead, epoch } = await cluster.holder("n1");
    const [back = "", other = ""] = othersThan(ahead);
    const { until } = (await lab.mesh(ahead)).cluster?.admission ?? { until: null };
    const { watched } = await watchWhile(lab, trio, async () => {
      await lab.clock(ahead, day);
      await lab.clock(back, -hour);
      await takes(back, "test.back");
      await lab.waitFor(
        `${ahead} to find that the time of auto is over`,
        async (note) => {
          const admission = (await lab.mesh(ahead)).cluster?.admission;
          note(admission);
          return admission?.mode === "approve";
        },
        minutes(1),
      );
      expect((await lab.mesh(back)).cluster?.admission).toEqual({ mode: "auto", until });
      await lab.clock(ahead, -day);
      await lab.clock(back, hour);
      // A decision by the holder whose clock went two days back.
      await lab.add("n5");
      await member("n5");
      await lab.clock(other, -day);
      await takes(other, "test.other");
      await cluster.put(other, "data", "clocks", "written while clocks were wrong");
    });
    // A clock that goes back while a member is suspected does not make it immortal.
    const finds = (node: string, states: readonly string[]): Promise<true> =>
      lab.waitFor(
        `${node} to find n5 ${states.join(" or ")}`,
        async (note) => {
          const { members } = await lab.mesh(node);
          note(members.map(({ name, presence }) => [name, presence]));
          const state = members.find(({ name }) => name === "n5")?.presence;
          return state !== undefined && states.includes(state) ? true : undefined;
        },
        { ...minutes(1), everyMs: 50 },
      );
    await lab.kill("n5", "all");
    await finds(other, ["suspect", "failed"]);
    await lab.clock(other, -3 * day);
    for (const node of trio) await finds(node, ["failed"]);
    await lab.start("n5");
    for (const [at, holders] of watched.holders) expect([at, holders.size]).toEqual([at, 1]);
    const wrong = [...watched.presence.keys()].filter((seen) => !seen.endsWith("alive"));
    expect(wrong.filter((seen) => /n[123] (suspect|failed)/.test(seen))).toEqual([]);
    expect((await cluster.holder("n1")).epoch).toBe(epoch);
    for (const node of trio) await lab.clock(node, 0);
    expect((await lab.mesh(ahead)).cluster?.admission).toEqual({ mode: "auto", until });
    await whole((await lab.status()).nodes.map(({ name }) => name));
    // It may have been ended before its Ceph client was made: that is one of its first works now.
    await lab.waitFor(
      "n5 to be a client of Ceph",
      async (note) => {
        const { exitCode, stderr } = await lab.exec("n5", ["ceph", "--connect-timeout", "20", "fsid"]);
        note(stderr);
        return exitCode === 0;
      },
      minutes(2),
    );
    expect(await cluster.object("n5", "data", "clocks")).toBe("written while clocks were wrong");
  });

  it("run Ceph with its usual timers again once nothing is built any more", async () => {
    await lab.waitFor(
      "no timers for building in any monitor or manager",
      async (note) => {
        const daemons = trio.flatMap((node) => [
          [node, `mon.${node}`] as const,
          [node, `mgr.${node}`] as const,
        ]);
        const found = await Promise.all(daemons.map(([node, daemon]) => cluster.overrides(node, daemon)));
        const nice = trio.flatMap((node) =>
          lab
            .processes(node)
            .filter(({ args }) => /ceph-mgr$/.test(args[0] ?? ""))
            .map(({ pid }) => getPriority(pid)),
        );
        note({ found, nice });
        const timers = /^(paxos_|mon_tick|mon_election|mgr_tick|mgr_stats)/;
        return found.flat().every((name) => !timers.test(name)) && nice.every((one) => one === getPriority());
      },
      minutes(3),
    );
  });
});
