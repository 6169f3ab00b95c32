// Networks that are not one IPv4 subnet: members in two IPv6 subnets, and daemons that speak the second protocol alone.
import { afterAll, beforeAll, expect, it } from "vitest";
import { LabCluster, minutes } from "../lab/support/cluster.ts";
import { Lab } from "../lab/support/lab.ts";
import { labSuite } from "../lab/support/lab-suite.ts";

const three = ["n1", "n2", "n3"];
/** The second member stands elsewhere; here its packets come over the same wire, as a router would bring them. */
const addresses = { n1: "fd10::11", n2: "fd20::12", n3: "fd10::13" } as const;

labSuite("a cluster in two IPv6 subnets", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    lab = await Lab.up("networks", { nodes: 3, bare: true });
    cluster = new LabCluster(lab);
    for (const [node, address] of Object.entries(addresses)) {
      await lab.run(node, [
        ...["sh", "-ec"],
        `ip addr flush dev eth0 scope global
         ip -6 addr add ${address}/64 dev eth0 nodad
         for other in fd10::/64 fd20::/64; do ip -6 route replace "$other" dev eth0; done`,
      ]);
    }
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("is founded, joined and used by IPv6 and the second protocol alone", async () => {
    await lab.start("n1");
    const refused = async (...args: string[]): Promise<void> => {
      const { exitCode, stderr } = await cluster.cli(
        "n1",
        "cluster",
        "bootstrap",
        "--public-network",
        ...args,
      );
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining("[USAGE]")]);
    };
    await refused("fd20::/64");
    await refused("fd10::11/64");
    await refused("fd10::/64,10.0.0.0/8");
    await cluster.run("n1", "cluster", "bootstrap", "--public-network", "fd10::/64,fd20::/64", "--v2-only");
    for (const node of ["n2", "n3"]) await lab.start(node);
    await cluster.formed(three);
    await cluster.seated("n1", 3);
    await cluster.run("n2", "disk", "add", "loop,1G,1", "--target", "all");
    await cluster.run("n2", "pool", "create", "data");
    await cluster.put("n3", "data", "kept", "what must not be lost");
    await cluster.healthy("n2");
    const { mons } = await cluster.cephJson<{ mons: { name: string; public_addrs: { addrvec: unknown } }[] }>(
      ...(["n2", "mon", "dump"] as const),
    );
    const vectors = Object.fromEntries(mons.map(({ name, public_addrs }) => [name, public_addrs.addrvec]));
    for (const [name, address] of Object.entries(addresses)) {
      expect([name, vectors[name]]).toEqual([name, [{ type: "v2", addr: `[${address}]:3300`, nonce: 0 }]]);
    }
    const { osds } = await cluster.cephJson<{ osds: { public_addrs: { addrvec: { type: string }[] } }[] }>(
      ...(["n2", "osd", "dump"] as const),
    );
    const types = osds.flatMap(({ public_addrs }) => public_addrs.addrvec.map(({ type }) => type));
    expect([osds.length, new Set(types)]).toEqual([3, new Set(["v2"])]);
    // The first protocol's port is closed.
    expect(await lab.run("n1", ["ss", "-tlnH", "sport", "=", ":6789"])).toBe("");
  });

  it("moves a monitor's host to another address, in the protocol that it speaks", async () => {
    const holder = (await cluster.holder("n1")).name;
    const moved = holder === "n1" ? "n3" : "n1";
    const before = addresses[moved];
    await lab.run(moved, [
      ...["sh", "-ec", `ip -6 addr add fd10::77/64 dev eth0 nodad; ip -6 addr del ${before}/64 dev eth0`],
      `ip -6 route replace fd20::/64 dev eth0`,
    ]);
    await lab.waitFor(
      `the monitor of ${moved} in quorum at its new address`,
      async (note) => {
        const { quorum_names, monmap } = await cluster.cephJson<{
          quorum_names: string[];
          monmap: { mons: { name: string; public_addrs: { addrvec: { type: string; addr: string }[] } }[] };
        }>(holder, "quorum_status");
        const at = monmap.mons.find(({ name }) => name === moved)?.public_addrs.addrvec;
        note([quorum_names, at]);
        return quorum_names.length === 3 && at?.length === 1 && at[0]?.addr === "[fd10::77]:3300";
      },
      minutes(5),
    );
    await cluster.formed(three);
    await cluster.healthy(holder);
    expect(await cluster.object(moved, "data", "kept")).toBe("what must not be lost");
  });

  it("says which host stands in a subnet of none, and takes it in once the subnet is added", async () => {
    const holder = (await cluster.holder("n2")).name;
    const moved = holder === "n3" ? "n2" : "n3";
    await lab.run(moved, [
      ...["sh", "-ec"],
      `ip addr flush dev eth0 scope global; ip -6 addr add fd30::33/64 dev eth0 nodad
       for other in fd10::/64 fd20::/64; do ip -6 route replace "$other" dev eth0; done`,
    ]);
    for (const node of three.filter((name) => name !== moved)) {
      await lab.run(node, ["ip", "-6", "route", "replace", "fd30::/64", "dev", "eth0"]);
    }
    await lab.waitFor(
      `the condition of ${moved}`,
      async (note) => {
        const { conditions } = (await lab.get(holder, "/1.0/status")) as { conditions: Condition[] };
        note(conditions);
        const found = conditions.find(({ code }) => code === "OUTSIDE_PUBLIC_NETWORK");
        return found?.text.includes(`${moved} has no address`) && found.text.includes("fd30::33");
      },
      minutes(3),
    );
    const { exitCode, stderr } = await cluster.cli(
      ...([holder, "cluster", "network", "set", "--public", "fd30::/64"] as const),
    );
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining("[SETTING_REFUSED]")]);
    await cluster.run(holder, "cluster", "network", "set", "--public", "fd10::/64,fd20::/64,fd30::/64");
    await lab.waitFor(
      `monitor and OSD of ${moved} in its subnet`,
      async (note) => {
        const { quorum_names } = await cluster.cephJson<{ quorum_names: string[] }>(holder, "quorum_status");
        const osds = await osdAddresses();
        note([quorum_names, osds]);
        return quorum_names.length === 3 && osds.filter(({ at }) => at.startsWith("[fd30::33]")).length === 1;
      },
      minutes(5),
    );
    await cluster.formed(three);
    await cluster.healthy(holder);
    expect(await cluster.object(moved, "data", "kept")).toBe("what must not be lost");
  });

  it("moves what OSDs say to each other to another network, one OSD after the other", async () => {
    for (const [index, node] of three.entries()) {
      await lab.run(node, ["ip", "-6", "addr", "add", `fd77::${index + 1}/64`, "dev", "eth0", "nodad"]);
    }
    const set = ["cluster", "network", "set", "--cluster", "fd77::/64"] as const;
    // Until each member has said that it has the address.
    await lab.waitFor(
      "the change to be taken up, the daemon that sees to it killed on the way, and over",
      async (note) => {
        const reply = await lab.api("n1", "PUT", "/1.0/cluster/networks", { clusterNetwork: "fd77::/64" });
        note(reply);
        return reply.status === 202;
      },
      minutes(2),
    );
    await lab.kill("n1", "daemon");
    await lab.start("n1");
    await lab.waitFor(
      "every OSD in both networks",
      async (note) => {
        const osds = await osdAddresses();
        const jobs = (await lab.get("n1", "/1.0/jobs")) as { kind: string; state: string }[];
        note([osds, jobs.at(-1)]);
        const running = jobs.some(({ kind, state }) => kind === "cluster.networks" && state === "running");
        return !running && osds.length === 3 && osds.every(({ back }) => back.startsWith("[fd77::"));
      },
      minutes(6),
    );
    await cluster.healthy("n2");
    expect(await cluster.object("n2", "data", "kept")).toBe("what must not be lost");
    // Said again it is so already.
    expect(await cluster.run("n2", ...set)).not.toContain("Restarted");
    expect(await cluster.run("n2", "cluster", "network", "show")).toContain("Cluster network: fd77::/64");
  });

  async function osdAddresses(): Promise<{ at: string; back: string }[]> {
    const { osds } = await cluster.cephJson<{ osds: OsdAddresses[] }>("n1", "osd", "dump");
    return osds.map(({ up, public_addr, cluster_addr }) =>
      up === 1 ? { at: public_addr, back: cluster_addr } : { at: "", back: "" },
    );
  }
});

interface Condition {
  readonly code: string;
  readonly text: string;
}

interface OsdAddresses {
  readonly up: number;
  readonly public_addr: string;
  readonly cluster_addr: string;
}
