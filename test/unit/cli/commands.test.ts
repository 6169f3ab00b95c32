import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { RunningServer } from "../api/running-server.ts";
import { runServer } from "../api/running-server.ts";
import { freshStatus, fsid, healthyStatus, ids } from "../api/stub-operations.ts";
import { microceph, type Outcome, TestIo } from "./run-in-process.ts";

async function run(api: RunningServer, line: string | string[], io?: TestIo): Promise<Outcome> {
  return microceph(api.stateDir, line, io);
}

describe("status", () => {
  test("prints MicroCeph's layout where output is no terminal", async () => {
    await using api = await runServer();
    const { code, stdout, stderr } = await run(api, "status");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      "MicroCeph deployment summary:",
      "- n1 (10.77.0.11)",
      "  Services: mds, mgr, mon, osd",
      "  Disks: 1",
    ]);
  });

  test("keeps MicroCeph's words where there is no cluster", async () => {
    await using api = await runServer();
    api.operations.report = freshStatus();
    const { code, stdout, stderr } = await run(api, "status");
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^Error: Daemon not yet initialized \[NOT_INITIALIZED\]\nHint: .*mesh status/);
  });

  test("says a lost quorum at once, aside from the layout", async () => {
    await using api = await runServer();
    const healthy = healthyStatus();
    api.operations.report = { ...healthy, lease: { ...healthy.lease, quorum: "lost" } };
    const { code, stdout, stderr } = await run(api, "status");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^MicroCeph deployment summary:\n/);
    expect(stderr).toContain("no quorum");
  });

  test("is richer on a terminal, also without a cluster", async () => {
    await using api = await runServer();
    const rich = await run(api, "status", new TestIo({ stdoutTTY: true }));
    expect(rich.stdout).toContain("\u001b[32mHEALTH_OK\u001b[0m");
    api.operations.report = freshStatus();
    const fresh = await run(api, "status", new TestIo({ stdoutTTY: true, env: { NO_COLOR: "1" } }));
    expect(fresh.code).toBe(0);
    expect(fresh.stdout).toContain("Waiting    sees n2");
    expect(fresh.stdout).not.toContain("\u001b");
  });

  test("has everything in JSON, also without a cluster", async () => {
    await using api = await runServer();
    expect(JSON.parse((await run(api, "status --format json")).stdout)).toEqual(healthyStatus());
    api.operations.report = freshStatus();
    const { code, stdout } = await run(api, "--format json status");
    expect([code, JSON.parse(stdout).cluster]).toEqual([0, null]);
  });
});

describe("mesh", () => {
  test("status has exactly the public keys in JSON", async () => {
    await using api = await runServer();
    const { health: _h, disks: _d, services: _s, conditions: _c, ...mesh } = healthyStatus();
    expect(JSON.parse((await run(api, "mesh status --format json")).stdout)).toEqual(mesh);
  });

  test("status has the same data in YAML", async () => {
    await using api = await runServer();
    const { health: _h, disks: _d, services: _s, conditions: _c, ...mesh } = healthyStatus();
    expect(parse((await run(api, "mesh status --format yaml")).stdout)).toEqual(mesh);
  });

  test("status does not let a name on the network draw on the terminal", async () => {
    await using api = await runServer();
    const healthy = healthyStatus();
    api.operations.report = {
      ...healthy,
      pending: healthy.pending.map((node) => ({ ...node, name: "evil\u001b[2J\nMembers: all fine" })),
    };
    for (const format of ["table", "json", "yaml"]) {
      const { stdout } = await run(api, `mesh status --format ${format}`);
      expect(stdout, format).not.toContain("\u001b");
      expect(stdout, format).not.toMatch(/^Members: all fine/m);
    }
  });

  test("approve takes names or --all, and says whom with which words", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh approve n4")).stdout).toBe(`Approved n4  amber-fox-lamp-river  ${ids.n4}\n`);
    expect(api.operations.inputOf("approve")).toEqual({ nodes: ["n4"], all: false });
    expect((await run(api, "mesh approve --all")).code).toBe(0);
    expect(api.operations.inputOf("approve")).toEqual({ nodes: [], all: true });
    api.operations.report = { ...healthyStatus(), pending: [] };
    expect((await run(api, "mesh approve --all")).stdout).toBe("Nothing is pending.\n");
  });

  test("deny of an ambiguous name lists the candidates", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh deny n4")).stdout).toContain("Denied n4");
    const { code, stderr } = await run(api, "mesh deny n");
    expect(code).toBe(2);
    expect(stderr).toBe(
      `Error: "n" fits n1 and n2 [AMBIGUOUS_NODE]\n  n1 ${ids.n1}\n  n2 ${ids.n2}\nHint: Use one of the listed PeerIds, or a longer prefix of it.\n`,
    );
  });

  test.each([
    ["mesh admission auto", { mode: "auto" }],
    ["mesh admission auto --for 1h30m", { mode: "auto", forSeconds: 5400 }],
    ["mesh admission auto --forever", { mode: "auto", forever: true }],
    ["mesh admission approve", { mode: "approve" }],
    ["mesh admission closed", { mode: "closed" }],
  ])("%s", async (line, request) => {
    await using api = await runServer();
    const { code, stdout } = await run(api, line);
    expect(code).toBe(0);
    expect(api.operations.inputOf("setAdmission")).toEqual(request);
    expect(stdout.startsWith(`${request.mode}: `)).toBe(true);
  });

  test("admission alone shows it and changes nothing", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh admission --format json")).stdout).toContain('"mode": "auto"');
    expect(api.operations.inputOf("setAdmission")).toBeUndefined();
  });

  test("fingerprint, join and release", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh fingerprint")).stdout).toMatch(
      /^quiet-moss-tin-harbor {2}\(n1 with microceph, 0123/,
    );
    expect((await run(api, "mesh join other")).code).toBe(0);
    expect(api.operations.inputOf("join")).toEqual({ cluster: "other" });
    expect((await run(api, "mesh join")).stdout).toBe("n1 may be claimed now.\n");
    expect((await run(api, "mesh release")).stdout).toBe("n1 is member.\n");
  });

  test.each([
    ["table", "2  10:00:00Z  member.alive  peer=p handle=n2"],
    [
      "json",
      `{"seq":2,"at":"2026-11-22T10:00:00.000Z","node":"${ids.n1}","type":"member.alive","data":{"peer":"p","handle":"n2"}}`,
    ],
    [
      "yaml",
      `--- {"seq":2,"at":"2026-11-22T10:00:00.000Z","node":"${ids.n1}","type":"member.alive","data":{"peer":"p","handle":"n2"}}`,
    ],
  ])("events as %s, until Ctrl-C", async (format, line) => {
    await using api = await runServer();
    api.operations.emit("daemon.started", { version: "1" });
    api.operations.emit("member.alive", { peer: "p", handle: "n2" });
    const io = new TestIo();
    const write = io.stdout.write.bind(io.stdout);
    io.stdout.write = (text) => {
      write(text);
      io.interrupt.abort();
    };
    expect(await run(api, `events --follow --since 1 --format ${format}`, io)).toEqual({
      code: 0,
      stdout: `${line}\n`,
      stderr: "",
    });
  });
});

