// S3 gateways that are wanted, placed, and placed again: real radosgw, and the clients that people use.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PlacedReport } from "../../src/api/contract/placed-services.ts";
import type { S3User } from "../../src/api/contract/s3.ts";
import { clientSettings } from "../../src/cli/render/s3-user.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const three = ["n1", "n2", "n3"];
/** The clients' own: what else is in the environment must not lead them elsewhere. */
const clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

labSuite("S3 gateways", () => {
  let lab: Lab;
  let cluster: LabCluster;
  let folder = "";
  let user: S3User;
  let vip = "";
  /** More than one part of a multipart upload. */
  const photo = randomBytes(12 * 1024 * 1024);
  const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

  const report = async (node: string): Promise<PlacedReport> =>
    (await lab.get(node, "/1.0/services/rgw")) as PlacedReport;
  const placedOn = async (node: string): Promise<string[]> =>
    (await report(node)).nodes.filter(({ state }) => state === "placed").map((one) => one.node);
  const runningOn = (): string[] =>
    three.filter((node) => lab.processes(node).some(({ args }) => args[0]?.endsWith("radosgw")));
  /** A command of a client on a node, with its digest instead of what it prints. */
  const client = (node: string, script: string): Promise<string> =>
    lab.run(node, [...clean, `HOME=${folder}`, "sh", "-ec", script], minutes(3));
  const settingsOf = (title: string, endpoint: string): string =>
    clientSettings("alice", user.keys[0] ?? { access_key: "", secret_key: "" }, endpoint).find((one) =>
      one.title.startsWith(title),
    )?.text ?? "";
  const swiftOf = (printed: string): string =>
    printed.slice(printed.indexOf("# swift: for the shell")).replace(/^swift list$/m, "");
  const endpointOf = async (node: string): Promise<string> =>
    (await report(node)).nodes.find((one) => one.node === node)?.url ?? "";
  const readAt = async (node: string, endpoint: string): Promise<string> => {
    await writeFile(join(folder, "s3cfg"), settingsOf("s3cmd", endpoint));
    const said = await client(
      node,
      `touch ${folder}/trusted
       s3cmd -c ${folder}/s3cfg --ca-certs=${folder}/trusted get --force --no-progress s3://photos/one ${folder}/got >&2
       sha256sum ${folder}/got`,
    );
    return said.split(" ")[0] ?? "";
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "microceph-s3-"));
    await writeFile(join(folder, "photo"), photo);
    lab = await Lab.up("gateways", { nodes: 3 });
    cluster = new LabCluster(lab);
    await cluster.holding(three, "what must not be lost");
  });
  afterAll(async () => {
    await lab?.down();
    await rm(folder, { recursive: true, force: true });
  });

  it("are placed where they fit, and say why they are there", async () => {
    const early = await cluster.cli("n1", "s3", "user", "list");
    expect([early.exitCode, early.stderr]).toEqual([3, expect.stringContaining("[GATEWAY_NEEDED]")]);
    // From a member that may not even have one.
    await cluster.run("n3", "enable", "rgw", "--count", "2", "--port", "8080");
    const placed = await placedOn("n1");
    expect(placed).toHaveLength(2);
    expect(runningOn()).toEqual(placed);
    expect(await cluster.run("n1", "mesh", "explain", "rgw")).toMatch(/^2 are wanted in all: n\d, n\d$/m);
    await cluster.healthy("n1");
  });

  it("serve awscli, s3cmd and rclone with what was printed: parts, ranges, listings", async () => {
    user = JSON.parse(await cluster.run("n1", "s3", "user", "create", "alice", "--format", "json")) as S3User;
    const taken = await cluster.cli("n2", "s3", "user", "create", "alice");
    expect([taken.exitCode, taken.stderr]).toEqual([4, expect.stringContaining("[NAME_TAKEN]")]);
    const [first = "", second = ""] = user.endpoints;
    expect(await cluster.run("n1", "s3", "user", "key", "alice")).toContain(settingsOf("rclone", first));

    await writeFile(join(folder, "s3cfg"), settingsOf("s3cmd", first));
    await client(
      "n1",
      `s3cmd -c ${folder}/s3cfg mb s3://photos
       s3cmd -c ${folder}/s3cfg --multipart-chunk-size-mb=5 --no-progress put ${folder}/photo s3://photos/one`,
    );
    expect(await readAt("n1", second)).toBe(digest(photo));

    await writeFile(join(folder, "rclone.conf"), settingsOf("rclone", second));
    const range = await client(
      "n2",
      `rclone --config ${folder}/rclone.conf cat alice:photos/one --offset 6000000 --count 1000 | sha256sum`,
    );
    expect(range.split(" ")[0]).toBe(digest(photo.subarray(6_000_000, 6_001_000)));

    const shell = settingsOf("awscli", first).replace(/^aws .*$/m, "");
    const listed = await client(
      "n3",
      `${shell}/usr/bin/aws --endpoint-url ${first} s3 cp --no-progress ${folder}/photo s3://photos/two
       /usr/bin/aws --endpoint-url ${first} s3 ls s3://photos`,
    );
    expect(listed).toMatch(/12582912 one\n.* 12582912 two/);
    const buckets = await cluster.run("n3", "s3", "bucket", "list", "--format", "csv");
    expect(buckets).toMatch(/^photos,alice,2,/m);
  });

  it("speak Swift with what was printed, and S3 for the same objects", async () => {
    await cluster.run("n1", "s3", "user", "key", "alice", "--new", "--swift");
    const printed = await cluster.run("n2", "s3", "user", "key", "alice", "--new", "--swift");
    const said = await client(
      "n3",
      `${swiftOf(printed)}cd ${folder}
       swift upload papers photo --object-name by-swift >&2
       swift download papers by-swift --output back >&2
       s3cmd -c s3cfg --no-progress get --force s3://papers/by-swift back-by-s3 >&2
       swift list photos
       sha256sum back back-by-s3
       swift delete papers >&2`,
    );
    const same = digest(photo);
    expect(said).toBe(`one\ntwo\n${same}  back\n${same}  back-by-s3\n`);
  });

  it("follow another port one after the other, and refuse one that is taken", async () => {
    await cluster.run("n1", "enable", "rgw", "--count", "2", "--port", "8081");
    const [one = ""] = await placedOn("n1");
    const endpoint = await endpointOf(one);
    expect(endpoint).toMatch(/:8081$/);
    expect(await readAt("n1", endpoint)).toBe(digest(photo));
    // The lobby's port: it is in use on every node.
    const refused = await cluster.cli("n1", "enable", "rgw", "--port", "7443");
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("[SERVICE_REFUSED]")]);
    await cluster.run("n1", "enable", "rgw", "--port", "8081");
    expect(await readAt("n1", endpoint)).toBe(digest(photo));
  });

  it("serve at one address while gateways change, and daemons and the host of that address die", async () => {
    const own = (await lab.mesh("n1")).members[0]?.addresses[0] ?? "";
    const taken = await cluster.cli("n1", "enable", "ingress", "--vip", `${own}/24`);
    expect([taken.exitCode, taken.stderr]).toEqual([4, expect.stringContaining("[ADDRESS_IN_USE]")]);
    vip = own.replace(/\.\d+$/, ".100");
    await cluster.run("n1", "enable", "ingress", "--vip", `${vip}/24`);
    const ready = ((await lab.get("n1", "/1.0/services/ingress")) as PlacedReport).nodes.map(
      ({ node }) => node,
    );
    expect(ready).toHaveLength(2);
    const away = three.find((node) => !ready.includes(node)) ?? "";
    await writeFile(join(folder, "s3cfg"), settingsOf("s3cmd", `http://${vip}:80`));
    await lab.waitFor(
      "the common address to serve",
      () => client(away, `s3cmd -c ${folder}/s3cfg setacl --acl-public s3://photos/one`),
      minutes(2),
    );
    // Gateways answer with another port than that of the common address.
    const printed = await cluster.run("n1", "s3", "user", "key", "alice");
    expect(printed).toContain(`ST_AUTH=http://${vip}:80/auth`);
    expect(await client(away, `${swiftOf(printed)}swift list photos`)).toBe("one\ntwo\n");

    // Requests one after the other, for a part of an object and for a gateway's own answer: the first waits for Ceph,
    // too, which takes its time to see that a host is dead.
    const kinds = { object: "206 /photos/one", gateway: "200 /" } as const;
    type Kind = keyof typeof kinds;
    const patience = (seconds: number): Promise<void> => writeFile(join(folder, "patience"), `${seconds}`);
    await patience(30);
    const loops = Object.entries(kinds).map(([kind, what]) => {
      const [code, path] = what.split(" ");
      return client(
        away,
        `while [ ! -e ${folder}/stop ]; do
           code=$(curl -s -o /dev/null -m "$(cat ${folder}/patience)" -r 0-99 -w '%{http_code}' http://${vip}${path} || true)
           [ "$code" = ${code} ] && ok=1 || ok=0
           echo "$(date +%s%3N) $ok" >> ${folder}/${kind}
           sleep 0.05
         done`,
      );
    });
    const seen = async (kind: Kind): Promise<{ at: number; ok: boolean }[]> => {
      const text = await readFile(join(folder, kind), "utf8").catch(() => "");
      const lines = text.split("\n").filter((line) => / [01]$/.test(line));
      return lines.map((line) => ({ at: Number(line.split(" ")[0]), ok: line.endsWith("1") }));
    };
    const both = async (): Promise<Record<Kind, number>> => ({
      object: (await seen("object")).length,
      gateway: (await seen("gateway")).length,
    });
    /** Once it is served again: how many of each kind failed since then, which is printed. */
    const served = async (what: string, from: Record<Kind, number>): Promise<number> => {
      let failures = 0;
      for (const kind of ["gateway", "object"] as const) {
        const later = await lab.waitFor(
          `requests to be served after ${what}`,
          async (note) => {
            const since = (await seen(kind)).slice(Math.max(0, from[kind] - 1));
            note(since.slice(-5));
            return since.length > 5 && since.slice(-5).every(({ ok }) => ok) ? since : undefined;
          },
          minutes(2),
        );
        const good = later.filter(({ ok }) => ok).map(({ at }) => at);
        const gapMs = Math.max(0, ...good.map((at, n) => at - (good[n - 1] ?? at)));
        const failed = later.length - good.length;
        failures += failed;
        process.stdout.write(
          `${what}: ${kind}: ${failed} requests failed, ${gapMs} ms at most between two that did not\n`,
        );
      }
      return failures;
    };
    await lab.waitFor(
      "first requests",
      async () => Object.values(await both()).every((count) => count > 5),
      minutes(1),
    );

    const calm = await both();
    await cluster.run("n1", "enable", "rgw", "--port", "8082");
    expect(await served("both gateways restarted", calm)).toBe(0);

    const [one = ""] = runningOn();
    const killed = await both();
    for (const { pid, args } of lab.processes(one)) {
      if (args[0]?.endsWith("radosgw")) process.kill(pid, "SIGKILL");
    }
    await served(`the gateway of ${one} killed`, killed);

    const holder = (await cluster.holder("n1")).name;
    const before = await both();
    await lab.kill(holder, "daemon");
    expect(await served(`the daemon of ${holder}, which holds the lease, killed`, before)).toBe(0);
    await lab.start(holder);
    await cluster.formed(three);

    const hasAddress = async (node: string): Promise<boolean> =>
      (await lab.run(node, ["ip", "-o", "addr", "show"])).includes(` ${vip}/`);
    const [first = "", second = ""] = ready;
    const host = (await hasAddress(first)) ? first : second;
    // It is no address of its host: what follows addresses would take the host for one that moved.
    for (const { addresses } of (await lab.mesh("n1")).members) expect(addresses).not.toContain(vip);
    await patience(1);
    const died = await both();
    // As when its power goes: its kernel would answer for the address still.
    await lab.cut(host);
    await lab.kill(host, "all");
    await served(`${host}, which had the address, killed`, died);
    await writeFile(join(folder, "stop"), "");
    await Promise.all(loops);
    // With its memory the address goes, if keepalived did not take it away when the link went down.
    await lab.exec(host, ["ip", "addr", "del", `${vip}/24`, "dev", "eth0"]);
    await lab.heal(host);
    await lab.start(host);
    await cluster.formed(three);
    await cluster.healthy(away);
  });

  it("speak TLS, also at the common address, and take another certificate over", async () => {
    const own = (await lab.mesh("n1")).members.flatMap(({ addresses }) => addresses.slice(0, 1));
    const certificate = async (name: string): Promise<string[]> => {
      const names = [vip, ...own].map((address) => `IP:${address}`).join(",");
      await client(
        "n1",
        `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=${name} \\
           -addext subjectAltName=${names} -keyout ${folder}/${name}.key -out ${folder}/${name}.crt 2>/dev/null
         cat ${folder}/${name}.crt >> ${folder}/trusted`,
      );
      return ["--ssl-certificate", `${folder}/${name}.crt`, "--ssl-private-key", `${folder}/${name}.key`];
    };
    const shown = async (address: string): Promise<string> => {
      const said = await client(
        "n1",
        `openssl s_client -connect ${address} </dev/null 2>/dev/null | grep subject`,
      );
      return said.trim();
    };
    const first = await certificate("first");
    // Both ports: with a certificate alone they would speak only TLS.
    await cluster.run("n1", "enable", "rgw", "--port", "8082", "--ssl-port", "8443", ...first);
    const [one = ""] = await placedOn("n1");
    expect(await endpointOf(one)).toMatch(/^https:.*:8443$/);
    await lab.waitFor(
      "the first certificate to be shown at the common address",
      async () => (await shown(`${vip}:443`)).endsWith("first"),
      minutes(2),
    );
    // It speaks TLS there, and passes nothing on that it cannot read.
    const configured = three.map((node) =>
      lab.exec(node, ["sh", "-c", "grep -h 'ssl crt' /var/lib/microceph/data/ingress/*/haproxy.cfg"]),
    );
    const speaking = (await Promise.all(configured)).filter(({ exitCode }) => exitCode === 0);
    expect(speaking).toHaveLength(2);
    const endpoints = JSON.parse(
      await cluster.run("n1", "s3", "user", "key", "alice", "--format", "json"),
    ) as S3User;
    expect(endpoints.endpoints[0]).toBe(`https://${vip}:443`);
    expect(await readAt("n3", `https://${vip}:443`)).toBe(digest(photo));

    // Two requests on each connection, and none is tried again by the client.
    const second = await certificate("second");
    const loop = client(
      "n3",
      `while [ ! -e ${folder}/enough ]; do
         curl -sf -m 60 --fail-early -o /dev/null -o /dev/null --cacert ${folder}/trusted https://${vip}/ https://${vip}/ && echo ok || echo failed
         sleep 0.05
       done`,
    );
    await cluster.run("n2", "certificate", "set", "rgw", ...second);
    await lab.waitFor(
      "the second certificate to be shown at the common address",
      async () => (await shown(`${vip}:443`)).endsWith("second"),
      minutes(2),
    );
    await writeFile(join(folder, "enough"), "");
    expect(new Set((await loop).trim().split("\n"))).toEqual(new Set(["ok"]));
    const wrong = await cluster.cli(
      "n1",
      "certificate",
      "set",
      "rgw",
      ...first.slice(0, 3),
      `${folder}/second.key`,
    );
    expect([wrong.exitCode, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("not that of the certificate"),
    ]);
  });

  it("are placed elsewhere when their host is away for longer than the grace time", async () => {
    const holder = (await cluster.holder("n1")).name;
    const before = await placedOn(holder);
    const lost = before.find((name) => name !== holder) ?? "";
    await cluster.run(holder, "mesh", "setting", "set", "grace.service", "10");
    await lab.kill(lost, "all");
    const rest = three.filter((name) => name !== lost);
    await lab.waitFor(
      `gateways on ${rest.join(" and ")} instead of ${lost}`,
      async (note) => {
        const placed = await placedOn(holder);
        note(placed);
        return `${placed}` === `${rest}`;
      },
      minutes(4),
    );
    expect(await readAt(holder, await endpointOf(holder))).toBe(digest(photo));
    await lab.start(lost);
    await cluster.formed(three);
    await lab.waitFor(
      `no gateway on ${lost} any more`,
      async (note) => {
        const running = runningOn();
        note(running);
        return `${running}` === `${rest}`;
      },
      minutes(3),
    );
    await cluster.run(holder, "mesh", "setting", "reset", "grace.service");
    await cluster.healthy(holder);
  });

  it("are named one by one, and go when nobody wants them; users and buckets stay", async () => {
    const stranger = await cluster.cli("n1", "disable", "rgw");
    expect([stranger.exitCode, stranger.stderr]).toEqual([1, expect.stringContaining("--all")]);
    await cluster.run("n1", "disable", "rgw", "--all");
    await lab.waitFor("no gateway to run", async () => runningOn().length === 0, minutes(2));
    await cluster.run("n2", "disable", "ingress", "--all");
    await lab.waitFor(
      "nobody to have the common address, and no balancer to run",
      async (note) => {
        const left = await Promise.all(
          three.map((node) =>
            lab.run(node, ["sh", "-c", "ip -o addr show; ls /var/lib/microceph/data/ingress"]),
          ),
        );
        const balancers = three.flatMap((node) =>
          lab.processes(node).filter(({ args }) => /haproxy|keepalived/.test(args[0] ?? "")),
        );
        note([left, balancers]);
        return (
          balancers.length === 0 && left.every((text) => !text.includes(vip) && !text.includes("ceph-n"))
        );
      },
      minutes(2),
    );
    const keys = await cluster.cephJson<{ auth_dump: { entity: string }[] }>("n1", "auth", "ls");
    expect(keys.auth_dump.filter(({ entity }) => entity.startsWith("client.rgw"))).toEqual([]);
    await cluster.run("n2", "enable", "rgw", "--target", "n3", "--port", "8080");
    expect(await placedOn("n1")).toEqual(["n3"]);
    expect(await readAt("n1", await endpointOf("n3"))).toBe(digest(photo));
    // As when a node that has seen its key is in other hands.
    const cephKey = (): Promise<string> => cluster.ceph("n1", "auth", "get-key", "client.rgw.n3");
    const former = await cephKey();
    const { body } = await lab.api("n3", "POST", "/1.0/services/rgw/rekey", {});
    const { id } = (body as { metadata: { id: string } }).metadata;
    await lab.waitFor(
      "the gateway to serve with another key",
      async (note) => {
        const job = (await lab.get("n3", `/1.0/jobs/${id}`)) as { state: string };
        note(job);
        return job.state === "success";
      },
      minutes(3),
    );
    expect(await cephKey()).not.toBe(former);
    expect(await readAt("n1", await endpointOf("n3"))).toBe(digest(photo));
    const steps = JSON.parse(
      await cluster.run("n1", "cluster", "upgrade", "plan", "--all", "--format", "json"),
    ) as { steps: { daemon: string }[] };
    expect(steps.steps.at(-1)?.daemon).toBe("rgw.n3");
    const full = await cluster.cli("n1", "s3", "user", "remove", "alice");
    expect([full.exitCode, full.stderr]).toEqual([4, expect.stringContaining("[USER_HAS_BUCKETS]")]);
    const gone = await cluster.cli("n1", "s3", "user", "remove", "alice", "--purge-data");
    expect([gone.exitCode, gone.stdout]).toEqual([0, "alice is removed.\n"]);
    expect(await cluster.run("n1", "s3", "user", "list", "--format", "csv")).toBe("");
  });
});
