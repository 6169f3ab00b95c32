// What a workflow gets from action.yml: its script run as the action runs it, on a host of its own, and real S3 clients on what it says.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { labSuite } from "./support/lab-suite.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Inputs, outputs and the script of action.yml, as far as they are compared here. */
function action(): { inputs: string[]; passed: string[]; script: string } {
  const text = readFileSync(join(root, "action.yml"), "utf8");
  const [inputs = "", rest = ""] = text.slice(text.indexOf("inputs:")).split("outputs:");
  return {
    inputs: [...inputs.matchAll(/^ {2}([a-z]+):$/gm)].map(([, name]) => name ?? ""),
    passed: [...rest.matchAll(/^ {8}(MICROCEPH_[A-Z_]+): \$\{\{ inputs\.([a-z]+) \}\}$/gm)].map(
      ([, variable, input]) => `${input} ${variable}`,
    ),
    script: /GITHUB_ACTION_PATH\/([a-z/.]+)"/.exec(rest)?.[1] ?? "",
  };
}

labSuite("the action for workflows", () => {
  let folder = "";
  let said = "";
  const outputs = (): string => readFileSync(join(folder, "outputs"), "utf8");

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "microceph-action-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** A host of its own until the script ends, with one line to nobody; everything that runs on it ends with it. */
  const onHost = async (script: string): Promise<string> => {
    const host = [
      "hostname runner",
      "ip link set lo up",
      "ip link add lan0 type veth peer name other0",
      "ip link set other0 up",
      "ip addr add 10.96.0.1/24 dev lan0",
      "ip link set lan0 up",
    ].join("\n");
    const spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"];
    const { stdout, stderr } = await run(
      "unshare",
      [...spaces, "sh", "-ec", `${host}\ncd ${folder}\n${script}`],
      {
        timeout: 540_000,
        maxBuffer: 10_000_000,
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          MICROCEPH_STATE_DIR: join(folder, "state"),
          GITHUB_OUTPUT: join(folder, "outputs"),
          MICROCEPH_ACCESS_KEY: "mykey",
          MICROCEPH_SECRET_KEY: "mysecret/+=",
          MICROCEPH_BUCKET: "s3://mybucket",
          MICROCEPH_OSD_SIZE: "1G",
        },
      },
    );
    return `${stdout}${stderr}`;
  };

  it("has the inputs of MicroCeph's action, and passes on each that means something", () => {
    expect(action()).toEqual({
      inputs: ["channel", "devname", "accesskey", "secretkey", "bucket", "osdsize"],
      passed: [
        "accesskey MICROCEPH_ACCESS_KEY",
        "secretkey MICROCEPH_SECRET_KEY",
        "bucket MICROCEPH_BUCKET",
        "osdsize MICROCEPH_OSD_SIZE",
      ],
      script: "scripts/action.sh",
    });
  });

  it("gives a bucket behind TLS, which clients reach with what is in the file", async () => {
    writeFileSync(join(folder, "object"), "what a workflow writes");
    said = await onHost(`
      sh ${root}/${action().script}
      . ./microceph.source
      test "$S3_REGION" = default
      host=\${S3_SERVER_URL#https://}
      s3cmd --ca-certs="$S3_CA_BUNDLE_PATH" --host="$host" --host-bucket="$host/%(bucket)" \\
        --access_key="$S3_ACCESS_KEY" --secret_key="$S3_SECRET_KEY" put object "s3://$S3_BUCKET/object" >/dev/null
      AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY" AWS_DEFAULT_REGION="$S3_REGION" \\
        AWS_CA_BUNDLE="$S3_CA_BUNDLE_PATH" aws --endpoint-url "$S3_SERVER_URL" s3 cp "s3://$S3_BUCKET/object" back >/dev/null
    `);
    expect(readFileSync(join(folder, "back"), "utf8")).toBe("what a workflow writes");
    expect(outputs()).toBe(`s3config=${join(folder, "microceph.source")}\n`);
    expect(readFileSync(join(folder, "microceph.source"), "utf8")).toMatch(
      /^S3_SERVER_URL=https:\/\/10\.96\.0\.1\nS3_ACCESS_KEY=mykey\nS3_SECRET_KEY=mysecret\/\+=\nS3_BUCKET=mybucket\nS3_REGION=default\nS3_CA_BUNDLE_PATH=.*\/s3-ca\.pem\n$/,
    );
    expect(statSync(join(folder, "microceph.source")).mode & 0o777).toBe(0o600);
    expect(said).toContain("microceph: ready");
  });

  it.each([
    ["MICROCEPH_BUCKET='x; reboot'", "is no name of a bucket"],
    ["MICROCEPH_OSD_SIZE=huge", "is no size of an OSD"],
    ["MICROCEPH_SECRET_KEY='a b c'", "keys are of letters"],
  ])("refuses %s before it does anything", async (variable, words) => {
    const refused = await onHost(
      `if ${variable} sh ${root}/scripts/action.sh; then exit 1; else test $? = 2; fi`,
    );
    expect(refused).toContain(words);
    expect(refused).toContain("[USAGE]");
  });
});