describe("events", () => {
  test.each([
    ["events", "daemon.started member.alive member.failed"],
    ["events --since 1", "member.alive member.failed"],
    ["events --type member.failed daemon.*", "daemon.started member.failed"],
    ["events --type member.* --since 2", "member.failed"],
  ])("%s shows what is kept and ends", async (line, types) => {
    await using api = await runServer();
    api.operations.emit("daemon.started", { version: "1" });
    api.operations.emit("member.alive", { peer: "p", handle: "n2" });
    api.operations.emit("member.failed", { peer: "p", handle: "n2" });
    const { code, stdout } = await run(api, `${line} --format json`);
    expect(code).toBe(0);
    const shown = stdout.trim().split("\n");
    expect(shown.map((text) => (JSON.parse(text) as { type: string }).type).join(" ")).toBe(types);
  });

  test("metrics", async () => {
    await using api = await runServer();
    expect((await run(api, "metrics")).stdout).toBe(api.operations.metrics());
  });
});

describe("cluster", () => {
  test("list is MicroCeph's table", async () => {
    await using api = await runServer();
    const { stdout } = await run(api, "cluster list");
    expect(stdout.split("\n").slice(1, 4)).toEqual([
      `| NAME |     ADDRESS     | ROLE  |${" ".repeat(27)}FINGERPRINT${" ".repeat(28)}| STATUS | PRESENCE |      LAST SEEN       |`,
      `+------+-----------------+-------+${"-".repeat(66)}+--------+----------+----------------------+`,
      `| n1   | 10.77.0.11:7443 | voter | ${"ab".repeat(32)} | ONLINE | alive    | 2026-11-22T10:00:00Z |`,
    ]);
  });

  test.each([
    ["-f csv", /^n1,10\.77\.0\.11:7443,voter,(ab){32},ONLINE,alive,2026-11-22T10:00:00Z\n/],
    ["--format csv", /^n1,/],
    ["-f compact", /^ {2}NAME {2}ADDRESS /],
    ["-f json", /^\[\n {2}\{\n {4}"name": "n1"/],
    ["-f yaml", /^- name: n1\n/],
  ])("list %s", async (flags, expected) => {
    await using api = await runServer();
    expect((await run(api, `cluster list ${flags}`)).stdout).toMatch(expected);
  });

  test("bootstrap hands its flags over and follows the job", async () => {
    await using api = await runServer();
    api.operations.report = freshStatus();
    api.operations.jobSteps = ["writing ceph.conf", "starting the monitor"];
    api.operations.jobResult = { fsid };
    const { code, stdout, stderr } = await run(
      api,
      "cluster bootstrap --name east --mon-ip 10.0.0.1 --public-network 10.0.0.0/24 --availability-zone z1 --v2-only",
    );
    expect(code).toBe(0);
    expect(api.operations.inputOf("bootstrap")).toEqual({
      name: "east",
      monIp: "10.0.0.1",
      publicNetwork: "10.0.0.0/24",
      availabilityZone: "z1",
      v2Only: true,
    });
    expect(stdout).toContain(`(Ceph ${fsid})`);
    expect(stderr).toBe(
      "[  0%] starting (0 s)\n[ 10%] writing ceph.conf (0 s)\n[ 20%] starting the monitor (0 s)\n",
    );
  });

  test("a second bootstrap is refused and changes nothing", async () => {
    await using api = await runServer();
    const { code, stderr } = await run(api, "cluster bootstrap");
    expect(code).toBe(4);
    expect(stderr).toContain("[ALREADY_INITIALIZED]");
  });
});

describe("cluster failure-domain and zone", () => {
  test("say what would move, and that it needs consent", async () => {
    await using api = await runServer();
    const { code, stdout } = await run(api, "cluster failure-domain plan host");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Failure domain {2}osd$/m);
    expect(stdout).toContain("osd to host: 3 hosts have OSDs");
    expect(stdout).toContain("About 64.00 GiB in 12 copies of placement groups move. That needs --yes.");
    expect(api.operations.inputOf("planFailureDomain")).toEqual({ level: "host" });
  });

  test("hand on consent and confirmation only when they are given", async () => {
    await using api = await runServer();
    await run(api, "cluster failure-domain set osd");
    expect(api.operations.inputOf("setFailureDomain")).toMatchObject({
      consent: false,
      confirmDowngrade: false,
    });
    await run(api, "cluster failure-domain set osd --yes --confirm-failure-domain-downgrade");
    expect(api.operations.inputOf("setFailureDomain")).toMatchObject({
      consent: true,
      confirmDowngrade: true,
    });
  });

  test("set, unset and list zones", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster zone set n1 a")).stdout).toContain("n1 stands in zone a.");
    await run(api, "cluster zone unset n1");
    expect(api.operations.inputOf("setZone")).toMatchObject({ node: "n1", zone: null });
    expect((await run(api, "cluster zone list --format csv")).stdout).toBe("n1,a,az.a\n");
    expect((await run(api, "cluster failure-domain set row")).code).toBe(2);
  });
});

