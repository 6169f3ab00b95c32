// What is refused is refused with a code, a hint and the right exit code, and leaves nothing half-made.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, nodeStateDir } from "../../scripts/lab/layout.ts";
import type { RunResult } from "../../scripts/lab/run.ts";
import type { Job } from "../../src/api/contract/jobs.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite, rootTest } from "./support/lab-suite.ts";

/** Longer than any command that is refused takes, also on a busy machine. */
const patience = minutes(1);

function expectRefusal(result: RunResult, code: string, exitCode: number, what: string): void {
  const shown = `${what}\n${result.stdout}${result.stderr}`;
  expect(result.exitCode, shown).toBe(exitCode);
  expect(result.stderr, shown).toMatch(new RegExp(`^Error: .+ \\[${code}\\]$`, "m"));
  expect(result.stderr, shown).toMatch(/^Hint: .+/m);
  expect(result.stdout, shown).toBe("");
}

labSuite("what is refused or interrupted", () => {
  let lab: Lab;
  let cluster: LabCluster;

  const cli = (...args: string[]): Promise<RunResult> => lab.exec("n1", ["microceph", ...args], patience);
  const daemon = (...args: string[]): Promise<RunResult> => lab.exec("n1", ["microcephd", ...args], patience);
  /** A second daemon of the host, beside the lab's own: other state, other ports. */
  const beside = (state: string): string[] => [
    ...["--state-dir", state, "--lobby-port", "7543", "--mesh-port", "7544"],
  ];
  const daemonsOf = (state: string) =>
    lab
      .processes("n1")
      .filter(({ args }) => args.includes(state) && args.some((arg) => /microcephd/.test(arg)));
  /** Start a daemon beside the lab's own and wait until it answers; what ends it. */
  async function startBeside(state: string, ...prefix: string[]): Promise<() => Promise<void>> {
    const command = [...prefix, "microcephd", ...beside(state)];
    await lab.run("n1", ["sh", "-c", 'setsid "$@" >/dev/null 2>&1 &', "sh", ...command]);
    await lab.waitFor(
      `the daemon on ${state} to answer`,
      async () => (await cli("--state-dir", state, "mesh", "status")).exitCode === 0,
      minutes(1),
    );
    return async () => {
      for (const { pid } of daemonsOf(state)) process.kill(pid, "SIGTERM");
      await lab.waitFor(
        `the daemon on ${state} to end`,
        async () => daemonsOf(state).length === 0,
        minutes(1),
      );
    };
  }

  beforeAll(async () => {
    lab = await Lab.up("bad", { nodes: 1, bare: true });
    cluster = new LabCluster(lab);
  });
  afterAll(async () => {
    await lab?.down();
  });

  describe("of the command line", () => {
    it.each([
      [["fly"]],
      [["--nonsense"]],
      [["status", "--nonsense"]],
      [["status", "again"]],
      [["status", "--format", "xml"]],
      [["status", "--format", "csv"]],
      [["cluster"]],
      [["cluster", "bootstrap", "--name", ""]],
      [["mesh", "approve"]],
      [["mesh", "approve", "n1", "--all"]],
      [["mesh", "deny"]],
      [["mesh", "deny", "n1", "n2"]],
      [["mesh", "admission", "sometimes"]],
      [["mesh", "admission", "approve", "--for", "1h"]],
      [["mesh", "admission", "auto", "--for", "soon"]],
      [["mesh", "admission", "auto", "--for", "1h", "--forever"]],
      [["events", "--since", "-1"]],
      [["waitready", "--timeout", "soon"]],
      [["disk", "add"]],
      [["disk", "add", "sdb"]],
      [["disk", "add", "loop,1G"]],
      [["disk", "add", "loop,1G,0"]],
      [["disk", "add", "loop,1G,101"]],
      [["disk", "add", "loop,1X,1"]],
      [["disk", "add", "loop,100M,1"]],
      [["disk", "add", "loop,-1G,1"]],
      [["disk", "add", "loop,1G,1", "/dev/sdb"]],
      [["disk", "add", "/dev/sdb", "/dev/sdb"]],
    ])("microceph %j", async (args) => {
      expectRefusal(await cli(...args), "USAGE", 2, args.join(" "));
    });

    it.each([
      [["--fly"]],
      [["here"]],
      [["--expect", "1"]],
      [["--expect", "three"]],
      [["--admission", "maybe"]],
      [["--lobby-port", "0"]],
      [["--mesh-port", "70000"]],
      [["--lease-ttl", "1"]],
      [["--state-dir", "relative"]],
      [["--state-dir", `/${"long".repeat(20)}`]],
    ])("microcephd %j", async (args) => {
      expectRefusal(await daemon(...args), "USAGE", 2, args.join(" "));
      // Nothing was made of it.
      expect((await lab.exec("n1", ["ls", "-A", nodeStateDir])).stdout).toBe("");
    });

    it("but help and version are given without a daemon", async () => {
      for (const args of [["--version"], ["--help"], ["disk", "add", "--help"]]) {
        expect(await cli(...args), args.join(" ")).toMatchObject({ exitCode: 0, stderr: "" });
      }
      expect(await daemon("--version")).toMatchObject({ exitCode: 0, stderr: "" });
    });
  });

  it("commands that need a daemon, where none runs", async () => {
    for (const args of [
      ["status"],
      ["mesh", "status"],
      ["cluster", "bootstrap"],
      ["cluster", "list"],
      ["disk", "list"],
      ["disk", "add", "loop,1G,1"],
      ["mesh", "approve", "--all"],
    ]) {
      expectRefusal(await cli(...args), "DAEMON_NOT_RUNNING", 3, args.join(" "));
    }
    const waited = await cli("waitready", "--timeout", "1");
    expect(waited).toMatchObject({ exitCode: 3 });
    expect(waited.stderr).toMatch(/\[NOT_READY\]$/m);
  });

  it("a state directory that cannot be one", async () => {
    expectRefusal(await daemon(...beside("/etc/hostname")), "USAGE", 2, "a file");
  });

  it("a full file system; with room the next start completes what was begun", async () => {
    const state = "/var/lib/microceph/tiny";
    await lab.run("n1", ["mkdir", state]);
    await lab.run("n1", ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", state]);
    await lab.exec("n1", ["dd", "if=/dev/zero", `of=${state}/fill`, "bs=4096"]);
    for (let time = 0; time < 2; time += 1) {
      expectRefusal(await daemon("--log-level", "error", ...beside(state)), "DISK_FULL", 1, "full");
      expect(await lab.run("n1", ["sh", "-c", `find ${state} -name '*.tmp' -o -name control.socket`])).toBe(
        "",
      );
    }
    await lab.run("n1", ["rm", `${state}/fill`]);
    const end = await startBeside(state);

    // The same while it runs: refused or failed with a code, and finished once there is room.
    await lab.exec("n1", ["dd", "if=/dev/zero", `of=${state}/fill`, "bs=4096"]);
    const result = await cli("--state-dir", state, "cluster", "bootstrap");
    expect(result.stderr).toMatch(/^Error: .+ \[DISK_FULL\]$/m);
    expect(result.exitCode).toBe(1);
    await lab.run("n1", ["rm", `${state}/fill`]);
    expect((await cli("--state-dir", state, "mesh", "status")).exitCode).toBe(0);
    await end();
    await lab.run("n1", ["umount", state]);
    await lab.run("n1", ["rmdir", state]);
  });

  it("a bootstrap where Ceph and etcd are not installed", async () => {
    const state = "/var/lib/microceph/bare";
    const end = await startBeside(state, "env", `PATH=${checkout}/bin`);
    expectRefusal(await cli("--state-dir", state, "cluster", "bootstrap"), "MISSING_PROGRAM", 3, "no Ceph");
    const mesh = (await lab.json("n1", [
      ...["microceph", "--state-dir", state, "--format", "json", "mesh", "status"],
    ])) as { self: { state: string }; cluster: unknown };
    expect([mesh.self.state, mesh.cluster]).toEqual(["fresh", null]);
    await end();
    await lab.run("n1", ["rm", "-r", state]);
  });

  it("a second daemon on the same state, or on the same port", async () => {
    await lab.start("n1");
    const { pid } = await lab.node("n1");
    const before = (await lab.mesh("n1")).self.id;
    expectRefusal(await daemon(...beside(nodeStateDir)), "DAEMON_RUNNING", 4, "same state");
    const state = "/var/lib/microceph/second";
    const second = await daemon("--log-level", "error", "--state-dir", state);
    expectRefusal(second, "PORT_IN_USE", 1, "same port");
    expect((await lab.exec("n1", ["stat", `${state}/control.socket`])).exitCode).toBe(1);
    expect(daemonsOf(state)).toEqual([]);
    expect((await lab.node("n1")).pid).toBe(pid);
    expect((await lab.mesh("n1")).self.id).toBe(before);
    expectRefusal(await cli("status"), "NOT_INITIALIZED", 3, "fresh");
    expectRefusal(await cli("disk", "add", "loop,1G,1"), "NOT_INITIALIZED", 3, "fresh");
    await lab.run("n1", ["rm", "-r", state]);
  });

  rootTest(
    "commands of another user, and a state directory without rights to it",
    "other users",
    async () => {
      const nobody = (...command: string[]): Promise<RunResult> =>
        lab.exec("n1", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...command], patience);
      expectRefusal(await nobody("microceph", "status"), "PERMISSION_DENIED", 1, "another user");
      await lab.run("n1", ["mkdir", "-p", "/var/lib/microceph/closed"]);
      expectRefusal(
        await nobody("microcephd", ...beside("/var/lib/microceph/closed/state")),
        "PERMISSION_DENIED",
        1,
        "no rights",
      );
      expect(await lab.run("n1", ["ls", "-A", "/var/lib/microceph/closed"])).toBe("");
      await lab.run("n1", ["rmdir", "/var/lib/microceph/closed"]);
    },
  );

  it("a bootstrap while something else listens on the port for members", async () => {
    const state = "/var/lib/microceph/busy";
    const end = await startBeside(state);
    const listener = "require('net').createServer().listen(7544, () => console.log('listening'))";
    const node = process.execPath;
    await lab.run("n1", ["sh", "-c", `setsid ${node} -e "${listener}" >/run/listener 2>&1 &`]);
    await lab.waitFor(
      "the port to be taken",
      async () => (await lab.run("n1", ["cat", "/run/listener"])).includes("listening"),
      minutes(1),
    );
    const result = await cli("--state-dir", state, "cluster", "bootstrap");
    expect(result.stderr).toMatch(/^Error: .*7544 is in use \[PORT_IN_USE\]$/m);
    expect(result.exitCode).toBe(1);
    const status = await cli("--state-dir", state, "--format", "json", "mesh", "status");
    expect(JSON.parse(status.stdout)).toMatchObject({ cluster: null, self: { state: "fresh" } });
    for (const { pid, args } of lab.processes("n1"))
      if (args.includes(listener)) process.kill(pid, "SIGKILL");
    await end();
    await lab.run("n1", ["rm", "-r", state, "/run/listener"]);
  });

  it("requests that the API does not understand", async () => {
    for (const [method, path, body, status] of [
      ["GET", "/1.0/nothing", undefined, 404],
      ["POST", "/1.0/disks", {}, 400],
      ["POST", "/1.0/disks", { path: "loop,1G,1", wipe: "yes" }, 400],
      ["POST", "/1.0/cluster", { surprise: true }, 400],
      ["POST", "/1.0/mesh/approve", { nodes: [], all: false }, 400],
      ["PUT", "/1.0/mesh/admission", { mode: "perhaps" }, 400],
      ["GET", "/1.0/jobs/none", undefined, 404],
      ["GET", "/1.0/events?since=yesterday", undefined, 400],
    ] as const) {
      const reply = await lab.api("n1", method, path, body);
      expect(reply, `${method} ${path}`).toMatchObject({
        status,
        body: { type: "error", error_code: status, error: expect.stringMatching(/./) },
      });
    }
  });

  it("a bootstrap and a disk add in the midst of which the daemon is killed: the next one completes them", async () => {
    const job = async (id: string): Promise<Job> => (await lab.get("n1", `/1.0/jobs/${id}`)) as Job;
    const begin = async (path: string, body: unknown): Promise<string> => {
      const reply = await lab.api("n1", "POST", path, body);
      expect(reply.status, JSON.stringify(reply.body)).toBe(202);
      return (reply.body as { metadata: Job }).metadata.id;
    };
    const ends = (id: string): Promise<Job> =>
      lab.waitFor(
        "the job to end",
        async (note) => {
          const now = await job(id);
          note(now);
          return now.state === "running" ? undefined : now;
        },
        minutes(3),
      );

    const founding = await begin("/1.0/cluster", {});
    await lab.waitFor("n1 to have begun", async () => (await lab.mesh("n1")).self.state !== "fresh", {
      ...minutes(1),
      everyMs: 5,
    });
    await lab.kill("n1", "daemon");
    await lab.start("n1");
    expect(await ends(founding)).toMatchObject({ state: "success", error: null });
    const mesh = await lab.mesh("n1");
    expect(mesh.self.state).toBe("member");
    expect((await cluster.ceph("n1", "fsid")).trim()).toBe(mesh.cluster?.fsid);

    const adding = await begin("/1.0/disks", { path: "loop,1G,2" });
    await lab.waitFor(
      "the OSDs to be in the making",
      async (note) => {
        const now = await job(adding);
        note(now);
        return now.progress > 0;
      },
      { ...minutes(1), everyMs: 5 },
    );
    await lab.kill("n1", "daemon");
    await lab.start("n1");
    expect(await ends(adding)).toMatchObject({ state: "success", error: null });
    expect(await cluster.cephJson<unknown[]>("n1", "osd", "ls")).toEqual([0, 1]);
    expect([...cluster.daemons("n1").keys()].filter((name) => name.startsWith("osd.")).sort()).toEqual([
      "osd.0",
      "osd.1",
    ]);
  });

  rootTest(
    "disks that hold something, unless they may be wiped, and a second bootstrap",
    "block devices",
    async () => {
      expectRefusal(await cli("cluster", "bootstrap"), "ALREADY_INITIALIZED", 4, "second bootstrap");

      const [full = "", mounted = ""] = await lab.disk("n1", "1G", 2);
      await lab.run("n1", ["mkfs.ext4", "-q", full]);
      await lab.run("n1", ["mkfs.ext4", "-q", mounted]);
      await lab.run("n1", ["mount", mounted, "/mnt"]);
      const contents = () => lab.run("n1", ["sh", "-c", `head -c 64M ${full} | sha256sum`]);
      const before = await contents();
      const refusals = [
        [[full], "DISK_IN_USE", 4, /ext4|data at byte/],
        [[mounted, "--wipe"], "DISK_IN_USE", 4, /mounted/],
        [["/dev/none"], "NOT_FOUND", 1, /there is no \/dev\/none/],
        [["/etc/hostname"], "USAGE", 2, /not a block device/],
        [["loop,64T,1"], "DISK_FULL", 1, /do not fit/],
      ] as const;
      for (const [args, code, exitCode, text] of refusals) {
        const result = await cli("disk", "add", ...args);
        const shown = `${args.join(" ")}\n${result.stdout}${result.stderr}`;
        expect(result.exitCode, shown).toBe(exitCode);
        expect(result.stderr, shown).toMatch(new RegExp(`^Error: .+ \\[${code}\\]$`, "m"));
        expect(result.stderr, shown).toMatch(text);
        expect(result.stdout, shown).toMatch(/Failure/);
      }
      expect(await contents()).toBe(before);
      expect((await lab.cephStatus("n1")).disks).toHaveLength(2);
      expect((await cluster.cephJson<unknown[]>("n1", "osd", "ls")).length).toBe(2);
      // The refused ones are not offered either, and it is said why.
      const listed = JSON.parse(await cluster.run("n1", "disk", "list", "--json"));
      for (const device of [full, mounted]) {
        expect(JSON.stringify(listed.AvailableDisks)).not.toContain(device);
        expect(JSON.stringify(listed.UnavailableDisks)).toContain(device);
      }

      expect(await cluster.run("n1", "disk", "add", full, "--wipe")).toMatch(/Success/);
      expect((await lab.cephStatus("n1")).disks).toHaveLength(3);
      await lab.run("n1", ["umount", "/mnt"]);
      // One bad disk does not hold up the good one.
      const [good = ""] = await lab.disk("n1", "1G");
      const mixed = await cli("disk", "add", mounted, good);
      expect(mixed.exitCode).toBe(4);
      expect(mixed.stdout).toMatch(/Failure/);
      expect(mixed.stdout).toMatch(/Success/);
      expect((await lab.cephStatus("n1")).disks).toHaveLength(4);
    },
  );
});
