// S3 gateways that are wanted, placed, and placed again: real radosgw, and the clients that people use.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { GatewayReport } from "../../src/api/contract/gateways.ts";
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
  /** More than one part of a multipart upload. */
  const photo = randomBytes(12 * 1024 * 1024);
  const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

  const report = async (node: string): Promise<GatewayReport> =>
    (await lab.get(node, "/1.0/services/rgw")) as GatewayReport;
  const placedOn = async (node: string): Promise<string[]> =>
    (await report(node)).gateways.filter(({ state }) => state === "placed").map((one) => one.node);
  const runningOn = (): string[] =>
    three.filter((node) => lab.processes(node).some(({ args }) => args[0]?.endsWith("radosgw")));
  /** A command of a client on a node, with its digest instead of what it prints. */
  const client = (node: string, script: string): Promise<string> =>
    lab.run(node, [...clean, `HOME=${folder}`, "sh", "-ec", script], minutes(3));
  const settingsOf = (title: string, endpoint: string): string =>
    clientSettings("alice", user.keys[0] ?? { access_key: "", secret_key: "" }, endpoint).find((one) =>
      one.title.startsWith(title),
    )?.text ?? "";
  const endpointOf = async (node: string): Promise<string> =>
    (await report(node)).gateways.find((one) => one.node === node)?.url ?? "";
  const readAt = async (node: string, endpoint: string): Promise<string> => {
    await writeFile(join(folder, "s3cfg"), settingsOf("s3cmd", endpoint));
    const said = await client(
      node,
      `s3cmd -c ${folder}/s3cfg get --force --no-progress s3://photos/one ${folder}/got >&2; sha256sum ${folder}/got`,
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

  it("follow another port one after the other, and refuse one that is taken", async () => {
    await cluster.run("n1", "enable", "rgw", "--count", "2", "--port", "8081");
    const [one = ""] = await placedOn("n1");
    const endpoint = await endpointOf(one);
    expect(endpoint).toMatch(/:8081$/);
    expect(await readAt("n1", endpoint)).toBe(digest(photo));
    // The lobby's port: it is in use on every node.
    const refused = await cluster.cli("n1", "enable", "rgw", "--port", "7443");
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("[PORT_IN_USE]")]);
    await cluster.run("n1", "enable", "rgw", "--port", "8081");
    expect(await readAt("n1", endpoint)).toBe(digest(photo));
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
    const keys = await cluster.cephJson<{ auth_dump: { entity: string }[] }>("n1", "auth", "ls");
    expect(keys.auth_dump.filter(({ entity }) => entity.startsWith("client.rgw"))).toEqual([]);
    await cluster.run("n2", "enable", "rgw", "--target", "n3", "--port", "8080");
    expect(await placedOn("n1")).toEqual(["n3"]);
    expect(await readAt("n1", await endpointOf("n3"))).toBe(digest(photo));
    const full = await cluster.cli("n1", "s3", "user", "remove", "alice");
    expect([full.exitCode, full.stderr]).toEqual([4, expect.stringContaining("[USER_HAS_BUCKETS]")]);
    await cluster.run("n1", "s3", "user", "remove", "alice", "--purge-data");
    expect(await cluster.run("n1", "s3", "user", "list", "--format", "csv")).toBe("");
  });
});