describe("disk", () => {
  test("add prints what became of each disk", async () => {
    await using api = await runServer();
    const { code, stdout } = await run(api, "disk add loop,1G,3");
    expect(code).toBe(0);
    expect(api.operations.inputOf("addDisks")).toMatchObject({ path: ["loop,1G,3"], wipe: false });
    expect(stdout).toBe(
      "+-----------+---------+\n|   PATH    | STATUS  |\n+-----------+---------+\n| loop,1G,3 | Success |\n+-----------+---------+\n",
    );
  });

  test("add of which one fails exits 1 with its reason", async () => {
    await using api = await runServer();
    api.operations.jobResult = {
      report: [
        { path: "/dev/vdb", report: "Success", error: "" },
        { path: "/dev/vdc", report: "Failure", error: "it is mounted" },
      ],
    };
    const { code, stdout, stderr } = await run(api, "disk add /dev/vdb /dev/vdc --wipe");
    expect(code).toBe(1);
    expect(api.operations.inputOf("addDisks")).toMatchObject({ path: ["/dev/vdb", "/dev/vdc"], wipe: true });
    expect(stdout).toContain("| /dev/vdc | Failure |");
    expect(stderr).toContain("Error: /dev/vdc: it is mounted");
  });

  test.each([
    { errors: ["/dev/vdb cannot be used: mounted [DISK_IN_USE]"], code: 4, shown: "mounted [DISK_IN_USE]" },
    {
      errors: ["busy [DISK_IN_USE]", "mounted [DISK_IN_USE]"],
      code: 4,
      shown: "2 of 2 disks failed: /dev/vd0: busy; /dev/vd1: mounted [DISK_IN_USE]",
    },
    {
      errors: ["busy [DISK_IN_USE]", "gone [NOT_FOUND]"],
      code: 1,
      shown: "/dev/vd0: busy [DISK_IN_USE]; /dev/vd1: gone [NOT_FOUND] [PROGRAM_FAILED]",
    },
    { errors: ["odd [NO_SUCH_CODE]"], code: 1, shown: "/dev/vd0: odd [NO_SUCH_CODE] [PROGRAM_FAILED]" },
  ])("disks refused for one reason exit with its code: $errors", async ({ errors, code, shown }) => {
    await using api = await runServer();
    const report = errors.map((error, n) => ({ path: `/dev/vd${n}`, report: "Failure" as const, error }));
    api.operations.jobResult = { report };
    const result = await run(api, `disk add ${report.map(({ path }) => path).join(" ")}`);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(shown);
  });

  test("add whose job fails exits with the job's code", async () => {
    await using api = await runServer();
    api.operations.jobFailure = { code: "NO_QUORUM", message: "two of three voters are away" };
    const { code, stderr } = await run(api, "disk add loop,1G,1");
    expect(code).toBe(3);
    expect(stderr).toContain("Error: two of three voters are away [NO_QUORUM]");
  });

  test("add asks another node", async () => {
    await using api = await runServer();
    const { code } = await run(api, "disk add /dev/vdb --target n2");
    expect(code).toBe(1);
    expect(api.operations.forwarded).toEqual([
      {
        target: "n2",
        request: { method: "POST", path: "/1.0/disks", body: { path: ["/dev/vdb"], wipe: false } },
      },
    ]);
  });

  test.each([
    ["disk add", "no disk was named"],
    ["disk add /dev/vdb --all-available", "--all-available cannot be used with positional"],
    ["disk add /dev/vdb --dry-run", "--dry-run requires --osd-match"],
    ["disk add --all-available --osd-match true", "cannot be used with --all-available"],
    ["disk add /dev/vdb --osd-match true", "cannot be used with positional device arguments"],
    ["disk add --wal-match true --wal-size 1GiB", "--wal-match requires --osd-match"],
    ["disk add --osd-match true --db-match true", "--db-match requires --db-size"],
    ["disk add --osd-match true --db-size 1GiB", "--db-size requires --db-match"],
    ["disk add --osd-match true --wal-device /dev/vdc", "not supported with DSL matching"],
    ["disk add /dev/vdb --wal-wipe", "--wal-wipe requires --wal-match or --wal-device"],
    ["disk add /dev/vdb --db-encrypt", "--db-encrypt requires --db-match or --db-device"],
    ["disk add /dev/vdb /dev/vdc --wal-device /dev/vdd", "only supported with one disk"],
    ["disk add loop,1G,1 --db-device /dev/vdd", "only supported with one disk"],
    ["disk add loop,1G,1 --encrypt", "does not support encryption"],
    ["disk add loop,1G,1 --wipe", "nothing to wipe"],
    ["disk add /dev/vdb --wal-device /dev/vdb", "cannot be both"],
    ["disk add /dev/vdb --wal-device vdc", "neither the absolute path"],
    ["disk add /dev/vdb --json", "--json requires --dry-run"],
    ["disk restart three", "It is osd.N or N"],
  ])("%s is refused before anything is asked for", async (line, text) => {
    await using api = await runServer();
    const { code, stderr } = await run(api, line);
    expect(code).toBe(2);
    expect(stderr).toContain(text);
    expect(api.operations.calls).toEqual([]);
  });

  test("add passes on what matches, and shows a dry run", async () => {
    await using api = await runServer();
    api.operations.jobResult = {
      report: [],
      dryRun: {
        devices: [{ path: "/dev/vdb", model: "BIG", vendor: "ACME", type: "nvme", sizeBytes: 2 ** 40 }],
        plan: [{ path: "/dev/vdb", wal: null, db: null }],
      },
    };
    const line = "disk add --osd-match eq(@type,nvme) --db-match true --db-size 1GiB --db-wipe --dry-run";
    const { code, stdout } = await run(api, line);
    expect(code).toBe(0);
    expect(api.operations.inputOf("addDisks")).toMatchObject({
      ...{ osd_match: "eq(@type,nvme)", db_match: "true", db_size: "1GiB" },
      ...{ dbwipe: true, dry_run: true, path: [] },
    });
    expect(stdout).toContain("| /dev/vdb | BIG   | 1.00TiB | nvme |");
    expect(JSON.parse((await run(api, `${line} --json`)).stdout)).toMatchObject({
      dry_run_devices: [{ path: "/dev/vdb", size: "1.00TiB" }],
    });
  });

  test.each(["restart", "stop", "start"] as const)("%s asks the node that has the OSD", async (action) => {
    await using api = await runServer();
    const { code } = await run(api, `disk ${action} osd.1`);
    expect(code).toBe(1);
    expect(api.operations.forwarded).toEqual([
      { target: "n2", request: { method: "POST", path: `/1.0/disks/1/${action}`, body: {} } },
    ]);
    expect((await run(api, `disk ${action} 77`)).stderr).toContain("there is no osd.77 [NOT_FOUND]");
  });

  test("list --json has MicroCeph's keys, --host-only this node's disks", async () => {
    await using api = await runServer();
    const { stdout } = await run(api, "disk list --json --host-only");
    expect(JSON.parse(stdout)).toEqual({
      ConfiguredDisks: [
        { osd: 0, path: "/var/lib/microceph/data/osd/ceph-0/osd-backing.img", location: "n1" },
      ],
      AvailableDisks: [
        { Model: "QEMU DISK", Size: "20.00GiB", Type: "scsi", Path: "/dev/disk/by-id/scsi-1" },
      ],
      RemoteDisks: [],
      UnavailableDisks: [
        {
          Location: "n1",
          Model: "QEMU DISK",
          Size: "20.00GiB",
          Type: "scsi",
          Path: "/dev/sdc",
          Reasons: ["holds an xfs file system"],
          Wipeable: true,
        },
      ],
    });
    expect(JSON.parse((await run(api, "disk list --format json")).stdout).ConfiguredDisks).toHaveLength(3);
    expect((await run(api, "disk list")).stdout).toMatch(/^Disks configured in MicroCeph:\n\+-----\+/);
  });
});

describe("a job's progress", () => {
  test("is never silent for more than two seconds", async () => {
    await using api = await runServer();
    const io = new TestIo();
    api.operations.jobSteps = ["making file systems", "making file systems", "making file systems"];
    const waitForJob = api.operations.waitForJob.bind(api.operations);
    api.operations.waitForJob = async (input) => {
      io.clock += 1000;
      for (const tick of io.tickers) tick();
      return waitForJob(input);
    };
    const { stderr } = await run(api, "disk add loop,1G,1", io);
    expect(stderr).toBe(
      "[  0%] starting (0 s)\n[ 10%] making file systems (1 s)\n[ 20%] making file systems (3 s)\n",
    );
    expect(io.tickers.size).toBe(0);
  });

  test("is one line on a terminal, gone at the end", async () => {
    await using api = await runServer();
    const { stderr } = await run(api, "disk add loop,1G,1", new TestIo({ stderrTTY: true }));
    expect(stderr).toBe("\r\u001b[K[  0%] starting (0 s)\r\u001b[K[ 10%] preparing (0 s)\r\u001b[K");
  });

  test("ends with Ctrl-C, the job does not", async () => {
    await using api = await runServer();
    const io = new TestIo();
    api.operations.waitForJob = () => {
      io.interrupt.abort();
      return new Promise(() => undefined);
    };
    const { code, stderr } = await run(api, "disk add loop,1G,1", io);
    expect(code).toBe(1);
    expect(stderr).toContain("the daemon goes on with job job-1 [CANCELLED]");
  });
});

