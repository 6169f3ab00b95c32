// What operators do with a cluster that runs: restarts in turn, pools, settings of Ceph. Real Ceph, with data on it.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkout } from "../../scripts/lab/layout.ts";
import type { PanelReport } from "../../src/api/contract/panels.ts";
import type { UpgradePlan, UpgradeReply } from "../../src/api/contract/upgrade.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const three = ["n1", "n2", "n3"];

labSuite("a cluster in operation", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let folder = "";
  const text = "what must not be lost";
  /** Pids of Ceph's daemons by their units, on all nodes. */
  const pids = (): Map<string, number> => new Map(three.flatMap((node) => [...cluster.daemons(node)]));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "microceph-operations-"));
    // What else is left out of the managers for the sake of their start is needed here.
    const config = join(import.meta.dirname, "../../scripts/lab/ceph-extra.conf");
    const needed = (await readFile(config, "utf8")).replace(/\b(?:dashboard|prometheus),/g, "");
    await writeFile(join(folder, "ceph.conf"), needed);
    process.env.MICROCEPH_LAB_CEPH_CONFIG = join(folder, "ceph.conf");
    lab = await Lab.up("operations", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, text);
  });
  afterAll(async () => {
    await lab?.down();
    delete process.env.MICROCEPH_LAB_CEPH_CONFIG;
    await rm(folder, { recursive: true, force: true });
  });

  it("restarts every daemon in turn, with the daemon of ours that does it killed on the way", async () => {
    const plan = JSON.parse(
      await cluster.run("n1", "cluster", "upgrade", "plan", "--format", "json"),
    ) as UpgradePlan;
    // What was built is what is installed.
    expect(plan.steps).toEqual([]);
    expect(plan.nodes.map(({ node, problem }) => [node, problem])).toEqual(three.map((node) => [node, ""]));
    // A manager is in no map of Ceph's before it has said that it is there.
    const before = await lab.waitFor(
      "Ceph to know every daemon that runs",
      async (note) => {
        const { steps } = JSON.parse(
          await cluster.run("n1", "cluster", "upgrade", "plan", "--all", "--format", "json"),
        ) as UpgradePlan;
        const known = steps.map(({ daemon }) => daemon).sort();
        const running = pids();
        note([known, [...running.keys()]]);
        return `${known}` === `${[...running.keys()].sort()}` && known.length === 12 ? running : undefined;
      },
      minutes(3),
    );
    const kinds = [...before.keys()].map((unit) => unit.split(".")[0]);
    expect(kinds.filter((kind) => kind === "osd")).toHaveLength(3);
    const done = cluster.run("n2", "cluster", "upgrade", "run", "--all", "--format", "json");
    const begun = lab.waitFor(
      "the first OSD to have been restarted",
      async (note) => {
        const now = pids();
        const changed = [...before].filter(([unit, pid]) => now.has(unit) && now.get(unit) !== pid);
        note(changed);
        return changed.some(([unit]) => unit.startsWith("osd."));
      },
      minutes(4),
    );
    await Promise.race([begun, done]);
    const second = await cluster.cli("n1", "cluster", "upgrade", "run");
    expect([second.exitCode, second.stderr]).toEqual([
      4,
      expect.stringContaining("restarts in turn run already, on n2"),
    ]);
    await lab.kill("n2", "daemon");
    await lab.start("n2");
    const reply = JSON.parse(await done) as UpgradeReply;
    expect(reply).toMatchObject({ release: null, warnings: [] });
    const order = reply.restarted.map((unit) => unit.split(".")[0] ?? "");
    expect([...new Set(order)]).toEqual(["mon", "mgr", "osd", "mds"]);
    const after = pids();
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [unit, pid] of before) expect([unit, after.get(unit)]).not.toEqual([unit, pid]);
    await cluster.healthy("n1");
    expect(await cluster.object("n1", "data", "kept")).toBe(text);
  });

  it("makes pools, gives them other copies, and removes them only when that is meant", async () => {
    const refused = async (code: string, ...args: string[]): Promise<void> => {
      const { exitCode, stderr } = await cluster.cli("n1", "pool", ...args);
      expect([args.join(" "), exitCode, stderr]).toEqual([
        ...[args.join(" "), 4],
        expect.stringContaining(`[${code}]`),
      ]);
    };
    const sizes = async (): Promise<Record<string, string>> => {
      const rows = (
        await cluster.cephJson<{ pool_name: string; size: number; min_size: number }[]>(
          ...(["n1", "osd", "pool", "ls", "detail"] as const),
        )
      ).map(({ pool_name, size, min_size }): [string, string] => [pool_name, `${size}/${min_size}`]);
      return Object.fromEntries(rows);
    };
    await cluster.run("n2", "pool", "create", "images");
    await refused("NAME_TAKEN", "create", "images");
    await cluster.put("n1", "images", "kept", text);
    expect(await cluster.run("n3", "pool", "list", "--format", "csv")).toMatch(
      /^images,3,microceph_auto_host,2,\d+,rbd,/m,
    );
    await refused("OSD_NEEDED", "set-rf", "--size", "4", "images");
    await refused("DATA_LOSS_UNCONFIRMED", "set-rf", "--size", "1", "images");
    await cluster.run("n1", "pool", "set-rf", "--size", "1", "images", "--yes-i-really-mean-it");
    expect((await sizes()).images).toBe("1/1");
    expect(await cluster.run("n1", "pool", "set-rf", "--size", "2", "")).toContain("New pools: 2 copies");
    await cluster.run("n1", "pool", "create", "other");
    expect(await sizes()).toMatchObject({ images: "1/1", other: "2/1", data: "3/2" });
    await cluster.run("n1", "pool", "set-rf", "--size", "3", "*");
    expect(new Set(Object.values(await sizes()))).toEqual(new Set(["3/2"]));
    await refused("DATA_LOSS_UNCONFIRMED", "remove", "images");
    const own =
      Object.keys(await sizes()).find((name) => name === "device_health_metrics" || name === ".mgr") ?? "";
    await refused("POOL_NEEDED", "remove", own, "--yes-i-really-mean-it");
    expect(await cluster.object("n1", "images", "kept")).toBe(text);
    for (const name of ["images", "other"]) {
      await cluster.run("n2", "pool", "remove", name, "--yes-i-really-mean-it");
    }
    expect(Object.keys(await sizes()).sort()).toEqual(["data", own].sort());
    // Ceph's own lock against it is closed again.
    expect(await cluster.run("n1", "cluster", "config", "list")).not.toContain("mon_allow_pool_delete");
    await cluster.settled("n1");
  });

  it("keeps images and files: an image with a snapshot, a file system mounted on two hosts", async () => {
    const script = (node: string, words: string): Promise<string> =>
      lab.run(node, ["sh", "-ec", words], minutes(3));
    const image = join(folder, "image");
    const [back, old] = [join(folder, "back"), join(folder, "old")];
    await writeFile(image, Buffer.alloc(3 * 2 ** 20, "first "));
    await script("n1", `rbd import ${image} data/image && rbd snap create data/image@before`);
    await script("n2", `rbd bench --io-type write --io-size 4K --io-total 1M data/image >/dev/null`);
    await script("n3", `rbd export data/image@before ${old} && rbd export data/image ${back}`);
    expect((await readFile(old)).equals(Buffer.alloc(3 * 2 ** 20, "first "))).toBe(true);
    expect((await readFile(back)).equals(await readFile(old))).toBe(false);
    await script("n1", "rbd snap purge data/image && rbd rm data/image");

    const refused = async (code: string, ...args: string[]): Promise<void> => {
      const { exitCode, stderr } = await cluster.cli("n1", "fs", ...args);
      expect([args.join(" "), exitCode, stderr]).toEqual([
        ...[args.join(" "), 4],
        expect.stringContaining(`[${code}]`),
      ]);
    };
    // What an earlier try left, cut off after its first pool, is taken up.
    await cluster.run("n1", "pool", "create", "cephfs.home.meta", "--application", "cephfs");
    await cluster.run("n2", "fs", "create", "home");
    await refused("NAME_TAKEN", "create", "home");
    await lab.waitFor(
      "a metadata server to serve it",
      async (note) => {
        const rows = JSON.parse(await cluster.run("n3", "fs", "list", "--format", "json"));
        note(rows);
        return rows[0]?.active.length === 1 && rows[0]?.standby === 2;
      },
      minutes(2),
    );
    const mount = join(folder, "mounted");
    const mounted = (words: string): string =>
      `mkdir -p ${mount}; ceph-fuse --client_fs home ${mount} 2>/dev/null >&2; trap 'umount ${mount}' EXIT; ${words}`;
    await script(
      "n1",
      mounted(
        `mkdir ${mount}/a; echo '${text}' > ${mount}/a/file; mkdir ${mount}/a/.snap/s; rm ${mount}/a/file`,
      ),
    );
    expect(await script("n3", mounted(`ls ${mount}/a; cat ${mount}/a/.snap/s/file`))).toBe(`${text}\n`);
    await byNfs((words) => script("n3", mounted(words)), mount);
    await withoutMds(() => script("n3", mounted(`cat ${mount}/a/.snap/s/file`)));
    await refused("DATA_LOSS_UNCONFIRMED", "remove", "home");
    const needed = await cluster.cli("n1", "pool", "remove", "cephfs.home.data", "--yes-i-really-mean-it");
    expect([needed.exitCode, needed.stderr]).toEqual([4, expect.stringContaining("[POOL_NEEDED]")]);
    await cluster.run("n2", "fs", "remove", "home", "--yes-i-really-mean-it");
    expect(await cluster.run("n1", "fs", "list", "--format", "json")).toBe("[]\n");
    expect(await cluster.ceph("n1", "osd", "pool", "ls")).not.toContain("cephfs");
    await cluster.healthy("n1");
  });

  /** The metadata server that serves is taken away: another takes over, and it comes back when it is asked for. */
  async function withoutMds(read: () => Promise<string>): Promise<void> {
    const served = async (): Promise<{ active: string[]; standby: number }> =>
      JSON.parse(await cluster.run("n3", "fs", "list", "--format", "json"))[0];
    const before = (await served()).active[0] ?? "";
    const hasMds = (): boolean => cluster.daemons(before).has(`mds.${before}`);
    await cluster.run("n1", "disable", "mds", "--target", before);
    await lab.waitFor(
      `another than ${before} to serve`,
      async (note) => {
        const now = await served();
        note(now);
        return !hasMds() && now.active.length === 1 && now.active[0] !== before && now.standby === 1;
      },
      minutes(5),
    );
    expect(await read()).toBe(`${text}\n`);
    await cluster.run("n2", "enable", "mds", "--target", before);
    await lab.waitFor(
      `two to stand by, one of them on ${before}`,
      async () => hasMds() && (await served()).standby === 2,
      minutes(5),
    );
  }

  /** Two gateways, and a client that knows nothing of Ceph. */
  async function byNfs(withCeph: (words: string) => Promise<string>, mount: string): Promise<void> {
    const service = ["nfs", "--cluster-id", "share"];
    await cluster.run("n1", "nfs", "export", "create", "/shared", "--fs", "home", "--path", "/a");
    const targets = ["--target", "n1", "--target", "n2"];
    const placed = await cluster.run("n3", "enable", ...service, "--v4-min-version", "0", ...targets);
    const at = new Map(
      [...placed.matchAll(/(n\d) .* nfs:\/\/([0-9.]+):2049 .* placed/g)].map((m) => [m[1], m[2]]),
    );
    expect([...at.keys()]).toEqual(["n1", "n2"]);
    // Nobody was connected yet, so nothing is claimed again.
    const running = (): (number | undefined)[] =>
      three.map((node) => lab.processes(node).find(({ args }) => args[0] === "ganesha.nfsd")?.pid);
    const [first, second] = running();
    const option = ["client_acl_type", "--section", "client.nfs"];
    expect(await cluster.run("n1", "cluster", "config", "set", ...option, "posix_acl", "--wait")).toMatch(
      /^Restarted: nfs\.n1, nfs\.n2\.$/m,
    );
    const others = [expect.not.toBeOneOf([undefined, first]), expect.not.toBeOneOf([undefined, second])];
    expect(running()).toEqual([...others, undefined]);
    const url = (node: string, path: string): string => `nfs://${at.get(node)}${path}?version=4`;
    const byClient = (words: readonly string[]): Promise<string> => lab.run("n3", words, minutes(3));
    const source = join(folder, "by-nfs");
    await writeFile(source, `${text}\n`);
    await byClient(["nfs-cp", source, url("n1", "/shared/by-nfs")]);
    expect(await byClient(["nfs-cat", url("n2", "/shared/by-nfs")])).toBe(`${text}\n`);
    expect(await withCeph(`cat ${mount}/a/by-nfs`)).toBe(`${text}\n`);

    // Those that run take up what is exported, and what is not any more.
    await cluster.run("n2", "nfs", "export", "create", "/read", "--fs", "home", "--read-only");
    const refusedBy = (node: string, path: string, word: string): Promise<unknown> =>
      lab.waitFor(
        `${node} to answer ${word} for ${path}`,
        async (note) => {
          const { stderr } = await lab.exec("n3", ["nfs-cp", source, url(node, path)], minutes(2));
          note(stderr);
          return stderr.includes(word);
        },
        minutes(2),
      );
    for (const node of ["n1", "n2"]) await refusedBy(node, "/read/x", "NFS4ERR_ROFS");
    expect(await byClient(["nfs-cat", url("n1", "/read/a/by-nfs")])).toBe(`${text}\n`);
    await cluster.run("n3", "nfs", "export", "remove", "/read");
    for (const node of ["n1", "n2"]) await refusedBy(node, "/read/x", "NFS4ERR_NOENT");

    const exported = await cluster.cli("n1", "fs", "remove", "home", "--yes-i-really-mean-it");
    expect([exported.exitCode, exported.stderr]).toEqual([
      4,
      expect.stringContaining("[FILE_SYSTEM_EXPORTED]"),
    ]);
    await cluster.run("n1", "disable", ...service, "--target", "n2");
    await lab.waitFor(
      "the gateway of n2 to end",
      async (note) => {
        const [left, gone] = running();
        note([left, gone]);
        return left !== undefined && gone === undefined;
      },
      minutes(1),
    );
    expect(await byClient(["nfs-ls", url("n1", "/shared")])).toContain("by-nfs");
    expect(await cluster.run("n3", "disable", ...service, "--all")).toBe("No NFS gateway is wanted.\n");
    await atOneAddress(service);
    expect(await cluster.ceph("n1", "auth", "ls")).not.toContain("client.nfs.");
    await cluster.run("n1", "nfs", "export", "remove", "/shared");
    await cluster.run("n1", "cluster", "config", "reset", ...option, "--skip-restart");
  }

  /** What a client has open and locked is its own still when the host of its gateway dies, and when it comes back. */
  async function atOneAddress(service: readonly string[]): Promise<void> {
    const own = (await lab.mesh("n1")).members[0]?.addresses[0] ?? "";
    const vip = own.replace(/\.\d+$/, ".100");
    await cluster.run("n3", "enable", ...service, "--count", "2", "--bind-port", "12049");
    await cluster.run("n3", "enable", "ingress", "--vip", `${vip}/24`, "--service", "nfs");
    const few = ["/few", "--fs", "home", "--client", own];
    const { exitCode, stderr } = await cluster.cli("n2", "nfs", "export", "create", ...few);
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining("[NFS_CLIENTS_HIDDEN]")]);

    const ranks = (): Map<string, string> =>
      new Map(
        three.flatMap((node) =>
          lab.processes(node).flatMap(({ args }): [string, string][] => {
            const rank = args[0] === "ganesha.nfsd" ? args[args.indexOf("-I") + 1] : undefined;
            return rank === undefined ? [] : [[`share.${rank}`, node]];
          }),
        ),
      );
    expect([...ranks().keys()].sort()).toEqual(["share.0", "share.1"]);
    const here = three.find((node) => ![...ranks().values()].includes(node)) ?? "";
    const program = join(checkout, "test/lab/support/nfs-client.ts");
    const client = async (name: string, ...words: string[]): Promise<string> => {
      const command = [process.execPath, program, join(folder, name), vip, "2049", ...words];
      return (await lab.run(here, command, minutes(1))).trim();
    };
    const until = (answer: RegExp, name: string, ...words: string[]): Promise<string> =>
      lab.waitFor(
        `${words.join(" ")} of ${name}: ${answer}`,
        async (note) => {
          // Who says nothing for a minute is forgotten, and its lock with it.
          if (name !== "one") await client("one", "read");
          const said = await client(name, ...words);
          note(said);
          return answer.test(said) ? said : undefined;
        },
        minutes(6),
      );
    const server = (await until(/^ok /, "one", "open", "/shared/locked")).slice("ok ".length);
    const host = ranks().get(server) ?? "";
    expect([await client("one", "lock"), await client("one", "write", text)]).toEqual(["ok", "ok"]);

    await lab.cut(host);
    await lab.kill(host, "all");
    const from = performance.now();
    expect(await until(/^ok /, "one", "claim")).toBe(`ok ${server}`);
    const seconds = (performance.now() - from) / 1000;
    process.stdout.write(
      `the host of an NFS gateway killed: its client has its lock again after ${seconds} s\n`,
    );
    expect(ranks().get(server)).toBe(here);
    expect(await client("one", "read")).toBe(`ok ${text}`);
    await until(/^ok /, "two", "open", "/shared/locked");
    expect(await client("two", "lock")).toBe("DENIED");

    await lab.exec(host, ["ip", "addr", "del", `${vip}/24`, "dev", "eth0"]);
    await lab.heal(host);
    await lab.start(host);
    await lab.waitFor(
      `nothing of a gateway on ${host} any more`,
      async (note) => {
        expect(await client("one", "read")).toBe(`ok ${text}`);
        const left = await lab.run(host, ["sh", "-c", "ls /var/lib/microceph/data/nfs"]);
        note([...ranks(), left]);
        return ![...ranks().values()].includes(host) && left === "";
      },
      minutes(3),
    );
    expect(await client("one", "write", `${text} still`)).toBe("ok");
    await until(/^ok /, "three", "open", "/shared/locked");
    expect(await client("three", "lock")).toBe("DENIED");
    expect(await client("three", "read")).toBe(`ok ${text} still`);
    // It is asked for again, by this host: that it knows who had it must not count.
    await lab.run("n1", ["ping", "-n", "-c", "1", vip]);
    await cluster.run("n1", "disable", "ingress", "--all");
    await cluster.run("n1", "disable", ...service, "--all");
    await cluster.formed(three);
  }

  it("sets any option of Ceph, restarts in turn who reads it only at the start, and refuses what is its own", async () => {
    const shown = async (osd: string, key: string): Promise<string> =>
      (await cluster.ceph("n1", "config", "show", osd, key)).trim();
    const failed = async (exit: number, code: string, ...args: string[]): Promise<void> => {
      const { exitCode, stderr } = await cluster.cli("n1", "cluster", "config", ...args);
      expect([exitCode, stderr]).toEqual([exit, expect.stringContaining(`[${code}]`)]);
    };
    const before = pids();
    await cluster.run("n2", "cluster", "config", "set", "osd_max_backfills", "5", "--section", "osd");
    expect(await cluster.run("n1", "cluster", "config", "get", "osd_max_backfills")).toMatch(
      /^osd_max_backfills = 5 \(osd\)\ndefault: 1\n/,
    );
    expect(pids()).toEqual(before);
    const done = await cluster.run(
      "n2",
      "cluster",
      "config",
      "set",
      "osd_op_num_shards",
      "2",
      "--section",
      "osd",
      "--wait",
    );
    expect(done).toMatch(/^Restarted: osd\.\d, osd\.\d, osd\.\d\.$/m);
    const after = pids();
    for (const [unit, pid] of before) {
      expect([unit, after.get(unit) === pid]).toEqual([unit, !unit.startsWith("osd.")]);
    }
    expect(await shown("osd.1", "osd_op_num_shards")).toBe("2");
    expect(await cluster.object("n1", "data", "kept")).toBe(text);
    await failed(2, "USAGE", "set", "osd_max_backfills", "many");
    await failed(1, "NOT_FOUND", "set", "osd_max_nonsense", "1");
    await failed(4, "SETTING_REFUSED", "set", "public_network", "10.0.0.0/8");
    for (const key of ["osd_max_backfills", "osd_op_num_shards"]) {
      await cluster.run("n1", "cluster", "config", "reset", key, "--section", "osd", "--skip-restart");
    }
    expect(await cluster.run("n3", "cluster", "config", "list", "--format", "csv")).not.toMatch(
      /osd_(?:max|op)/,
    );
    await cluster.healthy("n1");
  });

  it("tells clients on all hosts, or on one, and logs as much as it is told, also after a restart", async () => {
    const told = async (node: string): Promise<string> =>
      (await lab.run(node, ["sh", "-c", "ceph-conf -n client.any --lookup rbd_cache || true"])).trim();
    await cluster.run("n1", "client", "config", "set", "rbd_cache", "true");
    await cluster.run("n1", "client", "config", "set", "rbd_cache", "false", "--target", "n2");
    await lab.waitFor(
      "each host's ceph.conf to say it",
      async (note) => {
        const seen = await Promise.all(three.map(told));
        note(seen);
        return `${seen}` === "true,false,true";
      },
      minutes(1),
    );
    await cluster.run("n3", "log", "set-level", "debug");
    await lab.kill("n3", "daemon");
    await lab.start("n3");
    await cluster.formed(three);
    expect((await cluster.run("n3", "log", "get-level")).trim()).toBe("5");
    expect(await told("n3")).toBe("true");
    await cluster.run("n3", "client", "config", "reset", "rbd_cache", "--yes-i-really-mean-it");
    await lab.waitFor("the others to be told nothing", async () => (await told("n1")) === "", minutes(1));
    expect(await told("n2")).toBe("false");
  });

  it("shows Ceph's dashboard to a real browser and its figures to a real Prometheus, also when the active manager dies", async () => {
    const own = (await lab.mesh("n1")).members[0]?.addresses[0] ?? "";
    const vip = own.replace(/\.\d+$/, ".100");
    await cluster.run("n1", "enable", "ingress", "--vip", `${vip}/24`);
    const enabled = JSON.parse(
      await cluster.run("n2", "enable", "dashboard", "--format", "json"),
    ) as PanelReport;
    expect(enabled.urls).toHaveLength(2);
    expect(enabled.urls[0]).toBe(`https://${vip}:8444/`);
    const again = await cluster.run("n1", "enable", "dashboard");
    expect(again).not.toContain("Password");
    await cluster.run("n3", "enable", "prometheus");
    expect(await cluster.run("n1", "enable", "prometheus")).toContain(`http://${vip}:9284/metrics\n`);
    const taken = await cluster.cli("n1", "enable", "prometheus", "--port", "8443");
    expect([taken.exitCode, taken.stderr]).toEqual([2, expect.stringContaining("that of another service")]);

    // Who asks is another host, as a user's would be.
    const script = (text: string): Promise<string> => lab.run("n3", ["sh", "-ec", text], minutes(3));
    const page = (): Promise<string> =>
      script(
        `HOME=${folder} chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --ignore-certificate-errors \\
           --user-data-dir=${folder}/browser --virtual-time-budget=20000 --dump-dom https://${vip}:8444/ 2>/dev/null`,
      );
    const login = (): Promise<string> =>
      script(
        `curl -sk -m 20 -H 'Accept: application/vnd.ceph.api.v1.0+json' -H 'Content-Type: application/json' \\
           -d '{"username":"admin","password":"${enabled.password}"}' https://${vip}:8444/api/auth`,
      );
    await writeFile(
      join(folder, "prometheus.yml"),
      `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: ceph, static_configs: [{ targets: ["${vip}:9284"] }] }]\n`,
    );
    const scraper = script(
      `exec timeout 240 prometheus --config.file=${folder}/prometheus.yml --storage.tsdb.path=${folder}/figures \\
         --web.listen-address=127.0.0.1:9190 --log.level=error 2>${folder}/prometheus.log`,
    ).catch(() => "");
    /** How many OSDs Prometheus knows to be up, by what it scraped in the last seconds. */
    const scraped = async (): Promise<string> => {
      const answer = await script(
        `curl -s -G -m 10 --data-urlencode 'query=sum(ceph_osd_up) and on() (time() - max(timestamp(ceph_health_status)) < 10)' http://127.0.0.1:9190/api/v1/query`,
      );
      return /"value":\[[0-9.]+,"(\d+)"\]/.exec(answer)?.[1] ?? answer;
    };
    const served = async (): Promise<void> => {
      await lab.waitFor(
        "a browser to show the dashboard's form",
        async (note) => {
          const dom = await page();
          note(dom.slice(-500));
          return dom.includes("<cd-login") && dom.includes('name="password"');
        },
        minutes(3),
      );
      await lab.waitFor(
        "the user to be let in",
        async (note) => {
          const said = await login();
          note(said);
          return said.includes('"token"');
        },
        minutes(2),
      );
      await lab.waitFor(
        "Prometheus to have fresh figures of three OSDs",
        async (note) => {
          const said = await scraped();
          note(said);
          return said === "3";
        },
        minutes(3),
      );
    };
    await served();
    const active = (await cluster.cephJson<{ active_name: string }>("n1", "mgr", "dump")).active_name;
    for (const { pid, args } of lab.processes(active))
      if (args[0]?.endsWith("ceph-mgr")) process.kill(pid, "SIGKILL");
    await served();
    await script("pkill -x prometheus");
    await scraper;
    await cluster.run("n2", "disable", "dashboard");
    await cluster.run("n2", "disable", "prometheus");
    await cluster.run("n2", "disable", "ingress", "--all");
    await cluster.healthy("n1");
  });
});
