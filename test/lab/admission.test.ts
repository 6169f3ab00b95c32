// Who gets in: approval, denial, two nodes, two clusters. Real daemons, no disks.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { MeshStatus } from "../../src/api/contract/mesh.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];

/** `Error: … [CODE]` and a hint on standard error, nothing on standard output. */
async function refused(cluster: LabCluster, node: string, args: string[], code: string, exitCode: number) {
  const result = await cluster.cli(node, ...args);
  expect(result.stderr, args.join(" ")).toMatch(
    new RegExp(`^Error: .+ \\[${code}\\]\\n(.*\\n)*Hint: .+`, "m"),
  );
  expect({ exitCode: result.exitCode, stdout: result.stdout }).toEqual({ exitCode, stdout: "" });
  return result.stderr;
}

async function fingerprints(lab: Lab, node: string): Promise<{ cluster: string; words: string }[]> {
  const report = (await lab.json(node, ["microceph", "mesh", "fingerprint", "--format", "json"])) as {
    fingerprints: { cluster: { id: string }; words: string }[];
  };
  return report.fingerprints.map(({ cluster, words }) => ({ cluster: cluster.id, words }));
}

labSuite("a cluster that asks before it takes a node", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const members = [...trio];

  /** Every member lists a node of that id as pending; what each shows of it. */
  const pendingEverywhere = (id: string): Promise<MeshStatus["pending"]> =>
    lab.waitFor(
      "every member to list the node as pending",
      async (note) => {
        const found = [...(await cluster.meshes(members)).values()].map((mesh) =>
          mesh.pending.find((one) => one.id === id),
        );
        note(found);
        const shown = found.filter((one) => one !== undefined);
        return shown.length === members.length && shown.every((one) => one.seenBy.length === members.length)
          ? shown
          : undefined;
      },
      minutes(2),
    );
  const becomesMember = (node: string): Promise<MeshStatus> =>
    lab.waitFor(
      `${node} to be a member`,
      async (note) => {
        const mesh = await lab.mesh(node);
        note(mesh.self);
        return mesh.self.state === "member" && mesh.cluster !== null ? mesh : undefined;
      },
      minutes(2),
    );

  beforeAll(async () => {
    lab = await Lab.up("approve", { nodes: 3, bare: true, admission: "approve" });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("is founded by three nodes, though one of them starts and stops while they look for each other", async () => {
    await Promise.all([lab.start("n1"), lab.start("n2")]);
    for (let round = 0; round < 3; round += 1) {
      await lab.start("n3");
      await lab.waitFor(
        "n1 to see n3",
        async (note) => {
          const mesh = await lab.mesh("n1");
          note(mesh.pending);
          return mesh.self.state !== "fresh" || mesh.pending.some((one) => one.name === "n3");
        },
        minutes(1),
      );
      await lab.kill("n3", "daemon");
    }
    await lab.start("n3");
    const meshes = await cluster.formed(trio);
    expect([...meshes.values()].map((mesh) => mesh.cluster?.admission)).toEqual(
      trio.map(() => ({ mode: "approve", until: null })),
    );
    await cluster.seated("n1", 3);
    await cluster.settled("n1");
  });

  it("lists a stranger as pending, with the words that the stranger shows, until it is approved", async () => {
    const id = (await lab.mesh("n1")).cluster?.id ?? "";
    await lab.add("n4");
    const { self } = await lab.mesh("n4");
    const shown = await pendingEverywhere(self.id);
    for (const one of shown) {
      expect(one).toMatchObject({ id: self.id, name: "n4", windowOpen: true });
      expect(Object.keys(one).sort()).toEqual([
        "address",
        "fingerprint",
        "firstSeen",
        "id",
        "name",
        "seenBy",
        "windowOpen",
      ]);
      expect(one.address).toContain((await lab.node("n4")).ip);
    }
    const words = new Set(shown.map((one) => one.fingerprint));
    expect(words.size).toBe(1);
    const [text = ""] = words;
    expect(text.split(/[ -]/)).toHaveLength(4);
    expect(await fingerprints(lab, "n4")).toEqual([{ cluster: id, words: text }]);
    expect((await cluster.cli("n2", "mesh", "status")).stdout).toContain(text);

    const before = await cluster.journal("n1");
    expect((await lab.mesh("n4")).self.state).toBe("fresh");
    expect(
      before.filter((entry) => entry.kind === "member.admit" && entry.state !== "abandoned"),
    ).toHaveLength(3);
    expect(await cluster.run("n2", "mesh", "approve", "n4")).toContain(text);
    const mesh = await becomesMember("n4");
    expect(mesh.cluster?.id).toBe(id);
    members.push("n4");
    await cluster.formed(members);
  });

  it("tells nodes of one name apart by PeerId, and lets denial beat approval", async () => {
    for (const node of ["n5", "n6"]) {
      await lab.add(node, { bare: true });
      await lab.run(node, ["hostname", "twin"]);
      await lab.start(node);
    }
    const [first, second] = [(await lab.mesh("n5")).self.id, (await lab.mesh("n6")).self.id];
    await pendingEverywhere(first);
    await pendingEverywhere(second);

    const candidates = await refused(cluster, "n1", ["mesh", "approve", "twin"], "AMBIGUOUS_NODE", 2);
    for (const id of [first, second]) expect(candidates).toContain(id);
    await refused(cluster, "n1", ["mesh", "approve", "nobody"], "NOT_FOUND", 1);
    // Fewer than six characters of the PeerId's own part name nobody.
    await refused(cluster, "n1", ["mesh", "approve", first.slice(8, 13)], "NOT_FOUND", 1);
    await refused(cluster, "n1", ["mesh", "deny", "nobody"], "NOT_FOUND", 1);
    await refused(cluster, "n1", ["mesh", "approve"], "USAGE", 2);
    await refused(cluster, "n5", ["mesh", "approve", "twin"], "NOT_INITIALIZED", 3);

    // One member denies while another, which knows nothing of it, approves. Meanwhile nobody gets in.
    await cluster.run("n1", "mesh", "admission", "closed");
    const everywhere = (what: string, is: (node: string) => Promise<boolean>): Promise<true> =>
      lab.waitFor(
        `every member to know ${what}`,
        async () => (await Promise.all(members.map(is))).every((yes) => yes) || undefined,
        minutes(2),
      );
    const mode = async (node: string) => (await lab.mesh(node)).cluster?.admission.mode;
    await everywhere("that admission is closed", async (node) => (await mode(node)) === "closed");
    await lab.cut("n2");
    const approved = await lab.api("n2", "POST", "/1.0/mesh/approve", { nodes: [first] });
    expect(approved.status, JSON.stringify(approved.body)).toBe(200);
    await lab.api("n2", "PUT", "/1.0/settings/test.approved", { value: "yes" });
    expect(await cluster.run("n1", "mesh", "deny", first)).toMatch(/^Denied twin /);
    await lab.api("n1", "PUT", "/1.0/settings/test.denied", { value: "yes" });
    await lab.heal("n2");
    await everywhere("of both words", async (node) => {
      const known = (await lab.get(node, "/1.0/settings")) as Record<string, string>;
      return known["test.approved"] === "yes" && known["test.denied"] === "yes";
    });
    await cluster.run("n1", "mesh", "admission", "approve");
    await pendingEverywhere(second);
    expect(await cluster.run("n3", "mesh", "approve", second.slice(8, 16))).toMatch(/^Approved twin /);
    const mesh = await becomesMember("n6");
    expect(mesh.self).toMatchObject({ name: "twin", handle: "twin" });
    // The holder, which took the second, knew of the earlier approval of the first, and of its denial.
    const { self } = await lab.mesh("n5");
    expect(self.state).toBe("fresh");
    const admitted = (await cluster.journal("n1")).filter((entry) => entry.kind === "member.admit");
    expect(admitted.filter((entry) => entry.state !== "abandoned")).toHaveLength(5);
    await lab.kill("n5", "all");
  });

  it("finds a node that no multicast reaches once it is told its address", async () => {
    await lab.add("n7", { bare: true });
    const drop =
      "add table inet mute; add chain inet mute in { type filter hook input priority 0; }; add chain inet mute out { type filter hook output priority 0; }; add rule inet mute in udp dport 5353 drop; add rule inet mute out udp dport 5353 counter drop";
    await lab.run("n7", ["nft", drop]);
    await lab.start("n7");
    const { self } = await lab.mesh("n7");
    const dropped = (): Promise<number> =>
      lab
        .run("n7", ["nft", "list", "chain", "inet", "mute", "out"])
        .then((text) => Number(/packets (\d+)/.exec(text)?.[1] ?? 0));
    await lab.waitFor("its announcements to be dropped", async () => (await dropped()) >= 5, minutes(1));
    expect((await lab.mesh("n1")).pending.map(({ id }) => id)).not.toContain(self.id);

    await refused(cluster, "n1", ["mesh", "add", "attic"], "USAGE", 2);
    const { ip } = await lab.node("n7");
    expect(await cluster.run("n1", "mesh", "add", ip)).toBe(`${ip}:7443\n`);
    await lab.waitFor(
      "another member to list it as pending",
      async () => (await lab.mesh("n3")).pending.some(({ id }) => id === self.id),
      minutes(1),
    );
    await cluster.run("n2", "mesh", "approve", "n7");
    await becomesMember("n7");
    expect(await cluster.run("n1", "mesh", "add", ip, "--remove")).toContain("No node is greeted");
    await lab.waitFor(
      "every member to see it alive",
      async () =>
        [...(await cluster.meshes(members)).values()].every(
          (seen) => seen.members.find(({ id }) => id === self.id)?.presence === "alive",
        ),
      minutes(1),
    );
  });

  it("is joined by a token, without a word of an operator or a multicast, by one node", async () => {
    const [token, revoked] = await Promise.all(
      ["shelf", "attic"].map(async (name) => (await cluster.run("n1", "cluster", "add", name)).trim()),
    );
    await lab.waitFor(
      "n2 to know of the tokens",
      async () => {
        const known = await cluster.run("n2", "cluster", "token", "list", "--format", "json");
        return ["shelf", "attic"].every((name) => known.includes(name));
      },
      minutes(1),
    );
    await cluster.run("n2", "cluster", "token", "revoke", "attic");
    for (const node of ["n8", "n9"]) {
      await lab.add(node, { bare: true });
      await lab.run(node, [
        "nft",
        "add table inet mute; add chain inet mute in { type filter hook input priority 0; }; add rule inet mute in udp dport 5353 drop; add chain inet mute out { type filter hook output priority 0; }; add rule inet mute out udp dport 5353 drop",
      ]);
      await lab.start(node);
    }
    await refused(cluster, "n8", ["cluster", "join", (token ?? "").slice(0, 60)], "USAGE", 2);
    await refused(cluster, "n8", ["cluster", "join", revoked ?? ""], "TOKEN_REFUSED", 4);
    await cluster.run("n8", "cluster", "join", token ?? "");
    expect((await lab.mesh("n8")).self.state).toBe("member");
    await refused(cluster, "n9", ["cluster", "join", token ?? ""], "TOKEN_REFUSED", 4);
    expect((await lab.mesh("n9")).self.state).toBe("fresh");
    expect(JSON.parse(await cluster.run("n9", "mesh", "peers", "--format", "json"))).toEqual([]);
    expect(await cluster.run("n3", "cluster", "list", "-f", "csv")).toContain("shelf,");
    const list = JSON.parse(await cluster.run("n3", "cluster", "token", "list", "--format", "json"));
    expect(list).toMatchObject([{ name: "shelf", used_by: (await lab.mesh("n8")).self.id }]);
  });
});

labSuite("two fresh hosts, and two clusters on one network", () => {
  let lab: Lab;
  let cluster: LabCluster;

  beforeAll(async () => {
    lab = await Lab.up("two", { nodes: 2 });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
  });

  it("wait and say for what, until one is told to found; it takes the other", async () => {
    for (const [node, other] of [
      ["n1", "n2"],
      ["n2", "n1"],
    ] as const) {
      await lab.waitFor(
        `${node} to say whom it sees and what it waits for`,
        async (note) => {
          const { self } = await lab.mesh(node);
          note(self);
          const text = self.waitingFor ?? "";
          return (
            text.includes(other) &&
            /from 3 fresh nodes/.test(text) &&
            /microceph cluster bootstrap/.test(text)
          );
        },
        minutes(2),
      );
      const mesh = await lab.mesh(node);
      expect([mesh.cluster, mesh.self.state, mesh.lease.quorum], node).toEqual([null, "fresh", "none"]);
      expect((await cluster.cli(node, "mesh", "status")).stdout).toMatch(/Waiting/);
      await refused(cluster, node, ["status"], "NOT_INITIALIZED", 3);
      await refused(cluster, node, ["cluster", "list"], "NOT_INITIALIZED", 3);
    }
    await refused(cluster, "n1", ["cluster", "bootstrap", "--mon-ip", "192.0.2.1"], "USAGE", 2);
    await refused(cluster, "n1", ["cluster", "bootstrap", "--public-network", "192.0.2.0/24"], "USAGE", 2);
    expect((await lab.mesh("n1")).self.state).toBe("fresh");

    expect(await cluster.run("n1", "cluster", "bootstrap")).toMatch(/founded/);
    const meshes = await cluster.formed(["n1", "n2"]);
    const [first] = meshes.values();
    await refused(cluster, "n1", ["cluster", "bootstrap"], "ALREADY_INITIALIZED", 4);
    await refused(cluster, "n2", ["cluster", "bootstrap"], "ALREADY_INITIALIZED", 4);
    expect((await lab.mesh("n1")).cluster?.id).toBe(first?.cluster?.id);
    await cluster.seated("n2", 1);
  });

  it("leave a fresh node that sees two clusters alone; its operator decides", async () => {
    await lab.add("n3", { bare: true });
    await lab.partition(["n1", "n2"], ["n3"]);
    await lab.start("n3");
    // With the guide, whose answers are: found one, no name, no address, no token, no disk.
    await lab.run("n3", ["microceph", "init"], { ...minutes(4), input: "1\n\n\n\n\n" });
    const ours = (await lab.mesh("n1")).cluster?.id ?? "";
    const theirs = (await lab.mesh("n3")).cluster?.id ?? "";
    expect(theirs).not.toBe(ours);
    await lab.heal();
    for (const [node, other] of [
      ["n1", theirs],
      ["n3", ours],
    ] as const) {
      await lab.waitFor(
        `${node} to report the other cluster`,
        async (note) => {
          const { conflicts } = await lab.mesh(node);
          note(conflicts);
          return conflicts.some(({ kind, detail }) => kind === "other-cluster" && detail.includes(other));
        },
        minutes(2),
      );
    }

    await lab.add("n4", { bare: true });
    await lab.start("n4");
    await lab.waitFor(
      "n4 to see both clusters and say so",
      async (note) => {
        const mesh = await lab.mesh("n4");
        note([mesh.self, mesh.conflicts]);
        const said = `${mesh.self.waitingFor} ${mesh.conflicts.map((one) => one.detail).join()}`;
        return [ours, theirs].every((id) => said.includes(id)) && said.includes("microceph mesh join");
      },
      minutes(2),
    );
    const mesh = await lab.mesh("n4");
    expect(mesh.self.state).toBe("fresh");
    expect(mesh.conflicts.map(({ kind }) => kind)).toContain("two-clusters");
    for (const node of ["n1", "n3"]) {
      await lab.waitFor(
        `${node} to say why it does not claim n4`,
        async (note) => {
          const seen = await lab.mesh(node);
          note(seen.conflicts);
          return (
            seen.pending.some((one) => one.id === mesh.self.id) &&
            seen.conflicts.some(({ kind, detail }) => kind === "two-clusters" && detail.includes("n4"))
          );
        },
        minutes(2),
      );
    }
    expect(new Set((await fingerprints(lab, "n4")).map((one) => one.cluster))).toEqual(
      new Set([ours, theirs]),
    );

    // Both are called "microceph": the name alone does not say which.
    await refused(cluster, "n4", ["mesh", "join", "microceph"], "AMBIGUOUS_CLUSTER", 2);
    await refused(cluster, "n4", ["mesh", "join", "no-such"], "NOT_FOUND", 1);
    expect((await lab.mesh("n4")).self.state).toBe("fresh");
    await cluster.run("n4", "mesh", "join", theirs);
    await lab.waitFor(
      "n4 to be a member of the cluster that it was told to join",
      async (note) => {
        const now = await lab.mesh("n4");
        note(now.self);
        return now.self.state === "member" && now.cluster?.id === theirs;
      },
      minutes(2),
    );
    expect((await lab.mesh("n1")).members.map((member) => member.name)).toEqual(["n1", "n2"]);
    await refused(cluster, "n4", ["mesh", "join", ours], "ALREADY_INITIALIZED", 4);
  });
});