describe("waitready", () => {
  test("returns when all is there", async () => {
    await using api = await runServer();
    expect(await run(api, "waitready --timeout 5 --storage")).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("says what it waits for, until it comes", async () => {
    await using api = await runServer();
    const io = new TestIo();
    api.operations.report = freshStatus();
    io.onPause = () => {
      if (io.clock >= 1500) api.operations.report = healthyStatus();
    };
    expect(await run(api, "waitready", io)).toEqual({ code: 0, stdout: "", stderr: "Waiting: a cluster\n" });
  });

  test("waits for storage only when asked", async () => {
    await using api = await runServer();
    api.operations.ready = async () => ({ ready: true, storage: false, waitingFor: "2 more OSDs" });
    expect((await run(api, "waitready --timeout 1")).code).toBe(0);
    const { code, stderr } = await run(api, "waitready --timeout 1 --storage");
    expect(code).toBe(3);
    expect(stderr).toContain("Error: not ready after 1 s: 2 more OSDs [NOT_READY]");
  });

  test("waits for a daemon that does not run yet", async () => {
    const { code, stderr } = await microceph("/nonexistent", "waitready --timeout 2");
    expect(code).toBe(3);
    expect(stderr).toContain("Waiting: no daemon answers on /nonexistent/control.socket");
    expect(stderr).toContain("[NOT_READY]");
  });
});

describe("disks that go and come back", () => {
  const words = (api: RunningServer): string => JSON.stringify(api.operations.calls);

  test("disk remove takes MicroCeph's options", async () => {
    await using api = await runServer();
    const { code, stdout } = await run(api, "disk remove osd.3 --confirm-failure-domain-downgrade");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Removed osd.3\n" });
    expect(words(api)).toContain('"confirm_crush_downgrade":true');
    const both = await run(
      api,
      "disk remove 3 --confirm-failure-domain-downgrade --prohibit-crush-scaledown",
    );
    expect(both.code).toBe(2);
    expect((await run(api, "disk remove three")).code).toBe(2);
    expect((await run(api, "disk remove 3 --timeout soon")).code).toBe(2);
    expect((await run(api, "disk remove 3 --cancel")).stdout).toBe("osd.3 stays.\n");
  });

  test("disk replace and disk adopt", async () => {
    await using api = await runServer();
    const { code, stdout } = await run(api, "disk replace osd.3 /dev/sdz --wipe");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "Replaced the disk of osd.3 by /dev/sdz; its data is copied back\n",
    });
    expect(words(api)).toContain('"path":"/dev/sdz","wipe":true');
    expect((await run(api, "disk adopt")).stdout).toMatch(/osd|OSD.*PATH/);
    expect(JSON.parse((await run(api, "disk adopt --dry-run --format json")).stdout).report).toHaveLength(1);
    expect(words(api)).toContain('"dry_run":true');
  });
});

