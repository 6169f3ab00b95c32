import { execFile } from "node:child_process";
import { meshProtocol } from "./protocol.ts";
import { productVersion } from "./version.ts";

const deadlineMs = 10_000;

/** Version that an installed program says of itself, `16.2.15`; undefined where it is not installed. */
function versionOf(program: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, ["--version"], { timeout: deadlineMs }, (_error, stdout) => {
      resolve(/\b\d+\.\d+\.\d+\b/.exec(stdout)?.[0]);
    });
  });
}

/** What is installed on this node: the product, what it runs on, and what it speaks to others, one a line. */
export async function installedVersions(): Promise<string> {
  const [ceph, etcd] = await Promise.all([versionOf("ceph-mon"), versionOf("etcd")]);
  const lines = [
    `microceph-mesh ${productVersion}`,
    `ceph ${ceph ?? "(not installed)"}`,
    `etcd ${etcd ?? "(not installed)"}`,
    `mesh protocol ${meshProtocol}`,
  ];
  return `${lines.join("\n")}\n`;
}