describe("services", () => {
  test("a gateway is wanted here, on others, or so many; where they are is printed", async () => {
    await using api = await runServer();
    const done = await run(api, "enable rgw --target n2 --target n3,n4 --port 8080");
    expect(done.stdout).toContain("| n1   | http://10.0.0.1:80 | placed  |");
    expect(api.operations.inputOf("enableGateway")).toEqual({ targets: ["n2", "n3", "n4"], port: 8080 });
    expect(await run(api, "enable rgw --count 2 --port 0")).toMatchObject({ code: 0 });
    expect(JSON.stringify(api.operations.calls)).toContain(`"targets":[],"count":2`);
    await run(api, "disable rgw --all");
    expect(api.operations.inputOf("disableGateway")).toEqual({ targets: [], all: true });
    api.operations.placedReport = { wanted: null, nodes: [] };
    expect((await run(api, "disable rgw")).stdout).toBe("No S3 gateway is wanted.\n");
    for (const line of ["--count 0", "--port 70000", "--count two"]) {
      expect((await run(api, `enable rgw ${line}`)).code).toBe(2);
    }
    expect((await run(api, "disable rgw --all --target n1")).code).toBe(2);
  });

  test("certificates are read from files, or given as they are", async () => {
    await using api = await runServer();
    const file = join(api.stateDir, "s3.crt");
    await writeFile(file, "PEM");
    await run(api, `enable rgw --ssl-port 8443 --ssl-certificate ${file} --ssl-private-key LS0t`);
    expect(api.operations.inputOf("enableGateway")).toEqual({
      ...{ targets: [], ssl_port: 8443, ssl_certificate: "PEM", ssl_private_key: "LS0t" },
    });
    await run(api, `certificate set rgw --ssl-certificate ${file} --ssl-private-key ${file}`);
    expect(api.operations.inputOf("setGatewayCertificate")).toEqual({
      ...{ ssl_certificate: "PEM", ssl_private_key: "PEM" },
    });
    expect((await run(api, "certificate set rgw --ssl-certificate LS0t")).code).toBe(2);
    expect((await run(api, "certificate set rgw --ssl-certificate /no --ssl-private-key /no")).code).toBe(2);
  });

  test("a common address is wanted with its network", async () => {
    await using api = await runServer();
    await run(api, "enable ingress --vip 10.0.0.100/24 --port 8000");
    expect(api.operations.inputOf("enableIngress")).toEqual({
      vip: "10.0.0.100/24",
      targets: [],
      port: 8000,
    });
    await run(api, "disable ingress --target n2");
    expect(api.operations.inputOf("disableIngress")).toEqual({ targets: ["n2"], all: false });
    for (const line of ["enable ingress", "enable ingress --vip 10.0.0.100", "enable ingress --vip x/24"]) {
      expect((await run(api, line)).code).toBe(2);
    }
  });

  test("folders are mirrored to another site", async () => {
    await using api = await runServer();
    await run(api, "enable cephfs-mirror --target n2");
    expect(api.operations.inputOf("enableFileMirror")).toEqual({ targets: ["n2"] });
    await run(api, "disable cephfs-mirror --all");
    expect(api.operations.inputOf("disableFileMirror")).toEqual({ targets: [], all: true });
    await run(api, "replication enable cephfs --volume home --remote magical --dir-path /a");
    const a = { volume: "home", dir_path: "/a" };
    expect(api.operations.inputOf("enableFileReplication")).toEqual({ ...a, remote: "magical" });
    await run(
      api,
      "replication enable cephfs --volume home --remote magical --subvolume one --subvolumegroup all",
    );
    expect(api.operations.inputOf("enableFileReplication")).toEqual({
      ...{ volume: "home", remote: "magical", subvolume: "one", subvolume_group: "all" },
    });
    const shown = await run(api, "replication status cephfs home");
    expect(api.operations.inputOf("fileReplication")).toEqual({ volume: "home" });
    expect(shown.stdout).toContain("monday");
    await run(api, "replication list cephfs");
    expect(api.operations.inputOf("fileReplication")).toEqual({});
    const parted = await run(api, "replication disable cephfs --volume home --dir-path /a");
    expect(api.operations.inputOf("disableFileReplication")).toEqual({ ...a, force: false });
    expect(parted.stdout).toBe("/a of home is mirrored no more.\n");
    for (const line of [
      "replication enable cephfs --volume home --dir-path /a",
      "replication enable cephfs --remote magical --dir-path /a",
      "replication enable cephfs --volume home --remote magical --dir-path a",
      "replication enable cephfs --volume home --remote magical --dir-path /a/../b",
      "replication promote cephfs --remote magical",
      "replication status cephfs",
    ]) {
      expect([line, (await run(api, line)).code]).toEqual([line, 2]);
    }
  });

  test("monitors, managers and metadata servers are wanted by name, or not", async () => {
    await using api = await runServer();
    await run(api, "enable mon --target n4");
    expect(api.operations.inputOf("enableCounted")).toEqual({ daemon: "mon", targets: ["n4"] });
    await run(api, "disable mon --target n1");
    expect(api.operations.inputOf("disableCounted")).toEqual({ daemon: "mon", targets: ["n1"] });
    await run(api, "enable mds --target n2 --target n3");
    expect(api.operations.inputOf("enableCounted")).toEqual({ daemon: "mds", targets: ["n2", "n3"] });
    await run(api, "disable mgr");
    expect(api.operations.inputOf("disableCounted")).toEqual({ daemon: "mgr", targets: [] });
    expect((await run(api, "disable mgr --all")).code).toBe(2);
  });

  test("NFS gateways are wanted with a name, and folders exported through them", async () => {
    await using api = await runServer();
    await run(api, "enable nfs --cluster-id share");
    expect(api.operations.inputOf("enableNfs")).toEqual({ cluster_id: "share", targets: [] });
    await run(
      api,
      "enable nfs --cluster-id share --bind-port 2050 --bind-address 10.0.0.1 --v4-min-version 0 --count 2",
    );
    expect(api.operations.inputOf("enableNfs")).toEqual({
      ...{ cluster_id: "share", targets: [], count: 2 },
      ...{ bind_port: 2050, bind_address: "10.0.0.1", v4_min_version: 0 },
    });
    await run(api, "disable nfs --cluster-id share --target n2");
    expect(api.operations.inputOf("disableNfs")).toEqual({
      cluster_id: "share",
      targets: ["n2"],
      all: false,
    });
    await run(api, "nfs export create /home --fs home --client 10.0.0.0/24 --squash root --read-only");
    expect(api.operations.inputOf("createExport")).toEqual({
      ...{ pseudo_path: "/home", fs: "home", path: "/", read_only: true, squash: "root" },
      clients: ["10.0.0.0/24"],
    });
    expect((await run(api, "nfs export list")).stdout).toContain("read and write");
    expect((await run(api, "nfs export remove /home")).stdout).toBe("/home is exported no more.\n");
    for (const line of [
      "enable nfs",
      "enable nfs --cluster-id a",
      "enable nfs --cluster-id share --v4-min-version 3",
      "nfs export create /home",
      "nfs export create home --fs home",
      "nfs export create / --fs home",
      "nfs export create /home --fs home --client everyone",
    ]) {
      expect([line, (await run(api, line)).code]).toEqual([line, 2]);
    }
  });

  test("copies of other sites are wanted here, elsewhere, or no more", async () => {
    await using api = await runServer();
    await run(api, "enable rbd-mirror");
    expect(api.operations.inputOf("enableMirror")).toEqual({ targets: [] });
    await run(api, "enable rbd-mirror --target n2 --count 2");
    expect(api.operations.inputOf("enableMirror")).toEqual({ targets: ["n2"], count: 2 });
    await run(api, "disable rbd-mirror --all");
    expect(api.operations.inputOf("disableMirror")).toEqual({ targets: [], all: true });
    expect((await run(api, "disable rbd-mirror --all --target n1")).code).toBe(2);
    expect((await run(api, "enable rbd-mirror --port 80")).code).toBe(2);
  });

  test("sites are known by tokens, and forgotten", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster export simple")).stdout).toBe("dG9rZW4=\n");
    expect(api.operations.inputOf("exportCluster")).toEqual({ remote: "simple" });
    await run(api, "remote import simple dG9rZW4= --local-name magical");
    expect(api.operations.inputOf("importRemote")).toEqual({
      ...{ name: "simple", token: "dG9rZW4=", local_name: "magical" },
    });
    expect((await run(api, "remote list --format csv")).stdout).toContain("simple,magical,yes,no");
    await run(api, "remote remove simple");
    expect(api.operations.inputOf("removeRemote")).toEqual({ name: "simple" });
    for (const line of ["remote import simple dG9rZW4=", "cluster export Big_Name", "cluster export ceph"]) {
      expect([line, (await run(api, line)).code]).toEqual([line, 2]);
    }
  });

  test("pools and images are mirrored, and handed over as a whole site", async () => {
    await using api = await runServer();
    await run(api, "replication enable rbd images --remote simple");
    expect(api.operations.inputOf("enableReplication")).toEqual({
      ...{ pool: "images", remote: "simple", type: "journal", skip_auto_enable: false },
    });
    await run(api, "replication enable rbd images/one --remote simple --type snapshot --schedule 5m");
    expect(api.operations.inputOf("enableReplication")).toEqual({
      ...{ pool: "images", image: "one", remote: "simple", type: "snapshot", schedule: "5m" },
      skip_auto_enable: false,
    });
    expect((await run(api, "replication status rbd images/one")).stdout).toContain("up+stopped");
    expect((await run(api, "replication status rbd images/none")).code).toBe(1);
    await run(api, "replication configure rbd images/one --schedule 2h");
    expect(api.operations.inputOf("configureReplication")).toEqual({
      ...{ pool: "images", image: "one", schedule: "2h" },
    });
    await run(api, "replication disable rbd images/one --force");
    expect(api.operations.inputOf("disableReplication")).toEqual({
      ...{ pool: "images", image: "one", confirmed: true },
    });
    await run(api, "replication resync rbd images");
    expect(api.operations.inputOf("resyncReplication")).toEqual({ pool: "images", confirmed: false });
    const promoted = await run(api, "replication promote rbd --remote simple --yes-i-really-mean-it");
    expect(promoted.stdout).toBe("images/one: promoted.\n");
    expect(api.operations.inputOf("promoteSite")).toEqual({ remote: "simple", force: true });
    const demoted = await run(api, "replication demote rbd --remote simple");
    expect(demoted.stdout).toBe("Nothing was to be done.\n");
    for (const line of [
      "replication enable rbd images",
      "replication enable rbd a/b/c --remote simple",
      "replication enable rbd images --remote simple --type copy",
      "replication configure rbd images --schedule 5m",
      "replication configure rbd images/one --schedule soon",
      "replication promote cephfs --remote simple",
    ]) {
      expect([line, (await run(api, line)).code]).toEqual([line, 2]);
    }
  });

  test("why they are there is said in lines", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh explain rgw")).stdout).toBe("2 are wanted in all: n1, n2\n");
  });

  test("an S3 user is printed with what each client needs; the newest key counts", async () => {
    await using api = await runServer();
    const made = await run(api, "s3 user create alice --display-name Alice");
    expect(api.operations.inputOf("createS3User")).toEqual({
      ...{ name: "alice", display_name: "Alice", swift: false },
    });
    for (const line of [
      "aws --endpoint-url http://10.0.0.1:8080 s3 ls",
      "export AWS_ACCESS_KEY_ID=AK",
      "host_base = 10.0.0.1:8080",
      "use_https = False",
      "[alice]",
      "endpoint = http://10.0.0.1:8080",
    ]) {
      expect(made.stdout.split("\n")).toContain(line);
    }
    const { s3UserReply } = api.operations;
    const keys = [...s3UserReply.keys, { access_key: "AK2", secret_key: "SK2" }];
    api.operations.s3UserReply = { ...s3UserReply, keys };
    const second = await run(api, "s3 user key alice --new");
    expect(second.stdout).toContain("Access key:  AK2\n");
    expect(second.stdout).toContain("Other keys:\n  AK  SK\n");
    api.operations.s3UserReply = { ...s3UserReply, endpoints: [] };
    expect((await run(api, "s3 user key alice")).stdout).toContain("none yet: microceph enable rgw");
    api.operations.s3UserReply = { ...s3UserReply, keys: [] };
    expect((await run(api, "s3 user key alice")).stdout).toContain("--new");
  });

  test("a user's key for Swift is made and printed when it is asked for", async () => {
    await using api = await runServer();
    expect((await run(api, "s3 user key alice")).stdout).not.toMatch(/swift/i);
    const { s3UserReply } = api.operations;
    api.operations.s3UserReply = {
      ...s3UserReply,
      swift_keys: [{ user: "alice:swift", secret_key: "SWIFT" }],
    };
    const made = await run(api, "s3 user create alice --swift");
    expect(api.operations.inputOf("createS3User")).toEqual({ name: "alice", swift: true });
    for (const line of [
      "Swift:       alice:swift  SWIFT",
      "export ST_AUTH=http://10.0.0.1:8080/auth/v1.0",
      "export ST_USER=alice:swift",
      "export ST_KEY=SWIFT",
      "export OS_STORAGE_URL=http://10.0.0.1:8080/swift/v1",
      "swift list",
    ]) {
      expect(made.stdout.split("\n")).toContain(line);
    }
    await run(api, "s3 user key alice --new");
    expect(api.operations.inputOf("createS3Key")).toMatchObject({ user: "alice", type: "s3" });
    await run(api, "s3 user key alice --new --swift");
    expect(api.operations.inputOf("createS3Key")).toMatchObject({ user: "alice", type: "swift" });
    expect((await run(api, "s3 user key alice --swift")).code).toBe(2);
  });

  test("S3 users and buckets are listed, and a user is removed", async () => {
    await using api = await runServer();
    expect((await run(api, "s3 user list --format csv")).stdout).toBe("alice\n");
    expect((await run(api, "s3 bucket list --format csv")).stdout).toBe("photos,alice,2,2.00KiB\n");
    expect((await run(api, "s3 user remove alice --purge-data")).stdout).toBe("alice is removed.\n");
    expect(api.operations.inputOf("removeS3User")).toMatchObject({ user: "alice", purge_data: true });
    // Nothing that radosgw-admin would take for an option.
    expect((await run(api, "s3 user create -- --admin")).code).toBe(2);
  });
});

describe("maintenance", () => {
  test("steps are printed as MicroCeph prints them; one that fails ends with exit code 4", async () => {
    await using api = await runServer();
    const done = await run(api, "cluster maintenance enter n2 --stop-osds --set-noout=false");
    expect(done.stdout).toBe(
      "Check if osds [1] in node 'n2' are ok-to-stop. (succeeded)\nRun `ceph osd set-group noout n2`. (succeeded)\n",
    );
    expect(api.operations.inputOf("maintenance")).toMatchObject({
      ...{ node: "n2", status: "maintenance", set_noout: false, stop_osds: true, force: false },
    });
    const dry = await run(api, "cluster maintenance exit n2 --dry-run");
    expect(dry.stdout).not.toContain("succeeded");
    expect(api.operations.inputOf("maintenance")).toMatchObject({ status: "non-maintenance", dry_run: true });
    api.operations.maintenanceError = "osds [1] cannot be safely stopped";
    const failed = await run(api, "cluster maintenance enter n2");
    expect([failed.code, failed.stdout]).toEqual([
      4,
      "Check if osds [1] in node 'n2' are ok-to-stop. (failed: osds [1] cannot be safely stopped)\n",
    ]);
    expect(failed.stderr).toContain("[MAINTENANCE_FAILED]");
    expect((await run(api, "cluster maintenance enter n2 --set-noout=maybe")).code).toBe(2);
  });
});

describe("an upgrade", () => {
  test("is shown before, in its order, and says afterwards what it did", async () => {
    await using api = await runServer();
    const plan = await run(api, "cluster upgrade plan");
    expect(plan.stdout).toContain("n1: Ceph 18.2.7 is installed\nn2: it is away\n");
    expect(plan.stdout).toMatch(/mon\.n1 +\| n1 +\| 16\.2\.15 +\| 18\.2\.7/);
    expect(plan.stdout).toContain("Afterwards all OSDs run reef");
    expect(plan.stdout).toContain("Warning: there are fewer than three monitors\n");
    expect((await run(api, "cluster upgrade check")).stdout).toBe("Nothing is in the way.\n");
    await run(api, "cluster upgrade plan --all");
    expect(api.operations.inputOf("planUpgrade")).toEqual({ all: true });
    const done = await run(api, "cluster upgrade run --force");
    expect(done.stdout).toBe("Restarted: mon.n1, osd.0.\nOSDs older than reef may not join any more.\n");
    expect(api.operations.inputOf("upgrade")).toEqual({ all: false, force: true });
  });
});

describe("what the managers have to show", () => {
  test("is enabled with one command each; a password is shown when it was made", async () => {
    await using api = await runServer();
    const made = await run(api, "enable dashboard --ssl-port 8445");
    expect(made.stdout).toBe(
      "https://10.77.0.11:8443/\nUser: admin\nPassword: once\nIt is shown only now.\n",
    );
    expect(api.operations.inputOf("enableDashboard")).toEqual({ ssl_port: 8445, new_password: false });
    api.operations.dashboardPassword = null;
    expect((await run(api, "enable dashboard")).stdout).toContain("--new-password makes another");
    expect((await run(api, "enable prometheus --port 80")).code).toBe(2);
    expect((await run(api, "enable prometheus")).code).toBe(0);
    expect((await run(api, "disable prometheus")).stdout).toBe("prometheus is disabled.\n");
  });
});

describe("pools", () => {
  test("are listed, made, given other copies, and removed only when that is meant", async () => {
    await using api = await runServer();
    expect((await run(api, "pool list --format csv")).stdout).toBe("data,3,microceph_auto_host,2,8,rbd,7B\n");
    expect((await run(api, "pool create images --size 2 --pg-num 16")).stdout).toBe(
      "images is made, with 3 copies.\n",
    );
    expect(api.operations.inputOf("createPool")).toEqual({
      ...{ name: "images", size: 2, pg_num: 16, application: "rbd", confirmed: false },
    });
    const plan = await run(api, "pool set-rf --size 2 data --dry-run");
    expect(plan.stdout).toMatch(/data \| 3 +\| 2 +\| microceph_auto_host \| 3 hosts \| 8 +\| 1\.00KiB freed/);
    expect(plan.stdout).toContain("Warning: one host has no OSD\n");
    expect(api.operations.inputOf("setReplicas")).toBeUndefined();
    expect((await run(api, ["pool", "set-rf", "--size", "2", "*"])).code).toBe(0);
    expect(api.operations.inputOf("setReplicas")).toEqual({ pools: ["*"], size: 2, confirmed: false });
    expect((await run(api, "pool set-rf data")).code).toBe(2);
    const refused = await run(api, "pool remove data");
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("[DATA_LOSS_UNCONFIRMED]")]);
    expect((await run(api, "pool remove data --yes-i-really-mean-it")).stdout).toBe("data is removed.\n");
  });
});

describe("file systems", () => {
  test("are listed, made, and removed only when that is meant", async () => {
    await using api = await runServer();
    expect((await run(api, "fs list --format csv")).stdout).toBe(
      "home,cephfs.home.meta,cephfs.home.data,n1,2,7B\n",
    );
    expect((await run(api, "fs create work --size 2")).stdout).toBe(
      "work is made. Mount it with:\n  ceph-fuse --client_fs work /mnt\n",
    );
    expect(api.operations.inputOf("createFileSystem")).toEqual({ name: "work", size: 2, confirmed: false });
    expect((await run(api, "fs create a/b")).code).toBe(2);
    const refused = await run(api, "fs remove home");
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("[DATA_LOSS_UNCONFIRMED]")]);
    expect((await run(api, "fs remove home --yes-i-really-mean-it")).stdout).toBe("home is removed.\n");
  });
});

describe("settings of Ceph", () => {
  test("are listed, shown with what they may be, set and reset", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster config list --format csv")).stdout).toBe("0,osd_max_backfills,3,osd\n");
    expect((await run(api, "cluster config get osd_max_backfills")).stdout).toBe(
      "osd_max_backfills = 3 (osd)\ndefault: 1\ntype: int, from any to 10\nHow many\n",
    );
    expect((await run(api, "cluster config set osd_max_backfills 5 --section osd --wait")).stdout).toBe(
      "Restarted: osd.0.\n",
    );
    expect(api.operations.inputOf("changeConfig")).toEqual({
      ...{ key: "osd_max_backfills", value: "5", section: "osd", wait: true, skip_restart: false },
    });
    const reset = await run(api, "cluster config reset osd_max_backfills --skip-restart");
    expect(reset.stdout).toContain("after their next start");
    expect((await run(api, "cluster config set Bad! 1")).code).toBe(2);
  });

  test("of clients are for all hosts or for one", async () => {
    await using api = await runServer();
    expect((await run(api, "client config set rbd_cache false --target n2")).code).toBe(0);
    expect(api.operations.inputOf("setClientConfig")).toMatchObject({
      key: "rbd_cache",
      value: "false",
      host: "n2",
    });
    expect((await run(api, "client config list --format csv")).stdout).toBe("0,rbd_cache,true,*\n");
    expect((await run(api, "client config get rbd_cache_size")).code).toBe(1);
    expect((await run(api, "client config reset rbd_cache")).code).toBe(2);
    expect((await run(api, "client config reset rbd_cache --yes-i-really-mean-it")).code).toBe(0);
    expect((await run(api, "client config set fsid 1")).code).toBe(2);
  });

  test("the daemon's log level is set by name or number, and shown as its number", async () => {
    await using api = await runServer();
    expect((await run(api, "log get-level")).stdout).toBe("4\n");
    expect((await run(api, "log set-level debug")).code).toBe(0);
    expect(api.operations.inputOf("setLogLevel")).toEqual({ level: "debug" });
  });
});

describe("join tokens", () => {
  test("are made, listed without their secrets, revoked, and joined by", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster add n4 --timeout 30m")).stdout).toBe("token-of-n4\n");
    expect(api.operations.inputOf("issueToken")).toEqual({ name: "n4", expire_after: 1800 });
    expect((await run(api, "cluster token list --format csv")).stdout).toBe("n4,2026-11-22T13:00:00.000Z,\n");
    expect((await run(api, "cluster token revoke n4")).code).toBe(0);
    expect((await run(api, "cluster token list --format csv")).stdout).toBe("");
    const joined = await run(api, "cluster join 0123456789abcdef0123 --availability-zone a");
    expect([joined.code, joined.stdout]).toEqual([0, ""]);
    expect(api.operations.inputOf("joinByToken")).toEqual({
      ...{ token: "0123456789abcdef0123", availabilityZone: "a" },
    });
    expect((await run(api, "cluster add n4 --timeout never")).code).toBe(2);
  });
});

describe("nodes that no multicast reaches", () => {
  test("are added by their address, listed and removed", async () => {
    await using api = await runServer();
    expect((await run(api, "mesh add 10.0.0.7")).stdout).toBe("10.0.0.7:7443\n");
    expect((await run(api, "mesh peers --format json")).stdout).toContain('"address": "10.0.0.7"');
    expect((await run(api, "mesh add 10.0.0.7 --remove")).stdout).toContain("No node is greeted");
  });
});

describe("Ceph's networks", () => {
  test("are shown with each member's address, and changed", async () => {
    await using api = await runServer();
    const shown = await run(api, "cluster network show");
    expect(shown.stdout).toContain("Public network: 10.0.0.0/24\nCluster network: the public network\n");
    expect(shown.stdout).toMatch(/n2 +\| none +\| none/);
    const done = await run(api, "cluster network set --cluster 10.9.0.0/24");
    expect(done.stdout).toBe(
      "Public network: 10.0.0.0/24\nCluster network: 10.9.0.0/24\nRestarted: osd.0, osd.1.\n",
    );
    expect(api.operations.inputOf("changeNetworks")).toEqual({
      clusterNetwork: "10.9.0.0/24",
      skip_restart: false,
    });
    await run(api, "cluster network set --public 10.0.0.0/24,10.5.0.0/24 --cluster none --skip-restart");
    expect(api.operations.inputOf("changeNetworks")).toEqual({
      ...{ publicNetwork: "10.0.0.0/24,10.5.0.0/24", clusterNetwork: null },
      skip_restart: true,
    });
    expect((await run(api, "cluster network set")).code).toBe(2);
  });
});

describe("names and settings", () => {
  test("a member gets another name; settings are listed, changed and reset", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster rename n2 attic")).stdout).toBe("n2 is called attic now.\n");
    expect(api.operations.inputOf("renameMember")).toEqual({ node: "n2", name: "attic" });
    expect((await run(api, "cluster migrate n1 n2")).stdout).toBe("voter, mon moved from n1 to n2.\n");
    expect(api.operations.inputOf("migrate")).toEqual({ source: "n1", destination: "n2" });
    expect((await run(api, "mesh setting set grace.monitor 300")).code).toBe(0);
    expect((await run(api, "mesh setting get grace.monitor")).stdout).toBe("300\n");
    expect((await run(api, "mesh setting list --format csv")).stdout).toContain("grace.monitor,300\n");
    expect((await run(api, "mesh setting reset grace.monitor")).code).toBe(0);
    expect((await run(api, "mesh setting get grace.monitor")).code).not.toBe(0);
  });
});

describe("a node that no cluster counts on", () => {
  test("is reset, and waited for", async () => {
    await using api = await runServer();
    expect((await run(api, "cluster reset --keep-disks")).stdout).toBe("n1 is a fresh node now.\n");
    expect(api.operations.inputOf("reset")).toEqual({ keep_disks: true });
  });
});

describe("a cluster without a majority", () => {
  test("is recovered only when every lost voter is named, and what each knew is shown", async () => {
    await using api = await runServer();
    const dry = await run(api, "cluster recover --dry-run");
    expect(dry.stdout).toMatch(/n1 .* 1\.40 [\s\S]*n2 .* not known [\s\S]*On n1:\n {2}- this node becomes/);
    const unnamed = await run(api, "cluster recover");
    expect(unnamed.code).toBe(4);
    expect(unnamed.stderr).toMatch(/cluster recover --lost n2 \[RECOVERY_UNCONFIRMED\]/);
    expect(JSON.stringify(api.operations.calls)).not.toContain('"recover"');
    const done = await run(api, "cluster recover --lost n2");
    expect(done.stdout).toMatch(/^n1 decides alone now\. Ceph's monitors answer\./);
    expect(api.operations.inputOf("recover")).toEqual({ lost: ["n2"] });
  });

  test("is not recovered where that is refused", async () => {
    await using api = await runServer();
    api.operations.recovery = { ...api.operations.recovery, refused: "a majority of the voters is there" };
    const refused = await run(api, "cluster recover --lost n2");
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("[RECOVERY_REFUSED]")]);
    expect((await run(api, "cluster recover --dry-run")).stdout).toContain("Refused: a majority");
  });
});

describe("a cluster without monitors", () => {
  test("gets one made of what the OSDs know only with consent, and with each lost host named", async () => {
    await using api = await runServer();
    const dry = await run(api, "cluster recover --monitors-from-osds --dry-run");
    expect([dry.code, dry.stdout]).toEqual([
      0,
      expect.stringMatching(/n2 .* failed .* 1[\s\S]*- one monitor is made/),
    ]);
    for (const half of ["--yes-i-really-mean-it", "--lost n2"]) {
      const refused = await run(api, `cluster recover --monitors-from-osds ${half}`);
      expect([refused.code, refused.stderr]).toEqual([
        4,
        expect.stringContaining("--lost n2 --yes-i-really-mean-it [RECOVERY_UNCONFIRMED]"),
      ]);
    }
    expect(JSON.stringify(api.operations.calls)).not.toContain("rebuildMonitors");
    const done = await run(api, "cluster recover --monitors-from-osds --lost n2 --yes-i-really-mean-it");
    expect(done.stdout).toBe(
      "The monitor n1 was made anew.\nn1: osd.0, osd.2 gave maps\nn1: not osd.3: broken\nFile systems known again: files.\n",
    );
    expect(api.operations.inputOf("rebuildMonitors")).toEqual({ lost: ["n2"] });
    api.operations.rebuild = { ...api.operations.rebuild, refused: "the monitors answer" };
    const refused = await run(api, "cluster recover --monitors-from-osds --yes-i-really-mean-it");
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("[RECOVERY_REFUSED]")]);
  });
});

describe("a backup", () => {
  test("is made and restored with a passphrase that is no argument, by absolute paths", async () => {
    await using api = await runServer();
    const env = { MICROCEPH_PASSPHRASE: "correct horse\n" };
    const made = await run(api, "cluster backup some.file", new TestIo({ env }));
    expect(made.stdout).toMatch(/^The cluster lab is in .* \(5000 bytes\)/);
    const path = resolve("some.file");
    expect(api.operations.inputOf("backup")).toEqual({ path, passphrase: "correct horse" });
    const restored = await run(api, "cluster restore some.file", new TestIo({ env }));
    expect(restored.stdout).toMatch(
      /This node is n1-2, the only voter of the cluster lab[\s\S]*--without-monitors/,
    );
    expect(api.operations.inputOf("restore")).toEqual({ path, passphrase: "correct horse" });
  });

  test("is refused without a passphrase, and with a file of one that is not there", async () => {
    await using api = await runServer();
    for (const words of ["cluster backup f", "cluster restore f --passphrase-file /none/here"]) {
      expect(await run(api, words)).toMatchObject({ code: 2, stderr: expect.stringContaining("[USAGE]") });
    }
    expect(api.operations.calls).toEqual([]);
  });
});

describe("members that leave", () => {
  test("the plan is said before it is done, and alone with --dry-run", async () => {
    await using api = await runServer();
    const dry = await run(api, "cluster remove n2 --dry-run");
    expect(dry.stdout).toMatch(/^n2 leaves:\n {2}- its vote is taken away\nAfterwards 2 members/);
    expect(JSON.stringify(api.operations.calls)).not.toContain("removeMember");
    const done = await run(api, "cluster remove n2 --dead");
    expect(done.stdout).toBe("n2 is no member any more.\n");
    expect(done.stderr).toContain("n2 is removed as dead");
    expect(api.operations.inputOf("removeMember")).toMatchObject({ dead: true, revoke: false });
    api.operations.notReplaced = ["3 of n4: it is away"];
    const stolen = await run(api, "cluster remove n2 --dead --revoke");
    expect(stolen.stdout).toBe("n2 is no member any more.\nNot replaced: 3 of n4: it is away\n");
    expect(api.operations.inputOf("removeMember")).toMatchObject({ dead: true, revoke: true });
    expect((await run(api, "cluster remove n2 --cancel")).stdout).toBe("n2 stays a member.\n");
    expect((await run(api, "cluster remove n2 --cancel --dead")).code).toBe(2);
    expect((await run(api, "cluster leave")).code).toBe(0);
  });
});
